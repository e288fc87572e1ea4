"""A run's source: its log is fed from the backend, by at most one stream at a time."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import random
from typing import Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendUnavailable,
    BffError,
    RunNotFound,
    Subject,
    Unauthorized,
    backend_error,
)
from hewston_bff.log.changes import Append, Complete, Fork, LinkChange, Restart
from hewston_bff.ports import Intake
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.descriptions import RunDescriptions
from hewston_bff.topics.run.link import LinkState, LinkTimes
from hewston_bff.topics.run.ports import Backend, LinkLost, LinkRefused, Upstream
from hewston_bff.topics.run.reading import PAGES_FIRST_S, FeedTimes, Reading
from hewston_bff.topics.run.replay_limiter import ReplayLimiter, Slot
from hewston_bff.topics.run.run_state import Change, RunState
from hewston_bff.topics.run.skips import Skip
from hewston_bff.topics.run.wire import (
    Echo,
    End,
    Fault,
    Heartbeat,
    ProtocolViolation,
    RawFrame,
)

logger = structlog.get_logger(__name__)

_COMPANIONS_S: Final = 0.05
"""A page that opens a stream asks for the run's bars and figures right after it."""
_NOT_OVER: Final = frozenset({LinkState.RETRYING, LinkState.POLLING, LinkState.REPLAYING})
_SERVICE: Final = ""
"""The key of the service's own credentials among those that were refused."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How runs are fed; `service_token`: the credential to open streams with, if there is one."""

    link: LinkTimes = LinkTimes()
    times: FeedTimes = FeedTimes()
    service_token: str | None = field(default=None, repr=False)


class _NeedsRetry(Exception):
    """The connection ended in a state that asks for another one."""


class RunSource:
    """See `ports.Source`."""

    def __init__(
        self,
        run_id: RunId,
        intake: Intake,
        *,
        backend: Backend,
        descriptions: RunDescriptions,
        limiter: ReplayLimiter,
        activity: BackendActivity,
        options: FeedOptions,
        closed: Callable[[], None],
    ) -> None:
        self._run_id = run_id
        self._intake = intake
        self._backend = backend
        self._descriptions = descriptions
        self._limiter = limiter
        self._activity = activity
        self._options = options
        self._closed = closed
        self._refused: set[str] = set()
        """Keys of credentials that the backend refused for the stream itself."""
        self._pending: list[RawFrame] = []
        """Frames of this slice that are not appended yet."""
        self.state = RunState(times=options.link)

    # -- permission and description

    async def permit(self, credentials: Credentials) -> None:
        """See `ports.Source`; the answer is heard like everybody's."""
        await self._descriptions.ask(self._run_id, credentials)

    def permitted_at_s(self, credentials: Credentials) -> float | None:
        """See `ports.Source`."""
        return self._descriptions.permitted_at_s(self._run_id, credentials)

    def hear(self, description: RunDescription) -> None:
        """The backend said this of the run, whoever asked."""
        known = self.state.description
        if known is None or description.asked_s >= known.asked_s:
            self._apply(self.state.describe(description))

    def _recall(self) -> None:
        """Whoever was permitted from memory was told of the run before there was this source."""
        for credentials in self._intake.permits.credentials():
            description = self._descriptions.last(self._run_id, credentials)
            if description is not None:
                self.hear(description)
                return

    async def wait(self, seconds: float) -> None:
        """See `ports.Source`: any answer of a lost backend ends it."""
        await self._activity.wait(seconds)

    def close(self) -> None:
        """See `ports.Source`."""
        self._closed()

    # -- feeding

    async def feed(self) -> None:
        """See `ports.Source`."""

        def wait_s(_: RetryCallState) -> float:
            return self.state.link.retry_in_s

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_NeedsRetry), wait=wait_s, sleep=self.wait
            ):
                with attempt:
                    await self._connection()
        except asyncio.CancelledError:
            # The next viewers may have other credentials.
            self._refused.clear()
            raise
        finally:
            self._flush()
            self._step(links.Stopped())

    async def _connection(self) -> None:
        """One connection from `play` to its end.

        Raises:
            _NeedsRetry: connect again after the link's `retry_in_s`.
        """
        await self._intake.permits.wait()
        if self.state.description is None:
            self._recall()
        credentials = self._credentials()
        if credentials is None:
            self._fail(
                Unauthorized(
                    "the backend refuses this stream to everyone who watches: sign in again"
                )
            )
            return
        is_waiting = self.state.link.state is LinkState.POLLING
        if is_waiting and not await self._is_ready(credentials):
            return
        slot = Slot(self._limiter, expected_s=self.state.expected_s)
        try:
            self._step(links.Connect())
            asked_s = _now_s()
            await slot.acquire()
            await asyncio.sleep(max(0.0, asked_s + _COMPANIONS_S - _now_s()))
            await self._activity.clear(within_s=PAGES_FIRST_S)
            async with self._backend.open_stream(self._run_id, credentials) as upstream:
                self._activity.alive()
                self._apply(self.state.opened(self._intake.log, now_s=_now_s()))
                await self._read(upstream, slot)
        except LinkLost as lost:
            logger.info("upstream.lost", run_id=self._run_id, reason=str(lost)[:200])
            if lost.is_unreachable:
                self._activity.lost()
            self._step(links.ConnectionLost(jitter=random()))  # noqa: S311 - spread
        except LinkRefused as refused:
            self._stream_refused(credentials, refused)
        finally:
            slot.release()
        if self.state.link.state in _NOT_OVER and self._intake.is_watched:
            raise _NeedsRetry

    def _credentials(self) -> Credentials | None:
        """Credentials for the stream: the service's, else a permitted viewer's; None if none."""
        permitted, token = self._intake.permits.credentials(), self._options.service_token
        if permitted and token is not None and _SERVICE not in self._refused:
            return Credentials(authorization=f"Bearer {token}")
        return next((each for each in permitted if each.key not in self._refused), None)

    def _stream_refused(self, credentials: Credentials, refused: LinkRefused) -> None:
        """The stream itself was refused: try somebody else's credentials, or give up."""
        error = backend_error(refused.status, Subject.STREAM)
        if isinstance(error, RunNotFound):
            self._fail(error)
            return
        is_service = self._options.service_token is not None and _SERVICE not in self._refused
        self._refused.add(_SERVICE if is_service else credentials.key)
        if self._credentials() is not None:
            self._step(links.ConnectionLost(jitter=0.0))
            return
        self._fail(error)

    async def _read(self, upstream: Upstream, slot: Slot) -> None:
        """Read until the stream ends or is lost."""
        # Also for a run that is over: a stream that falls silent must not hold up all others.
        times = self._options.times
        slot.expect_frames(times.load_s)
        reading = Reading(
            self._intake.room, slot, times, self._activity, is_deafening=upstream.is_deafening
        )
        try:
            async with asyncio.timeout(times.silence_s) as reading.deadline:
                while self.state.link.state is LinkState.UP:
                    message = await reading.receive(upstream)
                    if isinstance(message, RawFrame):
                        self._take(message, reading)
                        is_over = reading.is_slice_over(slot)
                    elif isinstance(message, ProtocolViolation):
                        self._skip(message.reason, str(message))
                        is_over = reading.is_slice_over(None)
                    else:
                        is_over = False
                        self._flush()
                        await self._hear(message, slot, was_drained=reading.was_drained)
                        reading.restart()
                    if is_over:
                        self._flush()
                        await reading.give_way()
        except TimeoutError as exc:
            if reading.deadline.expired():
                msg = f"silent for {times.silence_s:g} s"
                raise LinkLost(msg) from exc
            raise

    def _take(self, frame: RawFrame, reading: Reading) -> None:
        """A frame of the stream: of a flood, those of a slice are one change."""
        changes = self.state.take(frame, now_s=reading.heard_s)
        if changes is not None:
            self._flush()
            self._apply(changes)
            return
        self._pending.append(frame)
        if not reading.is_flood:
            self._flush()
        elif len(self._pending) == 1:
            # It runs as soon as reading has to wait, should that be before the slice is over; and
            # before anyone is served, who would otherwise be shown less than there is.
            asyncio.get_running_loop().call_soon(self._flush)
            self._intake.before_tick(self._flush)

    async def _hear(
        self,
        message: Heartbeat | End | Fault | Echo,
        slot: Slot,
        *,
        was_drained: bool,
    ) -> None:
        """Handle a message that is not a frame."""
        match message:
            case Heartbeat():
                is_loading = self.state.link.is_loading(_now_s(), times=self.state.times)
                if was_drained and not is_loading:
                    slot.release()
                await self._quiet(is_drained=was_drained)
            case End():
                slot.release()
                await self._learn_status()
                self._step(links.EndSaid())
            case Fault(code="STREAM_ERROR"):
                slot.release()
                await self._learn_status()
                if self.state.link.state is LinkState.UP:
                    self._faulted()
            case Fault(code=code):
                self._skip(Skip.BACKEND_ERROR, f"err {code}")
            case Echo():
                pass

    async def _quiet(self, *, is_drained: bool) -> None:
        """Handle an `hb`: if the socket is drained, the run may be over."""
        is_news = is_drained and not self.state.link.is_terminal
        if is_news:
            await self._learn_status()
        # Frames may have arrived while the answer was awaited: only the next hb can end the run.
        link = self.state.link
        if link.state is LinkState.UP and (link.quiet_since_s is None or not is_news):
            self._step(links.Quiet(is_drained))

    def _faulted(self) -> None:
        self._step(links.StreamFault())
        if self.state.link.state is LinkState.FAILED:
            message = "the backend cannot play this run: it answers every attempt with an error"
            self._fail(BackendUnavailable(message))

    async def _is_ready(self, credentials: Credentials) -> bool:
        """Whether a run that was not ready may be ready now; False if it never will be.

        Raises:
            _NeedsRetry: not yet; the link says when to ask again.
        """
        await self._learn_status(credentials)
        if self.state.link.state is LinkState.FAILED:
            return False
        if self.state.link.is_unready:
            self._step(links.StreamFault())
            raise _NeedsRetry
        return True

    async def _learn_status(self, credentials: Credentials | None = None) -> None:
        """Ask the backend for the run's status; a clear refusal ends the feed."""
        credentials = credentials or self._credentials()
        if credentials is None:
            return
        try:
            await self._descriptions.ask(self._run_id, credentials)
            # Should the run have been made anew, this is where we are stopped.
            await asyncio.sleep(0)
        except RunNotFound as error:
            self._fail(error)
        except BffError as error:
            logger.info("upstream.status_unknown", run_id=self._run_id, code=error.code)

    # -- changes

    def _step(self, event: links.LinkEvent) -> None:
        self._apply(self.state.step(event, now_s=_now_s()))

    def _fail(self, error: BffError) -> None:
        logger.warning("run.failed", run_id=self._run_id, code=error.code)
        self._apply(self.state.fail(error.code, error.message, error.details, now_s=_now_s()))

    def _skip(self, reason: Skip, text: str) -> None:
        self._apply(self.state.skip(reason), text=text)

    def _flush(self) -> None:
        """Append the frames read in this slice."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._intake.apply(Append(self._intake.log.next_seq, pending))

    def _apply(self, changes: Iterable[Change], *, text: str = "a frame, or a part of one") -> None:
        """Apply changes and log them; `text` describes what was skipped, if something was."""
        intake = self._intake
        skipped = self.state.skips.total
        for change in changes:
            intake.apply(change)
            if isinstance(change, Fork):
                logger.warning("run.diverged", run_id=self._run_id, epoch=intake.log.epoch)
                self.state.forked(intake.log)
            elif isinstance(change, Restart):
                logger.warning("run.remade", run_id=self._run_id)
                self._pending.clear()
                self._descriptions.forget(self._run_id)
                intake.restart()
            elif isinstance(change, Complete):
                logger.info("run.complete", run_id=self._run_id, frames=intake.log.next_seq)
            elif isinstance(change, LinkChange) and change.status == "retrying":
                logger.info(
                    "upstream.retrying",
                    run_id=self._run_id,
                    attempt=change.attempt,
                    retry_in_s=change.retry_in_ms / 1e3,
                )
        count = self.state.skips.total
        if count > skipped and count & (count - 1) == 0:
            reason = self.state.skips.last
            logger.warning(
                "upstream.skipped", run_id=self._run_id, count=count, reason=reason, text=text[:200]
            )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
