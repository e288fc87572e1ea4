"""One kind of topics that carry events: its log, who subscribed, and its source's intake."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import UNSET

from hewston_bff.events.cursor import EventCursor
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.log import EventLog
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.source_state import Lost, SourceLink
from hewston_bff.events.topic_table import TopicRecord
from hewston_bff.hub.event_group import EventGroup, GroupKey
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.ticker import Ticked, Ticker, contain
from hewston_bff.ports import EventKind, Sink
from hewston_bff.protocol.event_messages import SourceNews
from hewston_bff.protocol.notices import Notice


class Matcher:
    """A pattern that somebody subscribed to, and the groups of those who did."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.listeners = 0
        self.topics = 0
        """How many of the topics that are known match."""
        self.groups: dict[GroupKey, EventGroup] = {}


class EventListener(Ticked, Protocol):
    """A subscription to events, as its channel sees it."""

    sink: Sink
    is_answered: bool
    cursor: EventCursor

    def wake(self) -> None:
        """Be driven at the next tick."""

    def leave_group(self) -> bool:
        """Leave the group at its position; whether it was in one."""

    def opened(self) -> None:
        """The source was reached for the first time."""

    def check(self) -> None:
        """Ask again whether its client may read."""


class EventChannel:
    """The log of one kind, and its listeners; its source's `ports.EventIntake`."""

    def __init__(self, kind: EventKind, *, ticker: Ticker, counters: Counters) -> None:
        self.kind = kind
        self.ticker = ticker
        self.counters = counters
        self.log: EventLog[Matcher] = EventLog(
            kind.name,
            is_mergeable=kind.is_mergeable,
            ring_bytes=kind.ring_bytes,
            max_topics=kind.max_topics,
            last_bytes=kind.last_bytes,
        )
        self.log.table.on_forgotten = _forget
        self.link_state = SourceLink()
        self.is_open = False
        """Whether the source was reached once: before, nothing is known of its events."""
        self.skew_ms = 0
        self.listeners: set[EventListener] = set()
        self._matchers: dict[Pattern, Matcher] = {}
        self.source = kind.open(self)

    # -- its source (see `ports.EventIntake`)

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        """See `ports.EventIntake`. A source that crashed and runs again may begin again."""
        if self.is_open:
            self.publish(held)
            return
        self.log.begin(remembered, held, floor=floor)
        for record in self.log.table:
            self._find_matchers(record)
        self.skew_ms = skew_ms
        self.is_open = True
        self.counters.events_in += len(held)
        self._each(lambda listener: listener.opened())

    def publish(self, events: Sequence[Event]) -> None:
        """See `ports.EventIntake`."""
        log, now_s = self.log, self.ticker.next_s
        touched: list[EventGroup] = []
        for event in events:
            record = log.table.get(event.topic) or self._meet(event.topic)
            if record.matchers:
                touched += _gather(event, record)
            log.append(event, now_s)
        self.counters.events_in += len(events)
        for group in touched:
            try:
                group.published(now_s)
            except Exception as error:  # noqa: BLE001 - one viewer's bug must not end the source
                contain(group, "group.crashed", error, kind=self.kind.name)

    def lost(self, lost: Lost, topics: Callable[[str], bool] | None = None) -> None:
        """See `ports.EventIntake`."""
        self.log.note(lost, topics)
        # What is pending came before the gap; then each is told of it by itself.
        for matcher in self._matchers.values():
            for group in matcher.groups.values():
                group.flush()
                group.dissolve()

    def link(self, link: SourceLink) -> None:
        """See `ports.EventIntake`."""
        before, self.link_state = self.link_state, link
        is_same = (before.status, before.attempt) == (link.status, link.attempt)
        if is_same and link.status != "silent":
            return
        told: set[Sink] = set()
        news = self.news()

        def tell(listener: EventListener) -> None:
            if listener.is_answered and listener.sink not in told:
                told.add(listener.sink)
                listener.sink.notify(news)

        self._each(tell)

    def news(self) -> Notice:
        """The message about the connection to the source."""
        link = self.link_state
        return SourceNews(
            kind=self.kind.name,
            status=link.status,
            attempt=link.attempt or UNSET,
            retry_in_ms=UNSET if link.retry_in_ms is None else link.retry_in_ms,
            heartbeat_age_ms=UNSET if link.heartbeat_age_ms is None else link.heartbeat_age_ms,
            simulated=True if self.kind.is_simulated else UNSET,
        )

    # -- its listeners

    def add(self, listener: EventListener) -> None:
        """Take in a listener; `remove` lets go of it."""
        self.listeners.add(listener)
        self.matcher(listener.cursor.pattern).listeners += 1

    def remove(self, listener: EventListener) -> None:
        """Let go of a listener, and of its pattern if nobody else has it."""
        listener.leave_group()
        self.listeners.discard(listener)
        matcher = self._matchers[listener.cursor.pattern]
        matcher.listeners -= 1
        if not matcher.listeners:
            self._drop(matcher)

    def matcher(self, pattern: Pattern) -> Matcher:
        """The matcher of a pattern; a new one looks at every topic that is known."""
        matcher = self._matchers.get(pattern)
        if matcher is None:
            matcher = self._matchers[pattern] = Matcher(pattern)
            for record in self.log.matching(pattern):
                record.matchers.append(matcher)
                matcher.topics += 1
        return matcher

    def group(self, pattern: Pattern, key: GroupKey) -> EventGroup:
        """The group of those with this pattern and key."""
        groups = self.matcher(pattern).groups
        group = groups.get(key)
        if group is None:
            for empty in [each for each, found in groups.items() if not found.members]:
                del groups[empty]
            group = groups[key] = EventGroup(
                self.log, key, ticker=self.ticker, counters=self.counters
            )
        return group

    def check_callers(self) -> None:
        """Keys changed: ask again whether each listener may read."""
        self._each(lambda listener: listener.check())

    def _meet(self, topic: str) -> TopicRecord[Matcher]:
        """A record for a topic that is new."""
        record = self.log.table.add(topic)
        self._find_matchers(record)
        return record

    def _find_matchers(self, record: TopicRecord[Matcher]) -> None:
        name = self.log.name_of(record.name)
        for matcher in self._matchers.values():
            if matcher not in record.matchers and matcher.pattern.matches(name):
                record.matchers.append(matcher)
                matcher.topics += 1

    def _drop(self, matcher: Matcher) -> None:
        del self._matchers[matcher.pattern]
        for record in self.log.table:
            if matcher in record.matchers:
                record.matchers.remove(matcher)

    def _each(self, act: Callable[[EventListener], None]) -> None:
        for listener in tuple(self.listeners):
            try:
                act(listener)
            except Exception as error:  # noqa: BLE001 - one viewer's bug must not hit others
                contain(listener, "viewer.crashed", error, kind=self.kind.name)


def _forget(record: TopicRecord[Matcher]) -> None:
    """A topic is not known any more."""
    for matcher in record.matchers:
        matcher.topics -= 1


def _gather(event: Event, record: TopicRecord[Matcher]) -> list[EventGroup]:
    """Give the event to the groups that want it; returns those that had nothing pending."""
    return [
        group
        for matcher in record.matchers
        for group in matcher.groups.values()
        if group.members and group.gather(event, is_mergeable=record.is_mergeable)
    ]
