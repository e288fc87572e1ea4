"""One subscriber's position among the events of a kind, and what it is to be sent next."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.log import EventLog, Gap
from hewston_bff.events.merging import Merge, Merged
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.source_state import Lost
from hewston_bff.protocol.commands import EventMode

CHUNK_BYTES: Final = 65_536
_SCANNED: Final = 4_000
"""Events looked at in one go, at most: about two milliseconds."""
_MERGED_BYTES: Final = 4 << 20
"""Of events that nothing replaces so much is gathered at once: what is gathered and not sent yet
would stay in memory beyond the ring, for each slow client."""


class LostEvents(NamedTuple):
    """Events that this subscriber will not get."""

    lost: Lost
    reason: Literal["trimmed", "evicted"]


class Taken(NamedTuple):
    """What to send: first `lost`, then the events. `is_all`: nothing else is due.

    With none of these there may be more: enough was looked at for now.
    """

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
    _merge: Merge = field(default_factory=Merge)
    """What lies before `position` and is being merged; in mode `latest`."""

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
        self._merge = Merge()
        self.go_to(log.ring.next, log, last_id=log.ring.last_id)
        self._gap = log.gaps_dropped + len(log.gaps)

    def go_to_newest(self, log: EventLog[Any]) -> None:
        """Begin with the newest event of every matching topic, oldest first, then go live."""
        newest = self.newest(log, after=FIRST_ID)
        self.go_live(log)
        self.owed.extend(Merged(event, 1) for event in newest)

    def newest(self, log: EventLog[Any], *, after: EntryId) -> list[Event]:
        """The newest event of each matching topic, if its id is higher than `after`; in order."""
        last = (record.last for record in log.matching(self.pattern))
        return sorted((each for each in last if each is not None and each.id > after), key=_id)

    def resume(self, entry_id: EntryId, log: EventLog[Any], topic: str | None = None) -> None:
        """Go on after an event that the ring's floor does not lie beyond."""
        self.go_to(log.ring.after(entry_id, topic), log, last_id=entry_id)
        if entry_id > log.ring.last_id:
            self.skip_until = entry_id

    def is_current(self, log: EventLog[Any]) -> bool:
        """Whether there is nothing to send now."""
        return not (self.owed or self._merge or self.position < log.ring.next or log.gap(self._gap))

    def has_gap_ahead(self, log: EventLog[Any]) -> bool:
        """Whether events of a topic that may match are missing between here and the newest."""
        ahead = log.gaps[max(self._gap - log.gaps_dropped, 0) :]
        return any(self._concerns(gap, log) for gap in ahead)

    # -- what to send

    def take(self, log: EventLog[Any]) -> Taken:
        """The next chunk: it counts as sent."""
        if self.owed:
            return Taken(self._owed_chunk())
        missing = self._missing(log)
        if missing is not None:
            return Taken([], missing)
        if self.owed:
            return Taken(self._owed_chunk())
        gap = log.gap(self._gap)
        stop = log.ring.next if gap is None else gap.position
        if self.position >= stop:
            return Taken([], is_all=True)
        if self.mode == "all":
            return Taken(self._all_chunk(log, stop))
        if self._gather(log, stop):
            self._owe_merged()
        return Taken(self._owed_chunk())

    def _missing(self, log: EventLog[Any]) -> LostEvents | None:
        """What will not come of what lies right before the next event."""
        if self.position < log.ring.first:
            if self._merge:
                self._owe_merged()
                return None
            missing = self._evicted(log)
            if missing is not None:
                return missing
        if self._gap < log.gaps_dropped:
            self._gap = log.gaps_dropped
            if log.dropped_until > self.last_id:
                return LostEvents(Lost(self.last_id, log.dropped_until), "trimmed")
        while (gap := log.gap(self._gap)) is not None and gap.position <= self.position:
            self._gap += 1
            if self._concerns(gap, log):
                return LostEvents(gap.lost, "trimmed")
        return None

    def _owe_merged(self) -> None:
        self.owed.extend(self._merge.result())
        self._merge = Merge()

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
        wanted: dict[str, bool] = {}
        chunk: list[Merged] = []
        size = 0
        for position, event in enumerate(log.ring.span(self.position, stop), self.position):
            topic = event.topic
            if topic not in wanted:
                wanted[topic] = self._matches(topic, log)
            if not wanted[topic] or event.id <= self.skip_until:
                continue
            chunk.append(Merged(event, 1))
            self.last_id = max(self.last_id, event.id)
            size += event.size_bytes
            if size >= CHUNK_BYTES:
                self._pass(position + 1, log)
                return chunk
        self._pass(stop, log)
        return chunk

    def _gather(self, log: EventLog[Any], stop: int) -> bool:
        """Merge some more; whether what is merged is to be sent now."""
        until = min(stop, self.position + _SCANNED)
        merge = self._merge
        classes: dict[str, bool | None] = {}
        for position, event in enumerate(log.ring.span(self.position, until), self.position):
            topic = event.topic
            if topic not in classes:
                matches = self._matches(topic, log)
                classes[topic] = log.is_mergeable(event) if matches else None
            is_mergeable = classes[topic]
            if is_mergeable is None or event.id <= self.skip_until:
                continue
            merge.add(event, is_mergeable=is_mergeable)
            self.last_id = max(self.last_id, event.id)
            if merge.single_bytes >= _MERGED_BYTES:
                self._pass(position + 1, log)
                return True
        self._pass(until, log)
        return until == stop

    def _pass(self, position: int, log: EventLog[Any]) -> None:
        self.position = position
        if position == log.ring.next:
            self.last_id = max(self.last_id, log.ring.last_id)
            if self.skip_until <= log.ring.last_id:
                self.skip_until = FIRST_ID

    def _matches(self, topic: str, log: EventLog[Any]) -> bool:
        return self.pattern.matches(log.name_of(topic))

    def _concerns(self, gap: Gap, log: EventLog[Any]) -> bool:
        """Whether a topic that may be in a gap is known that matches; without one, it may."""
        if gap.topics is None:
            return True
        names = [log.name_of(record.name) for record in log.matching(self.pattern)]
        return not names or any(map(gap.topics, names))

    def _evicted(self, log: EventLog[Any]) -> LostEvents | None:
        """Step over events that are no longer held; None if none of them can have matched."""
        after, until = self.last_id, log.ring.floor
        newest = self.newest(log, after=after)
        may_miss = bool(newest) or log.table.forgotten_until > after
        self.position = log.ring.first
        gap = log.gap_index(self.position)
        for passed in log.gaps[max(self._gap - log.gaps_dropped, 0) : gap - log.gaps_dropped]:
            if self._concerns(passed, log):
                may_miss = True
                until = max(until, passed.lost.until)
        if self._gap < log.gaps_dropped:
            may_miss = True
            until = max(until, log.dropped_until)
        self._gap = max(self._gap, gap)
        self.last_id = max(after, until)
        if not may_miss or until <= after:
            return None
        if self.mode == "latest":
            # What is shown must not stay older than what is known.
            gone = [event for event in newest if event.id <= until and log.is_mergeable(event)]
            self.owed.extend(Merged(event, 1) for event in gone)
        return LostEvents(Lost(after, until), "evicted")


def _id(event: Event) -> EntryId:
    return event.id
