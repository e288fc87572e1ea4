"""What keeps one run's log fed: connect, read, wait, again; at most one stream a run.

The backend is asked gently: a stream is read in slices with pauses between them, so that neither
our ticks nor the backend's other requests wait, only a few streams pour at the same time, and
requests of pages go first.
"""

import asyncio
from dataclasses import dataclass
from random import random

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from hewston_bff.errors import BackendUnavailable, BffError, Forbidden, RunNotFound, Unauthorized
from hewston_bff.hub.channel import Channel
from hewston_bff.ports import Backend, Credentials, LinkLost, LinkRefused, Upstream
from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.link import LinkState
from hewston_bff.topics.run.replay_limiter import ReplayLimiter, Slot
from hewston_bff.topics.run.skips import Skip
from hewston_bff.topics.run.wire import (
    Echo,
    End,
    Fault,
    Heartbeat,
    Message,
    ProtocolViolation,
    RawFrame,
)

logger = structlog.get_logger(__name__)

_WAITED_S = 0.005
"""A message that took this long to come was not lying in the socket."""
_BURST = 512
"""So many frames without waiting for one are a flood."""
_SHOWN = 128
"""Every so many frames a slot may go to a stream that has none to show."""
_AT_ONCE = 1_000
"""So many frames of a flood are read as fast as they come; it goes on at `gentle_fps`."""
_PAGES_FIRST_S = 1.0
"""How long a load waits for requests of pages; at most, for they may come without end."""
_COMPANIONS_S = 0.05
"""A page that asks for a stream asks for the run's bars and figures just behind it."""


_NOT_OVER = frozenset({LinkState.RETRYING, LinkState.POLLING, LinkState.REPLAYING})


@dataclass(frozen=True, slots=True)
class FeederTimes:
    """Patience with the backend, in seconds."""

    silence_s: float = 60.0
    slice_s: float = 0.002
    pause_s: float = 0.001
    load_s: float = links.LOAD_S
    """From `play` to the first frame: a stream that has none by then gives its slot up."""
    gentle_fps: float = 4_500.0
    """Frames a second of a flood that keeps the backend from answering others if read faster."""


class _NeedsRetry(Exception):
    """The connection ended in a state that asks for another one."""


class _Reading:
    """The pace of reading one stream."""

    deadline: asyncio.Timeout

    def __init__(
        self, channel: Channel, slot: Slot, times: FeederTimes, activity: BackendActivity
    ) -> None:
        self._channel = channel
        self._slot = slot
        self._times = times
        self._activity = activity
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._slice_s = self._burst_s = self._loop.time()
        self._burst = self._taken = 0
        self.is_deafening = False
        self.was_drained = False
        """Whether the last message had to be waited for: nothing else lay in the socket."""

    async def receive(self, upstream: Upstream) -> Message | None:
        """The next message; None for one that is of no use."""
        try:
            message = await upstream.receive()
        except ProtocolViolation as violation:
            self._channel.skip(violation.reason, str(violation))
            message = None
        now_s = self._loop.time()
        self.was_drained = now_s - self._heard_s > _WAITED_S
        self._heard_s = now_s
        if self.was_drained:
            self._burst = 0
            self._slice_s = self._burst_s = now_s
            self.deadline.reschedule(now_s + self._times.silence_s)
        return message

    async def take(self, frame: RawFrame) -> None:
        """Ingest a frame; now and then give way."""
        now_s = self._heard_s
        self._burst += 1
        self._channel.ingest(frame, now_s=now_s)
        self._slot.note_frame(now_s)
        self._taken += 1
        if self._taken % _SHOWN == 0 and self._slot.is_wanted:
            self._slot.lend()
            await self._breathe()
            return
        is_over = now_s - self._slice_s > self._times.slice_s
        if is_over or not self._channel.room.is_set():
            await self._breathe()

    async def _breathe(self) -> None:
        """Between two slices: let others run, and wait while there is no room."""
        await asyncio.sleep(self._pause_s())
        if self.is_deafening:
            await self._activity.clear(within_s=_PAGES_FIRST_S)
        room = self._channel.room
        needs_slot = self._slot.was_lent or (self._burst > _BURST and not self._slot.is_held)
        if needs_slot or not room.is_set():
            self.deadline.reschedule(None)
            await room.wait()
            await self._slot.acquire()
        self.restart()

    def _pause_s(self) -> float:
        """As short as can be, or what a flood has to leave to others."""
        if not self.is_deafening or self._burst <= _AT_ONCE:
            return self._times.pause_s
        due_s = self._burst_s + (self._burst - _AT_ONCE) / self._times.gentle_fps
        return max(self._times.pause_s, due_s - self._loop.time())

    def restart(self) -> None:
        """Measure the next wait, and silence, from now."""
        self._heard_s = self._slice_s = self._loop.time()
        self.deadline.reschedule(self._heard_s + self._times.silence_s)


@dataclass(frozen=True, slots=True)
class Feeder:
    """The way from the backend to the logs; one for all channels."""

    backend: Backend
    limiter: ReplayLimiter
    times: FeederTimes
    activity: BackendActivity
    service_token: str | None = None

    async def feed(self, channel: Channel) -> None:
        """Keep the log fed until it is complete, has failed, or nobody watches."""

        def wait_s(_: RetryCallState) -> float:
            return channel.link.retry_in_s

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_NeedsRetry), wait=wait_s, sleep=self.activity.wait
            ):
                with attempt:
                    await self._connection(channel)
        finally:
            channel.step(links.Stopped(), now_s=_now_s())

    async def _connection(self, channel: Channel) -> None:
        """One connection from `play` to its end.

        Raises:
            _NeedsRetry: and `channel.link.retry_in_s` says when.
        """
        await channel.permitted.wait()
        credentials = channel.stream_credentials(self.service_token)
        if credentials is None:
            if not any(
                access.is_granted and access.viewers for access in channel.accesses.values()
            ):
                channel.permitted.clear()
                raise _NeedsRetry
            error = Unauthorized("the backend accepts nobody's credentials for this run's stream")
            channel.fail(error, now_s=_now_s())
            return
        is_waiting = channel.link.state is LinkState.POLLING
        if is_waiting and not await self._is_ready(channel, credentials):
            return
        slot = Slot(self.limiter, expected_s=channel.expected_s)
        try:
            channel.step(links.Connect(), now_s=_now_s())
            asked_s = _now_s()
            await slot.acquire()
            await asyncio.sleep(max(0.0, asked_s + _COMPANIONS_S - _now_s()))
            await self.activity.clear(within_s=_PAGES_FIRST_S)
            async with self.backend.open_stream(channel.run_id, credentials) as upstream:
                self.activity.alive()
                channel.stream_opened(now_s=_now_s())
                await self._read(channel, upstream, slot)
        except LinkLost as lost:
            logger.info("upstream.lost", run_id=channel.run_id, reason=str(lost)[:200])
            if lost.is_unreachable:
                self.activity.lost()
            channel.counters.reconnects += 1
            channel.step(links.Lost(jitter=random()), now_s=_now_s())  # noqa: S311 - spread
        except LinkRefused as refused:
            self._refused(channel, credentials, refused)
        finally:
            slot.release()
        if channel.link.state in _NOT_OVER and channel.listeners:
            raise _NeedsRetry

    def _refused(self, channel: Channel, credentials: Credentials, refused: LinkRefused) -> None:
        """The stream itself was refused: try somebody else's credentials, or give up."""
        if refused.status == 404:
            channel.fail(RunNotFound("the backend has no such run"), now_s=_now_s())
            return
        is_service = self.service_token is not None and "" not in channel.refused_upstream
        channel.refused_upstream.add("" if is_service else credentials.key)
        if channel.stream_credentials(self.service_token) is not None:
            channel.step(links.Lost(jitter=0.0), now_s=_now_s())
            return
        kind = Unauthorized if refused.status == 401 else Forbidden
        channel.fail(kind("the backend refuses the stream of this run"), now_s=_now_s())

    async def _read(self, channel: Channel, upstream: Upstream, slot: Slot) -> None:
        """Read until the stream ends in one way or the other."""
        # Also of a run that is over: a stream that has fallen silent must not hold up all others.
        slot.expect_frames(self.times.load_s)
        reading = _Reading(channel, slot, self.times, self.activity)
        reading.is_deafening = upstream.is_deafening
        try:
            async with asyncio.timeout(self.times.silence_s) as reading.deadline:
                while channel.link.state is LinkState.UP:
                    message = await reading.receive(upstream)
                    if isinstance(message, RawFrame):
                        await reading.take(message)
                    elif message is not None:
                        await self._hear(channel, message, slot, was_drained=reading.was_drained)
                        reading.restart()
        except TimeoutError as exc:
            if reading.deadline.expired():
                msg = f"silent for {self.times.silence_s:g} s"
                raise LinkLost(msg) from exc
            raise

    async def _hear(
        self,
        channel: Channel,
        message: Heartbeat | End | Fault | Echo,
        slot: Slot,
        *,
        was_drained: bool,
    ) -> None:
        """Everything but frames."""
        match message:
            case Heartbeat():
                if was_drained and not channel.link.is_loading(_now_s(), times=channel.times):
                    slot.release()
                await self._quiet(channel, is_drained=was_drained)
            case End():
                slot.release()
                await self._learn_status(channel)
                channel.step(links.EndSaid(), now_s=_now_s())
            case Fault(code="STREAM_ERROR"):
                slot.release()
                await self._learn_status(channel)
                if channel.link.state is LinkState.UP:
                    self._faulted(channel)
            case Fault(code=code):
                channel.skip(Skip.BACKEND_ERROR, f"err {code}")
            case Echo():
                pass

    async def _quiet(self, channel: Channel, *, is_drained: bool) -> None:
        """The socket may be drained: is the run over?"""
        is_news = is_drained and not channel.link.is_terminal
        if is_news:
            await self._learn_status(channel)
        # What the answer took, frames may have used to arrive: only the next hb can end the run.
        is_first = channel.link.quiet_since_s is None
        if channel.link.state is LinkState.UP and (is_first or not is_news):
            channel.step(links.Quiet(is_drained), now_s=_now_s())

    def _faulted(self, channel: Channel) -> None:
        if channel.step(links.StreamFault(), now_s=_now_s()) is LinkState.FAILED:
            message = "the backend cannot play this run: it answers every request with an error"
            channel.fail(BackendUnavailable(message), now_s=_now_s())

    async def _is_ready(self, channel: Channel, credentials: Credentials) -> bool:
        """Whether a run that was not ready may be by now; False if it never will.

        Raises:
            _NeedsRetry: it is not yet; when to ask again is in the link.
        """
        await self._learn_status(channel, credentials)
        if channel.link.state is LinkState.FAILED:
            return False
        if channel.link.is_unready:
            channel.step(links.StreamFault(), now_s=_now_s())
            raise _NeedsRetry
        return True

    async def _learn_status(self, channel: Channel, credentials: Credentials | None = None) -> None:
        """Ask the backend for the run's status; a clear no to it is the end of the channel."""
        credentials = credentials or channel.stream_credentials(self.service_token)
        if credentials is None:
            return
        try:
            channel.note(await self.backend.run_detail(channel.run_id, credentials))
            # Should the run have been made anew, this is where we are stopped.
            await asyncio.sleep(0)
        except RunNotFound as error:
            channel.fail(error, now_s=_now_s())
        except BffError as error:
            logger.info("upstream.status_unknown", run_id=channel.run_id, code=error.code)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
