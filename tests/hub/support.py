"""A channel with viewers, driven tick by tick: no socket, no clock, no task."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError
from hewston_bff.events.encoding import event_text
from hewston_bff.events.event import Event
from hewston_bff.hub.control import start_of
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.subscription import Subscription
from hewston_bff.hub.ticker import Ticker
from hewston_bff.hub.topic_entry import TopicEntry
from hewston_bff.hub.viewer import SubscriptionOptions
from hewston_bff.log.changes import Append, Fork, LinkChange, LogChange, Restart, Status
from hewston_bff.log.log import AnyLog
from hewston_bff.ports import Delivery, Intake
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.commands import Ctrl, Subscribe
from hewston_bff.protocol.ids import Epoch, RunId
from hewston_bff.protocol.notices import (
    CursorStatus,
    Notice,
    RunNews,
    SkippedFrames,
    UpstreamNews,
    encode,
)
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.protocol.updates import updates_of
from hewston_bff.topics.run.codec import RunCodec
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.kind import run_news, upstream_news
from hewston_bff.topics.run.link import LinkEvent, LinkTimes, Quiet
from hewston_bff.topics.run.run_state import RunState
from hewston_bff.topics.run.skips import Skip
from hewston_bff.topics.run.wire import RawFrame

Message = dict[str, Any]


class PlainFraming:
    """Messages as they are, a line each."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        return text + b"\n"

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:
        return event_text(event, n, sid) + b"\n"


FRAMING = PlainFraming()


@dataclass(eq=False)
class MemorySink:
    """A client that keeps what it is sent, and can be slow."""

    framing: PlainFraming = FRAMING
    is_slow: bool = False
    seen: list[Message] = field(default_factory=list)
    ended: list[CloseCode] = field(default_factory=list)

    def can_take(self) -> bool:
        return not self.is_slow

    def push(self, data: bytes) -> None:
        self.seen += [msgspec.json.decode(line) for line in data.splitlines()]

    def offer(self, data: bytes) -> bool:
        if self.is_slow:
            return False
        self.push(data)
        return True

    def notify(self, notice: Notice) -> None:
        self.seen.append(msgspec.json.decode(encode(notice)))

    def end(self, code: CloseCode, reason: str) -> None:
        self.ended.append(code)

    def frames(self) -> list[Message]:
        return [message for message in self.seen if message["t"] == "frame"]


class StageSource:
    """The stream of a run, as far as it is decided without a socket."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.state = RunState(times=LinkTimes())

    def apply(self, changes: Iterable[LogChange[Any]]) -> None:
        for change in changes:
            self.intake.apply(change)
            if isinstance(change, Fork):
                self.state.forked(self.intake.log)
            elif isinstance(change, Restart):
                self.intake.restart()

    async def feed(self) -> None:
        """A test feeds."""

    async def permit(self, credentials: Credentials) -> None:
        """A test permits."""

    def permitted_at_s(self, credentials: Credentials) -> None:
        """Nothing is remembered."""

    async def wait(self, seconds: float) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nobody closes."""


class StageKind:
    """Runs whose stream a test plays itself."""

    name = RUN
    delivery = Delivery.CONFLATE

    def has(self, name: str) -> bool:
        return True

    def new_log(self, topic: Topic) -> FrameLog:
        return frame_log(RunId(topic.name))

    def codec(self, log: FrameLog) -> RunCodec:
        return RunCodec(log)

    def open(self, topic: Topic, intake: Intake) -> StageSource:
        return StageSource(intake)

    def news(self, topic: Topic, status: Status, skipped: SkippedFrames | None) -> RunNews | None:
        return run_news(topic, status, skipped)

    def link_news(self, topic: Topic, link: LinkChange) -> UpstreamNews | None:
        return upstream_news(topic, link)


class Stage:
    """One channel and its viewers."""

    def __init__(self, run_id: str = "run", *, status: str = "DONE") -> None:
        self.ticker = Ticker(after_tick=lambda: None)
        self.counters = Counters()
        self.restarts = 0
        self.entry = TopicEntry(
            Topic(RUN, run_id),
            StageKind(),
            ticker=self.ticker,
            cache=SpanCache(max_bytes=1 << 22),
            counters=self.counters,
            restart=self._restarted,
        )
        assert isinstance(self.entry.source, StageSource)
        self.source = self.entry.source
        self.channel = self.entry.channel
        self.permit = Permit(self.channel.topic, Credentials(), is_granted=True, viewers=1)
        self.describe(RunDescription(status=status))
        self.open()

    def _restarted(self, entry: TopicEntry) -> None:
        self.restarts += 1

    @property
    def log(self) -> AnyLog:
        return self.channel.log

    def describe(self, description: RunDescription) -> None:
        """The backend says something of the run."""
        self.source.apply(self.source.state.describe(description))

    def open(self, *, now_s: float = 0.0) -> None:
        """A connection plays the run from its first frame."""
        self.source.apply(self.source.state.opened(self.log, now_s=now_s))

    def step(self, event: LinkEvent, *, now_s: float = 0.0) -> None:
        """Something happens to the connection."""
        self.source.apply(self.source.state.step(event, now_s=now_s))

    def feed(self, *frames: RawFrame) -> None:
        """Frames of the stream."""
        for frame in frames:
            changes = self.source.state.take(frame, now_s=self.ticker.next_s)
            self.source.apply([Append(self.log.next_seq, [frame])] if changes is None else changes)

    def skip(self, reason: Skip) -> None:
        """Something of the stream is left out."""
        self.source.apply(self.source.state.skip(reason))

    def fail(self, error: BffError) -> None:
        """Nothing more will come."""
        state = self.source.state
        self.source.apply(state.fail(error.code, error.message, error.details, now_s=0.0))

    def complete(self) -> None:
        """The run is over, and so is a replay that was opened after that."""
        self.describe(RunDescription(status="DONE"))
        self.open(now_s=1e6)
        for now_s in (2e6, 3e6):
            self.step(Quiet(), now_s=now_s)

    def view(self, **wishes: Any) -> tuple[Subscription, MemorySink]:
        """A viewer; `updates` and the rest as in `subscribe`."""
        request = msgspec.convert({"t": "subscribe", "run_id": "run", **wishes}, Subscribe)
        sink = MemorySink()
        subscription = Subscription(
            self.entry.audience,
            self.permit,
            sink,
            options=SubscriptionOptions(
                sid=None,
                request=request,
                start=start_of(request),
                updates=updates_of(request),
            ),
            refused=_never,
        )
        self.entry.audience.listeners.add(subscription)
        subscription.answer()
        return subscription, sink

    def status_of(self, viewer: Subscription) -> CursorStatus:
        """What the viewer would be told now."""
        return viewer.viewer.status(self.ticker.next_s)

    def tick(self, count: int = 1) -> None:
        """Let ticks pass, one by one."""
        for _ in range(count):
            self.ticker.advance()


def say(subscription: Subscription, cmd: str, **values: Any) -> None:
    """Give a command."""
    ctrl = msgspec.convert({"t": "ctrl", "cmd": cmd, **values}, Ctrl)
    subscription.obey(ctrl)


def _never(subscription: Subscription, error: BffError) -> None:
    raise AssertionError(error.message)
