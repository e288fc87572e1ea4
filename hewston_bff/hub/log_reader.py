"""A reader of one run's log that plays nothing: it waits for what is not there yet."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from hewston_bff.errors import BffError
from hewston_bff.hub.channel import Channel
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.permits import Access
from hewston_bff.ports import Credentials, Sink
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.ids import Epoch, RunId
from hewston_bff.protocol.notices import Notice, ResetReason, Skipped
from hewston_bff.topics.run.frame_log import FrameLog


class _Nowhere:
    """The sink of a listener that is told nothing."""

    @property
    def framing(self) -> "_Nowhere":
        return self

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:  # noqa: ARG002 - a port
        return text

    def can_take(self) -> bool:
        return False

    def push(self, data: bytes) -> None:
        """Nothing is pushed here."""

    def offer(self, data: bytes) -> bool:  # noqa: ARG002 - a port
        return False

    def notify(self, notice: Notice) -> None:
        """Nobody is told."""

    def end(self, code: CloseCode, reason: str) -> None:
        """Nobody is there to go."""


class LogReader:
    """A `Listener`: while it is attached the run is fed, and frames from `next_seq` on are held."""

    sink: Sink = _Nowhere()
    wants_run_news = False
    reads_run_news = False

    def __init__(self, channel: Channel, access: Access) -> None:
        self.access = access
        self.scheduled = -1
        self.is_waiting = False
        self.is_closed = False
        self.is_answered = False
        self.next_seq = 0
        """The oldest frame that is still needed; the reader's to move."""
        self._channel = channel
        self._failure: BffError | None = None
        self._news = asyncio.Event()

    async def until(self, is_enough: Callable[[FrameLog], bool]) -> FrameLog:
        """The log, once the backend allows it and there `is_enough` of it.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the backend's no.
            BffError: nothing more will come.
        """
        while True:
            log = self._channel.log
            if self.access.is_granted and is_enough(log):
                return log
            if self._failure is not None:
                raise type(self._failure)(self._failure.message)
            self._news.clear()
            self.is_waiting = True
            self._channel.waiting[self] = None
            await self._news.wait()

    def tick(self, now_s: float) -> float:  # noqa: ARG002 - called by the ticker
        """See `Ticked`: the log has grown, or is complete."""
        self._news.set()
        return inf

    def crashed(self) -> None:
        """See `Ticked`."""
        self._failure = BffError("this run cannot be read because of an error here; it was logged")
        self._news.set()

    def position(self) -> int:
        """See `Listener`."""
        return self.next_seq

    def close(self) -> None:
        """See `Listener`."""
        self._channel.waiting.pop(self, None)
        self.is_closed = True

    def on_granted(self) -> None:
        """See `Listener`."""
        self._news.set()

    def on_suspended(self) -> None:
        """See `Listener`: `until` waits for the next yes."""

    def on_reset(self, old: FrameLog, reason: ResetReason) -> None:  # noqa: ARG002 - a port
        """See `Listener`: `until` returns the log of the new epoch."""
        self._news.set()

    def on_skipped(self, skipped: Skipped) -> None:
        """See `Listener`: whoever reads the log looks at `skipped` when it has what it wanted."""

    @property
    def skipped(self) -> Skipped | None:
        """What was left out of the log."""
        return self._channel.skipped

    def on_failed(self, error: BffError) -> None:
        """See `Listener`."""
        self._failure = error
        self._news.set()

    def on_refused(self, error: BffError) -> None:
        """See `Listener`."""
        self._failure = error
        self._news.set()


@contextmanager
def reading(hub: Hub, run_id: RunId, credentials: Credentials) -> Iterator[LogReader]:
    """A reader of this run, permitted by the backend before it reads.

    Raises:
        LimitReached: memory is used up by runs that are being watched.
    """
    access = hub.enter(run_id, credentials)
    reader = LogReader(hub.channel_of(access), access)
    try:
        hub.attach(reader)
        yield reader
    finally:
        hub.detach(reader)
        hub.leave(access)
