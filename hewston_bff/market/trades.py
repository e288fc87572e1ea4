"""Round trips of orders, from flat to flat, by symbol.

The platform counts a *round trip* from the order that opens a position to the one that closes it,
however many orders lie between. It wins if its proceeds less costs and fees are above zero.
An order that turns a position around closes one round trip and opens the next.
"""

import re
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import msgspec

_DUST = 1e-9
"""As a share of the largest position: below it, a rest is rounding and the position flat."""
_FILLED = frozenset({"", "FILLED", "COMPLETED", "DONE", "CLOSED"})
_PARTLY = frozenset({"PARTIALLY_FILLED", "PARTIAL", "PARTIALLYFILLED"})
_FILLED_QTY = ("filled_qty", "filled_quantity")
_PRICE = ("avg_fill_price", "fill_price", "avg_px", "price")
_FEES = ("fees", "fee", "commission", "commissions")
_SYMBOL = ("symbol", "instrument_id", "instrument")
_AMOUNT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)(?:\s+[A-Z]{2,8})?\s*")
_SIDES = {"BUY": 1.0, "SELL": -1.0}
_ORDERS = msgspec.json.Decoder(list[object])


class Fill(NamedTuple):
    """The filled part of an order: quantity (negative: sold), price and fees."""

    quantity: float
    price: float
    fees: float = 0.0
    symbol: str = ""


class UnreadableOrder(ValueError):
    """It does not say what was filled of it."""


class _Position(NamedTuple):
    quantity: float
    largest: float
    """The largest quantity held in this round trip."""
    cash: float
    """Proceeds less costs and fees."""


@dataclass(slots=True)
class RoundTrips:
    """Takes fills in order. `unreadable` counts orders whose fill cannot be read."""

    closed: int = 0
    won: int = 0
    unreadable: int = 0
    _open: dict[str, _Position] | None = None

    @property
    def hit_rate(self) -> float | None:
        """The share of closed round trips that won.

        None if none was closed, or if an order could not be read: everything after it may be
        counted wrongly.
        """
        return self.won / self.closed if self.closed and not self.unreadable else None

    def copy(self) -> "RoundTrips":
        """An independent copy."""
        return RoundTrips(self.closed, self.won, self.unreadable, dict(self._open or {}))

    def add_text(self, text: bytes) -> None:
        """Take orders: JSON values joined by commas."""
        try:
            orders = _ORDERS.decode(b"[" + text + b"]")
        except msgspec.MsgspecError:
            self.unreadable += 1
            return
        for order in orders:
            self.add_order(order)

    def add_order(self, order: object) -> None:
        """Take the next order."""
        try:
            fill = read_fill(order)
        except UnreadableOrder:
            self.unreadable += 1
            return
        if fill is not None:
            self.add(fill)

    def add(self, fill: Fill) -> None:
        """Take the next fill."""
        if self._open is None:
            self._open = {}
        held = self._open.pop(fill.symbol, _Position(0.0, 0.0, 0.0))
        after = held.quantity + fill.quantity
        if abs(after) <= _DUST * max(held.largest, abs(fill.quantity)):
            self._close(held.cash - fill.quantity * fill.price - fill.fees)
            return
        if held.quantity * after < 0:
            # The order reverses the position: each side bears its share of the fees.
            share = -held.quantity / fill.quantity
            self._close(held.cash + held.quantity * fill.price - fill.fees * share)
            held, fees = _Position(0.0, 0.0, 0.0), fill.fees * (1 - share)
            cash = -after * fill.price - fees
        else:
            cash = held.cash - fill.quantity * fill.price - fill.fees
        self._open[fill.symbol] = _Position(after, max(held.largest, abs(after)), cash)

    def _close(self, cash: float) -> None:
        self.closed += 1
        self.won += cash > 0


def read_fill(order: object) -> Fill | None:
    """The fill of an order; None if nothing was filled.

    `filled_qty` counts before `qty`; without it, `qty` counts unless `status` says that the order
    was not filled.

    Raises:
        UnreadableOrder: a side that is neither BUY nor SELL (in any case), a quantity or price
            that is no finite number, or a part that was filled without saying how much.
    """
    if not isinstance(order, dict):
        raise UnreadableOrder
    status = str(order.get("status") or "").upper().replace(" ", "_").replace("-", "_")
    quantity = _amount(order, _FILLED_QTY)
    if quantity is None:
        if status in _PARTLY:
            raise UnreadableOrder
        if status not in _FILLED:
            return None
        quantity = _amount(order, ("qty", "quantity"))
    side = _SIDES.get(str(order.get("side")).strip().upper())
    if quantity == 0:
        return None
    price, fees = _amount(order, _PRICE), _amount(order, _FEES)
    if quantity is None or quantity < 0 or price is None or side is None:
        raise UnreadableOrder
    name = next((order[each] for each in _SYMBOL if order.get(each) is not None), "")
    return Fill(side * quantity, price, fees or 0.0, str(name))


def _amount(order: dict[object, object], names: tuple[str, ...]) -> float | None:
    """The first of these members that is present; `2.00 USD` is 2.

    Raises:
        UnreadableOrder: it is present and not a finite number.
    """
    value = next((order[name] for name in names if order.get(name) is not None), None)
    if value is None:
        return None
    if isinstance(value, str):
        amount = _AMOUNT.fullmatch(value)
        value = None if amount is None else float(amount[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableOrder
    try:
        number = float(value)
    except OverflowError as exc:
        raise UnreadableOrder from exc
    if not isfinite(number):
        raise UnreadableOrder
    return number
