"""What the run's topic needs of the platform's backend."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from hewston_bff.credentials import Credentials
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.wire import Message


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


class Describer(Protocol):
    """Who describes runs."""

    async def describe(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float, is_retried: bool
    ) -> RunDescription:
        """What the backend says of a run, asked with these credentials. Cancelled, it stops asking.

        `is_retried`: for a caller who asks once. Lost connections are made up for, and nothing is
        sent while the backend is known to be down. Otherwise it is sent once, in any case.

        Raises:
            RunNotFound, Unauthorized, Forbidden: the backend's clear no.
            BackendUnavailable, BackendTimeout, Busy, RateLimited: anything else that is no answer.
        """


class Backend(Describer, Protocol):
    """The platform's backend as the run's topic sees it."""

    def open_stream(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        """A stream of a run from its frame 0, aborted (not closed politely) on leaving.

        Raises:
            LinkLost: could not be opened in time.
            LinkRefused: 401, 403 or 404.
        """
