"""A single-flight cache of responses: filled once for all who ask at the same time.

| cached | what the caller gets | what happens |
|---|---|---|
| nothing | what `fill` returns, or its error | it is stored |
| fresh | that, `is_hit` | nothing |
| expired, for at most 24 h | that, `is_hit` and `is_stale`, at once | `fill` runs once |
| expired, and the backend is down, or the new one has no time to live | the same | it stays |
| expired, and `fill` ends in a clear no | the same, a last time | it is deleted |
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from hewston_bff.errors import OUTAGES, BffError, Busy
from hewston_bff.net.cache import Cache, CacheCounters, Entry
from hewston_bff.net.clock import now_ms

logger = structlog.get_logger(__name__)

STALE_IF_ERROR_S = 86_400


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fill returns, fresh for `ttl_s`; with 0 it is not stored, and replaces nothing."""

    value: bytes
    ttl_s: float


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """What a caller gets. Whoever waited for a fill that another began has no hit."""

    value: bytes
    is_hit: bool = False
    is_stale: bool = False
    age_s: float = 0.0


Fill = Callable[[], Awaitable[Filled]]
_Pending = asyncio.Future[CachedResponse]


class ResponseCache:
    """Key → response; needs `run` running. Keys come from `cache_key`, with the credentials.

    It checks no permission: a run's response is only for callers who are permitted now.
    """

    def __init__(
        self, cache: Cache, *, counters: CacheCounters, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._cache = cache
        self._clock_ms = clock_ms
        self._pending: dict[str, _Pending] = {}
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

    async def get(self, key: str, fill: Fill) -> CachedResponse:
        """The response cached under `key`, else what `fill` returns.

        A cancelled caller loses only its own result: the fill goes on, and is stored.

        Raises:
            BffError: what `fill` raised, for all who wait for it; errors are not cached.
        """
        pending = self._pending.get(key)
        is_filled = pending is not None and pending.done()
        response = await asyncio.shield(pending or self._begin(key, fill))
        if is_filled:
            # It is being stored, or renewed.
            response = replace(response, is_hit=True)
        self.counters.hits += response.is_hit
        self.counters.stale += response.is_stale
        self.counters.misses += not response.is_hit
        return response

    def drop(self, prefix: str) -> None:
        """Delete all responses whose key starts so; those being filled will not be stored.

        The cache is searched by a task of its own: no caller waits for that.
        """
        for key in [key for key in self._pending if key.startswith(prefix)]:
            del self._pending[key]
        if self._group is not None:
            self._group.create_task(self._cache.drop(prefix), name=f"drop {prefix}")

    def _begin(self, key: str, fill: Fill) -> _Pending:
        if self._group is None:
            raise Busy("the service is starting or stopping: try again")
        pending = self._pending[key] = asyncio.get_running_loop().create_future()
        self._group.create_task(self._contained(key, fill, pending), name=f"fill {key}")
        return pending

    async def _contained(self, key: str, fill: Fill, pending: _Pending) -> None:
        """Answer `pending` whatever happens: an error is its waiters', never the group's."""
        try:
            await self._answer(key, fill, pending)
        except BffError as error:
            pending.set_exception(error)
            pending.exception()  # marks it as retrieved: all who waited may have left
        except Exception as error:
            if pending.done():
                logger.exception("answer.crashed")
            else:
                pending.set_exception(error)
        finally:
            if self._pending.get(key) is pending:
                del self._pending[key]
            if not pending.done():
                pending.set_exception(Busy("the service is stopping: try again"))
                pending.exception()  # the same

    async def _answer(self, key: str, fill: Fill, pending: _Pending) -> None:
        entry = await self._cache.get(key)
        if entry is not None and self._serve(entry, pending):
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
            pending.set_result(CachedResponse(filled.value))
        # Not if it was dropped in the meantime: then it was made from what is out of date.
        if self._pending.get(key) is pending:
            await self._store(key, filled)

    def _serve(self, entry: Entry, pending: _Pending) -> bool:
        """Answer with what is cached; whether that is enough."""
        now = self._clock_ms()
        is_stale = now >= entry.fresh_until_ms
        age_s = max(0, now - entry.stored_ms) / 1e3
        pending.set_result(CachedResponse(entry.value, is_hit=True, is_stale=is_stale, age_s=age_s))
        return not is_stale

    async def _store(self, key: str, filled: Filled) -> None:
        if filled.ttl_s <= 0:
            return
        now = self._clock_ms()
        fresh_until_ms = now + int(filled.ttl_s * 1e3)
        kept_until_ms = fresh_until_ms + STALE_IF_ERROR_S * 1_000
        await self._cache.set(key, Entry(filled.value, now, fresh_until_ms, kept_until_ms))
