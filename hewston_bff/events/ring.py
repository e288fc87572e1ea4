"""The newest events of a kind, in the order in which they arrived; bounded in bytes."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from hewston_bff.events.event import FIRST_ID, EntryId, Event


class EventRing:
    """Events at positions `first` (held) to `next` (not yet there).

    `floor`: every event after this id is here, as far as Redis had it when it was read.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._events: deque[Event] = deque()
        self.first = 0
        self.next = 0
        self.size_bytes = 0
        self.floor: EntryId = FIRST_ID
        self.last_id: EntryId = FIRST_ID
        """The highest id that was ever here."""

    def append(self, event: Event) -> None:
        """Take the next event; the oldest go if they do not fit. O(1)."""
        self._events.append(event)
        self.next += 1
        self.size_bytes += event.size_bytes
        self.last_id = max(self.last_id, event.id)
        while self.size_bytes > self._max_bytes and len(self._events) > 1:
            gone = self._events.popleft()
            self.first += 1
            self.size_bytes -= gone.size_bytes
            self.floor = max(self.floor, gone.id)

    def span(self, start: int, stop: int) -> Iterator[Event]:
        """The events of a range that is held. O(distance from the nearer end + length)."""
        first, events = self.first, self._events
        if 2 * (start - first) <= len(events):
            return islice(events, start - first, stop - first)
        newest = islice(reversed(events), self.next - stop, self.next - start)
        return reversed(list(newest))

    def after(self, entry_id: EntryId, topic: str | None = None) -> int:
        """The position that follows the event of this id, and topic if several have the id.

        Without that event here: the position of the first event with a higher id.
        """
        position = self.next
        first_higher = self.next
        exact = None
        for event in reversed(self._events):
            position -= 1
            if event.id > entry_id:
                first_higher = position
            elif event.id == entry_id and topic in {None, event.topic}:
                # Of several the earliest: it is better to repeat an event than to lose one.
                exact = position + 1
            elif event.id < entry_id and entry_id.ms - event.id.ms > _DISORDER_MS:
                break
        return first_higher if exact is None else exact


_DISORDER_MS = 10_000
"""How much later than its id an event may arrive: a new stream is found after some seconds."""
