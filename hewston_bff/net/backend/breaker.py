"""The circuit breaker of one backend. No other module knows the library that it is made with."""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import TypeVar

import aiohttp
import structlog
from fluxgate import AsyncCircuitBreaker
from fluxgate.errors import CallNotPermittedError
from fluxgate.permits import All
from fluxgate.retries import Cooldown
from fluxgate.signal import Signal
from fluxgate.trackers import Custom
from fluxgate.trippers import FailureStreak, HalfOpened

from hewston_bff.errors import Busy

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class Breaker:
    """Opens after `failures` lost connections in a row; `cooldown_s` later one call probes.

    Only trouble with connections counts: never slowness, for the backend is deaf for up to 25 s in
    good health, never a status, and never a call that was cancelled.
    """

    def __init__(self, *, failures: int, cooldown_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._breaker = AsyncCircuitBreaker(
            tracker=Custom(is_connection_trouble),
            tripper=FailureStreak(failures) | (HalfOpened() & FailureStreak(1)),
            retry=Cooldown(cooldown_s),
            permit=All(),
            max_half_open_calls=1,
            listeners=[_log],
        )

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns or raises.

        Raises:
            Busy: the breaker is open; `attempt` was not called.
        """
        try:
            return await self._breaker.call(attempt)
        except CallNotPermittedError as exc:
            message = "the backend is down: try again in a moment"
            raise Busy(message, retry_after_s=ceil(self._cooldown_s)) from exc


def is_connection_trouble(error: BaseException) -> bool:
    """Whether there was no connection, or it was lost before an answer; a timeout is neither."""
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)


def _log(signal: Signal) -> None:
    logger.warning("backend.breaker", old=signal.old_state, new=signal.new_state)
