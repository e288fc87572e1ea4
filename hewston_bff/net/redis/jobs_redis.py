"""The Redis of the jobs: one client for all who ask it, with a deadline for each question."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import structlog

from hewston_bff.errors import SourceUnavailable

logger = structlog.get_logger(__name__)

BLOCK_MS: Final = 1_000
"""How long one read waits for new entries: less than the deadline of an answer."""
_ANSWER_S: Final = 2.0
_DEADLINE_S: Final = 4.0
"""With the wait for a connection, of which each may be waited for as long as for an answer."""
_CONNECTIONS: Final = 32
_NO_ANSWER: Final = "does not answer"
_LOCKED: Final = "wants a password, or another one"
_REFUSALS: Final = {
    "WRONGPASS": _LOCKED,
    "NOAUTH": _LOCKED,
    "NOPERM": "does not allow what jobs need",
    "WRONGTYPE": "has something else under a name of the jobs: check BFF_JOBS_…",
    "OOM": "is full",
    "LOADING": "is loading its data",
    "READONLY": "is a replica, and takes no jobs",
    "MISCONF": "cannot write its data to disk, and takes no jobs",
}
"""Redis' word for an error → what a client is told."""
_CLASSES: Final = {
    "BusyLoadingError": _REFUSALS["LOADING"],
    "ReadOnlyError": _REFUSALS["READONLY"],
    "OutOfMemoryError": _REFUSALS["OOM"],
    "NoPermissionError": _REFUSALS["NOPERM"],
}

_T = TypeVar("_T")


class JobsRedis:
    """Asks Redis, and says in words fit for clients why there is no answer."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - a type of the library would import it
        *,
        failures: tuple[type[Exception], ...],
    ) -> None:
        """`failures`: what the client raises if Redis does not answer, or refuses."""
        self.client = client
        self._failures = failures
        self._trouble = ""

    async def ask(self, answer: Awaitable[_T]) -> _T:
        """The reply.

        Raises:
            SourceUnavailable: there was none in time, or Redis refused. It may have been done.
        """
        cancelled = _cancellations()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                found = await answer
        except self._failures as error:
            told = _told(error)
            if told != self._trouble:
                logger.warning("jobs.redis_down", error=type(error).__name__, told=told)
                self._trouble = told
            if told == _NO_ANSWER:
                # Others that are idle are as dead, and would fail once Redis is back.
                await self.client.connection_pool.disconnect(inuse_connections=False)
            msg = f"the Redis of the jobs {told}: try again later"
            raise SourceUnavailable(msg) from error
        if _cancellations() > cancelled:
            # The library sends by `asyncio.wait_for`, which before Python 3.12 loses a
            # cancellation that comes as it finishes: whoever reads for ever would never end.
            raise asyncio.CancelledError
        if self._trouble:
            logger.warning("jobs.redis_up")
            self._trouble = ""
        return found


def _cancellations() -> int:
    """How often this task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _told(error: Exception) -> str:
    """What to say of an error; nothing of its own text, which may quote what was asked."""
    kind, text = type(error).__name__, str(error)
    if kind.startswith("Authentication"):
        return _LOCKED
    for word, told in _REFUSALS.items():
        if word in text:
            return told
    if isinstance(error, OSError) or kind in {"ConnectionError", "TimeoutError"}:
        return _NO_ANSWER
    # The library has classes for some errors, and cuts their words off.
    return _CLASSES.get(kind, "refuses what jobs need")


@asynccontextmanager
async def jobs_redis(url: str) -> AsyncIterator[JobsRedis]:
    """The Redis at `url`; it is not contacted before its first use."""
    # ruff: noqa: PLC0415 - a tenth of a second and some MiB, spared where there is no Redis
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.maint_notifications import MaintNotificationsConfig

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_ANSWER_S,
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=_ANSWER_S,
        # Asked once: whether a lost question was answered nobody knows, and callers repeat it.
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    try:
        yield JobsRedis(Redis(connection_pool=pool), failures=(RedisError, OSError))
    finally:
        await pool.aclose()
