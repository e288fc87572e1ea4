"""Decodes bars from the backend's JSON and encodes them for clients, in steps.

A year of minutes is 8 MB of JSON; one call that reads it holds the interpreter, in any thread. So
both directions are generators that yield after less than a millisecond of work.

Reading splits `{"symbol": "X", "bars": [{…}, {…}, …]}` between two bars every 64 KiB and decodes
part by part. A bar of another make is refused by its type: then that part is read member by
member.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import nan

import msgspec
import numpy as np
import numpy.typing as npt

from hewston_bff.market.bars import NO_TIME_NS, NS_A_SECOND, Bars, Floats, Ints, joined
from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.json_split import list_opening, split_lists, split_points
from hewston_bff.protocol.times import parse_time

_PIECE_BARS = 500
_PIECE_NUMBERS = 5_000

_OPENING = list_opening(b"bars")

_TIME = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
_DIGITS = np.flatnonzero(_TIME[0] == _TIME)
_MARKS = np.flatnonzero(_TIME[0] != _TIME)
_MAX_EXACT = 2.0**53
_LAST_S = 9_223_372_035
"""The range of an int64 of nanoseconds around 1970: the years 1677 to 2262."""


class MalformedBars(ValueError):
    """The body is not a page of bars."""


class _Bar(msgspec.Struct, gc=False):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 - the backend's own word
    c: float
    v: float


class _Page(msgspec.Struct):
    bars: list[_Bar]


class _Record(msgspec.Struct, gc=False):
    timestamp: str
    open: float
    high: float
    low: float
    close: float
    volume: float | None


_BARS = msgspec.json.Decoder(list[_Bar])
_PAGE = msgspec.json.Decoder(_Page)
_UNEXPECTED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


# -- from the backend


def decode_bars(body: bytes) -> Cooperative[Bars]:
    """All bars of a page as they come; what a bar lacks, or has no number for, is NaN.

    Raises:
        MalformedBars: it is not a page of bars.
    """
    points = split_points(body, _OPENING)
    if points:
        # A split in the wrong place makes no JSON of what is JSON.
        with suppress(MalformedBars):
            return (yield from _decoded(body, points))
    return (yield from _decoded(body, []))


def _decoded(body: bytes, points: list[int]) -> Cooperative[Bars]:
    parts = []
    for piece in split_lists(body, points):
        yield
        parts.append(_columns(_bars_of(piece)))
    yield
    last = _page_of(b'{"bars":[' + body[points[-1] :] if points else body)
    for begin in range(0, len(last), _PIECE_BARS):
        yield
        parts.append(_columns(last[begin : begin + _PIECE_BARS]))
    return joined(parts)


def _bars_of(piece: bytes) -> list[_Bar]:
    try:
        return _BARS.decode(piece)
    except _UNEXPECTED:
        return _leniently(_any_json(piece))


def _page_of(body: bytes) -> list[_Bar]:
    try:
        return _PAGE.decode(body).bars
    except _UNEXPECTED:
        page = _any_json(body)
        # By one of the backend's documents, a page without rows is a bare list.
        return _leniently(page.get("bars") if isinstance(page, dict) else page)


def _any_json(text: bytes) -> object:
    try:
        # Unlike msgspec it accepts the NaN and Infinity that Python's encoder writes.
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise MalformedBars("no JSON") from exc


def _leniently(bars: object) -> list[_Bar]:
    if not isinstance(bars, list):
        raise MalformedBars("no list of bars")
    return [_bar(bar if isinstance(bar, dict) else {}) for bar in bars]


def _bar(members: dict[str, object]) -> _Bar:
    time = members.get("t")
    is_time = isinstance(time, str | int | float) and not isinstance(time, bool)
    return _Bar(str(time) if is_time else "", *(_number(members.get(name)) for name in "ohlcv"))


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return float(value) if is_number else nan  # type: ignore[arg-type]  # is_number says so
    except OverflowError:
        return nan


def _columns(bars: list[_Bar]) -> Bars:
    count = len(bars)
    return Bars(
        t_ns=_times_ns([bar.t for bar in bars]),
        o=np.fromiter((bar.o for bar in bars), np.float64, count),
        h=np.fromiter((bar.h for bar in bars), np.float64, count),
        l=np.fromiter((bar.l for bar in bars), np.float64, count),
        c=np.fromiter((bar.c for bar in bars), np.float64, count),
        v=np.fromiter((bar.v for bar in bars), np.float64, count),
    )


def _times_ns(texts: list[str]) -> Ints:
    """Times in ns; `NO_TIME_NS` for invalid ones. Fast if all have the backend's form."""
    chars = np.frombuffer("".join(texts).encode(errors="surrogatepass"), np.uint8)
    if chars.size == len(texts) * _TIME.size and _are_times(chars.reshape(-1, _TIME.size)):
        times = chars.view(f"S{_TIME.size}").astype(f"S{_TIME.size - 1}")
        try:
            seconds = times.astype("datetime64[s]").astype(np.int64)
        except ValueError:
            # A thirteenth month, or the like.
            pass
        else:
            if len(seconds) and np.abs(seconds).max() <= _LAST_S:
                ns: Ints = seconds * NS_A_SECOND
                return ns
    return np.fromiter(map(_time_ns, texts), np.int64, len(texts))


def _are_times(chars: npt.NDArray[np.uint8]) -> bool:
    digits = chars[:, _DIGITS]
    is_digit = (digits >= ord("0")) & (digits <= ord("9"))
    return bool(is_digit.all() and (chars[:, _MARKS] == _TIME[_MARKS]).all())


def _time_ns(text: str) -> int:
    time_ns = parse_time(text)
    is_time = time_ns is not None and abs(time_ns) < _LAST_S * NS_A_SECOND
    return time_ns if time_ns is not None and is_time else NO_TIME_NS


# -- to the browser


def encode_records(bars: Bars) -> Iterator[bytes]:
    """A JSON list of bars with the contract's member names, piece by piece."""
    yield b"["
    for begin in range(0, len(bars), _PIECE_BARS):
        part = bars.taken(slice(begin, begin + _PIECE_BARS))
        seconds = (part.t_ns // NS_A_SECOND).astype("datetime64[s]")
        times = np.datetime_as_string(seconds, timezone="UTC").tolist()
        prices = (column.tolist() for column in (part.o, part.h, part.l, part.c))
        rows = zip(times, *prices, _volumes(part.v), strict=True)
        yield _members([_Record(*row) for row in rows], is_first=begin == 0)
    yield b"]"


def encode_columns(bars: Bars) -> Iterator[bytes]:
    """A JSON object of the columns `t` (epoch seconds), `o`, `h`, `l`, `c`, `v`, piece by piece."""
    columns = {"t": bars.t_ns // NS_A_SECOND, "o": bars.o, "h": bars.h, "l": bars.l, "c": bars.c}
    for name, column in columns.items():
        yield b"%s%s:[" % (b"{" if name == "t" else b"],", msgspec.json.encode(name))
        for begin in range(0, len(column), _PIECE_NUMBERS):
            yield _members(column[begin : begin + _PIECE_NUMBERS].tolist(), is_first=begin == 0)
    yield b'],"v":['
    for begin in range(0, len(bars), _PIECE_NUMBERS):
        yield _members(_volumes(bars.v[begin : begin + _PIECE_NUMBERS]), is_first=begin == 0)
    yield b"]}"


def _members(values: Sequence[object], *, is_first: bool) -> bytes:
    """Values as part of a JSON list, with a leading comma unless they are its first."""
    text = msgspec.json.encode(values)[1:-1]
    return text if is_first else b"," + text


def _volumes(volumes: Floats) -> list[float | None]:
    """Volumes, whole numbers as int; None where unknown."""
    if (volumes == np.floor(volumes)).all() and (volumes < _MAX_EXACT).all():
        whole: list[float | None] = volumes.astype(np.int64).tolist()
        return whole
    known: list[float | None] = np.where(np.isnan(volumes), None, volumes).tolist()  # type: ignore[call-overload]  # objects
    return known
