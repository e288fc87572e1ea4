"""The cache that processes share. Redis may be slow, gone or flushed: nobody may notice but us.

Every operation has one deadline, shorter than anyone may wait. After a failure Redis is left
alone for a moment, then one operation tries again while the others go without.
"""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from time import monotonic
from typing import TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from hewston_bff.net.cache import CacheCounters, Entry
from hewston_bff.net.clock import now_ms

logger = structlog.get_logger(__name__)

_FORMAT = 1
_HEADER = struct.Struct(">?QQQ")
_WAIT_S = 0.08
_LEFT_ALONE_S = 1.0
_CONNECTIONS = 32
_SCAN_COUNT = 1_000
_MAX_BYTES = 4 << 20
_SAMPLE_BYTES = 4_096
_WORTH_IT = 0.9

_A = TypeVar("_A")
_T = TypeVar("_T")


class RedisCache:
    """Implements `Cache`. Give each backend its own `namespace`: several may share a Redis."""

    def __init__(self, redis: Redis, *, namespace: str, counters: CacheCounters) -> None:
        self._redis = redis
        self._prefix = f"hewston-bff:{_FORMAT}:{sha256(namespace.encode()).hexdigest()[:12]}:"
        self._counters = counters
        self._ask_again_s: float | None = None

    async def get(self, key: str) -> Entry | None:
        """See `Cache`."""
        if not self._may_ask():
            return None
        data = await self._ask(self._redis.get(self._prefix + key))
        return await _off_loop(_unpack, data) if isinstance(data, bytes) else None

    async def set(self, key: str, entry: Entry) -> None:
        """See `Cache`."""
        left_ms = entry.kept_until_ms - now_ms()
        if left_ms > 0 and self._may_ask():
            data = await _off_loop(_pack, entry)
            if len(data) > _MAX_BYTES:
                # On its way for longer than anyone waits, it would be taken for an outage.
                return
            await self._ask(self._redis.set(self._prefix + key, data, px=left_ms))

    async def delete(self, key: str) -> None:
        """See `Cache`."""
        if self._may_ask():
            await self._ask(self._redis.unlink(self._prefix + key))

    async def drop(self, prefix: str) -> None:
        """See `Cache`. Each step has the deadline, not all of them: no request may wait for it."""
        cursor = 0
        while self._may_ask():
            scan = self._redis.scan(cursor, match=f"{self._prefix}{prefix}*", count=_SCAN_COUNT)
            found = await self._ask(scan)
            if found is None:
                return
            cursor, keys = found
            if keys:
                await self._ask(self._redis.unlink(*keys))
            if cursor == 0:
                return

    async def is_up(self) -> bool:
        """Whether Redis answers now; asked even while it is left alone."""
        return await self._ask(self._redis.ping()) is True

    def _may_ask(self) -> bool:
        """Whether Redis is up, or it is this caller's turn to find out."""
        if self._ask_again_s is None:
            return True
        now_s = monotonic()
        if now_s < self._ask_again_s:
            return False
        self._ask_again_s = now_s + _LEFT_ALONE_S
        return True

    async def _ask(self, answer: Awaitable[_T]) -> _T | None:
        try:
            async with asyncio.timeout(_WAIT_S):
                found = await answer
        except (RedisError, OSError) as error:
            self._counters.errors += 1
            if self._ask_again_s is None:
                logger.warning("cache.redis_down", error=type(error).__name__)
            self._ask_again_s = monotonic() + _LEFT_ALONE_S
            return None
        if self._ask_again_s is not None:
            self._ask_again_s = None
            logger.warning("cache.redis_up")
        return found


def redis_pool(url: str) -> BlockingConnectionPool:
    """Connections that nobody waits for longer than for anything else here."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_WAIT_S,
        socket_timeout=_WAIT_S,
        socket_connect_timeout=_WAIT_S,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


@asynccontextmanager
async def connect_redis(
    url: str, *, namespace: str, counters: CacheCounters
) -> AsyncIterator[RedisCache]:
    """A cache in the Redis at `url`; it is not contacted before the first operation."""
    redis = Redis.from_pool(redis_pool(url))
    try:
        yield RedisCache(redis, namespace=namespace, counters=counters)
    finally:
        await redis.aclose()


async def _off_loop(work: Callable[[_A], _T], argument: _A) -> _T:
    """Run zlib in a thread: it works without the interpreter, so the loop stays free."""
    return await asyncio.to_thread(work, argument)


def _pack(entry: Entry) -> bytes:
    sample = entry.value[:_SAMPLE_BYTES]
    is_packed = len(zlib.compress(sample, 1)) < len(sample) * _WORTH_IT
    value = zlib.compress(entry.value, 1) if is_packed else entry.value
    header = _HEADER.pack(is_packed, entry.stored_ms, entry.fresh_until_ms, entry.kept_until_ms)
    return header + value


def _unpack(data: bytes) -> Entry | None:
    try:
        is_packed, *times_ms = _HEADER.unpack_from(data)
        value = data[_HEADER.size :]
        return Entry(zlib.decompress(value) if is_packed else value, *times_ms)
    except (struct.error, zlib.error):
        # Nobody else writes under our prefix, but a half-written value is only a miss.
        return None
