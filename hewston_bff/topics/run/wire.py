"""Decodes the backend's stream protocol: bytes in, typed messages out.

A frame is kept as the bytes that follow ``{"t": "frame",`` (its *tail*) plus the numbers that
conflation needs. Whatever of it is not normalised is never decoded again.

What the quick decoder refuses is decoded again, slowly: members of unknown names, invalid numbers
(`NaN`, `1e999`: null), members of a wrong type (see `mending`).

Source: the backend's WebSocket protocol v0.1 as measured, and the normalisations of stream
protocol v1: null members of `ohlc` are left out, a numeric `equity` becomes the object, `dropped`
is always there, and times that are not RFC 3339 with `Z` are written so.
"""

from datetime import datetime
from math import nan
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.protocol.json_numbers import HUGE, finite
from hewston_bff.protocol.times import format_time, to_ns
from hewston_bff.topics.run.mending import PLAIN_TIME, mended, plain_time, read_time
from hewston_bff.topics.run.skips import Skip

OUR_FIELDS = frozenset({"sid", "seq", "from", "n", "ts0"})
"""Members of a frame that this server sets; the backend's, if any, are removed."""

_SPACED = b'{"t": "frame", "ts": "'
_COMPACT = b'{"t":"frame","ts":"'
_T, _Z, _QUOTE = b'TZ"'
_LAST_NS = (1 << 63) - 1
"""The range of a column of times: the years 1677 to 2262."""

_Number = float | UnsetType | None


class ProtocolViolation(Exception):
    """A message violates the backend's protocol; it is counted and skipped."""

    def __init__(self, reason: Skip, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class _Ohlc(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    o: _Number = UNSET
    h: _Number = UNSET
    l: _Number = UNSET  # noqa: E741 - the wire's own name
    c: _Number = UNSET
    v: _Number = UNSET


class _Equity(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    value: float | None = None
    ts: msgspec.Raw = msgspec.Raw(b"")


class _Order(msgspec.Struct, gc=False):
    ts_utc: msgspec.Raw = msgspec.Raw(b"")


class _Frame(msgspec.Struct, tag_field="t", tag="frame", gc=False, forbid_unknown_fields=True):
    ts: datetime
    ohlc: _Ohlc | None = None
    orders: msgspec.Raw = msgspec.Raw(b"[]")
    equity: _Equity | float | None = None
    dropped: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET
    sid: msgspec.Raw | UnsetType = UNSET
    seq: msgspec.Raw | UnsetType = UNSET
    from_: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name="from")
    n: msgspec.Raw | UnsetType = UNSET
    ts0: msgspec.Raw | UnsetType = UNSET


class _AnyOhlc(_Ohlc, gc=False, forbid_unknown_fields=False):
    """With members that we do not know."""


class _AnyEquity(_Equity, gc=False, forbid_unknown_fields=False):
    """With members that we do not know."""


class _AnyFrame(_Frame, tag_field="t", tag="frame", gc=False, forbid_unknown_fields=False):
    """With members that we do not know, and a time in any form."""

    ts: msgspec.Raw  # type: ignore[assignment]
    ohlc: _AnyOhlc | None = None
    equity: _AnyEquity | float | None = None


class RawFrame(msgspec.Struct, frozen=True, gc=False):
    """One source frame: its time, the text after its ``t``, and its numbers (NaN where absent).

    `orders` is the inner text of its orders list (no brackets), b"" when there are none. `lacks`:
    the worst reason why a part of the frame could not be read, None if all could.
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
    lacks: Skip | None = None


class Heartbeat(msgspec.Struct, tag_field="t", tag="hb", frozen=True):
    """The backend is alive and has no frame to send."""


class End(msgspec.Struct, tag_field="t", tag="end", frozen=True):
    """The stream announces its end (documented; only Server-Sent Events do so)."""


class Fault(msgspec.Struct, tag_field="t", tag="err", frozen=True):
    """The backend's `err`. `msg` may hold internal paths: it never goes to clients."""

    code: str = ""
    msg: str = ""


class Echo(msgspec.Struct, tag_field="t", tag="ctrl", frozen=True):
    """Our own `play`, sent back."""


Message = RawFrame | Heartbeat | End | Fault | Echo

_Other = Heartbeat | End | Fault | Echo
_DECODER: msgspec.json.Decoder[_Frame | _Other] = msgspec.json.Decoder(_Frame | _Other)
_ANY_DECODER: msgspec.json.Decoder[_AnyFrame | _Other] = msgspec.json.Decoder(_AnyFrame | _Other)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ORDERS: msgspec.json.Decoder[list[_Order] | None] = msgspec.json.Decoder(list[_Order] | None)
_KIND: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)
_NULL = msgspec.Raw(b"null")
_NOTHING = msgspec.Raw(b"")
_NO_ORDERS = msgspec.Raw(b"[]")
# A `Raw` equals another with the same text, but no `bytes`.


def decode(data: bytes) -> Message:
    """The message in `data`.

    Raises:
        ProtocolViolation: not UTF-8, no JSON object, an unknown `t`, or a frame without a time.
    """
    text = data
    try:
        if not data.isascii():
            # Members that are not decoded go on to browsers, which refuse text that is not UTF-8.
            data.decode()
        message = _DECODER.decode(data)
        if not isinstance(message, _Frame):
            return message
        if message.orders != _NO_ORDERS and HUGE.search(message.orders) is not None:
            # Perhaps only an id that looks like such a number.
            text = finite(data)
        frame = _quick(message, data) if text == data else None
        if frame is not None:
            return frame
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = finite(data)
    try:
        text.decode()
        return _decode_slowly(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolViolation(Skip.MALFORMED, str(exc)) from exc


def members(tail: bytes) -> dict[str, msgspec.Raw]:
    """The members of a frame by name, each still as its JSON text."""
    return _MEMBERS.decode(b"{" + tail)


def _quick(  # noqa: C901 - the hot path of all frames, in one piece
    frame: _Frame, data: bytes
) -> RawFrame | None:
    """A frame in the usual form, whose text is kept as it is; None if in another form."""
    # The position of `Z` in the text shows whole seconds, which `datetime` would not.
    if data.startswith(_SPACED) and data[32] == _T and data[41] == _Z and data[42] == _QUOTE:
        tail, time = data[15:], data[21:43]
    elif data.startswith(_COMPACT) and data[29] == _T and data[38] == _Z and data[39] == _QUOTE:
        tail, time = data[13:], data[18:40]
    else:
        return None
    if not (
        frame.dropped is not UNSET
        and frame.seq is UNSET
        and frame.sid is UNSET
        and frame.from_ is UNSET
        and frame.n is UNSET
        and frame.ts0 is UNSET
        and tail.endswith(b"}")
    ):
        return None
    equity = frame.equity
    if equity is None:
        value = nan
    elif isinstance(equity, _Equity) and (bytes(equity.ts) == time or _is_plain(equity.ts)):
        value = nan if equity.value is None else equity.value
    else:
        return None
    orders, count = (b"", 0) if frame.orders == _NO_ORDERS else _orders(bytes(frame.orders))
    ts_ns = to_ns(frame.ts)
    if not -_LAST_NS <= ts_ns <= _LAST_NS:
        return None
    bar = frame.ohlc
    if bar is None:
        return RawFrame(ts_ns, tail, nan, nan, nan, nan, nan, value, orders, count)
    o, h, l, c, v = bar.o, bar.h, bar.l, bar.c, bar.v  # noqa: E741 - the wire's own name
    if o is None or h is None or l is None or c is None or v is None:
        return None
    return RawFrame(
        ts_ns,
        tail,
        nan if o is UNSET else o,
        nan if h is UNSET else h,
        nan if l is UNSET else l,
        nan if c is UNSET else c,
        nan if v is UNSET else v,
        value,
        orders,
        count,
    )


def _orders(text: bytes) -> tuple[bytes, int]:
    """The inner text of a list of orders, and their number.

    Raises:
        msgspec.ValidationError: it is not one, or a time in it must be normalised.
    """
    orders = _ORDERS.decode(text)
    if not orders:
        return b"", 0
    if not all(_is_plain(order.ts_utc) for order in orders):
        raise msgspec.ValidationError("the time of an order must be normalised")
    return text[1:-1].strip(), len(orders)


def _is_plain(time: msgspec.Raw) -> bool:
    """Whether a time, if there is one, is normalised already."""
    return time in (_NOTHING, _NULL) or PLAIN_TIME.fullmatch(bytes(time)) is not None


# -- slowly


def _decode_slowly(text: bytes) -> Message:
    """The message in JSON that the quick decoder refused.

    Raises:
        ProtocolViolation: an unknown `t`, or a frame without a time.
        msgspec.MsgspecError: no JSON object with a `t`.
    """
    try:
        message = _ANY_DECODER.decode(text)
        return _any_frame(message, text) if isinstance(message, _AnyFrame) else message
    except msgspec.ValidationError:
        parts = _MEMBERS.decode(text)
    kind = _KIND.decode(parts.get("t", _NULL))
    if kind != "frame":
        # Also a known kind with members of a wrong type: no frame is lost by it.
        msg = f"a message of kind {kind[:40]!r}"
        raise ProtocolViolation(Skip.UNKNOWN, msg)
    if "ts" not in parts:
        raise ProtocolViolation(Skip.TIME_UNREADABLE, "a frame without a time")
    text, lacks = mended(text)
    return _any_frame(_ANY_DECODER.decode(text), text, lacks)


def _any_frame(frame: _AnyFrame | _Other, text: bytes, lacks: Skip | None = None) -> RawFrame:
    """The frame in `text`, which is strict JSON.

    Raises:
        ProtocolViolation: its time cannot be read.
        msgspec.ValidationError: its orders, or a time in it, need mending.
    """
    assert isinstance(frame, _AnyFrame)  # noqa: S101 - the caller has looked at its `t`
    ts_ns = read_time(frame.ts)
    if ts_ns is None or not -_LAST_NS <= ts_ns <= _LAST_NS:
        msg = f"a frame of the time {bytes(frame.ts)[:40]!r}"
        raise ProtocolViolation(Skip.TIME_UNREADABLE, msg)
    orders, count = _orders(bytes(frame.orders))
    bar = frame.ohlc or _NO_BAR
    equity = frame.equity
    value = equity.value if isinstance(equity, _Equity) else equity
    return RawFrame(
        ts_ns,
        _normalised(text, frame, ts_ns),
        _price(bar.o),
        _price(bar.h),
        _price(bar.l),
        _price(bar.c),
        _price(bar.v),
        nan if value is None else value,
        orders,
        count,
        lacks,
    )


_NO_BAR = _Ohlc()


def _price(number: _Number) -> float:
    return number if isinstance(number, float) else nan


def _normalised(text: bytes, frame: _AnyFrame, ts_ns: int) -> bytes:
    """The normalised tail, without members of the names that this server sets."""
    parts: dict[str, msgspec.Raw] = {
        name: raw
        for name, raw in _MEMBERS.decode(text).items()
        if name != "t" and name not in OUR_FIELDS
    }
    if not _is_plain(frame.ts):
        parts["ts"] = _raw(format_time(ts_ns))
    if frame.ohlc is not None:
        bar = {k: v for k, v in _MEMBERS.decode(parts["ohlc"]).items() if v != _NULL}
        # A bar without members is no bar: readers expect null, not an empty object.
        parts["ohlc"] = _raw(bar or None)
    if isinstance(frame.equity, float):
        parts["equity"] = msgspec.Raw(b'{"ts":%b,"value":%b}' % (parts["ts"], parts["equity"]))
    elif frame.equity is not None and not _is_plain(frame.equity.ts):
        time = plain_time(frame.equity.ts)
        if time is None:
            raise msgspec.ValidationError("the time of the equity cannot be read")
        parts["equity"] = _raw({**_MEMBERS.decode(parts["equity"]), "ts": time})
    if frame.dropped is UNSET:
        parts["dropped"] = msgspec.Raw(b"0")
    return msgspec.json.encode(parts)[1:]


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
