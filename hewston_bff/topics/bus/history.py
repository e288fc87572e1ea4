"""Older events, straight from Redis, in pages."""

from collections.abc import AsyncGenerator, Callable, Sequence

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost
from hewston_bff.topics.bus.merge import OrderedMerge
from hewston_bff.topics.bus.ports import Batch, BusConnection, Range, StreamEntry, StreamInfo
from hewston_bff.topics.bus.stream import Stream, following, previous

_PAGE_ENTRIES = 2_000
_PAGE_BYTES = 4 << 20
_FEWEST = 16
_MOST = 128
_KEYS_AT_ONCE = 256

Decode = Callable[[Stream, StreamEntry], Event | None]


async def pages(
    connection: BusConnection,
    streams: Sequence[Stream],
    decode: Decode,
    *,
    after: EntryId,
    before: EntryId,
) -> AsyncGenerator[HistoryPage, None]:
    """See `EventSource.history`; `decode` gives None for events that are not wanted.

    If entries after `after` may have been removed, the first page says so. Before the very first
    id nothing can be missed: who asks from there takes what there is.
    """
    by_key = {stream.key: stream for stream in streams}
    first, last = following(after), previous(before)
    if first > last or not by_key:
        return
    lost = None if after == FIRST_ID else await _lost(connection, list(by_key), after, last)
    if lost is not None:
        yield HistoryPage([], lost)
    starts = dict.fromkeys(by_key, first)
    waiting = OrderedMerge()
    most = max(_FEWEST, min(_MOST, _PAGE_ENTRIES // len(by_key)))
    count = _FEWEST
    while starts or len(waiting):
        ranges = [
            Range(key, start, last, count) for key, start in starts.items() if key not in waiting
        ]
        batches = await connection.after(ranges) if ranges else []
        read = {batch.key: batch.entries for batch in batches}
        for one in ranges:
            entries = read.get(one.key, ())
            if len(entries) < count:
                del starts[one.key]
            else:
                starts[one.key] = following(entries[-1].id)
        arrivals = waiting.add(batches, count=count, open_keys=starts)
        count = _next_count(batches, count, most=most)
        found = [decode(by_key[key], entry) for key, entry in arrivals]
        events = [event for event in found if event is not None]
        if events:
            yield HistoryPage(events)


def _next_count(batches: Sequence[Batch], count: int, *, most: int) -> int:
    """How many entries of each stream come next, so that a page has some MiB, whatever they hold.

    By degrees, and never very many: after small ones large ones may follow.
    """
    sizes = [sum(map(len, entry.fields.values())) for one in batches for entry in one.entries]
    if not sizes:
        return count
    fitting = _PAGE_BYTES // (max(1, *sizes) * len(batches))
    return max(1, min(most, 4 * count, fitting))


async def _lost(
    connection: BusConnection, keys: list[bytes], after: EntryId, last: EntryId
) -> Lost | None:
    """The gap that removed entries leave after `after`, as wide as it may be."""
    until = after
    for at in range(0, len(keys), _KEYS_AT_ONCE):
        for state in await connection.inspect(keys[at : at + _KEYS_AT_ONCE]):
            if isinstance(state, StreamInfo) and _is_trimmed(state, after):
                oldest = following(state.last_id) if state.first_id is None else state.first_id
                until = max(until, min(previous(oldest), last))
    return Lost(after, until) if until > after else None


def _is_trimmed(info: StreamInfo, after: EntryId) -> bool:
    """Whether entries may be gone that came after this id."""
    if info.added is not None and info.added == info.length:
        return False
    if info.last_id <= after:
        return False
    return info.first_id is None or info.first_id > after
