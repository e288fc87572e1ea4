"""What the jobs' topic needs of the Redis that holds them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from hewston_bff.events.event import EntryId

Fields = Mapping[bytes, bytes]


class UpdateEntry(NamedTuple):
    """An entry of the stream of updates."""

    id: EntryId
    fields: Fields


class StreamExtent(NamedTuple):
    """How far a stream reaches."""

    first: EntryId | None
    """Of the oldest entry that is still there; None: it is empty."""
    last: EntryId
    """The highest id that was ever given."""
    added: int
    """How many entries were ever added."""
    length: int


class JobUpdates(Protocol):
    """The stream of updates, and the records of the jobs. A cancellation loses nothing.

    All raise SourceUnavailable, with words fit for clients, if Redis gives no answer.
    """

    async def extent(self) -> StreamExtent:
        """How far the stream reaches now."""

    async def skew_ms(self) -> int:
        """How far the clock of Redis is ahead of ours."""

    async def page(self, after: EntryId, *, count: int) -> Sequence[UpdateEntry]:
        """The next entries after an id, at once."""

    async def wait(self, after: EntryId, *, count: int) -> Sequence[UpdateEntry]:
        """The next entries after an id, as soon as there are some; none if that takes long."""

    async def entry(self, entry_id: EntryId) -> UpdateEntry | None:
        """One entry; None if it is not there any more."""

    async def known(self, job_ids: Collection[str]) -> set[str]:
        """Those of these jobs that were made and are not forgotten."""

    async def keep(self, job_ids: Collection[str], *, finished: Collection[str]) -> None:
        """Keep records of jobs that showed life; of finished ones without the payload."""

    async def restore(
        self, job_id: str, decide: Callable[[Fields], Mapping[str, str | bytes] | None]
    ) -> bool:
        """Write what `decide` makes of a job's record, unless it changes meanwhile.

        False if `decide` returned None. It may be called again, with the record as it is then.
        """
