"""The Redis that processes share. It may be slow, down or flushed: no request may suffer from it.

Every call has one deadline, less than half of the 100 ms that a request may wait in all: a
request makes two calls at most. After a failure Redis is not called for a second; then one call
tries it again, while all others do without.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

logger = structlog.get_logger(__name__)

_WAIT_S = 0.045
_LEFT_ALONE_S = 1.0
_CONNECTIONS = 32

_T = TypeVar("_T")


class SharedRedis:
    """One Redis for all its users: whoever finds it down spares the others. `errors` counts."""

    def __init__(self, pool: BlockingConnectionPool, *, wait_s: float) -> None:
        self._wait_s = wait_s
        self.pool = pool
        self.client = Redis(connection_pool=pool)
        self.errors = 0
        self._ask_again_s: float | None = None

    def may_ask(self) -> bool:
        """Whether Redis is up, or it is this caller's turn to try it again."""
        if self._ask_again_s is None:
            return True
        now_s = monotonic()
        if now_s < self._ask_again_s:
            return False
        self._ask_again_s = now_s + _LEFT_ALONE_S
        return True

    async def ask(self, answer: Awaitable[_T]) -> _T | None:
        """The reply; None after an error, or if there was none in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                found = await answer
        except (RedisError, OSError) as error:
            self.errors += 1
            if self._ask_again_s is None:
                logger.warning("redis.down", error=type(error).__name__)
            self._ask_again_s = monotonic() + _LEFT_ALONE_S
            return None
        if self._ask_again_s is not None:
            self._ask_again_s = None
            logger.warning("redis.up")
        return found

    async def is_up(self) -> bool:
        """Whether Redis answers now; it is asked even if it was found down just before."""
        return await self.ask(self.client.ping()) is True


@asynccontextmanager
async def shared_redis(url: str, *, wait_s: float = _WAIT_S) -> AsyncIterator[SharedRedis]:
    """The Redis at `url`; it is not contacted before its first use."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=wait_s,
        socket_timeout=wait_s,
        socket_connect_timeout=wait_s,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    try:
        yield SharedRedis(pool, wait_s=wait_s)
    finally:
        await pool.aclose()
