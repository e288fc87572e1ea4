"""A cache in Redis, with compressed values. An error of Redis is a cache miss."""

import asyncio
import struct
import zlib
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from hewston_bff.net.cache import Entry
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.shared_redis import SharedRedis

_FORMAT = 1
_HEADER = struct.Struct(">?QQQ")
_SCAN_COUNT = 1_000
_MAX_BYTES = 2 << 20
_SAMPLE_BYTES = 4_096
_WORTH_IT = 0.9

_A = TypeVar("_A")
_T = TypeVar("_T")


class RedisCache:
    """Implements `Cache`. Give each backend its own `namespace`: several may share a Redis."""

    def __init__(self, redis: SharedRedis, *, namespace: str) -> None:
        self._redis = redis
        self._prefix = f"hewston-bff:{_FORMAT}:{sha256(namespace.encode()).hexdigest()[:12]}:"

    async def get(self, key: str) -> Entry | None:
        """See `Cache`."""
        if not self._redis.may_ask():
            return None
        data = await self._redis.ask(self._redis.client.get(self._prefix + key))
        return await _off_loop(_unpack, data) if isinstance(data, bytes) else None

    async def set(self, key: str, entry: Entry) -> None:
        """See `Cache`. Too large a value is not sent: it would time out, as in an outage."""
        left_ms = entry.kept_until_ms - now_ms()
        if left_ms <= 0 or not self._redis.may_ask():
            return
        data = await _off_loop(_pack, entry)
        if len(data) <= _MAX_BYTES:
            await self._redis.ask(self._redis.client.set(self._prefix + key, data, px=left_ms))

    async def delete(self, key: str) -> None:
        """See `Cache`."""
        if self._redis.may_ask():
            await self._redis.ask(self._redis.client.unlink(self._prefix + key))

    async def drop(self, prefix: str) -> None:
        """See `Cache`. The deadline is for each step, not for all: do not await it in a request."""
        redis, cursor = self._redis, 0
        pattern = f"{self._prefix}{prefix}*"
        while redis.may_ask():
            scan = redis.client.scan(cursor, match=pattern, count=_SCAN_COUNT)
            found = await redis.ask(scan)
            if found is None:
                return
            cursor, keys = found
            if keys:
                await redis.ask(redis.client.unlink(*keys))
            if cursor == 0:
                return


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
