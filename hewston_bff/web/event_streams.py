"""Event streams that take commands, by their ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hewston_bff.credentials import Credentials
from hewston_bff.errors import Forbidden, NotFound
from hewston_bff.net.clients.session import Session


@dataclass(slots=True)
class EventStreams:
    """Those that are open. An id is a secret of its client's: 192 random bits."""

    _open: dict[str, tuple[Session, Credentials]] = field(default_factory=dict)

    @contextmanager
    def joined(self, stream_id: str, session: Session, credentials: Credentials) -> Iterator[None]:
        """Have the stream found while the block lasts."""
        self._open[stream_id] = (session, credentials)
        try:
            yield
        finally:
            del self._open[stream_id]

    def find(self, stream_id: str, credentials: Credentials) -> Session:
        """The stream of an id, for who opened it.

        Raises:
            NotFound: there is none (any more).
            Forbidden: it was opened with other credentials.
        """
        found = self._open.get(stream_id)
        if found is None or found[0].writer.is_ended:
            raise NotFound(
                "no such event stream, or it has ended: open one at /api/v1/events, and subscribe "
                "with `resume` to go on"
            )
        session, own = found
        if own.key != credentials.key:
            raise Forbidden(
                "this event stream was opened with other credentials: open one with these"
            )
        return session
