"""Messages that are written without a type, for the document: frames, and what is in them."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.protocol.commands import Ctrl


class Ohlc(msgspec.Struct, frozen=True, kw_only=True):
    """A bar; what the backend left null is left out."""

    o: float | UnsetType = UNSET
    h: float | UnsetType = UNSET
    l: float | UnsetType = UNSET  # noqa: E741 - the backend's name
    c: float | UnsetType = UNSET
    v: float | UnsetType = UNSET


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the backend has it; it may say more."""

    ts_utc: str
    side: Literal["BUY", "SELL"]
    qty: float
    price: float | None
    order_id: str | None = None
    type: str | None = None
    time_in_force: str | None = None


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """The account's value."""

    ts: str
    value: float


class EquityRange(Equity, frozen=True, kw_only=True):
    """The account's last value among several, and its extremes."""

    min: float
    max: float


class Frame(msgspec.Struct, tag_field="t", tag="frame", frozen=True, kw_only=True):
    """One frame of the run, as the backend has it; it may say more."""

    sid: int | UnsetType = UNSET
    seq: int
    ts: str
    ohlc: Ohlc | UnsetType | None = UNSET
    orders: list[Order] | UnsetType = UNSET
    equity: Equity | UnsetType | None = UNSET
    dropped: int


class MergedFrame(msgspec.Struct, tag_field="t", tag="frame", frozen=True, kw_only=True):
    """Frames `from` to `seq` as one: first open, highest high, all orders, sum of the volumes."""

    sid: int | UnsetType = UNSET
    from_: int = msgspec.field(name="from")
    seq: int
    n: int
    ts0: str
    ts: str
    ohlc: Ohlc | UnsetType | None = UNSET
    orders: list[Order] | UnsetType = UNSET
    equity: EquityRange | UnsetType | None = UNSET
    dropped: int


class SnapshotBar(Ohlc, frozen=True, kw_only=True):
    """A bar of a snapshot, from its first frame's time to its last's."""

    ts0: str
    ts: str


class EchoedCtrl(Ctrl, tag="ctrl", frozen=True, kw_only=True):
    """A `ctrl` as the backend sends it back, its members as they came."""

    echo: Literal[True]


OPEN = (Frame, MergedFrame, Order)
"""Those that the backend may add members to."""
