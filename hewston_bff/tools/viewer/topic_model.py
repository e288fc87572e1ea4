"""What the viewer knows of topics: messages and times in, figures out. No I/O and no clock."""

from collections import OrderedDict, deque
from math import exp
from typing import Final, NamedTuple

from hewston_bff.tools.viewer.messages import ByeMessage, ErrMessage
from hewston_bff.tools.viewer.topic_fields import level, main_fields
from hewston_bff.tools.viewer.topic_messages import (
    SourceMessage,
    TopicEventMessage,
    TopicLagMessage,
    TopicMessage,
    TopicStateMessage,
    TopicSubscribedMessage,
)

FRESH_S: Final = 0.6
"""So long a change is marked."""
_RATE_S: Final = 10.0
_MAX_ROWS: Final = 5_000
_EVENTS_KEPT: Final = 200
_REPLACING: Final = (
    *("data.quotes.", "data.trades.", "data.bars.", "data.book.snapshots.", "data.status."),
    "ticks:",
)
"""Names of topics whose events replace each other, as servers have it by default; a merged event
tells of any other."""


class TopicRowView:
    """One topic of the table."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ts = ""
        self.type = ""
        self.text = ""
        self.events = 0
        self.direction = 0
        """1: its price went up; -1: down; 0: neither, or it has none."""
        self.changed_s = 0.0
        self._level: float | None = None
        self._rate = 0.0
        self._first_s: float | None = None

    def take(self, event: TopicEventMessage, now_s: float) -> None:
        """Take the newest event."""
        self._rate = self._rate * exp((self.changed_s - now_s) / _RATE_S) + event.n / _RATE_S
        self.changed_s = now_s
        if self._first_s is None:
            self._first_s = now_s
        self.ts, self.type, self.text = event.ts, event.type, main_fields(event.data)
        self.events += event.n
        now, before = level(event.data), self._level
        if now is None or before is None or now == before:
            self.direction = 0
        else:
            self.direction = 1 if now > before else -1
        self._level = now

    def rate_per_s(self, now_s: float) -> float:
        """Events a second, of late: an exponential mean over ten seconds, or the time so far."""
        watched_s = now_s - (now_s if self._first_s is None else self._first_s)
        share = 1.0 - exp(-max(watched_s, 1.0) / _RATE_S)
        return self._rate * exp((self.changed_s - now_s) / _RATE_S) / share

    def is_fresh(self, now_s: float) -> bool:
        """Whether it changed just now."""
        return now_s - self.changed_s < FRESH_S


class TopicNote(NamedTuple):
    """A line of the list: an event that is not merged, or news."""

    at_s: float
    ts: str
    topic: str
    type: str
    n: int
    text: str
    is_news: bool = False


class TopicsModel:
    """The topics of one pattern.

    Attributes:
        link: How the connection to the server stands, in words.
        sources: Kind of topics → how the server fares with where they come from.
        messages, events: Event messages so far; events that they stand for.
        lags: How often events were lost.
        rows: Topics whose events replace each other, by name.
        notes: Other events, and news; the newest last.
        unprinted: What came since it was cleared last, for a printer of lines.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.link = "connecting"
        self.status = "–"
        self.mode = ""
        self.error = ""
        self.sources: dict[str, str] = {}
        self.messages = 0
        self.events = 0
        self.lags = 0
        self.matches = 0
        self.sid: int | None = None
        self.rows: OrderedDict[str, TopicRowView] = OrderedDict()
        self.notes: deque[TopicNote] = deque(maxlen=_EVENTS_KEPT)
        self.unprinted: deque[TopicNote] = deque()
        self.offset = 0
        """The first row of the table that is shown."""
        self._last: tuple[str, str] | None = None
        self._merging: set[str] = set()

    @property
    def is_playing(self) -> bool:
        """Whether events come."""
        return self.status != "paused"

    @property
    def resume_point(self) -> dict[str, str] | None:
        """After which event another connection is to go on; None before the first."""
        if self._last is None:
            return None
        entry_id, topic = self._last
        return {"id": entry_id, "topic": topic}

    def connected(self) -> None:
        """There is a connection, again."""
        self.link = "connected"
        self.error = ""

    def apply(self, message: TopicMessage, *, now_s: float) -> None:
        """Take a message in."""
        match message:
            case TopicEventMessage():
                self._on_event(message, now_s)
            case TopicSubscribedMessage():
                self._on_subscribed(message, now_s)
            case TopicStateMessage(status=status):
                self.status = status
            case ErrMessage(code=code, msg=text):
                self.error = f"{code}: {text}"
            case ByeMessage(after_ms=after_ms):
                self.link = f"server is going down, back in {after_ms / 1000:.1f} s"
            case SourceMessage() | TopicLagMessage():
                self._on_source(message, now_s)

    def scroll(self, rows: int) -> None:
        """Show the table from another row on."""
        self.offset = max(0, min(self.offset + rows, len(self.rows) - 1))

    def _on_event(self, event: TopicEventMessage, now_s: float) -> None:
        self.messages += 1
        self.events += event.n
        self._last = (event.id, event.topic)
        kind, _, name = event.topic.partition(":")
        note = TopicNote(now_s, event.ts, event.topic, event.type, event.n, main_fields(event.data))
        self.unprinted.append(note)
        if event.n > 1:
            self._merging.add(event.topic)
        is_replacing = kind == "system" or name.startswith(_REPLACING)
        if not is_replacing and event.topic not in self._merging:
            self.notes.append(note)
            return
        row = self.rows.get(event.topic)
        if row is None:
            row = self.rows[event.topic] = TopicRowView(event.topic)
            if len(self.rows) > _MAX_ROWS:
                gone, _ = self.rows.popitem(last=False)
                self._merging.discard(gone)
        self.rows.move_to_end(event.topic)
        row.take(event, now_s)

    def _on_subscribed(self, message: TopicSubscribedMessage, now_s: float) -> None:
        self.sid, self.status, self.mode = message.sid, message.status, message.mode
        self.matches = message.matches
        if message.broad:
            self._news(now_s, f"a broad pattern: {message.matches:,} topics match")
        if message.recovered is False:
            self._news(now_s, "events were missed while there was no connection")

    def _on_source(self, message: SourceMessage | TopicLagMessage, now_s: float) -> None:
        if isinstance(message, SourceMessage):
            words = self.sources[message.kind] = _source_words(message)
            self._news(now_s, f"source {message.kind}: {words}")
            return
        self.lags += 1
        lost = f"lag: events after {message.after} until {message.until} are lost"
        self._news(now_s, f"{lost} ({message.reason})")

    def _news(self, now_s: float, text: str) -> None:
        note = TopicNote(now_s, "", self.topic, "", 0, text, is_news=True)
        self.notes.append(note)
        self.unprinted.append(note)


def _source_words(message: SourceMessage) -> str:
    words = message.status
    if message.attempt:
        words += f", attempt {message.attempt}"
    if message.retry_in_ms is not None:
        words += f", again in {message.retry_in_ms / 1000:.1f} s"
    if message.heartbeat_age_ms is not None:
        words += f", heartbeat {message.heartbeat_age_ms / 1000:.0f} s ago"
    return words + (", simulated" if message.simulated else "")
