"""The loop that drives all cursors, and a wheel of what is due at which tick.

Ticks have nominal times, whole multiples of the period after the start; cursors are driven by
those, so that a late tick shortens the next wait and no clock drifts.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import ceil, inf
from typing import Protocol

import structlog

from hewston_bff.playback.cursor import TICKS_PER_S

logger = structlog.get_logger(__name__)

PERIOD_S = 1.0 / TICKS_PER_S
_LAGS_KEPT = 3_600
_SAME_TICK = 1e-4
"""Ticks: a wake time this little after a tick still belongs to it."""


class Ticked(Protocol):
    """Something that acts at ticks."""

    scheduled: int
    """The tick it is due at, or -1; only the ticker writes it."""

    def tick(self, now_s: float) -> float:
        """Act at nominal time `now_s`; returns when to act next, inf if only an event can tell."""

    def crashed(self) -> None:
        """It raised an unexpected error, which was logged: end it alone."""


class Crashing(Protocol):
    """What can be ended alone."""

    def crashed(self) -> None:
        """See `Ticked`."""


def contain(item: Crashing, event: str, error: Exception, **context: object) -> None:
    """Log `error` as `event`, and end `item`."""
    logger.error(event, item=type(item).__name__, exc_info=error, **context)
    try:
        item.crashed()
    except Exception:
        logger.exception("end.crashed", item=type(item).__name__)


class Ticker:
    """Nominal time, what is due, and how late the loop is."""

    def __init__(self, *, after_tick: Callable[[], None]) -> None:
        self._after_tick = after_tick
        self._wheel: dict[int, list[Ticked]] = {}
        self._tick = 0
        self._before: list[Callable[[], None]] = []
        self.lags_s: deque[float] = deque(maxlen=_LAGS_KEPT)
        self.last_tick_s = -inf
        """Loop time of the last tick; readiness checks it."""

    @property
    def next_s(self) -> float:
        """Nominal time of the next tick: the `now_s` of whatever happens between ticks."""
        return (self._tick + 1) * PERIOD_S

    def schedule(self, item: Ticked, at_s: float) -> None:
        """Have `item` act at the first tick at or after `at_s`, or sooner if it already would."""
        if at_s == inf:
            return
        tick = max(ceil(at_s * TICKS_PER_S - _SAME_TICK), self._tick + 1)
        if 0 <= item.scheduled <= tick:
            return
        item.scheduled = tick
        self._wheel.setdefault(tick, []).append(item)

    def wake(self, item: Ticked) -> None:
        """Have `item` act at the next tick."""
        self.schedule(item, 0.0)

    def before_tick(self, act: Callable[[], None]) -> None:
        """Do this once, at the latest when the next tick begins. It must not raise."""
        self._before.append(act)

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        self.last_tick_s = loop.time()
        start_s = self.last_tick_s - self._tick * PERIOD_S
        while True:
            due_s = start_s + (self._tick + 1) * PERIOD_S
            delay_s = due_s - loop.time()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            else:
                await asyncio.sleep(0)
            now_s = loop.time()
            self.lags_s.append(max(0.0, now_s - due_s))
            self.last_tick_s = now_s
            missed = int((now_s - due_s) / PERIOD_S)
            self.advance(1 + max(0, missed))

    def advance(self, ticks: int = 1) -> None:
        """Let `ticks` periods pass and drive everyone due in them, once, at the last one's time."""
        if self._before:
            acts, self._before = self._before, []
            for act in acts:
                act()
        before, self._tick = self._tick, self._tick + ticks
        now_s = self._tick * PERIOD_S
        for tick in range(before + 1, self._tick + 1):
            for item in self._wheel.pop(tick, ()):
                if item.scheduled == tick:
                    item.scheduled = -1
                    try:
                        at_s = item.tick(now_s)
                    except Exception as error:  # noqa: BLE001 - one viewer's bug must not hit others
                        contain(item, "tick.crashed", error)
                        continue
                    if at_s != inf:
                        self.schedule(item, at_s)
        self._after_tick()

    def late_s(self) -> float:
        """Seconds since the last tick; grows when the loop hangs or the ticker has stopped."""
        return asyncio.get_running_loop().time() - self.last_tick_s

    def lag_ms(self) -> tuple[float, float]:
        """How late ticks were in the last minute, ms: p50 and p99."""
        lags = sorted(self.lags_s)
        if not lags:
            return 0.0, 0.0
        return lags[len(lags) // 2] * 1e3, lags[int(len(lags) * 0.99)] * 1e3
