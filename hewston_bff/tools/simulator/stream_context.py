"""What a stream connection, of either transport, knows of the backend it belongs to."""

import asyncio

from aiohttp import web

from hewston_bff.tools.simulator import faults
from hewston_bff.tools.simulator.catalog import LiveRun, SimulatedCatalog
from hewston_bff.tools.simulator.faults import Script
from hewston_bff.tools.simulator.gate import Gate
from hewston_bff.tools.simulator.options import SimulatorOptions
from hewston_bff.tools.simulator.player import FrameSink, Player
from hewston_bff.tools.simulator.stats import ConnectionStats, Recorder

BROKEN_RELEASE = "'NoneType' object has no attribute 'columns'"


class StreamContext:
    """What one stream connection needs of the backend it belongs to."""

    def __init__(
        self,
        request: web.Request,
        *,
        run_id: str,
        script: Script,
        seen: ConnectionStats,
        catalog: SimulatedCatalog,
        options: SimulatorOptions,
        gate: Gate,
        recorder: Recorder,
    ) -> None:
        self.request = request
        self.run_id = run_id
        self.script = script
        self.seen = seen
        self.options = options
        self.gate = gate
        self.recorder = recorder
        self._catalog = catalog

    def live(self) -> LiveRun | None:
        """The run as it is now."""
        return self._catalog.get(self.run_id)

    def refusal(self) -> str | None:
        """Why the run cannot be streamed now, in the backend's indiscreet words; None: it can."""
        live = self.live()
        if live is None:
            return f"run not found: {self.run_id}"
        if not live.progress().is_streamable:
            path = f"data/backtests/{self.run_id}/equity.parquet"
            return f"[Errno 2] No such file or directory: '{path}'"
        return None

    async def load(self, live: LiveRun) -> None:
        """What comes before frame 0: nothing, for a while."""
        options = self.options
        available = live.progress().available
        await self.gate.load(options.play_silence_s + options.load_s_per_frame * available)

    def has(self, kind: type[faults.ScriptedFault]) -> bool:
        """Whether the script has a fault of this kind."""
        return any(isinstance(fault, kind) for fault in self.script)

    def player(self, sink: FrameSink, *, pace: float | None) -> Player:
        """The player of this connection."""
        return Player(sink, script=self.script, gate=self.gate, seen=self.seen, frames_per_s=pace)

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()

    @property
    def is_gone(self) -> bool:
        """Whether there is nobody left to write to."""
        return self.request.transport is None or self.request.transport.is_closing()

    def expect_empty_buffer(self) -> None:
        """From now on draining waits until the kernel has everything."""
        if self.request.transport is not None:
            self.request.transport.set_write_buffer_limits(high=0)

    async def wait_until_gone(self) -> None:
        """Wait for the other side to give up."""
        await asyncio.Event().wait()  # the handler is cancelled when the connection is lost
