"""Strategies that trade: `events.order`, `events.fills`, `events.position`, `events.account`."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from hewston_bff.protocol.times import format_time
from hewston_bff.tools.node.market import InstrumentMarket
from hewston_bff.tools.node.text import TRADER_ID, event_id, json_bytes
from hewston_bff.tools.node.timeline import Timeline

STRATEGIES: Final = ("MeanReversion-001", "Momentum-002", "PairsArbitrage-003")
_EVERY_S = 2.0
_LIMIT_SHARE = 0.4
_CANCELED_SHARE = 0.5  # of limit orders
_COMMISSION = 0.00002
_ACCOUNT_CASH = 1_000_000.0


class Position:
    """What one strategy holds of one instrument; `lots` is not negative, 0 if it is flat."""

    def __init__(self, market: InstrumentMarket, strategy: str) -> None:
        self.market = market
        self.strategy = strategy
        self.lots = 0
        self.peak_lots = 0
        self.entry = "BUY"
        self.opened_ns = 0
        self.opening_order = ""
        self.cost = 0
        """Ticks × lots paid for what it holds."""
        self.is_busy = False
        """An order for it is out."""

    @property
    def id(self) -> str:
        """As payloads have it."""
        return f"{self.market.instrument.id}-{self.strategy}"

    def open(self, side: str, now_ns: int, *, order: str) -> None:
        """Begin again, with nothing yet, on this side."""
        self.entry = side
        self.opened_ns = now_ns
        self.opening_order = order
        self.peak_lots = self.cost = 0


class TradingDesk:
    """Sends an order every other second or so, and reports what becomes of it."""

    def __init__(
        self, markets: Sequence[InstrumentMarket], *, timeline: Timeline, rng: Random
    ) -> None:
        self.timeline = timeline
        self.rng = rng
        self._positions = [Position(m, strategy) for m in markets[::4] for strategy in STRATEGIES]
        self._cash: dict[str, dict[str, float]] = defaultdict(dict)
        for market in markets:
            self._cash[market.instrument.venue][market.instrument.currency] = _ACCOUNT_CASH
        self._orders = 0
        timeline.after(1.0, self._trade)

    def _trade(self) -> None:
        self.timeline.after(self.rng.expovariate(1 / _EVERY_S), self._trade)
        position = self.rng.choice(self._positions)
        if not position.is_busy:
            self._orders += 1
            DeskOrder(self, position, number=self._orders)

    def pay(self, venue: str, amount: float, currency: str) -> None:
        """Book a result, and tell the account's new state."""
        self._cash[venue][currency] += amount
        balances = [_balance(each, cash) for each, cash in self._cash[venue].items()]
        account = f"{venue}-001"
        self.tell(
            f"events.account.{account}",
            "AccountState",
            account_id=account,
            account_type="MARGIN",
            base_currency=None,
            balances=balances,
            margins=[],
            reported=False,
            info={},
        )

    def tell(self, topic: str, kind: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Write an event of now."""
        now = str(self.timeline.now_ns)
        stamps = {"event_id": event_id(self.rng), "ts_event": now, "ts_init": now}
        self.timeline.write(topic, kind, json_bytes({"type": kind, **members, **stamps}))


def _balance(currency: str, cash: float) -> dict[str, str]:
    amount = f"{cash:.2f}"
    return {
        "type": "AccountBalance",
        "total": amount,
        "locked": "0.00",
        "free": amount,
        "currency": currency,
    }


class DeskOrder:
    """One order: initialized → submitted → accepted → filled or canceled."""

    def __init__(self, desk: TradingDesk, position: Position, *, number: int) -> None:
        self._desk = desk
        self._position = position
        self._number = number
        rng = desk.rng
        position.is_busy = True
        is_exit = position.lots > 0 and rng.random() < 0.7
        self._is_buy = (position.entry == "BUY") != is_exit if position.lots else rng.random() < 0.5
        self._lots = position.lots if is_exit else rng.randint(1, 10)
        self._is_limit = rng.random() < _LIMIT_SHARE
        stamp = format_time(desk.timeline.now_ns)[:19].translate({45: None, 58: None, 84: "-"})
        self._id = f"O-{stamp}-001-{position.strategy[-3:]}-{number}"
        self._venue_id = f"{position.market.instrument.venue}-1-{number:03}"
        self._initialize()

    def _initialize(self) -> None:
        market = self._position.market
        price = market.bid if self._is_buy else market.ask
        options = {"price": market.instrument.price_text(price)} if self._is_limit else {}
        self._tell(
            "OrderInitialized",
            order_side=self._side,
            order_type=self._type,
            quantity=self._quantity,
            time_in_force="GTC",
            post_only=False,
            reduce_only=False,
            quote_quantity=False,
            options=options,
            emulation_trigger="NO_TRIGGER",
            contingency_type="NO_CONTINGENCY",
            tags=None,
            reconciliation=False,
        )
        self._desk.timeline.after(0.0004, self._submit)

    def _submit(self) -> None:
        self._tell("OrderSubmitted", account_id=self._account)
        self._desk.timeline.after(self._desk.rng.uniform(0.002, 0.02), self._accept)

    def _accept(self) -> None:
        rng = self._desk.rng
        self._tell("OrderAccepted", **self._at_venue)
        if not self._is_limit:
            self._desk.timeline.after(rng.uniform(0.001, 0.05), self._fill)
            return
        end = self._cancel if rng.random() < _CANCELED_SHARE else self._fill
        self._desk.timeline.after(rng.uniform(0.5, 6.0), end)

    def _cancel(self) -> None:
        self._position.is_busy = False
        topics = (self._topic, f"events.cancels.{self._position.market.instrument.id}")
        for topic in topics:
            self._tell("OrderCanceled", topic=topic, **self._at_venue)

    def _fill(self) -> None:
        position, instrument = self._position, self._position.market.instrument
        position.is_busy = False
        ticks = position.market.ask if self._is_buy else position.market.bid
        value = ticks / 10**instrument.decimals * self._units / 10**instrument.size_decimals
        commission = value * _COMMISSION
        for topic in (self._topic, f"events.fills.{instrument.id}"):
            self._tell(
                "OrderFilled",
                topic=topic,
                **self._at_venue,
                trade_id=f"T-{self._desk.rng.getrandbits(64):016x}-{self._number:03}",
                position_id=position.id,
                order_side=self._side,
                order_type=self._type,
                last_qty=self._quantity,
                last_px=instrument.price_text(ticks),
                currency=instrument.currency,
                commission=f"{commission:.2f} {instrument.currency}",
                liquidity_side="MAKER" if self._is_limit else "TAKER",
                info={},
            )
        gain = self._take_position(ticks)
        self._desk.pay(instrument.venue, gain - commission, instrument.currency)

    def _take_position(self, ticks: int) -> float:
        """Change the position by this fill; what it gained, in the currency of prices."""
        position, instrument = self._position, self._position.market.instrument
        kind, gain = "PositionChanged", 0.0
        if not position.lots:
            kind = "PositionOpened"
            position.open(self._side, self._desk.timeline.now_ns, order=self._id)
        if self._side == position.entry:
            position.lots += self._lots
            position.cost += ticks * self._lots
            position.peak_lots = max(position.peak_lots, position.lots)
            average = position.cost / position.lots
        else:
            kind = "PositionClosed"
            average = position.cost / position.lots
            sign = 1 if position.entry == "BUY" else -1
            unit = instrument.lot / 10 ** (instrument.decimals + instrument.size_decimals)
            gain = sign * (ticks - average) * position.lots * unit
            position.lots = position.cost = 0
        self._tell_position(kind, ticks, average=average, gain=gain)
        return gain

    def _tell_position(self, kind: str, ticks: int, *, average: float, gain: float) -> None:
        position, instrument = self._position, self._position.market.instrument
        scale = 10**instrument.decimals
        is_long = position.entry == "BUY"
        closed = {"closing_order_id": self._id, "avg_px_close": ticks / scale}
        size = position.lots * instrument.lot
        self._desk.tell(
            f"events.position.{position.strategy}",
            kind,
            trader_id=TRADER_ID,
            strategy_id=position.strategy,
            instrument_id=instrument.id,
            position_id=position.id,
            account_id=self._account,
            opening_order_id=position.opening_order,
            **(closed if kind == "PositionClosed" else {}),
            entry=position.entry,
            side="FLAT" if not size else "LONG" if is_long else "SHORT",
            signed_qty=(1 if is_long else -1) * size / 10**instrument.size_decimals,
            quantity=instrument.size_text(size),
            peak_qty=instrument.size_text(position.peak_lots * instrument.lot),
            last_qty=self._quantity,
            last_px=instrument.price_text(ticks),
            currency=instrument.currency,
            avg_px_open=round(average / scale, 9),
            realized_pnl=f"{gain:.2f} {instrument.currency}",
            duration_ns=self._desk.timeline.now_ns - position.opened_ns,
        )

    def _tell(self, kind: str, *, topic: str | None = None, **members: Any) -> None:  # noqa: ANN401 - any JSON
        self._desk.tell(
            topic or self._topic,
            kind,
            trader_id=TRADER_ID,
            strategy_id=self._position.strategy,
            instrument_id=self._position.market.instrument.id,
            client_order_id=self._id,
            **members,
        )

    @property
    def _topic(self) -> str:
        return f"events.order.{self._position.strategy}"

    @property
    def _account(self) -> str:
        return f"{self._position.market.instrument.venue}-001"

    @property
    def _at_venue(self) -> dict[str, Any]:
        return {
            "venue_order_id": self._venue_id,
            "account_id": self._account,
            "reconciliation": False,
        }

    @property
    def _side(self) -> str:
        return "BUY" if self._is_buy else "SELL"

    @property
    def _type(self) -> str:
        return "LIMIT" if self._is_limit else "MARKET"

    @property
    def _units(self) -> int:
        return self._lots * self._position.market.instrument.lot

    @property
    def _quantity(self) -> str:
        return self._position.market.instrument.size_text(self._units)
