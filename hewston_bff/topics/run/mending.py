"""Saves what is readable of a frame that violates the protocol.

Only frames that the quick decoder refused come here. A member that cannot be read becomes null;
all others, orders above all, keep their text.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite

import msgspec

from hewston_bff.protocol.times import format_time, parse_time
from hewston_bff.topics.run.skips import Skip

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_NUMBER: msgspec.json.Decoder[float | None] = msgspec.json.Decoder(float | None, strict=False)
_TEXT = msgspec.json.Decoder(str)
_COUNT = msgspec.json.Decoder(int)
_NULL = msgspec.Raw(b"null")

PLAIN_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"')
"""A time as this server writes it, with its quotes."""
_JSON_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def mended(text: bytes) -> tuple[bytes, Skip | None]:
    """A frame's JSON with null for each unreadable member, and the worst reason.

    Raises:
        msgspec.MsgspecError: no JSON object with names as keys.
    """
    parts = _MEMBERS.decode(text)
    found: set[Skip] = set()
    for name, mend, skip in _MENDERS:
        if name in parts:
            parts[name], is_whole = mend(parts[name])
            if not is_whole:
                found.add(skip)
    try:
        if "dropped" in parts and _COUNT.decode(parts["dropped"]) < 0:
            del parts["dropped"]
    except msgspec.MsgspecError:
        del parts["dropped"]
    worst = next((skip for _, _, skip in _MENDERS if skip in found), None)
    return msgspec.json.encode(parts), worst


_Mended = tuple[msgspec.Raw, bool]
"""The text to continue with, and whether nothing was lost."""


def _orders(raw: msgspec.Raw) -> _Mended:
    if raw == _NULL:
        return raw, True
    try:
        items = _ITEMS.decode(raw)
    except msgspec.MsgspecError:
        return msgspec.Raw(b"[]"), False
    kept = [_MEMBERS.decode(item) for item in items if bytes(item).startswith(b"{")]
    have_times = [_with_time(order, "ts_utc") for order in kept]
    return _raw(kept), len(kept) == len(items) and all(have_times)


def _bar(raw: msgspec.Raw) -> _Mended:
    if raw == _NULL:
        return raw, True
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.MsgspecError:
        return _NULL, False
    is_whole = True
    for name in ("o", "h", "l", "c", "v"):
        if name in members:
            members[name], is_read = _number(members[name])
            is_whole = is_whole and is_read
    return _raw(members), is_whole


def _equity(raw: msgspec.Raw) -> _Mended:
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.MsgspecError:
        return _number(raw)
    is_whole = True
    if "value" in members:
        members["value"], is_whole = _number(members["value"])
    has_time = _with_time(members, "ts")
    return _raw(members), is_whole and has_time


def _number(raw: msgspec.Raw) -> _Mended:
    """A number, also a quoted one: some writers quote to keep more digits than a float has."""
    try:
        value = _NUMBER.decode(raw)
    except msgspec.MsgspecError:
        return _NULL, False
    if value is None or not isfinite(value):
        return _NULL, True
    if not bytes(raw).startswith(b'"'):
        return raw, True
    # Its characters may be escaped.
    return msgspec.Raw(_TEXT.decode(raw).encode()), True


def read_time(raw: msgspec.Raw) -> int | None:
    """Nanoseconds since 1970 of a JSON string or number, exactly; None if it is no time."""
    text = bytes(raw)
    if _JSON_NUMBER.fullmatch(text):
        return parse_time(Decimal(text.decode()))
    try:
        return parse_time(_TEXT.decode(text))
    except msgspec.MsgspecError:
        return None


def plain_time(raw: msgspec.Raw) -> msgspec.Raw | None:
    """A time as JSON text in RFC 3339 with `Z`, unchanged if it is; None if it is no time.

    null stays null.
    """
    if raw == _NULL:
        return raw
    ts_ns = read_time(raw)
    if ts_ns is None:
        return None
    return raw if PLAIN_TIME.fullmatch(bytes(raw)) else _raw(format_time(ts_ns))


def _with_time(members: dict[str, msgspec.Raw], name: str) -> bool:
    """Normalise a member's time, or make it null; whether it could be read."""
    if name not in members:
        return True
    time = plain_time(members[name])
    members[name] = _NULL if time is None else time
    return time is not None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


_MENDERS: tuple[tuple[str, Callable[[msgspec.Raw], _Mended], Skip], ...] = (
    ("orders", _orders, Skip.ORDERS_UNREADABLE),
    ("ohlc", _bar, Skip.BAR_UNREADABLE),
    ("equity", _equity, Skip.EQUITY_UNREADABLE),
)
"""Worst first: a lost order matters more than a bar, a bar more than a point of equity."""
