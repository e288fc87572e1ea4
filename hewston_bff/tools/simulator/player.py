"""Plays a run into a connection: every frame in order as fast as it takes them, and the faults."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hewston_bff.tools.simulator import faults
from hewston_bff.tools.simulator.catalog import LiveRun
from hewston_bff.tools.simulator.faults import FrameFault, Script
from hewston_bff.tools.simulator.gate import Flood, Gate
from hewston_bff.tools.simulator.runs import SimulatedStatus
from hewston_bff.tools.simulator.stats import ConnectionStats
from hewston_bff.tools.simulator.text import parsed, spaced_json

_BATCH = 50  # frames between two looks at the event loop
_SMOOTH_S = 0.02  # paced frames go out in batches of about this long
_POLL_S = 0.05


class ConnectionOver(Exception):
    """The connection was ended, or fell silent, by a fault: nothing more is to be sent."""


class FrameSink(Protocol):
    """A connection as the player sees it. After the reader is gone it raises ConnectionError."""

    def write(self, messages: Sequence[bytes]) -> None:
        """Put text messages (SSE: `frame` events) into the send buffer."""

    def write_binary(self, data: bytes) -> None:
        """Put in something that is no text."""

    async def drain(self) -> None:
        """Wait until the send buffer has room."""

    async def cut(self) -> None:
        """Abort the connection after what was written has left."""

    async def close(self, code: int) -> None:
        """End it politely."""

    def fall_silent(self) -> None:
        """Send nothing any more, whatever happens."""


class Player:
    """One connection's playing. `frames_per_s` of None: unpaced."""

    def __init__(
        self,
        sink: FrameSink,
        *,
        script: Script,
        gate: Gate,
        seen: ConnectionStats,
        frames_per_s: float | None,
    ) -> None:
        self._sink = sink
        self._script = script
        self._gate = gate
        self._seen = seen
        slow = [each.frames_per_s for each in script if isinstance(each, faults.Slow)]
        paces = slow if frames_per_s is None else [*slow, frames_per_s]
        self._frames_per_s = min(paces, default=None)
        diverging = [each.frame for each in script if isinstance(each, faults.Diverge)]
        self._diverges_at = min(diverging, default=None)
        self._pending: list[FrameFault] = []
        self._flood: Flood | None = None
        self._due_s = 0.0

    async def play(self, live: LiveRun) -> None:
        """Stream the run from frame 0; a growing one until it is whole.

        Raises:
            ConnectionOver: a fault ended it.
            ConnectionError: the reader is gone.
        """
        positioned = [each for each in self._script if isinstance(each, FrameFault)]
        self._pending = sorted(positioned, key=lambda fault: fault.frame)
        index = 0
        frames = live.run.frames
        await self._suffer(index, frames)
        while True:
            progress = live.progress()
            if index < progress.available:
                index = await self._pour(frames, index, progress.available)
            elif (
                progress.status is SimulatedStatus.RUNNING
                and not live.run.lifecycle.streams_what_is_there
            ):
                await asyncio.sleep(_growth_step_s(live))
            else:
                return

    async def _pour(self, frames: Sequence[bytes], start: int, end: int) -> int:
        """Send `start` to `end`; a few frames of a growing run are no flood."""
        if end - start <= _BATCH:
            return await self._send_range(frames, start, end)
        async with self._gate.flood() as flood:
            self._flood = flood
            try:
                return await self._send_range(frames, start, end)
            finally:
                self._flood = None

    async def _send_range(self, frames: Sequence[bytes], start: int, end: int) -> int:
        self._due_s = asyncio.get_running_loop().time()
        index = start
        while index < end:
            stop = min(end, index + self._batch())
            if self._pending:
                # the next fault is ahead: those due are behind us
                stop = min(stop, self._pending[0].frame)
            await self._send(self._told(frames, index, stop))
            await self._pace(stop - index)
            index = stop
            await self._suffer(index, frames)
        return index

    async def _send(self, messages: Sequence[bytes]) -> None:
        if self._flood is None:
            await self._gate.pass_by()
        self._sink.write(messages)
        self._seen.frames_sent += len(messages)
        if self._flood is None:
            await self._sink.drain()
        else:
            await self._flood.drained(self._sink.drain())

    async def _pace(self, sent: int) -> None:
        if self._frames_per_s is None:
            await asyncio.sleep(0)
        else:
            now_s = asyncio.get_running_loop().time()
            # What a load or a reader held up is late, and not made up for.
            self._due_s = max(self._due_s, now_s - _SMOOTH_S) + sent / self._frames_per_s
            await asyncio.sleep(max(0.0, self._due_s - now_s))

    def _batch(self) -> int:
        if self._frames_per_s is None:
            return _BATCH
        return max(1, min(_BATCH, int(self._frames_per_s * _SMOOTH_S)))

    def _told(self, frames: Sequence[bytes], start: int, stop: int) -> Sequence[bytes]:
        messages = frames[start:stop]
        if self._diverges_at is None or stop <= self._diverges_at:
            return messages
        told = max(0, self._diverges_at - start)
        return [*messages[:told], *(_other_story(frame) for frame in messages[told:])]

    async def _suffer(self, index: int, frames: Sequence[bytes]) -> None:
        """Everything that is to happen before frame `index`."""
        while self._pending and self._pending[0].frame <= index:
            await self._happen(self._pending.pop(0), frames)

    async def _happen(self, fault: FrameFault, frames: Sequence[bytes]) -> None:
        """One fault.

        Raises:
            ConnectionOver: nothing comes after this one.
        """
        match fault:
            case faults.CutAt():
                await self._sink.cut()
                raise ConnectionOver
            case faults.Close(code=code):
                await self._sink.close(code)
                raise ConnectionOver
            case faults.HalfOpen():
                await self._sink.drain()
                self._sink.fall_silent()
                raise ConnectionOver
            case faults.Stall(seconds=seconds):
                await asyncio.sleep(seconds)
            case faults.Duplicate(frame=frame, times=times):
                await self._send([*self._told(frames, frame, frame + 1)] * times)
            case _:
                self._slip_in(fault)

    def _slip_in(self, fault: FrameFault) -> None:
        """The faults that are a message between two frames."""
        match fault:
            case faults.Binary(data=data):
                self._sink.write_binary(data)
            case faults.Garbage(data=data):
                self._sink.write([data])
            case faults.Huge(size_bytes=size_bytes):
                self._sink.write([_padding(size_bytes)])
            case _:
                pass  # Diverge works on the frames themselves


def _growth_step_s(live: LiveRun) -> float:
    growth_fps = live.run.lifecycle.growth_fps
    return min(_POLL_S, 1 / growth_fps) if growth_fps > 0 else _POLL_S


def _other_story(frame: bytes) -> bytes:
    """The frame with another close and another equity, still sound."""
    message = parsed(frame)
    bar = message["ohlc"]
    if bar is not None and bar["c"] is not None:
        bar["c"] = round(bar["c"] + 1, 2)
        if bar["h"] is not None:
            bar["h"] = max(bar["h"], bar["c"])
    if isinstance(message["equity"], dict):
        message["equity"]["value"] += 1000
    else:
        message["equity"] += 1000
    return spaced_json(message)


def _padding(size_bytes: int) -> bytes:
    head, tail = b'{"t": "pad", "pad": "', b'"}'
    return head + b"x" * (size_bytes - len(head) - len(tail)) + tail
