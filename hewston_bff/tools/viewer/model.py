"""What the viewer knows of the run: messages and times in, figures out. No I/O and no clock."""

from collections import deque

from hewston_bff.tools.viewer.messages import (
    Bar,
    ByeMessage,
    EndedMessage,
    EquityPart,
    ErrMessage,
    FrameMessage,
    LagMessage,
    Message,
    OrderPart,
    ResetMessage,
    RunNewsMessage,
    SkippedPart,
    SnapshotMessage,
    StateMessage,
    SubscribedMessage,
    UpstreamNewsMessage,
)

FPS_WINDOW_S = 2.0
_TRAIL_POINTS = 96


class Trail:
    """A line of bounded length through all values seen: when it is full, every other one goes."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._stride = 1
        self._skipped = 0

    def add(self, value: float) -> None:
        """Take the next value."""
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self.values.append(value)
        if len(self.values) >= _TRAIL_POINTS:
            self.values = self.values[::2]
            self._stride *= 2


class WatchModel:
    """One watched run.

    Attributes:
        link: How the connection to the server stands, in words.
        seq: The last frame shown, -1 before the first.
        last: The newest frame there is, as far as told; -1 if not told.
        is_complete: Whether `last` will remain the newest.
        merged: Source frames that came inside another's message.
        equity_min, equity_max: Extremes of what was shown since the last seek.
        frames: Frame messages so far.
    """

    def __init__(self, run_id: str, *, speed: float = 60.0) -> None:
        self.run_id = run_id
        self.speed = speed
        self.link = "connecting"
        self.status = "–"
        self.run_status = ""
        self.upstream = ""
        self.error = ""
        self.skipped = ""
        self.seq = -1
        self.last = -1
        self.is_complete = False
        self.ts = ""
        self.bar: Bar | None = None
        self.price: float | None = None
        self.equity: float | None = None
        self.equity_min: float | None = None
        self.equity_max: float | None = None
        self.trail = Trail()
        self.order: OrderPart | None = None
        self.orders = 0
        self.frames = 0
        self.merged = 0
        self._lost_before = 0
        self._dropped = 0
        self._lagged = 0
        self._arrivals: deque[float] = deque()
        self._since_s = 0.0

    @property
    def lost(self) -> int:
        """Source frames lost on the way, over all connections."""
        return self._lost_before + max(self._dropped, self._lagged)

    @property
    def behind(self) -> int:
        """Frames between what is shown and the newest there is."""
        return max(0, self.last - self.seq)

    @property
    def is_playing(self) -> bool:
        """Whether frames come, or will come by themselves."""
        return self.status in {"playing", "live", "buffering"}

    @property
    def next_index(self) -> int:
        """The frame from which another connection goes on: there must be one."""
        after = self.seq + 1
        return self.seq if self.status == "ended" and self.seq >= 0 else after

    def fps(self, now_s: float) -> float:
        """Frame messages a second, over the last two seconds; less at the start."""
        arrivals = self._arrivals
        while arrivals and arrivals[0] < now_s - FPS_WINDOW_S:
            arrivals.popleft()
        return len(arrivals) / min(FPS_WINDOW_S, max(now_s - self._since_s, FPS_WINDOW_S / 4))

    def connected(self) -> None:
        """A connection is open: its counters start at nothing."""
        self.link = "connected"
        self._lost_before = self.lost
        self._dropped = self._lagged = 0

    def apply(self, message: Message, *, now_s: float) -> None:
        """Take a message in."""
        match message:
            case FrameMessage():
                self._frame(message, now_s=now_s)
            case StateMessage() | SubscribedMessage():
                self._state(message)
            case SnapshotMessage() | LagMessage() | ResetMessage() | EndedMessage():
                self._turn(message)
            case UpstreamNewsMessage() | RunNewsMessage() | ErrMessage() | ByeMessage():
                self._news(message)

    def sought(self, seq: int) -> None:
        """A seek was sent: the next one counts from there, without waiting for the answer."""
        self.seq = seq - 1

    def _frame(self, frame: FrameMessage, *, now_s: float) -> None:
        if not self.frames:
            self._since_s = now_s
        self.frames += 1
        self._arrivals.append(now_s)
        if frame.seq >= 0:
            first = frame.seq if frame.from_ is None else frame.from_
            self.merged += frame.seq - first
            self.seq = frame.seq
            self.last = max(self.last, frame.seq)
        self.ts = frame.ts
        self._dropped = max(self._dropped, frame.dropped)
        if frame.ohlc is not None:
            self.bar = frame.ohlc
            self.price = frame.ohlc.c if frame.ohlc.c is not None else self.price
        if frame.orders:
            self.order = frame.orders[-1]
            self.orders += len(frame.orders)
        if frame.equity is not None:
            self._take_equity(frame.equity)

    def _state(self, message: StateMessage | SubscribedMessage) -> None:
        self.status = message.status
        self.speed = message.speed
        self.is_complete = self.is_complete or message.complete
        if isinstance(message, SubscribedMessage):
            self.last = self.last if message.last is None else message.last
            return
        self.last = max(self.last, message.live_edge)
        if message.seeked:
            self.seq = message.seq
            self.ts = message.ts or self.ts
            self._forget_equity()

    def _turn(self, message: SnapshotMessage | LagMessage | ResetMessage | EndedMessage) -> None:
        match message:
            case SnapshotMessage(equity=points):
                self._forget_equity()
                for point in points:
                    self._take_equity(point)
            case LagMessage(from_=first, to=last):
                self._lagged += last - first + 1
            case ResetMessage():
                self.last = -1
                self.is_complete = False
                self._forget_equity()
            case EndedMessage():
                self.status = "ended"

    def _news(
        self, message: UpstreamNewsMessage | RunNewsMessage | ErrMessage | ByeMessage
    ) -> None:
        match message:
            case UpstreamNewsMessage(status=status, attempt=attempt, retry_in_ms=retry_in_ms):
                self.upstream = status
                if attempt is not None:
                    self.upstream += f", attempt {attempt}"
                if retry_in_ms is not None:
                    self.upstream += f", again in {retry_in_ms / 1000:.1f} s"
            case RunNewsMessage(status=status, progress=progress, skipped=skipped):
                self.run_status = status if progress is None else f"{status} {progress:.0f} %"
                if skipped is not None:
                    self.skipped = _skipped(skipped)
            case ErrMessage(code=code, msg=text):
                self.error = f"{code}: {text}" if text else code
            case ByeMessage():
                self.link = "the server is going down"

    def _take_equity(self, equity: EquityPart) -> None:
        if equity.value is None:
            return
        self.equity = equity.value
        low = equity.value if equity.min is None else equity.min
        high = equity.value if equity.max is None else equity.max
        self.equity_min = low if self.equity_min is None else min(self.equity_min, low)
        self.equity_max = high if self.equity_max is None else max(self.equity_max, high)
        self.trail.add(equity.value)

    def _forget_equity(self) -> None:
        self.equity_min = self.equity_max = None
        self.trail = Trail()


def _skipped(skipped: SkippedPart) -> str:
    """`3 frames (time_unreadable 3)`; nothing for none."""
    if not skipped.frames:
        return ""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in skipped.reasons.items())
    return f"{skipped.frames:,} frames ({reasons})"
