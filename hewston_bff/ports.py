"""Where hub and topics meet each other, and the clients: what each needs of the others."""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Protocol

from hewston_bff.credentials import Credentials
from hewston_bff.log.changes import LogChange, Status
from hewston_bff.log.log import AnyLog
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Notice, SkippedFrames
from hewston_bff.protocol.topics import Topic
from hewston_bff.protocol.updates import Updates

# -- topics


class Delivery(Enum):
    """How a kind's records reach a viewer that asks for nothing else."""

    CONFLATE = auto()
    """By a playhead from the start, merged to the rate that the viewer takes."""
    LATEST = auto()
    """From the edge, the newest state at the rate that the viewer takes."""
    EVERY = auto()
    """From the edge, each record as it comes."""


class Codec(Protocol):
    """The payload of one log, as messages. It is made anew with the log."""

    tag: bytes
    """What `t` of its messages says."""

    def encode(self, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
        """Records `start` to `stop` (not empty) as the text of one message after its head.

        `lost` is how many the client has lost before.

        Raises:
            Evicted: a record of the span is no longer held.
        """

    def snapshot(self, stop: int, *, sid: int | None) -> Notice | None:
        """A picture of all that is held before `stop`; None if the kind has no such thing."""

    def figures(self, seq: int, *, sid: int | None) -> Notice | None:
        """What the records up to and with `seq` come to; None if the kind has no figures.

        Raises:
            Evicted: that record is no longer held.
        """


class PermitView(Protocol):
    """Who may read a topic now, as its source sees it."""

    async def wait(self) -> None:
        """Wait until somebody may. A cancellation loses nothing."""

    def credentials(self) -> Sequence[Credentials]:
        """Of all who watch and may, those who have been there longest first."""


class Intake(Protocol):
    """A topic's place in the hub, as its source sees it: it reads the log, and only `apply`s."""

    room: asyncio.Event
    """Cleared while the log may not grow, because memory is used up."""

    @property
    def permits(self) -> PermitView:
        """Who may read the topic."""

    @property
    def log(self) -> AnyLog:
        """The log as it stands now; after a fork or restart another one."""

    @property
    def is_watched(self) -> bool:
        """Whether somebody hears of it."""

    def apply(self, change: LogChange[Any]) -> None:
        """Have `change` happen to the log, and everyone concerned hear of it."""

    def before_tick(self, act: Callable[[], None]) -> None:
        """Call `act` once, before viewers are served next. It must not raise."""

    def restart(self) -> None:
        """The topic was made anew: `feed` is cancelled, and called again for the new log."""


class Source(Protocol):
    """Where one topic's log comes from. All that is known of its connection is in here."""

    async def feed(self) -> None:
        """Apply changes until the log is complete, has failed, or nobody watches.

        A cancellation closes the connection; what was read before is applied.
        """

    async def permit(self, credentials: Credentials) -> None:
        """Ask whether these may read; a return is a yes.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the clear no (`errors.REFUSALS`).
            BackendUnavailable and the like: anything else that is no answer (`errors.OUTAGES`).
        """

    def permitted_at_s(self, credentials: Credentials) -> float | None:
        """When these were last allowed to read, loop time, as far as the source remembers.

        It forgets a yes once a clear no has followed. The hub decides whether it is too old.
        """

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until there is reason to ask sooner."""

    def close(self) -> None:
        """The topic is let go of."""


class TopicKind(Protocol):
    """One kind of topics: a folder below `topics`, registered by `app`."""

    name: str
    delivery: Delivery

    def has(self, name: str) -> bool:
        """Whether `name` can be a topic of this kind."""

    def new_log(self, topic: Topic) -> AnyLog:
        """An empty log."""

    def codec(self, log: AnyLog) -> Codec:
        """What makes messages of this log's records."""

    def open(self, topic: Topic, intake: Intake) -> Source:
        """The source of a topic that somebody wants; `close`d when it is let go of."""

    def news(self, topic: Topic, status: Status, skipped: SkippedFrames | None) -> Notice | None:
        """What viewers that want it are told of the topic as a whole; None for nothing."""


# -- clients


class Framing(Protocol):
    """How an endpoint puts messages on the wire."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """A message whose last record is `seq`."""


class Sink(Protocol):
    """One client, as a subscription sees it. Nothing here waits."""

    @property
    def framing(self) -> Framing:
        """The same object for all clients of a kind of endpoint: frames are shared by it."""

    def can_take(self) -> bool:
        """Whether data may be pushed now; if not, the pending span just widens."""

    def push(self, data: bytes) -> None:
        """Framed data, after `can_take`."""

    def offer(self, data: bytes) -> bool:
        """`can_take` and, if so, `push`, in one; whether it was taken."""

    def notify(self, notice: Notice) -> None:
        """A message of the control lane, in order with what was pushed."""

    def end(self, code: CloseCode, reason: str) -> None:
        """Let the client go, soon; nothing more is sent to it."""


class Flushable(Protocol):
    """A client that gathers what one tick gives it."""

    def flush(self) -> None:
        """Write what was gathered, at once."""

    def crashed(self) -> None:
        """See `Ticked`."""
