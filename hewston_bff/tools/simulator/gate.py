"""Who runs when: the real backend is one busy thread, this is how it is imitated."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from hewston_bff.tools.simulator.stats import Recorder

_CLOGGED_AFTER_S = 0.02


class Gate:
    """Counts floods, and if `is_deafening` lets nothing else happen during one, or during a load.

    Deaf means: loads and floods run one after another, and everything that calls `pass_by` waits in
    line behind them. A reader that stops taking frames opens the gate until it takes some again.
    """

    def __init__(self, recorder: Recorder, *, is_deafening: bool) -> None:
        self._recorder = recorder
        self._turn = asyncio.Lock() if is_deafening else None

    async def pass_by(self) -> None:
        """Wait until the backend has ears."""
        if self._turn is not None:
            async with self._turn:
                pass

    async def load(self, for_s: float) -> None:
        """Read a run's data: nothing else is done meanwhile."""
        if self._turn is None:
            await asyncio.sleep(for_s)
            return
        async with self._turn:
            await asyncio.sleep(for_s)

    @asynccontextmanager
    async def flood(self) -> AsyncIterator["Flood"]:
        """The time in which a run pours out frames."""
        flood = self._new_flood()
        await flood.take_turn()
        self._recorder.flood_began()
        try:
            yield flood
        finally:
            self._recorder.flood_ended()
            flood.give_turn()

    def _new_flood(self) -> "Flood":
        return Flood(self._turn)


class EventsGate(Gate):
    """The gate of streams of events: they wait for loads and floods, and keep nobody waiting."""

    def __init__(self, recorder: Recorder, *, behind: Gate) -> None:
        super().__init__(recorder, is_deafening=False)
        self._behind = behind

    async def load(self, for_s: float) -> None:
        """See `Gate`: a load of theirs is as deaf as any."""
        await self._behind.load(for_s)

    async def pass_by(self) -> None:
        """See `Gate`."""
        await self._behind.pass_by()

    def _new_flood(self) -> "Flood":
        return _EventsFlood(self._behind)


class Flood:
    """One run pouring out frames; while it has its turn, a deaf backend does nothing else."""

    def __init__(self, turn: asyncio.Lock | None) -> None:
        self._turn = turn
        self._has_turn = False

    async def take_turn(self) -> None:
        """Wait for the floods and the others that came before."""
        if self._turn is not None:
            await self._turn.acquire()
            self._has_turn = True

    def give_turn(self) -> None:
        """Let the others be served."""
        if self._turn is not None and self._has_turn:
            self._has_turn = False
            self._turn.release()

    async def drained(self, drain: Awaitable[None]) -> None:
        """Wait for the reader; if that takes long, the others are served meanwhile."""
        if self._turn is None:
            await drain
            return
        timer = asyncio.get_running_loop().call_later(_CLOGGED_AFTER_S, self.give_turn)
        try:
            await drain
        finally:
            timer.cancel()
        if not self._has_turn:
            await self.take_turn()


class _EventsFlood(Flood):
    """A run as events: between two batches everybody else has a turn."""

    def __init__(self, behind: Gate) -> None:
        super().__init__(None)
        self._behind = behind

    async def drained(self, drain: Awaitable[None]) -> None:
        """See `Flood`."""
        await drain
        await self._behind.pass_by()
