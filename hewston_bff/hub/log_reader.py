"""A reader of one topic's log without playback: it waits for records that are still to come."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from sys import maxsize

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError, error_of
from hewston_bff.events.event import Event
from hewston_bff.hub.audience import Audience
from hewston_bff.hub.channel import FailureNews, ResetNews, SkippedNews
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.permits import Permit
from hewston_bff.log.log import AnyLog
from hewston_bff.ports import Sink
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Notice, SkippedFrames
from hewston_bff.protocol.topics import Topic


class _Nowhere:
    """The sink of a listener without a client."""

    @property
    def framing(self) -> "_Nowhere":
        return self

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:  # noqa: ARG002 - a port
        return text

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:  # noqa: ARG002 - a port
        return b""

    def can_take(self) -> bool:
        return False

    def push(self, data: bytes) -> None:
        """Discard."""

    def offer(self, data: bytes) -> bool:  # noqa: ARG002 - a port
        return False

    def notify(self, notice: Notice) -> None:
        """Discard."""

    def end(self, code: CloseCode, reason: str) -> None:
        """Do nothing: there is no client."""


class LogReader:
    """A listener: while it listens, the topic is fed and records from `next_seq` on are held."""

    sink: Sink = _Nowhere()
    wants_status = False
    reads_status = False

    def __init__(self, audience: Audience, permit: Permit) -> None:
        self.permit = permit
        self.scheduled = -1
        self.is_waiting = False
        self.is_answered = False
        self.next_seq = 0
        """The oldest record that is still needed; the caller advances it."""
        self._audience = audience
        self._failure: BffError | None = None
        self._news = asyncio.Event()

    async def until(self, is_enough: Callable[[AnyLog], bool]) -> AnyLog:
        """Wait until the log may be read and `is_enough`; returns it. A cancellation loses nothing.

        Raises:
            RunNotFound, Unauthorized, Forbidden: permission was refused.
            BffError: no more records will come.
        """
        while True:
            log = self._audience.channel.log
            if self.permit.is_granted and is_enough(log):
                return log
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            self._audience.wait(self)
            await self._news.wait()

    @property
    def skipped(self) -> SkippedFrames | None:
        """What is missing from the log; look at it after reading."""
        return self._audience.channel.skipped

    def tick(self, now_s: float) -> float:  # noqa: ARG002 - called by the ticker
        """See `Ticked`: the log has grown, or is complete."""
        self._news.set()
        return inf

    def crashed(self) -> None:
        """See `Ticked`."""
        self._fail(
            BffError("this run cannot be read because of an error on this server, which was logged")
        )

    def needs(self) -> range:
        """See `Listener`."""
        return range(self.next_seq, maxsize)

    def close(self) -> None:
        """See `Listener`."""
        self._audience.stop_waiting(self)

    def permitted(self) -> None:
        """See `Listener`."""
        self._news.set()

    def suspended(self) -> None:
        """See `Listener`: `until` waits until permission is granted again."""

    def refused(self, error: BffError) -> None:
        """See `Listener`."""
        self._fail(error)

    def hear(self, news: ResetNews | SkippedNews | FailureNews) -> None:
        """See `Listener`: `until` returns the log of the new epoch, or raises."""
        match news:
            case ResetNews():
                self._news.set()
            case FailureNews(failure):
                self._fail(error_of(failure.code, failure.message, failure.details))
            case SkippedNews():
                pass

    def _fail(self, error: BffError) -> None:
        self._failure = error
        self._news.set()


@contextmanager
def reading(hub: Hub, topic: Topic, credentials: Credentials) -> Iterator[LogReader]:
    """A reader of `topic`, which reads once the source permits these credentials.

    Raises:
        LimitReached: the memory limit is reached by what is being watched.
    """
    permit = hub.acquire(topic, credentials)
    reader = LogReader(hub.audience(topic), permit)
    try:
        hub.add(reader)
        yield reader
    finally:
        hub.remove(reader)
        hub.release(permit)
