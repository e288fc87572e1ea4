"""A run's equity, orders and figures as JSON: decoded from any source, encoded for the browser.

A year of minutes is 8 MB of JSON. Encoding it at once would hold up everything else, so long parts
are generators that yield after about a millisecond of work.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, nan

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.equity import Curve, drawdown
from hewston_bff.market.figures import Ints
from hewston_bff.market.json_split import list_opening, split_lists, split_points
from hewston_bff.market.trades import RoundTrips
from hewston_bff.protocol.json_numbers import finite
from hewston_bff.protocol.times import format_time, parse_time

_ROWS = 500
_NS_A_SECOND = 1_000_000_000
_LAST_NS = (1 << 63) - 1
_EQUITY_OPENING = list_opening(b"equity")
_UNEXPECTED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class MalformedPart(ValueError):
    """A part of a run that cannot be read."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders as JSON objects, in pieces of some hundred joined by commas."""

    count: int
    pieces: list[bytes]


class _Point(msgspec.Struct, gc=False):
    timestamp: str
    equity: float | None
    drawdown: float | None


class _RawPoint(msgspec.Struct, gc=False):
    """A point, with all names that backends use for its members."""

    timestamp: str | float | None = None
    ts_utc: str | float | None = None
    ts: str | float | None = None
    equity: float | UnsetType | None = UNSET
    value: float | UnsetType | None = UNSET


_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_POINTS = msgspec.json.Decoder(list[_RawPoint])


# -- to the browser


def encode_equity(points: Curve, *, kept: Ints) -> Iterator[bytes]:
    """A JSON list of the points `kept`; their drawdown is that of the whole curve."""
    shown, depths = Curve(points.ts_ns[kept], points.equity[kept]), drawdown(points)[kept]
    yield b"["
    for begin in range(0, len(shown), _ROWS):
        part = slice(begin, begin + _ROWS)
        times = _times(shown.ts_ns[part])
        values = (shown.equity[part].tolist(), depths[part].tolist())
        rows = [_Point(*row) for row in zip(times, *values, strict=True)]
        yield _joined(rows, is_first=begin == 0)
    yield b"]"


def encode_orders(orders: Orders) -> Iterator[bytes]:
    """A JSON list of all orders."""
    yield b"["
    for number, piece in enumerate(orders.pieces):
        yield piece if number == 0 else b"," + piece
    yield b"]"


def _joined(rows: list[_Point], *, is_first: bool) -> bytes:
    text = msgspec.json.encode(rows)[1:-1]
    return text if is_first else b"," + text


def _times(ts_ns: Ints) -> list[str]:
    if (ts_ns % _NS_A_SECOND).any():
        return [format_time(time) for time in ts_ns.tolist()]
    seconds = (ts_ns // _NS_A_SECOND).astype("datetime64[s]")
    texts: list[str] = np.datetime_as_string(seconds, timezone="UTC").tolist()
    return texts


# -- trades


def round_trips(orders: Orders) -> Cooperative[RoundTrips]:
    """The round trips of all orders."""
    trips = RoundTrips()
    for piece in orders.pieces:
        yield
        trips.add_text(piece)
    return trips


# -- from files and the backend


def orders_of(batches: Iterable[list[dict[str, object]]]) -> Cooperative[Orders]:
    """Orders that come as objects."""
    pieces, total = [], 0
    for batch in batches:
        if batch:
            pieces.append(msgspec.json.encode(batch)[1:-1])
            total += len(batch)
        yield
    return Orders(total, pieces)


def decode_orders(body: bytes) -> Cooperative[Orders]:
    """Orders in an answer of the backend: a list, or an object with a list `orders` or `items`.

    Raises:
        MalformedPart: there is no such list, or it holds something else than objects.
    """
    items = _list(body, ("orders", "items"))
    pieces = []
    for begin in range(0, len(items), _ROWS):
        yield
        part = [bytes(item) for item in items[begin : begin + _ROWS]]
        if not all(item.startswith(b"{") for item in part):
            raise MalformedPart("an order is no object")
        pieces.append(b",".join(part))
    return Orders(len(items), pieces)


def decode_equity(body: bytes) -> Cooperative[Curve]:
    """A curve in an answer of the backend: a list, or an object with a list `equity` or `items`.

    A point whose value is null or not finite stays; one without a value or time is dropped and
    counted.

    Raises:
        MalformedPart: there is no such list, or none of its points can be read.
    """
    points = yield from _all_points(body)
    if points.left_out and not len(points):
        raise MalformedPart("no point has a time and a value")
    return points


def _all_points(body: bytes) -> Cooperative[Curve]:
    points = split_points(body, _EQUITY_OPENING)
    if points:
        # A split in the wrong place makes no JSON of what is JSON.
        with suppress(MalformedPart):
            return (
                yield from _points(split_lists(body, points), b'{"equity":[' + body[points[-1] :])
            )
    return (yield from _points((), body))


def _points(parts: Iterable[bytes], rest: bytes) -> Cooperative[Curve]:
    """The points of some lists, and of a body that is the rest of them."""
    read = []
    for part in parts:
        yield
        read.append(_columns(_raw_points(part)))
    yield
    items = _list(rest, ("equity", "items"))
    for begin in range(0, len(items), _ROWS):
        yield
        some = items[begin : begin + _ROWS]
        read.append(_columns(_raw_points(b"[" + b",".join(bytes(item) for item in some) + b"]")))
    yield
    return Curve(
        np.concatenate([points.ts_ns for points in read] or [np.empty(0, np.int64)]),
        np.concatenate([points.equity for points in read] or [np.empty(0)]),
        left_out=sum(points.left_out for points in read),
    )


def decode_metrics(body: bytes) -> dict[str, object]:
    """Figures in an answer of the backend: an object, or its `metrics`. See `reported_figures`.

    Raises:
        MalformedPart: there is no such object.
    """
    members = _object(body)
    inner = members.get("metrics")
    if inner is not None and bytes(inner).startswith(b"{"):
        members = _object(bytes(inner))
    return reported_figures({name: msgspec.json.decode(raw) for name, raw in members.items()})


def reported_figures(reported: Mapping[str, object]) -> dict[str, object]:
    """Figures as their source reports them, by name: numbers, and null for what is no number.

    Text becomes a number or null, so that clients need not guess the type; lists and objects stay.
    """
    return {name: _figure(value) for name, value in reported.items()}


def _figure(value: object) -> object:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return None if isinstance(value, float) and not isfinite(value) else value


def _object(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        body.decode()
        # The decoder does not check numbers in raw members, so NaN has to be replaced before.
        return _OBJECT.decode(finite(body))
    except _UNEXPECTED as exc:
        raise MalformedPart("no object") from exc


def _list(body: bytes, names: tuple[str, ...]) -> list[msgspec.Raw]:
    try:
        body.decode()
        return _RAWS.decode(body)
    except _UNEXPECTED:
        pass
    # An object with a list in it, or a list with invalid numbers.
    body = finite(body)
    try:
        return _RAWS.decode(body)
    except _UNEXPECTED:
        members = _object(body)
    for name in names:
        if name in members:
            try:
                return _RAWS.decode(members[name])
            except _UNEXPECTED as exc:
                raise MalformedPart("no list") from exc
    raise MalformedPart("no list")


def _raw_points(text: bytes) -> list[_RawPoint]:
    try:
        return _RAW_POINTS.decode(text)
    except _UNEXPECTED:
        pass
    try:
        return _RAW_POINTS.decode(finite(text))
    except _UNEXPECTED as exc:
        raise MalformedPart("no points") from exc


def _columns(points: list[_RawPoint]) -> Curve:
    times = [_time_ns(point) for point in points]
    values = [point.value if point.equity is UNSET else point.equity for point in points]
    rows = [
        (time, nan if value is None else value)
        for time, value in zip(times, values, strict=True)
        if time is not None and value is not UNSET
    ]
    return Curve(
        np.array([time for time, _ in rows], np.int64),
        np.array([value for _, value in rows], np.float64),
        left_out=len(points) - len(rows),
    )


def _time_ns(point: _RawPoint) -> int | None:
    names = (point.timestamp, point.ts_utc, point.ts)
    written = next((time for time in names if time is not None), None)
    time = None if written is None else parse_time(written)
    return None if time is None or abs(time) > _LAST_NS else time
