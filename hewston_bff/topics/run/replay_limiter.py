"""The limit on concurrent replays from the backend.

A stream holds a slot from before it connects until its frames end: during a handshake that hangs,
while the backend loads, while frames come. It releases the slot at an `hb`, after a second without
a frame once it had one, or when the connection ends.

One stream loads at a time, because the backend does nothing else while it loads. A stream that
has frames to show lends its slot to one that has none, and waits for another.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hewston_bff.topics.run.replay_order import Waiting, next_in_line

FRAME_GAP_S = 1.0
"""A stream without a frame for this long needs no slot."""
LOADS_ALONE_S = 6.0
"""Longer than any load takes: after it a stream keeps its slot, but others may load."""


@dataclass(slots=True, eq=False)
class _Waiter:
    waiting: Waiting
    slot: "Slot"
    granted: "asyncio.Future[None]"


class ReplayLimiter:
    """The slots, and the streams that wait for one."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiters: list[_Waiter] = []
        self._loading: Slot | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether a stream without frames could load if another one gave up its slot."""
        if self._free or self._loading is not None:
            return False
        return any(not waiter.waiting.is_loaded for waiter in self._waiters)

    async def acquire(self, slot: "Slot", waiting: Waiting) -> None:
        """Wait for a slot. A cancellation gives it back."""
        waiter = _Waiter(waiting, slot, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._hand_out()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if not waiter.granted.cancelled():
                self.loaded(slot)
                self.release()
            raise

    def loaded(self, slot: "Slot") -> None:
        """`slot` has finished loading: another stream may load."""
        if self._loading is slot:
            self._loading = None
            self._hand_out()

    def release(self) -> None:
        """Free a slot."""
        self._free += 1
        self._hand_out()

    def _hand_out(self) -> None:
        # A cancelled waiter stays in the line until its task runs.
        self._waiters = [each for each in self._waiters if not each.granted.done()]
        while self._free:
            line = [waiter.waiting for waiter in self._waiters]
            index = next_in_line(line, is_loading=self._loading is not None)
            if index is None:
                return
            waiter = self._waiters.pop(index)
            self._free -= 1
            if not waiter.waiting.is_loaded:
                self._loading = waiter.slot
            waiter.granted.set_result(None)


class Slot:
    """One stream's slot, held or not. `last_frame_s` is loop time."""

    def __init__(self, limiter: ReplayLimiter, *, expected_s: float | None = None) -> None:
        self._limiter = limiter
        self._expected_s = expected_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._alone: asyncio.TimerHandle | None = None
        self._is_loaded = False
        self._was_lent = False
        self.is_held = False
        self.last_frame_s = 0.0

    @property
    def was_lent(self) -> bool:
        """Whether it was lent to another stream and not acquired again."""
        return self._was_lent

    @property
    def is_wanted(self) -> bool:
        """Whether it is held, and a stream without frames waits for it."""
        return self.is_held and self._limiter.is_wanted

    async def acquire(self) -> None:
        """Wait for a slot, unless one is held. A cancellation gives it back."""
        if self.is_held:
            return
        waiting = Waiting(
            since_s=self._loop.time(), is_loaded=self._is_loaded, expected_s=self._expected_s
        )
        await self._limiter.acquire(self, waiting)
        self.is_held = True
        self._was_lent = False
        if self._is_loaded:
            self._after(FRAME_GAP_S, self._look)
        else:
            self._alone = self._loop.call_later(LOADS_ALONE_S, self._limiter.loaded, self)

    def expect_frames(self, within_s: float) -> None:
        """Release the slot if no frame comes in time: the run may have none for now."""
        if self.is_held and not self._is_loaded:
            self._after(within_s, self.release)

    def note_frame(self, now_s: float) -> None:
        """Record a frame; from the first one on, a pause releases the slot."""
        self.last_frame_s = now_s
        if not self._is_loaded:
            self._is_loaded = True
            if self.is_held:
                self._after(FRAME_GAP_S, self._look)
                self._loaded()

    def lend(self) -> None:
        """Release the slot for a stream without frames; `acquire` gets one back."""
        self.release()
        self._was_lent = True

    def release(self) -> None:
        """Release the slot, if it is held."""
        self._cancel_timer()
        if self.is_held:
            self.is_held = False
            self._loaded()
            self._limiter.release()

    def _look(self) -> None:
        rest_s = self.last_frame_s + FRAME_GAP_S - self._loop.time()
        if rest_s <= 0:
            self.release()
        else:
            self._after(rest_s, self._look)

    def _after(self, delay_s: float, what: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(delay_s, what)

    def _loaded(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        self._limiter.loaded(self)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
