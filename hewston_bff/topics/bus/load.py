"""What is in Redis when the source first connects: the newest of every stream, within a budget."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.topics.bus.ports import Batch, BusConnection, Range, StreamEntry
from hewston_bff.topics.bus.stream import Stream, previous

_KEYS_AT_ONCE: Final = 256
_FIRST_COUNT: Final = 16
_MOST_COUNT: Final = 2_048
_PAGE_BYTES: Final = 2 << 20
_STREAMS_AT_ONCE: Final = 8
_SLICE: Final = 128

Take = Callable[[Stream, StreamEntry], Event | None]


class Loaded(NamedTuple):
    """See `EventIntake.begin`."""

    remembered: list[Event]
    held: list[Event]
    floor: EntryId


@dataclass(slots=True)
class _Tail:
    """The end of one stream, read backwards."""

    stream: Stream
    oldest: EntryId
    is_whole: bool = False
    entries: int = 0
    size_bytes: int = 0
    events: list[Event] = field(default_factory=list)
    """Newest first."""

    def next_range(self) -> Range:
        """The page before what is read, of about two MiB."""
        mean_bytes = self.size_bytes // max(1, self.entries) or 1
        count = min(_MOST_COUNT, max(1, _PAGE_BYTES // mean_bytes))
        return Range(self.stream.key, FIRST_ID, previous(self.oldest), count)


async def load(
    connection: BusConnection, streams: Sequence[Stream], take: Take, *, max_bytes: int
) -> Loaded:
    """Read streams backwards, always the one whose unread part is newest, until the budget is used.

    Each stream then goes on after what it held. `take` is called for each entry, newest first.
    Raises `BusUnavailable`; a cancellation or an error leaves the streams as if begun.
    """
    tails: dict[bytes, _Tail] = {}
    by_key = {stream.key: stream for stream in streams}
    total_bytes = 0
    count = max(1, min(_FIRST_COUNT, 8 * _KEYS_AT_ONCE * _FIRST_COUNT // max(1, len(by_key))))
    for keys in _chunks(list(by_key)):
        for info, batch in await connection.newest(keys, count=count):
            stream = by_key[batch.key]
            stream.begin(info)
            tail = tails[batch.key] = _Tail(stream, info.last_id)
            total_bytes += await _add(tail, batch, take, count=count)
    while total_bytes < max_bytes and (behind := _newest_unread(tails)):
        ranges = [tail.next_range() for tail in behind]
        counts = {one.key: one.limit for one in ranges}
        for batch in await connection.before(ranges):
            tail = tails[batch.key]
            total_bytes += await _add(tail, batch, take, count=counts[batch.key])
    return _arranged(tails.values())


def _chunks(keys: list[bytes]) -> list[list[bytes]]:
    return [list(keys[at : at + _KEYS_AT_ONCE]) for at in range(0, len(keys), _KEYS_AT_ONCE)]


def _newest_unread(tails: dict[bytes, _Tail]) -> list[_Tail]:
    unread = [tail for tail in tails.values() if not tail.is_whole]
    return sorted(unread, key=lambda tail: tail.oldest, reverse=True)[:_STREAMS_AT_ONCE]


async def _add(tail: _Tail, batch: Batch, take: Take, *, count: int) -> int:
    """Take a page that ends where the last one began; how large its events are."""
    added_bytes = 0
    tail.is_whole = len(batch.entries) < count
    for at in range(0, len(batch.entries), _SLICE):
        stop = len(batch.entries) - at
        for entry in reversed(batch.entries[max(0, stop - _SLICE) : stop]):
            tail.oldest = entry.id
            tail.entries += 1
            tail.size_bytes += sum(map(len, entry.fields.values()))
            event = take(tail.stream, entry)
            if event is not None:
                tail.events.append(event)
                added_bytes += event.size_bytes
        # Whoever is served meanwhile must not wait for all of it.
        await asyncio.sleep(0)
    return added_bytes


def _arranged(tails: Collection[_Tail]) -> Loaded:
    floor = max((previous(tail.oldest) for tail in tails if not tail.is_whole), default=FIRST_ID)
    events = sorted((e for tail in tails for e in reversed(tail.events)), key=_id)
    held = [event for event in events if event.id > floor]
    present = {event.topic for event in held}
    older: dict[str, Event] = {}
    for event in events:
        if event.id <= floor and event.topic not in present:
            older.pop(event.topic, None)
            older[event.topic] = event
    return Loaded(list(older.values()), held, floor)


def _id(event: Event) -> EntryId:
    return event.id
