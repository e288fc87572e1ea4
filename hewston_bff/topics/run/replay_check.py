"""Compares a stream that starts again at frame 0 with the log that has it already.

The backend replays a run from its first frame on every connection. What the log holds is skipped
while it is the same: frame by frame where the frames are held, block by block (by the rolling
digest) where they were evicted.
"""

from enum import Enum, auto

from hewston_bff.log.log import BLOCK, roll
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.wire import RawFrame


class Verdict(Enum):
    """The relation of one frame of a replay to the log."""

    KNOWN = auto()
    """The log has it."""
    NEW = auto()
    """The log ends right before it: append it."""
    DIVERGED = auto()
    """The log has another frame there: `fork()` says from where on."""
    REPEATED = auto()
    """A byte-for-byte repetition of the frame before it: nothing is lost by skipping it."""
    WENT_BACK = auto()
    """Its time is earlier than that of the frame before it on this connection: skip it."""


class Replay:
    """One connection's progress through the run, from frame 0."""

    def __init__(self, log: FrameLog) -> None:
        self._log = log
        self._held = log.next_seq
        self._seq = 0
        self._is_appending = False
        self._last_ts_ns = -(1 << 63)
        self._last_tail = b""
        self._unchecked: list[RawFrame] = []
        """Frames of an evicted block, until the block is whole and its digest can be compared."""

    @property
    def seq(self) -> int:
        """The seq of the connection's next frame."""
        return self._seq

    @property
    def is_caught_up(self) -> bool:
        """Whether everything the log holds has been seen on this connection."""
        return self._seq >= self._log.next_seq

    @property
    def is_ahead(self) -> bool:
        """Whether it brought more than the log held when it began, or other frames."""
        return self._seq > self._held

    def check(self, frame: RawFrame) -> Verdict:
        """The verdict on the connection's next frame; once NEW, all later frames are new.

        Frames are in the order in which they arrive; several may share a time. What is REPEATED or
        WENT_BACK depends on the connection alone, so that every replay skips the same frames.
        """
        if frame.ts_ns <= self._last_ts_ns:
            if frame.ts_ns < self._last_ts_ns:
                return Verdict.WENT_BACK
            if frame.tail == self._last_tail:
                return Verdict.REPEATED
        self._last_ts_ns = frame.ts_ns
        self._last_tail = frame.tail
        seq, self._seq = self._seq, self._seq + 1
        log = self._log
        if self._is_appending or seq == log.next_seq:
            # From here on the log holds what this replay appends, perhaps not all of it yet.
            self._is_appending = True
            return Verdict.NEW
        if seq < log.first_seq or self._unchecked:
            return self._check_evicted(seq, frame)
        if log.tail(seq) == frame.tail:
            return Verdict.KNOWN
        self._seq = seq
        self._unchecked = [frame]
        return Verdict.DIVERGED

    def fork(self) -> tuple[int, list[RawFrame]]:
        """After DIVERGED: the seq from which the log differs, and the frames from there so far."""
        at, frames = self._seq, self._unchecked
        self._held = -1
        self._seq += len(frames)
        self._unchecked = []
        return at, frames

    def go_on_with(self, log: FrameLog) -> None:
        """Continue with `log`, the fork."""
        self._log = log

    def _check_evicted(self, seq: int, frame: RawFrame) -> Verdict:
        if not self._unchecked and seq % BLOCK:
            # Evicted while it was compared frame by frame: its beginning was the same.
            return Verdict.KNOWN
        self._unchecked.append(frame)
        if (seq + 1) % BLOCK:
            return Verdict.KNOWN
        index = seq // BLOCK
        before = self._log.digest(index - 1) if index else b""
        text = b"".join(frame.tail for frame in self._unchecked)
        if roll(before or b"", text) == self._log.digest(index):
            self._unchecked = []
            return Verdict.KNOWN
        self._seq = index * BLOCK
        return Verdict.DIVERGED
