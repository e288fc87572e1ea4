"""All that is held of one kind's events: the newest in order, each topic's newest, and the gaps."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.ring import EventRing
from hewston_bff.events.source_state import Lost
from hewston_bff.events.topic_table import TopicRecord, TopicTable

_GAPS_KEPT = 256

MatcherT = TypeVar("MatcherT")


class Gap(NamedTuple):
    """Events that never came, before `position`; of topics with these names, None: of all."""

    position: int
    lost: Lost
    topics: Callable[[str], bool] | None


class EventLog(Generic[MatcherT]):
    """Ring, topics and gaps of one kind. Topics are `kind:name`."""

    def __init__(
        self,
        kind: str,
        *,
        is_mergeable: Callable[[str], bool],
        ring_bytes: int,
        max_topics: int,
        last_bytes: int,
    ) -> None:
        """`is_mergeable` takes a name without its kind."""
        self.kind = kind
        self.ring = EventRing(max_bytes=ring_bytes)
        self._prefix = len(kind) + 1
        self._is_mergeable = is_mergeable
        self.table: TopicTable[MatcherT] = TopicTable(
            is_mergeable=self._merges, max_topics=max_topics, max_bytes=last_bytes
        )
        self.gaps: list[Gap] = []
        self.gaps_dropped = 0
        self.dropped_until: EntryId = FIRST_ID
        """The highest id in a gap that is not kept any more."""

    def name_of(self, topic: str) -> str:
        """The name of `kind:name`."""
        return topic[self._prefix :]

    def _merges(self, topic: str) -> bool:
        return self._is_mergeable(self.name_of(topic))

    def is_mergeable(self, event: Event) -> bool:
        """Whether events of this one's topic replace each other."""
        record = self.table.get(event.topic)
        return self._merges(event.topic) if record is None else record.is_mergeable

    # -- writing

    def begin(self, remembered: Sequence[Event], held: Sequence[Event], *, floor: EntryId) -> None:
        """Take what the source had when it was first reached."""
        self.ring.floor = floor
        for event in remembered:
            record = self.table.get(event.topic) or self.table.add(event.topic)
            self.table.count(record, event, None)
        for event in held:
            self.append(event, None)

    def append(self, event: Event, now_s: float | None) -> TopicRecord[MatcherT]:
        """Take the next event, which came at this loop time; returns its topic's record."""
        record = self.table.get(event.topic)
        if record is None:
            record = self.table.add(event.topic)
        self.table.count(record, event, now_s)
        self.ring.append(event)
        return record

    def note(self, lost: Lost, topics: Callable[[str], bool] | None) -> Gap:
        """Note that events are missing between what came and what will come."""
        gap = Gap(self.ring.next, lost, topics)
        self.gaps.append(gap)
        if len(self.gaps) > _GAPS_KEPT:
            dropped = self.gaps.pop(0)
            self.gaps_dropped += 1
            self.dropped_until = max(self.dropped_until, dropped.lost.until)
        return gap

    # -- reading

    def matching(self, pattern: Pattern) -> Iterator[TopicRecord[MatcherT]]:
        """The topics whose names match. O(topics), but for a pattern without a wildcard."""
        if pattern.literal is not None:
            record = self.table.get(f"{self.kind}:{pattern.literal}")
            return iter(() if record is None else (record,))
        return (each for each in self.table if pattern.matches(self.name_of(each.name)))

    def gap_index(self, position: int) -> int:
        """The number of the first gap at or after a position, counted from the start."""
        return self.gaps_dropped + bisect_left(self.gaps, position, key=_position)

    def gap(self, index: int) -> Gap | None:
        """The gap of this number, None if there is none yet."""
        held = max(index - self.gaps_dropped, 0)
        return self.gaps[held] if held < len(self.gaps) else None


def _position(gap: Gap) -> int:
    return gap.position
