"""What keeps one run's log fed: connect, read, wait, again; at most one stream a run.

The backend is asked gently: a stream is read in slices with pauses between them, so that neither
our ticks nor the backend's other requests wait, and only a few streams pour at the same time.
"""

import asyncio
from dataclasses import dataclass
from random import random

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from hewston_bff.core import link as links
from hewston_bff.core.backend_wire import (
    Echo,
    End,
    Fault,
    Heartbeat,
    Message,
    ProtocolViolation,
    RawFrame,
)
from hewston_bff.core.link import LinkState
from hewston_bff.core.skips import Skip
from hewston_bff.errors import BackendUnavailable, BffError, Forbidden, RunNotFound, Unauthorized
from hewston_bff.hub.channel import Channel
from hewston_bff.hub.flood import FloodGate, Place
from hewston_bff.hub.ports import Backend, Credentials, LinkLost, LinkRefused, Upstream

logger = structlog.get_logger(__name__)

_WAITED_S = 0.005
"""A message that took this long to come was not lying in the socket."""
_BURST = 512
"""So many frames without waiting for one are a flood."""


@dataclass(frozen=True, slots=True)
class FeederTimes:
    """Patience with the backend, in seconds."""

    silence_s: float = 60.0
    slice_s: float = 0.002
    pause_s: float = 0.001
    load_s: float = 10.0
    """From `play` to the first frame; a stream that takes longer gives its place up."""


class _NeedsRetry(Exception):
    """The connection ended in a state that asks for another one."""


class _Reading:
    """The pace of reading one stream."""

    deadline: asyncio.Timeout

    def __init__(self, channel: Channel, place: Place, times: FeederTimes) -> None:
        self._channel = channel
        self._place = place
        self._times = times
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._slice_s = self._loop.time()
        self._burst = 0
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
            self._slice_s = now_s
            self.deadline.reschedule(now_s + self._times.silence_s)
        return message

    async def take(self, frame: RawFrame) -> None:
        """Ingest a frame; now and then give way."""
        now_s = self._heard_s
        self._burst += 1
        self._channel.ingest(frame, now_s=now_s)
        self._place.last_frame_s = now_s
        is_over = now_s - self._slice_s > self._times.slice_s
        if is_over or not self._channel.room.is_set():
            await self._breathe()

    async def _breathe(self) -> None:
        """Between two slices: let others run, and wait while there is no room."""
        await asyncio.sleep(self._times.pause_s)
        room = self._channel.room
        if not room.is_set() or (self._burst > _BURST and not self._place.is_held):
            self.deadline.reschedule(None)
            await room.wait()
            await self._place.take()
        self.restart()

    def restart(self) -> None:
        """Measure the next wait, and silence, from now."""
        self._heard_s = self._slice_s = self._loop.time()
        self.deadline.reschedule(self._heard_s + self._times.silence_s)


@dataclass(frozen=True, slots=True)
class Feeder:
    """The way from the backend to the logs; one for all channels."""

    backend: Backend
    gate: FloodGate
    times: FeederTimes
    service_token: str | None = None

    async def feed(self, channel: Channel) -> None:
        """Keep the log fed until it is complete, has failed, or nobody watches."""

        def wait_s(_: RetryCallState) -> float:
            return channel.link.retry_in_s

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_NeedsRetry), wait=wait_s, sleep=asyncio.sleep
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
        place = Place(self.gate)
        try:
            channel.step(links.Connect(), now_s=_now_s())
            await place.take()
            async with self.backend.open_stream(channel.run_id, credentials) as upstream:
                channel.stream_opened(now_s=_now_s())
                await self._read(channel, upstream, place)
        except LinkLost as lost:
            logger.info("upstream.lost", run_id=channel.run_id, reason=str(lost)[:200])
            channel.counters.reconnects += 1
            channel.step(links.Lost(jitter=random()), now_s=_now_s())  # noqa: S311 - spread
        except LinkRefused as refused:
            self._refused(channel, credentials, refused)
        finally:
            place.give_up()
        if channel.link.state in {LinkState.RETRYING, LinkState.POLLING} and channel.listeners:
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

    async def _read(self, channel: Channel, upstream: Upstream, place: Place) -> None:
        """Read until the stream ends in one way or the other."""
        place.keep(self.times.load_s)
        reading = _Reading(channel, place, self.times)
        try:
            async with asyncio.timeout(self.times.silence_s) as reading.deadline:
                while channel.link.state is LinkState.UP:
                    message = await reading.receive(upstream)
                    if isinstance(message, RawFrame):
                        await reading.take(message)
                    elif message is not None:
                        await self._hear(channel, message, place, was_drained=reading.was_drained)
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
        place: Place,
        *,
        was_drained: bool,
    ) -> None:
        """Everything but frames."""
        match message:
            case Heartbeat():
                place.give_up()
                if was_drained:
                    await self._quiet(channel)
            case End():
                place.give_up()
                await self._learn_status(channel)
                channel.step(links.EndSaid(), now_s=_now_s())
            case Fault(code="STREAM_ERROR"):
                place.give_up()
                await self._learn_status(channel)
                if channel.link.state is LinkState.UP:
                    self._faulted(channel)
            case Fault(code=code):
                channel.skip(Skip.BACKEND_ERROR, f"err {code}")
            case Echo():
                pass

    async def _quiet(self, channel: Channel) -> None:
        """The socket is drained: is the run over?"""
        is_news = channel.link.has_frames and not channel.link.is_terminal
        if is_news:
            await self._learn_status(channel)
        # What the answer took, frames may have used to arrive: only the next hb can end the run.
        is_first = channel.link.quiet_since_s is None
        if channel.link.state is LinkState.UP and (is_first or not is_news):
            channel.step(links.Quiet(), now_s=_now_s())

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
