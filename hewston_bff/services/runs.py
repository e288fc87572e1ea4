"""One run in one call: its description, figures, curve and orders, cached ready to send."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from pydantic import BaseModel

from hewston_bff.credentials import Credentials
from hewston_bff.market import run_wire
from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.equity import Curve, thinned
from hewston_bff.market.figures import Ints
from hewston_bff.net.cache import cache_key
from hewston_bff.protocol.ids import RunId
from hewston_bff.services.ready_body import ReadyBody, ready_body
from hewston_bff.services.response_cache import Filled, ResponseCache
from hewston_bff.services.run_parts import Part, Parts, PartSources, PartsQuery, fetch
from hewston_bff.topics.run.description import RUNNING, RunDescription
from hewston_bff.topics.run.descriptions import RunDescriptions

_OVER_S = 3_600.0


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What is asked for of a run. `equity_points`: at most so many, else all."""

    run_id: RunId
    parts: frozenset[Part]
    equity_points: int | None = None


class RunMetadata(BaseModel):
    """How an answer came about. Numbers are null for parts that are not there.

    `data_sources` are `part:source`; `backend_calls` are those made for this answer alone, not the
    stream that viewers share. `stream` among the failed sources: frames of the run could not be
    read, or may still come of one that failed, and what comes from them lacks them.
    """

    load_time_ms: int
    cache_hit: bool
    backend_calls: int
    data_sources: list[str]
    partial_data: bool
    failed_sources: list[Part | Literal["stream"]]
    orders_count: int | None
    equity_points: int | None
    stale: bool


class RunPage(NamedTuple):
    """An answer: its body without the end, and the end."""

    body: ReadyBody
    end: bytes


class _KeptRun(msgspec.Struct, frozen=True, array_like=True):
    body: ReadyBody
    backend_calls: int
    data_sources: list[str]
    failed_sources: list[Part]
    lacks_frames: bool
    orders_count: int | None
    equity_points: int | None


class _Written(NamedTuple):
    pieces: list[bytes]
    equity_points: int | None


_KEPT = msgspec.msgpack.Decoder(_KeptRun)


def run_scope(run_id: RunId) -> str:
    """How the keys of all that is cached of a run begin."""
    return f"run:{run_id}:"


class Runs:
    """Pages of runs, for callers who may read them: asked with each caller's own credentials."""

    def __init__(
        self,
        sources: PartSources,
        cache: ResponseCache,
        descriptions: RunDescriptions,
        *,
        running_s: float,
        deadline_s: float,
    ) -> None:
        self._sources = sources
        self._cache = cache
        self._descriptions = descriptions
        descriptions.outdated = lambda run_id: cache.drop(run_scope(run_id))
        self._running_s = running_s
        self._deadline_s = deadline_s

    async def status(self, run_id: RunId, credentials: Credentials) -> bytes:
        """A JSON object of what changes while a run is being made: asked until the run is over.

        Raises:
            BffError: as `RunDescriptions.ask`.
        """
        description = self._descriptions.fresh(run_id, credentials)
        if description is None or not description.is_over:
            description = await self._descriptions.ask(
                run_id, credentials, deadline_s=self._deadline_s
            )
        return description.with_row(await self._row(run_id)).brief()

    async def complete(self, query: RunQuery, credentials: Credentials) -> RunPage:
        """The page, cached or made; a cancellation loses nothing that others wait for.

        Raises:
            BffError: as `RunDescriptions.get`. Any part of the run may be missing.
        """
        began_s = perf_counter()
        until_s = asyncio.get_running_loop().time() + self._deadline_s
        known = await self._descriptions.get(query.run_id, credentials, deadline_s=self._deadline_s)
        description = known.description
        # What was made of a run while it ran is never served of one that is over, nor what was made
        # of another run of this id.
        wishes = (
            *(sorted(query.parts), query.equity_points),
            *(description.status, description.identity),
        )
        key = cache_key(run_scope(query.run_id), wishes, credentials)
        fill = partial(self._fill, query, credentials, description, until_s)
        cached = await self._cache.get(key, fill)
        kept = _KEPT.decode(cached.value)
        failed: list[Part | Literal["stream"]] = [*kept.failed_sources]
        if kept.lacks_frames or self._sources.runs.lacks_frames(query.run_id):
            failed.append("stream")
        metadata = RunMetadata(
            load_time_ms=round((perf_counter() - began_s) * 1e3),
            cache_hit=cached.is_hit,
            backend_calls=known.calls + (0 if cached.is_hit else kept.backend_calls),
            data_sources=kept.data_sources,
            partial_data=bool(failed),
            failed_sources=failed,
            orders_count=kept.orders_count,
            equity_points=kept.equity_points,
            stale=cached.is_stale or known.is_stale,
        )
        return RunPage(kept.body, b',"metadata":%b}' % metadata.model_dump_json().encode())

    async def _fill(
        self,
        query: RunQuery,
        credentials: Credentials,
        description: RunDescription,
        until_s: float,
    ) -> Filled:
        row = await self._row(query.run_id)
        asked = PartsQuery(query.run_id, description, row, credentials, until_s)
        parts = await fetch(self._sources, asked, wanted=query.parts)
        run = description.with_row(row).whole()
        written = await self._sources.runner.run(_page(run, parts, query))
        kept = _KeptRun(
            body=await ready_body(written.pieces),
            backend_calls=parts.backend_calls,
            data_sources=["run:backend", *parts.sources()],
            failed_sources=sorted(parts.failed),
            lacks_frames=parts.lacks_frames,
            orders_count=None if parts.orders is None else parts.orders.value.count,
            equity_points=written.equity_points,
        )
        ttl_s = 0.0 if parts.had_trouble else self._ttl_s(description)
        return Filled(msgspec.msgpack.encode(kept), ttl_s)

    async def _row(self, run_id: RunId) -> Mapping[str, object]:
        catalog = self._sources.catalog
        row = None if catalog is None else await catalog.run(run_id)
        return row or {}

    def _ttl_s(self, description: RunDescription) -> float:
        """For how long a page is fresh."""
        if description.is_over:
            return _OVER_S
        return self._running_s if description.status == RUNNING else 0.0


def _page(run: bytes, parts: Parts, query: RunQuery) -> Cooperative[_Written]:
    """The page without its metadata."""
    pieces = [b'{"run":', run, b',"metrics":']
    pieces.append(b"null" if parts.metrics is None else parts.metrics.value)
    pieces.append(b',"equity":')
    yield
    count = None
    if parts.equity is None:
        pieces.append(b"null")
    else:
        kept = _kept(parts.equity.value, query.equity_points)
        count = len(kept)
        for piece in run_wire.encode_equity(parts.equity.value, kept=kept):
            pieces.append(piece)
            yield
    pieces.append(b',"orders":')
    if parts.orders is None:
        pieces.append(b"null")
    else:
        pieces.extend(run_wire.encode_orders(parts.orders.value))
    return _Written(pieces, count)


def _kept(points: Curve, to: int | None) -> Ints:
    return np.arange(len(points)) if to is None else thinned(points, to=to)
