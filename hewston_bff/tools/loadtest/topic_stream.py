"""What one viewer of topics saw, and whether viewers of the same topics saw the same. No clock.

Conservation, as far as clients can tell: `n` says for how many events a message stands. Where two
clients both got the events X and Y of a topic, what they were told between them must be equally
many, however each was merged; unless `lag` named a loss.
"""

import re
from typing import NamedTuple

import msgspec

EVENT_STARTS = (b'{"t":"event"', b'{"t": "event"')
_HEAD = re.compile(
    rb'\{"t":"event",(?:"sid":(\d+),)?"topic":"((?:[^"\\]|\\.)*+)","id":"(\d+)-(\d+)",'
)
_COUNT = re.compile(rb',"n":(\d+)\}')
_REMEMBERED = 256
"""Events of a topic that clients are compared at: they are within seconds of each other."""

EventKey = tuple[int, int]
"""An entry's id: ms and number."""


class EventPeek(NamedTuple):
    """The numbers of an event message; `sid` -1 if it has none. `topic` is escaped as in JSON."""

    sid: int
    topic: bytes
    id: EventKey
    n: int


class _OddEvent(msgspec.Struct):
    topic: str
    id: str
    n: int
    sid: int = -1


def peek_event(data: bytes | bytearray, start: int, stop: int) -> EventPeek | None:
    """The numbers of the event message at `data[start:stop]`; None if it is none."""
    head = _HEAD.match(data, start, stop)
    # It stands last; the data before it may have a member of that name as well.
    count = _COUNT.fullmatch(data, max(start, data.rfind(b',"n":', start, stop)), stop)
    if head is not None and count is not None:
        sid, topic, ms, number = head.groups()
        key = (int(ms), int(number))
        return EventPeek(int(sid) if sid else -1, topic, key, int(count[1]))
    try:
        odd = msgspec.json.decode(bytes(data[start:stop]), type=_OddEvent)
        ms_text, _, number_text = odd.id.partition("-")
        topic = msgspec.json.encode(odd.topic)[1:-1]
        return EventPeek(odd.sid, topic, (int(ms_text), int(number_text)), odd.n)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return None


class TopicCounts:
    """What the clients of one pattern were told of one topic, brought together."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[EventKey, int] = {}

    def agrees(self, before: EventKey, now: EventKey, n: int) -> bool:
        """Note that one client got `now` right after `before`, `n` events later; is that so?"""
        counts = self._counts
        base = counts.get(before)
        if base is None:
            # Nobody else got that one: where this client stands is not known yet.
            if counts and now not in counts:
                return True
            base = counts.get(now, n) - n
            counts[before] = base
        known = counts.setdefault(now, base + n)
        if len(counts) > _REMEMBERED:
            del counts[next(iter(counts))]
        return known == base + n


class TopicStream:
    """One subscription to topics. `due_ns` is when its client was to arrive.

    Attributes:
        messages, events: Since the window began; events are the sum of `n`.
        breaks: Messages whose id was not above that of the one before of its topic.
        uneven: Messages whose `n` is not what other clients were told for the same events.
        lags: How often the server said that events are lost.
    """

    __slots__ = (
        *("breaks", "due_ns", "events", "first_ns", "is_buffering", "lags", "messages", "pattern"),
        *("uneven", "_counts", "_last"),
    )

    def __init__(self, pattern: str, *, due_ns: int, counts: dict[bytes, TopicCounts]) -> None:
        """`counts`: shared by all clients of this pattern."""
        self.pattern = pattern
        self.due_ns = due_ns
        self.first_ns = 0
        self.messages = 0
        self.events = 0
        self.breaks = 0
        self.uneven = 0
        self.lags = 0
        self.is_buffering = False
        self._counts = counts
        self._last: dict[bytes, EventKey] = {}

    @property
    def topics(self) -> set[bytes]:
        """Those of which it got anything."""
        return set(self._last)

    def event(self, event: EventPeek, now_ns: int) -> None:
        """Note an event message."""
        if not self.first_ns:
            self.first_ns = now_ns
        self.messages += 1
        self.events += event.n
        topic = event.topic
        before = self._last.get(topic)
        self._last[topic] = event.id
        if before is None:
            return
        if event.id <= before:
            self.breaks += 1
            return
        counts = self._counts.get(topic)
        if counts is None:
            counts = self._counts[topic] = TopicCounts()
        self.uneven += not counts.agrees(before, event.id, event.n)

    def lag(self) -> None:
        """Events are lost: nothing is known of how many came between what comes next."""
        self.lags += 1
        self._last.clear()

    def begin_window(self) -> None:
        """Count from here on. What is wrong keeps counting from the start."""
        self.messages = 0
        self.events = 0
