"""What is known of each topic of a kind: counts, the newest event, its rate. Bounded.

A matcher is whatever is to be found quickly for a topic that it matches; the hub has some.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import exp
from typing import Generic, TypeVar

from hewston_bff.events.event import FIRST_ID, EntryId, Event

_RATE_S = 10.0
"""Time constant of the rate: events of the last ten seconds or so make it."""

MatcherT = TypeVar("MatcherT")


class TopicRecord(Generic[MatcherT]):
    """One topic. `matchers` are those that match it."""

    __slots__ = ("_rate", "_rated_s", "events", "is_mergeable", "last", "matchers", "name")

    def __init__(self, name: str, *, is_mergeable: bool) -> None:
        self.name = name
        """`kind:name`."""
        self.is_mergeable = is_mergeable
        self.events = 0
        self.last: Event | None = None
        self.matchers: list[MatcherT] = []
        self._rate = 0.0
        self._rated_s = 0.0

    def count(self, event: Event, now_s: float | None) -> None:
        """Take the newest event, at this nominal time; None: it is old, and no part of the rate."""
        self.events += 1
        self.last = event
        if now_s is None:
            return
        if now_s != self._rated_s:
            self._rate *= exp((self._rated_s - now_s) / _RATE_S)
            self._rated_s = now_s
        self._rate += 1.0 / _RATE_S

    def rate_per_s(self, now_s: float) -> float:
        """Events a second, of late: an exponential mean over ten seconds."""
        return self._rate * exp((self._rated_s - now_s) / _RATE_S)


class TopicTable(Generic[MatcherT]):
    """The topics of one kind; the one that was silent longest is forgotten beyond the bounds."""

    def __init__(
        self, *, is_mergeable: Callable[[str], bool], max_topics: int, max_bytes: int
    ) -> None:
        """`max_bytes`: of the newest events that are kept, all together."""
        self._is_mergeable = is_mergeable
        self._max_topics = max_topics
        self._max_bytes = max_bytes
        self._records: OrderedDict[str, TopicRecord[MatcherT]] = OrderedDict()
        self.size_bytes = 0
        self.forgotten = 0
        """How many topics were forgotten since the start."""
        self.forgotten_until: EntryId = FIRST_ID
        """The highest id of their newest events."""
        self.on_forgotten: Callable[[TopicRecord[MatcherT]], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[TopicRecord[MatcherT]]:
        return iter(self._records.values())

    def get(self, name: str) -> TopicRecord[MatcherT] | None:
        """The record of a topic, if it is known."""
        return self._records.get(name)

    def add(self, name: str) -> TopicRecord[MatcherT]:
        """A record for a topic that has none."""
        record = TopicRecord[MatcherT](name, is_mergeable=self._is_mergeable(name))
        self._records[name] = record
        return record

    def count(self, record: TopicRecord[MatcherT], event: Event, now_s: float | None) -> None:
        """Take the newest event of a topic, and forget others if it does not fit."""
        before = record.last
        self.size_bytes += event.size_bytes - (0 if before is None else before.size_bytes)
        record.count(event, now_s)
        self._records.move_to_end(record.name)
        while len(self._records) > self._max_topics or self.size_bytes > self._max_bytes:
            if len(self._records) == 1:
                return
            _, gone = self._records.popitem(last=False)
            self.forgotten += 1
            self.on_forgotten(gone)
            if gone.last is not None:
                self.size_bytes -= gone.last.size_bytes
                self.forgotten_until = max(self.forgotten_until, gone.last.id)
