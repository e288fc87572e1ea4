"""Ready answers: made once for all who ask at the same time, kept, and served while they last.

| what is kept | what the caller gets | what happens |
|---|---|---|
| nothing | what `fill` makes, or its error | it is kept |
| fresh | that, `is_hit` | nothing |
| expired, for at most 24 h | that, `is_hit` and `is_stale`, at once | `fill` runs once |
| expired, and the backend is down, or what is made is not to be kept | the same | it stays |
| expired, and `fill` ends in a clear no | the same, a last time | it is forgotten |
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from hewston_bff.errors import BackendTimeout, BackendUnavailable, BffError, Busy, RateLimited
from hewston_bff.net.cache import Cache, CacheCounters, Entry
from hewston_bff.net.clock import now_ms

logger = structlog.get_logger(__name__)

STALE_IF_ERROR_S = 86_400
OUTAGES = (BackendUnavailable, BackendTimeout, Busy, RateLimited)
"""Errors that say nothing of what was asked for: what was known stays known."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fill made, and for how long it is fresh; 0 is not kept, and replaces nothing."""

    value: bytes
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets. Who waited for a fill that another began has no hit."""

    value: bytes
    is_hit: bool = False
    is_stale: bool = False
    age_s: float = 0.0


Fill = Callable[[], Awaitable[Filled]]
_Landed = asyncio.Future[Answer]
_Work = Callable[[_Landed], Awaitable[None]]


class Answers:
    """Key → answer; needs `run` running. Keys come from `cache_key`, with the credentials.

    It asks nobody for permission: a run's answer is only for callers who have it now.
    """

    def __init__(
        self, cache: Cache, *, counters: CacheCounters, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._cache = cache
        self._clock_ms = clock_ms
        self._flights: dict[str, _Landed] = {}
        self._group: asyncio.TaskGroup | None = None
        self.counters = counters

    async def run(self) -> None:
        """Own the fills until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None

    async def get(self, key: str, fill: Fill) -> Answer:
        """The answer kept under `key`, else what `fill` makes. A cancellation harms nobody else.

        Raises:
            BffError: what `fill` raised, for all who wait for it; errors are not kept.
        """
        landed = self._flights.get(key)
        is_there = landed is not None and landed.done()
        answer = await asyncio.shield(
            landed or self._take_off(key, partial(self._answer, key, fill))
        )
        if is_there:
            # It is being stored, or renewed.
            answer = replace(answer, is_hit=True)
        self.counters.hits += answer.is_hit
        self.counters.stale += answer.is_stale
        self.counters.misses += not answer.is_hit
        return answer

    async def once(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` makes, for all who ask while it does; nothing is kept.

        Raises:
            BffError: what `make` raised, for all who wait for it.
        """

        async def work(landed: _Landed) -> None:
            landed.set_result(Answer(await make()))

        answer = await asyncio.shield(self._flights.get(key) or self._take_off(key, work))
        return answer.value

    def drop(self, prefix: str) -> None:
        """Forget all answers whose key starts so, those being made included.

        The cache is looked through by a task of its own: no caller waits for that.
        """
        for key in [key for key in self._flights if key.startswith(prefix)]:
            del self._flights[key]
        if self._group is not None:
            self._group.create_task(self._cache.drop(prefix), name=f"drop {prefix}")

    def _take_off(self, key: str, work: _Work) -> _Landed:
        if self._group is None:
            raise Busy("the service is starting or stopping: try again")
        landed = self._flights[key] = asyncio.get_running_loop().create_future()
        self._group.create_task(self._fly(key, work, landed), name=f"answer {key}")
        return landed

    async def _fly(self, key: str, work: _Work, landed: _Landed) -> None:
        try:
            await work(landed)
        except BffError as error:
            landed.set_exception(error)
            landed.exception()  # taken: all who waited may have left
        except Exception as error:
            if landed.done():
                logger.exception("answer.crashed")
            else:
                landed.set_exception(error)
        finally:
            if self._flights.get(key) is landed:
                del self._flights[key]
            if not landed.done():
                landed.set_exception(Busy("the service is stopping: try again"))
                landed.exception()  # the same

    async def _answer(self, key: str, fill: Fill, landed: _Landed) -> None:
        entry = await self._cache.get(key)
        if entry is not None and self._serve(entry, landed):
            return
        try:
            filled = await fill()
        except BffError as error:
            if entry is None:
                raise
            if isinstance(error, OUTAGES):
                logger.info("answer.stays_stale", code=error.code)
            else:
                await self._cache.delete(key)
            return
        if entry is None:
            landed.set_result(Answer(filled.value))
        # Dropped in the meantime: what it was made from is of the past.
        if self._flights.get(key) is landed:
            await self._keep(key, filled)

    def _serve(self, entry: Entry, landed: _Landed) -> bool:
        """Answer with what is kept; whether that is enough."""
        now = self._clock_ms()
        is_stale = now >= entry.fresh_until_ms
        age_s = max(0, now - entry.stored_ms) / 1e3
        landed.set_result(Answer(entry.value, is_hit=True, is_stale=is_stale, age_s=age_s))
        return not is_stale

    async def _keep(self, key: str, filled: Filled) -> None:
        if filled.ttl_s <= 0:
            return
        now = self._clock_ms()
        fresh_until_ms = now + int(filled.ttl_s * 1e3)
        kept_until_ms = fresh_until_ms + STALE_IF_ERROR_S * 1_000
        await self._cache.set(key, Entry(filled.value, now, fresh_until_ms, kept_until_ms))
