"""What the bus source needs of Redis, as protocols: it knows no library and no socket."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from hewston_bff.events.event import EntryId
from hewston_bff.topics.bus.decode import Fields


class BusUnavailable(Exception):
    """Redis cannot be asked; the message is fit for clients: no host, no password.

    `is_deaf`: nobody answered at all, so that asking again soon costs nobody anything.
    """

    def __init__(self, message: str, *, is_deaf: bool = False) -> None:
        super().__init__(message)
        self.is_deaf = is_deaf


class NoStream(Exception):
    """One of the keys that were to be read together holds something else than a stream."""


class StreamEntry(NamedTuple):
    """One entry as it is in Redis."""

    id: EntryId
    fields: Fields


class Batch(NamedTuple):
    """Entries of one stream, oldest first."""

    key: bytes
    entries: Sequence[StreamEntry]


class StreamInfo(NamedTuple):
    """What Redis says of a stream."""

    length: int
    last_id: EntryId
    """The highest id it ever gave, also of an entry that is gone."""
    first_id: EntryId | None
    """The oldest entry; None if it has none."""
    added: int | None
    """How many entries it was ever given; None before Redis 7."""


class Missing(NamedTuple):
    """There is no such key."""


class OtherType(NamedTuple):
    """The key holds something else than a stream."""


KeyState = StreamInfo | Missing | OtherType


class Range(NamedTuple):
    """At most `limit` entries of a stream from `first` to `last`, both included."""

    key: bytes
    first: EntryId
    last: EntryId
    limit: int


class KeyPage(NamedTuple):
    """Keys of some streams; with the cursor 0 the scan is over."""

    cursor: int
    keys: Sequence[bytes]


class BusConnection(Protocol):
    """One connection. Its methods are called one at a time, and each has a deadline of its own.

    All raise `BusUnavailable`; the connection is of no use after that. A cancellation may leave it
    of no use too.
    """

    async def time_ms(self) -> int:
        """The clock that makes the ids: ms since 1970."""

    async def scan(self, cursor: int) -> KeyPage:
        """Some keys of streams, from this cursor on; 0 begins."""

    async def inspect(self, keys: Sequence[bytes]) -> list[KeyState]:
        """What each key holds."""

    async def newest(self, keys: Sequence[bytes], *, count: int) -> list[tuple[StreamInfo, Batch]]:
        """The newest entries of each stream, and what Redis says of it at the same moment.

        Keys that hold no stream are left out. Streams of one call are seen at the same moment too.
        """

    async def before(self, ranges: Sequence[Range]) -> list[Batch]:
        """Of each range the newest entries."""

    async def after(self, ranges: Sequence[Range]) -> list[Batch]:
        """Of each range the oldest entries."""

    async def read(
        self, positions: Sequence[tuple[bytes, EntryId]], *, count: int, block_ms: int
    ) -> list[Batch]:
        """Entries after these ids, at most `count` of each stream; waits for the first one.

        `block_ms` 0 does not wait. Empty if there was none in time.

        Raises:
            NoStream: a key holds something else.
        """


class BusServer(Protocol):
    """Redis, which may be connected to many times."""

    def connect(self) -> AbstractAsyncContextManager[BusConnection]:
        """A connection while the block lasts. Raises `BusUnavailable`."""
