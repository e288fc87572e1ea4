"""The state of the connection to a bus, and how long to wait when it breaks.

| | connecting | up | silent | retrying |
|---|---|---|---|---|
| connected | up | | | up |
| the connection broke, or none came about | retrying | retrying | retrying | retrying |
| three heartbeats missed, or nothing at all heard for long | | silent | told again | |
| a heartbeat; without any ever, an entry | | | up | |
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import random

import structlog
from tenacity import RetryCallState

from hewston_bff.backoff import full_jitter
from hewston_bff.events.source_state import SourceLink, SourceStats, SourceStatus
from hewston_bff.topics.bus.heartbeats import Heartbeats
from hewston_bff.topics.bus.ports import BusServer, BusUnavailable

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BusTimes:
    """Seconds."""

    block_s: float = 0.5
    """How long a read waits for an entry; what Redis takes to answer comes on top."""
    discover_s: float = 2.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    knock_s: float = 5.0
    """How often a Redis that did not answer at all is tried during a longer wait."""
    unheard_s: float = 60.0
    """Without any entry for so long a bus that has no heartbeat counts as silent."""
    tell_silence_s: float = 5.0
    error_after: int = 10
    """After so many failures in a row the status says that this is an error."""


class BusLink:
    """Tells of every change, and keeps what the stats say of the connection."""

    def __init__(
        self,
        server: BusServer,
        stats: SourceStats,
        times: BusTimes,
        *,
        tell: Callable[[SourceLink], None],
        now_ms: Callable[[], int],
    ) -> None:
        """`tell`: whom to tell of changes. `now_ms`: the wall clock."""
        self._server = server
        self._stats = stats
        self._times = times
        self._tell_link = tell
        self._now_ms = now_ms
        self._heartbeats = Heartbeats()
        self._status: SourceStatus = "connecting"
        self._failures = 0
        self._is_deaf = False
        self._connected_s = 0.0
        self._heard_s = 0.0
        self._told_s = 0.0

    # -- up and down

    def begin(self) -> None:
        """The first attempt begins."""
        self._tell("connecting")

    def connected(self) -> None:
        """Connected, and everything that was missed is known."""
        if self._failures:
            logger.warning("bus.up", failures=self._failures)
        self._failures = 0
        self._stats.error = None
        self._stats.has_failed = False
        self._stats.connected_at_ms = self._now_ms()
        self._heard_s = self._connected_s = asyncio.get_running_loop().time()
        self._tell("up")

    def wait_s(self, _: RetryCallState) -> float:
        """How long to wait after one more failure: full jitter."""
        self._failures += 1
        return full_jitter(
            self._failures,
            base_s=self._times.backoff_base_s,
            cap_s=self._times.backoff_cap_s,
            jitter=random(),  # noqa: S311 - no secret
        )

    def failed(self, state: RetryCallState) -> None:
        """An attempt failed, and there will be another one."""
        error = None if state.outcome is None else state.outcome.exception()
        self._stats.error = reason = str(error)
        self._stats.has_failed = self._failures >= self._times.error_after
        if self._failures == 1:
            logger.warning("bus.down", error=reason)
        if self._failures == self._times.error_after:
            logger.error("bus.error", error=reason, failures=self._failures)
        self._is_deaf = isinstance(error, BusUnavailable) and error.is_deaf
        self._tell("retrying", retry_in_s=state.next_action.sleep if state.next_action else 0.0)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next attempt; less if Redis did not answer at all and now does."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while (left_s := until_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, self._times.knock_s))
            if self._is_deaf and loop.time() < until_s and await self._answers():
                return

    async def _answers(self) -> bool:
        try:
            async with self._server.connect():
                return True
        except BusUnavailable:
            return False

    # -- signs of life

    def hear(self) -> None:
        """Entries were read."""
        self._heard_s = asyncio.get_running_loop().time()

    def hear_heartbeat(self, key: bytes, id_ms: int, *, age_ms: int) -> None:
        """A heartbeat of this stream was read, so long after it was written."""
        now_s = asyncio.get_running_loop().time()
        self._heartbeats.hear(key, id_ms, heard_s=now_s - age_ms / 1_000)
        heard_ms = self._now_ms() - age_ms
        self._stats.heartbeat_at_ms = max(heard_ms, self._stats.heartbeat_at_ms or 0)

    def mind_silence(self) -> None:
        """Tell when the bus falls silent, from time to time that it still is, and when it ends."""
        now_s = asyncio.get_running_loop().time()
        beat_s = self._heartbeats.heard_s
        if beat_s is None:
            is_silent = now_s - self._heard_s > self._times.unheard_s
        else:
            is_silent = now_s - max(beat_s, self._connected_s) > self._heartbeats.patience_s
        status: SourceStatus = "silent" if is_silent else "up"
        if status != self._status:
            logger.warning("bus.silent" if is_silent else "bus.heard")
            self._tell(status)
        elif is_silent and now_s - self._told_s >= self._times.tell_silence_s:
            self._tell(status)

    def _tell(self, status: SourceStatus, *, retry_in_s: float | None = None) -> None:
        self._status = status
        now_s = self._told_s = asyncio.get_running_loop().time()
        beat_s = self._heartbeats.heard_s
        self._tell_link(
            SourceLink(
                status,
                attempt=self._failures,
                retry_in_ms=None if retry_in_s is None else round(retry_in_s * 1_000),
                heartbeat_age_ms=None if beat_s is None else round((now_s - beat_s) * 1_000),
            )
        )
