"""A channel with viewers, driven tick by tick: no socket, no clock, no task."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from hewston_bff.errors import BffError
from hewston_bff.hub.channel import Channel
from hewston_bff.hub.control import obey, start_of
from hewston_bff.hub.permits import Access
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.ticker import Ticker
from hewston_bff.hub.viewer import Subscription, Viewing
from hewston_bff.ports import Credentials, RunDetail
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.commands import Ctrl, Subscribe
from hewston_bff.protocol.ids import Epoch, RunId
from hewston_bff.protocol.notices import Notice, encode
from hewston_bff.topics.run.encoding import Updates
from hewston_bff.topics.run.link import LinkTimes, Quiet
from hewston_bff.topics.run.wire import RawFrame

Message = dict[str, Any]


class PlainFraming:
    """Messages as they are, a line each."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        return text + b"\n"


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


class Stage:
    """One channel and its viewers."""

    def __init__(self, run_id: str = "run", *, status: str = "DONE") -> None:
        self.ticker = Ticker(after_tick=lambda: None)
        self.counters = Counters()
        self.channel = Channel(
            RunId(run_id),
            ticker=self.ticker,
            cache=SpanCache(max_bytes=1 << 22),
            counters=self.counters,
            times=LinkTimes(),
        )
        self.access = Access(RunId(run_id), Credentials(), is_granted=True, viewers=1)
        self.channel.note(RunDetail(status=status))
        self.channel.stream_opened(now_s=0.0)

    def feed(self, *frames: RawFrame) -> None:
        """Frames of the stream."""
        for frame in frames:
            self.channel.ingest(frame, now_s=self.ticker.next_s)

    def complete(self) -> None:
        """The run is over, and so is a replay that was opened after that."""
        self.channel.note(RunDetail(status="DONE"))
        self.channel.stream_opened(now_s=1e6)
        for now_s in (2e6, 3e6):
            self.channel.step(Quiet(), now_s=now_s)

    def view(self, **wishes: Any) -> tuple[Subscription, MemorySink]:
        """A viewer; `updates` and the rest as in `subscribe`."""
        request = msgspec.convert({"t": "subscribe", "run_id": "run", **wishes}, Subscribe)
        sink = MemorySink()
        updates = Updates(0)
        for name in request.updates:
            updates |= Updates[name.upper()]
        subscription = Subscription(
            self.channel,
            sink,
            self.access,
            viewing=Viewing(sid=None, updates=updates),
            request=request,
            start=start_of(request),
            refused=_never,
        )
        self.channel.listeners.add(subscription)
        subscription.answer()
        return subscription, sink

    def tick(self, count: int = 1) -> None:
        """Let ticks pass, one by one."""
        for _ in range(count):
            self.ticker.advance()


def say(subscription: Subscription, cmd: str, **values: Any) -> None:
    """Give a command."""
    obey(subscription, msgspec.convert({"t": "ctrl", "cmd": cmd, **values}, Ctrl))


def _never(subscription: Subscription, error: BffError) -> None:
    raise AssertionError(error.message)
