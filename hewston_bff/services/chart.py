"""Chart data: one call to the backend, never more bars than asked for, cached ready to send."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import partial
from time import perf_counter
from typing import NamedTuple

import msgspec
from pydantic import BaseModel

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendUnavailable,
    NoData,
    Subject,
    backend_error,
)
from hewston_bff.market.bars import Bars, by_second, possible
from hewston_bff.market.bars_wire import (
    MalformedBars,
    decode_bars,
    encode_columns,
    encode_records,
)
from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.downsample import downsample
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.cache import cache_key
from hewston_bff.services.cooperative_runner import CooperativeRunner
from hewston_bff.services.ready_body import ReadyBody, ready_body
from hewston_bff.services.response_cache import Filled, ResponseCache

_TODAY_S = 60.0
_OLDER_S = 3_600.0
_OLD_S = 86_400.0
_RECENT_DAYS = 7
_OLD_DAYS = 30


class Timeframe(StrEnum):
    """The length of a source bar. Decimated minutes are minutes: the target is kept here."""

    DAY = "1D"
    HOUR = "1H"
    MINUTE = "1M"
    MINUTE_DECIMATED = "1M_DECIMATED"


class Layout(StrEnum):
    """Bars as objects, or as an object of columns, a third as long."""

    RECORDS = "records"
    COLUMNS = "columns"


_SOURCES = {
    Timeframe.DAY: "/bars/daily",
    Timeframe.HOUR: "/bars/hour",
    Timeframe.MINUTE: "/bars/minute",
    Timeframe.MINUTE_DECIMATED: "/bars/minute",
}
_ENCODERS: dict[Layout, Callable[[Bars], Iterator[bytes]]] = {
    Layout.RECORDS: encode_records,
    Layout.COLUMNS: encode_columns,
}


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """A valid query of chart data. Dates are inclusive."""

    symbol: str
    timeframe: Timeframe
    from_date: date
    to_date: date
    target_points: int
    rth_only: bool
    layout: Layout


class ChartMetadata(BaseModel):
    """How an answer came about.

    `source_bars` counts all that the backend sent: `invalid_bars` of them were left out, and
    `merged_bars` are those that became part of another because they began in the same second.
    """

    total_bars: int
    source_bars: int
    decimated: bool
    decimation_stride: int | None
    cache_hit: bool
    load_time_ms: int
    backend_calls: int
    data_source: str
    invalid_bars: int
    merged_bars: int
    stale: bool


class Chart(NamedTuple):
    """An answer: its body without the end, the end, and the tag of what is data in it."""

    body: ReadyBody
    end: bytes
    etag: str


class _KeptChart(msgspec.Struct, frozen=True, array_like=True):
    body: ReadyBody
    total_bars: int
    source_bars: int
    invalid_bars: int
    merged_bars: int
    stride: int | None
    backend_calls: int = 1


class _Drawn(NamedTuple):
    pieces: list[bytes]
    total_bars: int
    source_bars: int
    invalid_bars: int
    merged_bars: int
    stride: int | None
    backend_calls: int = 1


_KEPT = msgspec.msgpack.Decoder(_KeptChart)


class Charts:
    """Charts of one backend. `recent_s`: for how long a chart of the last days is fresh."""

    def __init__(
        self,
        requests: BackendRequests,
        cache: ResponseCache,
        runner: CooperativeRunner,
        *,
        recent_s: float,
        deadline_s: float,
        today: Callable[[], date],
    ) -> None:
        self._requests = requests
        self._cache = cache
        self._runner = runner
        self._recent_s = recent_s
        self._deadline_s = deadline_s
        self._today = today

    async def get(self, query: ChartQuery, credentials: Credentials) -> Chart:
        """The chart, cached or made; a cancellation loses nothing that others wait for.

        Raises:
            NoData: the backend has no bars there.
            InvalidRequest: the backend refuses what is asked.
            Unauthorized, Forbidden, RateLimited: the backend's no to these credentials.
            BackendUnavailable, BackendTimeout, Busy: no answer, or none that makes sense.
        """
        began_s = perf_counter()
        key = cache_key("chart:", query, credentials)
        cached = await self._cache.get(key, partial(self._fill, query, credentials))
        kept = _KEPT.decode(cached.value)
        metadata = ChartMetadata(
            total_bars=kept.total_bars,
            source_bars=kept.source_bars,
            decimated=kept.stride is not None,
            decimation_stride=kept.stride,
            cache_hit=cached.is_hit,
            load_time_ms=round((perf_counter() - began_s) * 1e3),
            backend_calls=0 if cached.is_hit else kept.backend_calls,
            data_source=_SOURCES[query.timeframe],
            invalid_bars=kept.invalid_bars,
            merged_bars=kept.merged_bars,
            stale=cached.is_stale,
        )
        end = b',"metadata":%s}' % metadata.model_dump_json().encode()
        return Chart(kept.body, end, kept.body.digest)

    async def _fill(self, query: ChartQuery, credentials: Credentials) -> Filled:
        """The chart of the symbol as it is given; if that has no bars, of the same in capitals."""
        try:
            kept = await self._drawn(query, credentials)
        except NoData:
            capitals = query.symbol.upper()
            if capitals == query.symbol:
                raise
            kept = await self._drawn(replace(query, symbol=capitals), credentials)
            kept = msgspec.structs.replace(kept, backend_calls=2)
        ttl_s = fresh_s(query.to_date, today=self._today(), recent_s=self._recent_s)
        return Filled(msgspec.msgpack.encode(kept), ttl_s)

    async def _drawn(self, query: ChartQuery, credentials: Credentials) -> _KeptChart:
        response = await self._requests.get(
            _SOURCES[query.timeframe],
            params=_parameters(query),
            credentials=credentials,
            deadline_s=self._deadline_s,
        )
        if response.status != 200:
            raise backend_error(response.status, Subject.BARS)
        try:
            drawn = await self._runner.run(_draw(query, response.body))
        except MalformedBars as exc:
            raise BackendUnavailable("the backend's answer makes no sense: try again") from exc
        return _KeptChart(await ready_body(drawn.pieces), *drawn[1:])


def fresh_s(to_date: date, *, today: date, recent_s: float) -> float:
    """For how long a chart up to `to_date` is fresh: the older, the longer."""
    age_days = (today - to_date).days
    if age_days <= 0:
        return _TODAY_S
    if age_days <= _RECENT_DAYS:
        return recent_s
    return _OLDER_S if age_days <= _OLD_DAYS else _OLD_S


def _parameters(query: ChartQuery) -> dict[str, str]:
    asked = {
        "symbol": query.symbol,
        "from": query.from_date.isoformat(),
        "to": query.to_date.isoformat(),
    }
    if query.timeframe is not Timeframe.DAY:
        asked["rth_only"] = "true" if query.rth_only else "false"
    return asked


def _draw(query: ChartQuery, body: bytes) -> Cooperative[_Drawn]:
    """The page without its metadata, from the backend's.

    Raises:
        MalformedBars: the backend's page is none.
        NoData: it has no bars, or none that can be.
    """
    source = yield from decode_bars(body)
    yield
    bars = possible(source)
    invalid_bars = len(source) - len(bars)
    if not len(bars):
        raise NoData(
            "the backend has no bars there: check symbol, from and to",
            details={"source_bars": len(source), "invalid_bars": invalid_bars},
        )
    yield
    told_apart = by_second(bars)
    yield
    shown, stride = downsample(told_apart, target=query.target_points)
    pieces = [_head(query)]
    for piece in _ENCODERS[query.layout](shown):
        pieces.append(piece)
        yield
    merged_bars = len(bars) - len(told_apart)
    return _Drawn(pieces, len(shown), len(source), invalid_bars, merged_bars, stride)


def _head(query: ChartQuery) -> bytes:
    members = {
        "symbol": query.symbol,
        "timeframe": query.timeframe,
        "from_date": query.from_date,
        "to_date": query.to_date,
    }
    return msgspec.json.encode(members)[:-1] + b',"bars":'
