"""What one viewer of one run saw: plain bookkeeping, times come in as arguments.

The continuity rule of stream protocol v1: the `from` (or `seq`) of a frame is the last `seq` + 1,
unless a `state` with `seeked`, a `lag` or a `reset` came between.
"""

UNKNOWN = -1


class StreamRecord:
    """One subscription. `due_ns` is when its client was to arrive, whether or not it could.

    Attributes:
        first_ns: When its first frame came; 0 before.
        last_ns: When its latest frame came; 0 while none is owed a successor (before the first,
            after the end).
        frames: Frame messages since the window began.
        merged: Source frames that came inside another's message since the window began.
        breaks: Violations of the continuity rule.
        lost: Source frames lost on the way, as the server says.
        ends: How often the run's end was reached.
        is_buffering: Whether the server has nothing more to show it, as it says.
    """

    __slots__ = (
        *("breaks", "due_ns", "ends", "first_ns", "frames", "last_ns", "lost", "merged"),
        *("is_buffering", "run_id", "_expected_seq", "_lagged"),
    )

    def __init__(self, run_id: str, *, due_ns: int) -> None:
        self.run_id = run_id
        self.due_ns = due_ns
        self.first_ns = 0
        self.last_ns = 0
        self.frames = 0
        self.merged = 0
        self.breaks = 0
        self.lost = 0
        self.ends = 0
        self.is_buffering = False
        self._expected_seq = UNKNOWN
        self._lagged = 0

    def frame(self, first: int, seq: int, count: int, dropped: int, now_ns: int) -> int:
        """Note a frame message that covers source frames `first` to `seq`, `count` in number.

        `seq` may be UNKNOWN: servers that do not number their frames are not checked. Returns the
        ns since the frame before it, or UNKNOWN where there is no such gap.
        """
        self.frames += 1
        self.merged += count - 1
        if seq >= 0:
            if (
                first != self._expected_seq and self._expected_seq >= 0
            ) or count != seq - first + 1:
                self.breaks += 1
            self._expected_seq = seq + 1
        if dropped > self.lost:
            self.lost = dropped
        before_ns, self.last_ns = self.last_ns, now_ns
        if before_ns:
            return now_ns - before_ns
        if not self.first_ns:
            self.first_ns = now_ns
        return UNKNOWN

    def jump(self) -> None:
        """A seek or a reset: the next frame may be any."""
        self._expected_seq = UNKNOWN

    def lag(self, first: int, last: int) -> None:
        """The server says that frames `first` to `last` are lost for this viewer."""
        self._lagged += last - first + 1
        self.lost = max(self.lost, self._lagged)
        self._expected_seq = UNKNOWN

    def end(self) -> None:
        """The run is over: no further frame is due, so the silence that follows is no gap."""
        self.ends += 1
        self.last_ns = 0

    def leave(self) -> None:
        """The socket is gone; its silence is counted as a closed socket, not as a gap."""
        self.last_ns = 0

    def begin_window(self) -> None:
        """Count from here on. What is wrong (breaks, lost) keeps counting from the start."""
        self.frames = 0
        self.merged = 0

    def open_gap_ns(self, now_ns: int) -> int:
        """For how long it has been silent; UNKNOWN while nothing is due."""
        return now_ns - self.last_ns if self.last_ns else UNKNOWN
