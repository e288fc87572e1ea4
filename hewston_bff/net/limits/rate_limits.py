"""Rate limits per client IP: a sliding minute, in memory or shared through Redis."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from time import monotonic

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.shared_redis import SharedRedis


class RouteClass(StrEnum):
    """A class of routes that share one limit."""

    AGGREGATED = "aggregated"
    PROXIED = "proxied"


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """Whether a request is allowed, and what its client has left; `reset_s`: until the next one."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int


class _Windows(MemoryStorage):
    """The library's memory storage sends a thread through all addresses on every request.

    Here each address has a queue of times, and stale addresses are swept out once a window.
    """

    STORAGE_SCHEME = ["async+windows"]  # noqa: RUF012 - the library's way to name it

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._swept_at_s = clock()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """See the library."""
        now_s = self._clock()
        self._sweep(now_s, expiry)
        times = self._times.setdefault(key, deque())
        _forget(times, now_s - expiry)
        if len(times) + amount > limit:
            return False
        times.extend([now_s] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """See the library."""
        times = self._times.get(key)
        return (times[0], len(times)) if times else (self._clock(), 0)

    def _sweep(self, now_s: float, expiry_s: int) -> None:
        if now_s - self._swept_at_s < expiry_s:
            return
        self._swept_at_s = now_s
        for key, times in list(self._times.items()):
            _forget(times, now_s - expiry_s)
            if not times:
                del self._times[key]


def _forget(times: deque[float], until_s: float) -> None:
    while times and times[0] <= until_s:
        times.popleft()


@dataclass(frozen=True, slots=True)
class _Counter:
    """A limiter, and the clock that its storage uses."""

    limiter: MovingWindowRateLimiter
    now_s: Callable[[], float]

    async def hit(self, item: RateLimitItemPerMinute, key: str) -> RateVerdict:
        is_allowed = await self.limiter.hit(item, key)
        stats = await self.limiter.get_window_stats(item, key)
        reset_s = max(1, ceil(stats.reset_time - self.now_s()))
        return RateVerdict(is_allowed, item.amount, max(0, stats.remaining), reset_s)


def _counter_in(redis: SharedRedis) -> _Counter:
    storage = RedisStorage(
        "redis://",
        implementation="redispy",
        connection_pool=redis.pool,  # type: ignore[arg-type]  # passed on to the client, which takes one
    )
    return _Counter(MovingWindowRateLimiter(storage), lambda: now_ms() / 1_000)


class RateLimits:
    """Counts requests in Redis if it is configured and answers in time, otherwise in memory."""

    def __init__(
        self,
        per_minute: Mapping[RouteClass, int],
        *,
        redis: SharedRedis | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """A limit of 0 means no limit."""
        self._items = {
            route: RateLimitItemPerMinute(limit, namespace="hewston-bff")
            for route, limit in per_minute.items()
            if limit
        }
        self._memory = _Counter(MovingWindowRateLimiter(_Windows(clock)), clock)
        self._redis = redis
        self._shared = None if redis is None else _counter_in(redis)

    async def hit(self, route: RouteClass, address: str) -> RateVerdict | None:
        """Count one request of `address`; None where there is no limit."""
        item = self._items.get(route)
        if item is None:
            return None
        key = f"{route}:{address}"
        verdict = await self._ask_redis(item, key)
        return verdict or await self._memory.hit(item, key)

    async def _ask_redis(self, item: RateLimitItemPerMinute, key: str) -> RateVerdict | None:
        if self._redis is None or self._shared is None or not self._redis.may_ask():
            return None
        return await self._redis.ask(self._shared.hit(item, key))
