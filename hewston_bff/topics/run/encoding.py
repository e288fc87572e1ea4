"""Encodes a span of a log as one message, with the members that a subscription asked for."""

from math import isfinite

import msgspec

from hewston_bff.protocol.times import format_time
from hewston_bff.protocol.updates import Updates
from hewston_bff.topics.run.conflate import Fold
from hewston_bff.topics.run.folding import fold_range, orders_in
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.wire import members

_FRAME_FIELDS = frozenset({"ts", "ohlc", "orders", "equity", "dropped"})


def encode_span(log: FrameLog, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
    """Frames `start` to `stop` (not empty) as the text of one message after its ``"sid":…,``.

    `lost` is the client's count of lost frames; it replaces `dropped` where it is not 0.

    Raises:
        Evicted: a frame of the span is no longer held.
    """
    is_whole = Updates.FRAMES in updates
    if stop - start == 1:
        text = log.tail(start)
        if lost or not is_whole:
            text = _edited(text, updates=updates, lost=lost)
        return b'"seq":%d,%b' % (start, text)
    return _merged(log, start, stop, updates=updates, lost=lost)


def _edited(tail: bytes, *, updates: Updates, lost: int) -> bytes:
    """The tail of a single frame with only the wanted members, and `dropped` set."""
    parts = members(tail)
    unwanted = _unwanted(updates)
    kept = {name: raw for name, raw in parts.items() if name not in unwanted}
    if Updates.FRAMES not in updates:
        kept = {name: raw for name, raw in kept.items() if name in _FRAME_FIELDS}
    if lost:
        kept["dropped"] = msgspec.Raw(b"%d" % lost)
    return msgspec.json.encode(kept)[1:]


def _unwanted(updates: Updates) -> set[str]:
    if Updates.FRAMES in updates:
        return set()
    unwanted = {"ohlc"}
    if Updates.ORDERS not in updates:
        unwanted.add("orders")
    if Updates.EQUITY not in updates:
        unwanted.add("equity")
    return unwanted


def _merged(log: FrameLog, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
    last = members(log.tail(stop - 1))
    fold = fold_range(log, start, stop)
    unwanted = _unwanted(updates)
    parts = [
        b'"from":%d,"seq":%d,"n":%d' % (start, stop - 1, stop - start),
        b'"ts0":%b,"ts":%b' % (members(log.tail(start))["ts"], last["ts"]),
    ]
    if "ohlc" not in unwanted:
        parts.append(b'"ohlc":' + (_bar(fold) or b"null"))
    if "orders" not in unwanted:
        parts.append(b'"orders":[%b]' % orders_in(log, start, stop)[0])
    if "equity" not in unwanted:
        parts.append(b'"equity":' + _equity(log, fold))
    parts.append(b'"dropped":%b' % (b"%d" % lost if lost else last["dropped"]))
    if Updates.FRAMES in updates and last.keys() != _FRAME_FIELDS:
        extras = {name: raw for name, raw in last.items() if name not in _FRAME_FIELDS}
        if extras:
            parts.append(msgspec.json.encode(extras)[1:-1])
    return b",".join(parts) + b"}"


def _bar(fold: Fold) -> bytes:
    """A JSON object of the members of the bar that have a value; b"" if none has.

    A sum of volumes too large for a float has no value either: JSON knows no infinity.
    """
    pairs = (("o", fold.o), ("h", fold.h), ("l", fold.l), ("c", fold.c), ("v", fold.v))
    texts = [f'"{name}":{number(value)}' for name, value in pairs if isfinite(value)]
    return b"{%b}" % ",".join(texts).encode() if texts else b""


def _equity(log: FrameLog, fold: Fold) -> bytes:
    if fold.equity_seq < 0:
        return b"null"
    ts = format_time(log.ts_ns(fold.equity_seq))
    low, high = number(fold.equity_min), number(fold.equity_max)
    return f'{{"ts":"{ts}","value":{number(fold.equity)},"min":{low},"max":{high}}}'.encode()


def number(value: float) -> str:
    """A float as JSON: whole numbers without ``.0``, as the backend writes volumes."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def encode_snapshot_bar(log: FrameLog, start: int, stop: int) -> tuple[bytes, bytes]:
    """Frames `start` to `stop` as a bar and an equity point of a `snapshot`, b"" for none."""
    fold = fold_range(log, start, stop)
    bar, equity = _bar(fold), b""
    if bar:
        ts0, ts = format_time(log.ts_ns(start)), format_time(log.ts_ns(stop - 1))
        bar = b'{"ts0":"%b","ts":"%b",%b' % (ts0.encode(), ts.encode(), bar[1:])
    if fold.equity_seq >= 0:
        equity = _equity(log, fold)
    return bar, equity
