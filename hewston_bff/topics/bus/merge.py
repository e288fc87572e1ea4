"""Entries of many streams, read in batches, in the order of their ids."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from hewston_bff.events.event import EntryId
from hewston_bff.topics.bus.ports import Batch, StreamEntry


class Arrival(NamedTuple):
    """An entry and its stream's key."""

    key: bytes
    entry: StreamEntry


class OrderedMerge:
    """Holds back what might have to come after something that is not read yet.

    A stream whose batch was cut short may have more entries right after the batch's last one. So
    nothing above the smallest such id goes out; streams that are held back are not read further,
    else they would pile up while one catches up.
    """

    def __init__(self) -> None:
        self._held: dict[bytes, deque[StreamEntry]] = {}

    def __contains__(self, key: bytes) -> bool:
        """Whether entries of this stream are held back."""
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def drop(self, key: bytes) -> None:
        """Forget what is held back of a stream."""
        self._held.pop(key, None)

    def add(
        self, batches: Iterable[Batch], *, count: int, open_keys: Collection[bytes] | None = None
    ) -> list[Arrival]:
        """Take what was read of streams that hold nothing back; return what may go out, in order.

        A batch of `count` entries was cut short. `open_keys`: the streams that may have more than
        is held back; by default all.
        """
        limits = [
            entries[-1].id
            for key, entries in self._held.items()
            if open_keys is None or key in open_keys
        ]
        for key, entries in batches:
            if entries:
                self._held[key] = deque(entries)
                if len(entries) >= count:
                    limits.append(entries[-1].id)
        limit = min(limits, default=None)
        taken = [list(self._take(key, limit)) for key in list(self._held)]
        if len(taken) == 1:
            return taken[0]
        return list(merge(*taken, key=_by_id))

    def _take(self, key: bytes, limit: EntryId | None) -> Iterator[Arrival]:
        held = self._held[key]
        while held and (limit is None or held[0].id <= limit):
            yield Arrival(key, held.popleft())
        if not held:
            del self._held[key]


def _by_id(arrival: Arrival) -> EntryId:
    return arrival.entry.id
