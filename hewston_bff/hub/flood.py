"""How many streams may pour at the same time."""

import asyncio

FRAME_GAP_S = 1.0
"""A stream without a frame for this long is not pouring."""


class FloodGate:
    """So many places; a stream takes one before `play`, and again when it bursts later."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)

    async def enter(self) -> None:
        """Wait for a place."""
        await self._places.acquire()

    def leave(self) -> None:
        """Give a place up."""
        self._places.release()


class Place:
    """One stream's hold on the gate. `last_frame_s` (loop time) is the reader's to write."""

    def __init__(self, gate: FloodGate) -> None:
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.is_held = False
        self.last_frame_s = 0.0

    async def take(self) -> None:
        """Wait for a place, unless it is held; it is given up once no frame comes."""
        if self.is_held:
            return
        await self._gate.enter()
        self.is_held = True
        self.keep(FRAME_GAP_S)

    def keep(self, for_s: float) -> None:
        """Hold the place for so long even without a frame; a whole load, before the first one."""
        self._cancel_timer()
        if self.is_held:
            self._timer = self._loop.call_later(for_s, self._look)

    def give_up(self) -> None:
        """Let the next stream pour."""
        self._cancel_timer()
        if self.is_held:
            self.is_held = False
            self._gate.leave()

    def _look(self) -> None:
        rest_s = self.last_frame_s + FRAME_GAP_S - self._loop.time()
        if rest_s <= 0:
            self.give_up()
        else:
            self.keep(rest_s)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
