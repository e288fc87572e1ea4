"""What topics, the hub and clients need of each other, as protocols: none imports the other."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from hewston_bff.credentials import ApiCaller, Credentials
from hewston_bff.errors import BffError
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink, SourceStats
from hewston_bff.log.changes import LinkChange, LogChange, Status
from hewston_bff.log.log import AnyLog
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.commands import EventMode
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Notice, SkippedFrames
from hewston_bff.protocol.topics import Topic
from hewston_bff.protocol.updates import Updates

# -- topics


class Delivery(Enum):
    """How records of a kind reach a viewer that asks for no other way."""

    CONFLATE = auto()
    """A playhead plays them from the start, merged to the viewer's `max_fps`."""
    LATEST = auto()
    """From the edge on: the newest state, at most `max_fps` times a second."""
    EVERY = auto()
    """Each record as it comes, none left out: from the start, unless asked for elsewhere."""


class Codec(Protocol):
    """Turns records of one log into messages. A new log gets a new codec."""

    tag: bytes
    """The `t` of its messages."""

    def encode(self, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
        """The text, after its head, of one message for records `start` to `stop` (not empty).

        `lost`: how many records this client has lost so far.

        Raises:
            Evicted: a record of the span is no longer held.
        """

    def snapshot(self, stop: int, *, sid: int | None) -> Notice | None:
        """A decimated picture of the records held before `stop`; None if the kind has none."""

    def figures(self, seq: int, *, sid: int | None) -> Notice | None:
        """Figures over the records up to and including `seq`; None if the kind has no figures.

        Raises:
            Evicted: that record is no longer held.
        """


class PermitView(Protocol):
    """The permits of a topic, as its source sees them."""

    async def wait(self) -> None:
        """Wait until somebody may read. A cancellation loses nothing."""

    def credentials(self) -> Sequence[Credentials]:
        """Those of everyone who watches and may read, oldest permit first."""


class Intake(Protocol):
    """The hub, as a topic's source sees it: a log to read, and `apply` as the only way to write."""

    room: asyncio.Event
    """Cleared while the log must not grow, because the memory limit is reached."""

    @property
    def permits(self) -> PermitView:
        """The permits of the topic."""

    @property
    def log(self) -> AnyLog:
        """The current log; a fork or restart replaces it."""

    @property
    def is_watched(self) -> bool:
        """Whether the topic has listeners."""

    def apply(self, change: LogChange[Any]) -> None:
        """Apply `change` to the log and notify everyone whom it concerns. Never waits."""

    def before_tick(self, act: Callable[[], None]) -> None:
        """Call `act` once, before viewers are served next. It must not raise."""

    def restart(self) -> None:
        """The topic was replaced: cancel `feed`, and call it again for the new log."""


class Source(Protocol):
    """Feeds the log of one topic. Only the source knows how it is connected."""

    async def feed(self) -> None:
        """Apply changes until the log is complete, has failed, or nobody watches.

        A cancellation closes the connection; everything read before it is applied.
        """

    async def permit(self, credentials: Credentials) -> None:
        """Ask whether these credentials may read the topic; returns if they may.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the clear no (`errors.REFUSALS`).
            BackendUnavailable and the like: anything else that is no answer (`errors.OUTAGES`).
        """

    def permitted_at_s(self, credentials: Credentials) -> float | None:
        """When these were last allowed to read, loop time, as far as the source remembers.

        It forgets a yes once a clear no has followed. The hub decides whether it is too old.
        """

    async def wait(self, seconds: float) -> None:
        """Wait for `seconds`, or less if there is a reason to ask sooner."""

    def close(self) -> None:
        """The hub has dropped the topic."""


class TopicKind(Protocol):
    """One kind of topic: a folder below `topics`, registered by `app`."""

    name: str
    delivery: Delivery

    def has(self, name: str) -> bool:
        """Whether `name` is a valid name of this kind."""

    def new_log(self, topic: Topic) -> AnyLog:
        """An empty log."""

    def codec(self, log: AnyLog) -> Codec:
        """A codec for this log."""

    def open(self, topic: Topic, intake: Intake) -> Source:
        """A source for a topic that has a viewer; `close` is called when the hub drops it."""

    def news(self, topic: Topic, status: Status, skipped: SkippedFrames | None) -> Notice | None:
        """The message about the topic as a whole, for viewers that subscribed to it; None: none."""

    def link_news(self, topic: Topic, link: LinkChange) -> Notice | None:
        """The message about the connection to the source, for every viewer; None: none.

        Asked for only while `link` has a status.
        """


# -- kinds of topics that carry events


class EventIntake(Protocol):
    """The hub, as a source of events sees it. No method waits."""

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        """Begin with what the source has; called once, before `publish`.

        `held`: all its events after `floor`, in order; `remembered`: the newest of each topic that
        has none among them. `skew_ms`: how far the clock that makes the ids is ahead of ours.
        """

    def publish(self, events: Sequence[Event]) -> None:
        """Take new events, in order of arrival."""

    def lost(self, lost: Lost, topics: Callable[[str], bool] | None = None) -> None:
        """Events that were written will never come; of the topics with these names, or of all."""

    def link(self, link: SourceLink) -> None:
        """The state of the connection changed."""


class EventSource(Protocol):
    """Feeds one kind of topics. Only the source knows how it is connected."""

    stats: SourceStats

    async def run(self) -> None:
        """Publish events until cancelled; trouble is waited out and told by `link`, not raised."""

    def history(
        self, after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncGenerator[HistoryPage, None]:
        """Events between two ids, both excluded, of topics with wanted names, in pages.

        `wanted` takes a topic's name without its kind. A cancellation loses nothing.

        Raises:
            SourceUnavailable: it cannot be asked now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One kind of topics that carry events; `app` registers it with the hub."""

    name: str
    is_mergeable: Callable[[str], bool]
    """Whether the events of a topic with this name replace each other."""
    default_mode: EventMode
    refusal: Callable[[ApiCaller], BffError | None]
    """Why a caller may not read; None if it may. Asked when it subscribes, and when keys change."""
    open: Callable[[EventIntake], EventSource]
    is_simulated: bool = False
    ring_bytes: int = 64 << 20
    max_topics: int = 20_000
    last_bytes: int = 32 << 20
    """Of the newest events of all topics together."""
    broad: int = 10_000
    """A pattern that matches more topics is served, and its client is told."""


# -- clients


class Framing(Protocol):
    """How an endpoint frames messages."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """The framed message `text`, whose last record is `seq`."""

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:
        """The framed message of an event that stands for `n`; empty if the endpoint has none."""


class Sink(Protocol):
    """One client, as a subscription sees it. No method waits."""

    @property
    def framing(self) -> Framing:
        """One object for all clients of an endpoint: it keys the frames that they share."""

    def can_take(self) -> bool:
        """Whether data may be pushed now; if not, the next span is wider."""

    def push(self, data: bytes) -> None:
        """Send framed data; only after `can_take` returned true."""

    def offer(self, data: bytes) -> bool:
        """Push `data` if `can_take`; whether it was pushed."""

    def notify(self, notice: Notice) -> None:
        """Send a message of the control lane, in order with pushed data."""

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the client soon; nothing more is sent to it."""


class Flushable(Protocol):
    """A client that gathers the messages of one tick."""

    def flush(self) -> None:
        """Write the gathered messages in one go."""

    def crashed(self) -> None:
        """See `Ticked`."""
