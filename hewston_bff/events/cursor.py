"""One subscriber's position among the events of a kind, and what it is to be sent next."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.log import EventLog
from hewston_bff.events.merging import Merged, merged
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.source_state import Lost
from hewston_bff.protocol.commands import EventMode

CHUNK_BYTES: Final = 65_536
_SCANNED: Final = 20_000
"""Events looked at for one chunk, at most: about five milliseconds."""


class LostEvents(NamedTuple):
    """Events that this subscriber will not get."""

    lost: Lost
    reason: Literal["trimmed", "evicted"]


class Taken(NamedTuple):
    """What to send: first `lost`, then the events. `is_all`: nothing else is due."""

    events: list[Merged]
    lost: LostEvents | None = None
    is_all: bool = False


@dataclass(slots=True)
class EventCursor:
    """`position`: of the next event to look at. `last_id`: what came before it has been sent."""

    pattern: Pattern
    mode: EventMode
    position: int = 0
    last_id: EntryId = FIRST_ID
    skip_until: EntryId = FIRST_ID
    """Events up to this id were sent already, wherever they stand in the log."""
    owed: deque[Merged] = field(default_factory=deque)
    """Events that were taken and are still to be sent, before those from `position` on."""
    _gap: int = 0
    """The number of the next gap that it has not been told of."""

    # -- where it stands

    def go_to(self, position: int, log: EventLog[Any], *, last_id: EntryId) -> None:
        """Go on with the event at `position`; all before it counts as sent."""
        self.position = position
        self.last_id = last_id
        self._gap = log.gap_index(position)

    def moved(self, position: int, last_id: EntryId) -> None:
        """All before `position` was sent; of every gap until now it has been told."""
        self.position = position
        self.last_id = last_id

    def go_live(self, log: EventLog[Any]) -> None:
        """Go on with what comes from now on."""
        self.owed.clear()
        self.go_to(log.ring.next, log, last_id=log.ring.last_id)
        self._gap = log.gaps_dropped + len(log.gaps)

    def go_to_newest(self, log: EventLog[Any]) -> None:
        """Begin with the newest event of every matching topic, oldest first, then go live."""
        newest = self.newest(log, after=FIRST_ID)
        self.go_live(log)
        self.owed.extend(Merged(event, 1) for event in newest)

    def newest(self, log: EventLog[Any], *, after: EntryId) -> list[Event]:
        """The newest event of each matching topic, if its id is higher than `after`; in order."""
        last = (record.last for record in log.table if self._matches(record.name, log))
        return sorted((each for each in last if each is not None and each.id > after), key=_id)

    def resume(self, entry_id: EntryId, log: EventLog[Any], topic: str | None = None) -> None:
        """Go on after an event that the ring's floor does not lie beyond."""
        self.go_to(log.ring.after(entry_id, topic), log, last_id=entry_id)
        if entry_id > log.ring.last_id:
            self.skip_until = entry_id

    def is_current(self, log: EventLog[Any]) -> bool:
        """Whether there is nothing to send now."""
        return not self.owed and self.position >= log.ring.next and log.gap(self._gap) is None

    def has_gap_ahead(self, log: EventLog[Any]) -> bool:
        """Whether events of a topic that may match are missing between here and the newest."""
        index = self._gap
        while (gap := log.gap(index)) is not None:
            if gap.topics is None or self._may_match(gap.topics, log):
                return True
            index = log.gaps_dropped + log.gaps.index(gap) + 1
        return False

    # -- what to send

    def take(self, log: EventLog[Any]) -> Taken:
        """The next chunk: it counts as sent."""
        if self.owed:
            return Taken(self._owed_chunk())
        if self.position < log.ring.first:
            missing = self._evicted(log)
            if missing is not None:
                return Taken([], missing)
        gap = log.gap(self._gap)
        if gap is not None and gap.position <= self.position:
            self._gap += 1
            if gap.topics is None or self._may_match(gap.topics, log):
                return Taken([], LostEvents(gap.lost, "trimmed"))
            return Taken([])
        stop = log.ring.next if gap is None else gap.position
        if self.position >= stop:
            return Taken([], is_all=True)
        if self.mode == "latest":
            self.owed.extend(merged(self._with_class(self._span(log, self.position, stop), log)))
            self._pass(stop, log)
            return Taken(self._owed_chunk())
        return Taken(self._all_chunk(log, stop))

    def _owed_chunk(self) -> list[Merged]:
        chunk: list[Merged] = []
        size = 0
        while self.owed and size < CHUNK_BYTES:
            each = self.owed.popleft()
            size += each.event.size_bytes
            chunk.append(each)
        return chunk

    def _all_chunk(self, log: EventLog[Any], stop: int) -> list[Merged]:
        stop = min(stop, self.position + _SCANNED)
        chunk: list[Merged] = []
        size = 0
        for position, event in enumerate(log.ring.span(self.position, stop), self.position):
            if not self._wants(event, log):
                continue
            chunk.append(Merged(event, 1))
            size += event.size_bytes
            if size >= CHUNK_BYTES:
                self._pass(position + 1, log)
                self.last_id = max(self.last_id, event.id)
                return chunk
        self._pass(stop, log)
        return chunk

    def _span(self, log: EventLog[Any], start: int, stop: int) -> Iterator[Event]:
        return (event for event in log.ring.span(start, stop) if self._wants(event, log))

    def _with_class(
        self, events: Iterable[Event], log: EventLog[Any]
    ) -> Iterator[tuple[Event, bool]]:
        return ((event, log.is_mergeable(event)) for event in events)

    def _pass(self, position: int, log: EventLog[Any]) -> None:
        self.position = position
        if position == log.ring.next:
            self.last_id = max(self.last_id, log.ring.last_id)
            if self.skip_until <= log.ring.last_id:
                self.skip_until = FIRST_ID

    def _wants(self, event: Event, log: EventLog[Any]) -> bool:
        return event.id > self.skip_until and self._matches(event.topic, log)

    def _matches(self, topic: str, log: EventLog[Any]) -> bool:
        return self.pattern.matches(log.name_of(topic))

    def _may_match(self, topics: Callable[[str], bool], log: EventLog[Any]) -> bool:
        """Whether a topic with such a name is known that matches; without one, it may."""
        matching = [each.name for each in log.table if self._matches(each.name, log)]
        return not matching or any(topics(log.name_of(topic)) for topic in matching)

    def _evicted(self, log: EventLog[Any]) -> LostEvents | None:
        """Step over events that are no longer held; None if none of them can have matched."""
        after, until = self.last_id, log.ring.floor
        newest = self.newest(log, after=after)
        self.position = log.ring.first
        self._gap = max(self._gap, log.gap_index(self.position))
        self.last_id = max(after, until)
        if not newest or until <= after:
            return None
        if self.mode == "latest":
            # What is shown must not stay older than what is known.
            gone = [event for event in newest if event.id <= until and log.is_mergeable(event)]
            self.owed.extend(Merged(event, 1) for event in gone)
        return LostEvents(Lost(after, until), "evicted")


def _id(event: Event) -> EntryId:
    return event.id
