"""The pace at which one stream of the backend is read.

A stream is read in slices with pauses between them, so that neither ticks here nor other requests
at the backend wait; few streams run at full speed at the same time; requests of pages go first.
"""

import asyncio
from dataclasses import dataclass

from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.ports import Upstream
from hewston_bff.topics.run.replay_limiter import Slot
from hewston_bff.topics.run.wire import Message, ProtocolViolation

_WAITED_S = 0.005
"""A message that took longer than this had not been waiting in the socket."""
_ONE_BY_ONE = 8
"""So many frames may come with another: more at once are appended together."""
_BURST = 512
"""After so many frames without a wait, the stream needs a slot."""
_SHOWN = 128
"""Every so many frames the slot may be lent to a stream that has no frame yet."""
_AT_ONCE = 1_000
"""So many frames in a row are read at full speed; further ones at `gentle_fps`."""
PAGES_FIRST_S = 1.0
"""How long a load waits for requests of pages at most: they may never end."""


@dataclass(frozen=True, slots=True)
class FeedTimes:
    """Patience with the backend, in seconds."""

    silence_s: float = 60.0
    slice_s: float = 0.002
    pause_s: float = 0.001
    load_s: float = links.LOAD_S
    """From `play` to the first frame: a stream without one by then releases its slot."""
    gentle_fps: float = 4_500.0
    """Frames a second at which the backend still answers other requests over WebSocket."""


class Reading:
    """The pace of reading one stream."""

    deadline: asyncio.Timeout

    def __init__(
        self,
        room: asyncio.Event,
        slot: Slot,
        times: FeedTimes,
        activity: BackendActivity,
        *,
        is_deafening: bool,
    ) -> None:
        self._room = room
        self._slot = slot
        self._times = times
        self._activity = activity
        self._loop = asyncio.get_running_loop()
        self.heard_s = self._slice_s = self._burst_s = self._loop.time()
        self._burst = self._taken = 0
        self._is_deafening = is_deafening
        self.was_drained = False
        """Whether the last message had to be waited for: the socket held nothing else."""

    async def receive(self, upstream: Upstream) -> Message | ProtocolViolation:
        """The next message, or its violation of the protocol. A cancellation loses nothing.

        Raises:
            LinkLost: the stream broke.
        """
        message: Message | ProtocolViolation
        try:
            message = await upstream.receive()
        except ProtocolViolation as violation:
            message = violation
        now_s = self._loop.time()
        self.was_drained = now_s - self.heard_s > _WAITED_S
        self.heard_s = now_s
        if self.was_drained:
            self._burst = 0
            self._slice_s = self._burst_s = now_s
            self.deadline.reschedule(now_s + self._times.silence_s)
        return message

    @property
    def is_flood(self) -> bool:
        """Whether frames come faster than one by one."""
        return self._burst > _ONE_BY_ONE

    def is_slice_over(self, slot: Slot | None) -> bool:
        """A message was taken: whether to give way now. `slot` hears of it if it was a frame."""
        now_s = self.heard_s
        self._burst += 1
        if slot is not None:
            slot.note_frame(now_s)
        self._taken += 1
        if self._taken % _SHOWN == 0 and self._slot.is_wanted:
            self._slot.lend()
            return True
        return now_s - self._slice_s > self._times.slice_s or not self._room.is_set()

    async def give_way(self) -> None:
        """Between two slices: let others run, and wait while there is no room."""
        await asyncio.sleep(self._pause_s())
        if self._is_deafening:
            await self._activity.clear(within_s=PAGES_FIRST_S)
        room = self._room
        needs_slot = self._slot.was_lent or (self._burst > _BURST and not self._slot.is_held)
        if needs_slot or not room.is_set():
            self.deadline.reschedule(None)
            await room.wait()
            await self._slot.acquire()
        self.restart()

    def _pause_s(self) -> float:
        """Seconds to pause: short, or long enough for the backend to answer others."""
        if not self._is_deafening or self._burst <= _AT_ONCE:
            return self._times.pause_s
        due_s = self._burst_s + (self._burst - _AT_ONCE) / self._times.gentle_fps
        return max(self._times.pause_s, due_s - self._loop.time())

    def restart(self) -> None:
        """Measure the next wait and silence from now."""
        self.heard_s = self._slice_s = self._loop.time()
        self.deadline.reschedule(self.heard_s + self._times.silence_s)
