"""Caches for responses: in this process and, if it is enabled, in Redis behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import msgspec
from cachetools import TLRUCache

from hewston_bff.credentials import Credentials
from hewston_bff.net.clock import now_ms

_OVERHEAD_BYTES = 512
"""Memory that an entry takes beside its value: key, object, table slots."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached response. Times are ms since 1970, for processes share entries but no other clock.

    It is fresh until `fresh_until_ms`, and may stand in for a missing answer until `kept_until_ms`.
    """

    value: bytes
    stored_ms: int
    fresh_until_ms: int
    kept_until_ms: int


@dataclass(slots=True)
class CacheCounters:
    """Responses that were cached (`stale`: the expired ones of these), or had to be made."""

    hits: int = 0
    stale: int = 0
    misses: int = 0


class Cache(Protocol):
    """Keys of `cache_key` → entries. An error of its own is a miss, and never raised."""

    async def get(self, key: str) -> Entry | None:
        """The entry; None if there is none."""

    async def set(self, key: str, entry: Entry) -> None:
        """Store an entry until its `kept_until_ms`, or until there is no room."""

    async def delete(self, key: str) -> None:
        """Delete an entry."""

    async def drop(self, prefix: str) -> None:
        """Delete all entries whose key starts so. It scans all keys: too slow for a request."""


def cache_key(scope: str, parameters: object, credentials: Credentials) -> str:
    """The key of a response: `scope` in clear, so that it can be dropped, the rest as a digest.

    `scope` ends where no other scope goes on, e.g. `run:demo-day:`. `parameters` is anything that
    msgspec encodes and that says all that the answer depends on, but who asks.
    """
    digest = sha256(msgspec.json.encode(parameters))
    digest.update(credentials.key.encode())
    return scope + digest.hexdigest()


class MemoryCache:
    """In memory, at most `max_bytes`: the least recently used entry is evicted first."""

    def __init__(self, *, max_bytes: int, clock_ms: Callable[[], int] = now_ms) -> None:
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            maxsize=max_bytes,
            ttu=lambda _key, entry, _now: entry.kept_until_ms,
            timer=clock_ms,
            getsizeof=lambda entry: len(entry.value) + _OVERHEAD_BYTES,
        )
        self._max_bytes = max_bytes
        self._clock_ms = clock_ms

    @property
    def used_bytes(self) -> int:
        """Memory that the entries take."""
        return int(self._entries.currsize)

    async def get(self, key: str) -> Entry | None:
        """See `Cache`."""
        return self._entries.get(key)

    async def set(self, key: str, entry: Entry) -> None:
        """See `Cache`; what is larger than the whole cache is not kept."""
        is_kept = self._clock_ms() < entry.kept_until_ms
        if not is_kept or len(entry.value) + _OVERHEAD_BYTES > self._max_bytes:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry

    async def delete(self, key: str) -> None:
        """See `Cache`."""
        self._entries.pop(key, None)

    async def drop(self, prefix: str) -> None:
        """See `Cache`."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            self._entries.pop(key, None)


class TieredCache:
    """`near` is asked first and filled from `far`. Other processes' `near` hears of no `drop`."""

    def __init__(self, near: Cache, far: Cache) -> None:
        self._near = near
        self._far = far

    async def get(self, key: str) -> Entry | None:
        """See `Cache`."""
        entry = await self._near.get(key)
        if entry is None:
            entry = await self._far.get(key)
            if entry is not None:
                await self._near.set(key, entry)
        return entry

    async def set(self, key: str, entry: Entry) -> None:
        """See `Cache`."""
        await self._near.set(key, entry)
        await self._far.set(key, entry)

    async def delete(self, key: str) -> None:
        """See `Cache`."""
        await self._near.delete(key)
        await self._far.delete(key)

    async def drop(self, prefix: str) -> None:
        """See `Cache`."""
        await self._near.drop(prefix)
        await self._far.drop(prefix)
