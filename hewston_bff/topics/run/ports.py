"""What the run's topic needs of the platform's backend."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from hewston_bff.credentials import Credentials
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.wire import Message


class LinkLost(Exception):
    """The connection to the backend broke or could not be made; the text is for the log."""

    def __init__(self, reason: str, *, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.is_unreachable = is_unreachable
        """Whether the backend could not be connected to."""


class LinkRefused(Exception):
    """The backend clearly refused the connection: HTTP `status` 401, 403 or 404."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Upstream(Protocol):
    """One open stream of one run, `play` already sent."""

    @property
    def is_deafening(self) -> bool:
        """Whether the backend answers nothing else while this is read at full speed."""

    async def receive(self) -> Message:
        """The next message; a cancellation loses nothing.

        Raises:
            ProtocolViolation: the message is to be counted and skipped.
            LinkLost: the stream broke.
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
        """A stream of a run from its frame 0; leaving aborts the connection.

        Raises:
            LinkLost: it could not be opened in time.
            LinkRefused: 401, 403 or 404.
        """
