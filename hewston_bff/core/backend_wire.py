"""The backend's stream protocol, read: bytes in, typed messages out.

A frame is kept as the bytes that follow ``{"t": "frame",`` (its *tail*) plus the numbers that
conflation needs. Whatever of it is not normalised is never decoded again.

Source: the backend's WebSocket protocol v0.1 as measured, and the three normalisations of stream
protocol v1: null members of `ohlc` are left out, a numeric `equity` becomes the object, `dropped`
is always there.
"""

from datetime import datetime
from math import nan
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.core.ids import to_ns

OUR_FIELDS = frozenset({"sid", "seq", "from", "n", "ts0"})
"""Members of a frame that are ours to set: the backend's own, should it ever send them, go."""

_PREFIXES = (b'{"t": "frame", ', b'{"t":"frame",')

_Number = float | UnsetType | None


class ProtocolViolation(Exception):
    """A message that the backend's protocol does not know; it is counted and skipped."""


class _Ohlc(msgspec.Struct, gc=False):
    o: _Number = UNSET
    h: _Number = UNSET
    l: _Number = UNSET  # noqa: E741 - the wire's own name
    c: _Number = UNSET
    v: _Number = UNSET


class _Equity(msgspec.Struct, gc=False):
    value: float | None = None
    ts: str | None = None


class _Frame(msgspec.Struct, tag_field="t", tag="frame", gc=False):
    ts: Annotated[datetime, msgspec.Meta(tz=True)]
    ohlc: _Ohlc | None = None
    orders: msgspec.Raw = msgspec.Raw(b"[]")
    equity: _Equity | float | None = None
    dropped: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET
    sid: msgspec.Raw | UnsetType = UNSET
    seq: msgspec.Raw | UnsetType = UNSET
    from_: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name="from")
    n: msgspec.Raw | UnsetType = UNSET
    ts0: msgspec.Raw | UnsetType = UNSET


class RawFrame(msgspec.Struct, frozen=True, gc=False):
    """One source frame: its time, the text after its ``t``, and its numbers (NaN where absent).

    `orders` is the inner text of its orders list (no brackets), b"" when there are none.
    """

    ts_ns: int
    tail: bytes
    o: float
    h: float
    l: float  # noqa: E741 - the wire's own name
    c: float
    v: float
    equity: float
    orders: bytes = b""
    order_count: int = 0


class Heartbeat(msgspec.Struct, tag_field="t", tag="hb", frozen=True):
    """The backend is alive and has nothing to send."""


class End(msgspec.Struct, tag_field="t", tag="end", frozen=True):
    """The stream says that it is over (documented; only the SSE stream does it)."""


class Fault(msgspec.Struct, tag_field="t", tag="err", frozen=True):
    """The backend's `err`. `msg` may hold its internal paths: never passed on."""

    code: str = ""
    msg: str = ""


class Echo(msgspec.Struct, tag_field="t", tag="ctrl", frozen=True):
    """Our own `play`, sent back."""


Message = RawFrame | Heartbeat | End | Fault | Echo

_DECODER: msgspec.json.Decoder[_Frame | Heartbeat | End | Fault | Echo] = msgspec.json.Decoder(
    _Frame | Heartbeat | End | Fault | Echo
)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def decode(data: bytes) -> Message:
    """The message in `data`.

    Raises:
        ProtocolViolation: not UTF-8, no JSON object, an unknown `t`, or a member of a wrong type.
    """
    try:
        if not data.isascii():
            # Members that nobody decodes go on to browsers, which refuse text that is not UTF-8.
            data.decode()
        message = _DECODER.decode(data)
        if isinstance(message, _Frame):
            return _frame(message, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError) as exc:
        raise ProtocolViolation(str(exc)) from exc
    return message


def members(tail: bytes) -> dict[str, msgspec.Raw]:
    """The members of a frame by name, each still as its JSON text."""
    return _MEMBERS.decode(b"{" + tail)


def _frame(frame: _Frame, data: bytes) -> RawFrame:
    bar = frame.ohlc
    equity = frame.equity
    value = equity.value if isinstance(equity, _Equity) else equity
    orders, count = (b"", 0) if frame.orders == b"[]" else _orders(bytes(frame.orders))
    tail = _tail(data) if _is_normal(frame) else None
    if tail is None:
        tail = _normalised(data, frame)
    ts_ns = to_ns(frame.ts)
    equity_value = nan if value is None else value
    if bar is None:
        return RawFrame(ts_ns, tail, nan, nan, nan, nan, nan, equity_value, orders, count)
    return RawFrame(
        ts_ns,
        tail,
        bar.o if isinstance(bar.o, float) else nan,
        bar.h if isinstance(bar.h, float) else nan,
        bar.l if isinstance(bar.l, float) else nan,
        bar.c if isinstance(bar.c, float) else nan,
        bar.v if isinstance(bar.v, float) else nan,
        equity_value,
        orders,
        count,
    )


def _is_normal(frame: _Frame) -> bool:
    bar = frame.ohlc
    bar_is_normal = bar is None or not (
        bar.o is None or bar.h is None or bar.l is None or bar.c is None or bar.v is None
    )
    return (
        bar_is_normal
        and not isinstance(frame.equity, float)
        and frame.dropped is not UNSET
        and frame.seq is UNSET
        and frame.sid is UNSET
        and frame.from_ is UNSET
        and frame.n is UNSET
        and frame.ts0 is UNSET
    )


def _tail(data: bytes) -> bytes | None:
    for prefix in _PREFIXES:
        if data.startswith(prefix):
            tail = data[len(prefix) :]
            return tail if tail.endswith(b"}") else tail.rstrip()
    return None


def _normalised(data: bytes, frame: _Frame) -> bytes:
    """The tail, written anew with the three normalisations and without members of our names."""
    parts: dict[str, msgspec.Raw] = {
        name: raw
        for name, raw in _MEMBERS.decode(data).items()
        if name != "t" and name not in OUR_FIELDS
    }
    if frame.ohlc is not None:
        bar = {k: v for k, v in _MEMBERS.decode(parts["ohlc"]).items() if v != _NULL}
        # A bar of which nothing is left is no bar: readers expect null there, not an empty object.
        parts["ohlc"] = _raw(bar or None)
    if isinstance(frame.equity, float):
        parts["equity"] = msgspec.Raw(b'{"ts":%b,"value":%b}' % (parts["ts"], parts["equity"]))
    if frame.dropped is UNSET:
        parts["dropped"] = msgspec.Raw(b"0")
    return msgspec.json.encode(parts)[1:]


def _orders(text: bytes) -> tuple[bytes, int]:
    count = len(_ITEMS.decode(text)) if text != b"null" else 0
    return (text[1:-1].strip(), count) if count else (b"", 0)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
