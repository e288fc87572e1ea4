"""What the hub needs from outside."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.ids import Epoch, RunId
from hewston_bff.protocol.notices import Notice
from hewston_bff.topics.run.identity import NOTHING_TOLD, RunIdentity
from hewston_bff.topics.run.wire import Message

INTERNAL_REASON = "something went wrong here, and was logged: come back and resume"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client proves itself with to the backend. Never shown: not in repr, logs or stats."""

    authorization: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """A digest that is the same for the same credentials and tells nothing of them."""
        text = f"{self.authorization or ''}\0{self.cookie or ''}"
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def headers(self) -> dict[str, str]:
        """The request headers that carry them."""
        pairs = (("Authorization", self.authorization), ("Cookie", self.cookie))
        return {name: value for name, value in pairs if value is not None}


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What the backend says of a run; None for what it does not say."""

    status: str | None = None
    progress: float | None = None
    identity: RunIdentity = NOTHING_TOLD
    """Which run it is: an id can be made anew."""
    asked_s: float = field(default=0.0, compare=False)
    told_s: float = field(default=0.0, compare=False)
    """When the backend was asked, and when it had answered; seconds of the loop."""
    days: float | None = field(default=None, compare=False)
    """How many days of the market the run goes over."""

    def is_overtaken(self, by: "RunDetail") -> bool:
        """Whether it was asked for before the other answer came, and may be of before it."""
        return self.asked_s < by.told_s


class LinkLost(Exception):
    """The connection to the backend is gone, or could not be had; the text is for the log."""

    def __init__(self, reason: str, *, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.is_unreachable = is_unreachable
        """Whether nobody listens where the backend should be."""


class LinkRefused(Exception):
    """The backend refuses the connection, clearly: HTTP `status` 401, 403 or 404."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Upstream(Protocol):
    """One open stream of one run, `play` already sent."""

    @property
    def is_deafening(self) -> bool:
        """Whether the backend serves nobody else while this is read as fast as it comes."""

    async def receive(self) -> Message:
        """The next message; a cancellation loses nothing.

        Raises:
            ProtocolViolation: a message to count and skip.
            LinkLost: the stream is gone.
        """


class Backend(Protocol):
    """The platform's backend as the hub sees it."""

    def open_stream(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        """A stream of a run from its frame 0, aborted (not closed politely) on leaving.

        Raises:
            LinkLost: could not be opened in time.
            LinkRefused: 401, 403 or 404.
        """

    async def run_detail(self, run_id: RunId, credentials: Credentials) -> RunDetail:
        """What the backend says of a run, asked with these credentials.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the backend's clear no.
            BackendUnavailable: anything else that is no answer.
        """


class Framing(Protocol):
    """How a door puts messages on the wire."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """A `frame` message whose last frame is `seq`."""


class Sink(Protocol):
    """One client, as a subscription sees it. Nothing here waits."""

    @property
    def framing(self) -> Framing:
        """The same object for all clients of a kind of door: frames are shared by it."""

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
