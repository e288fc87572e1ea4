"""A range of a run's frames, by index or by time, both ends included."""

from dataclasses import dataclass

from hewston_bff.protocol.positions import AtIndex, AtTime
from hewston_bff.topics.run.frame_block import FrameLog

Place = AtIndex | AtTime

_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True)
class FrameRange:
    """The frames from `first` to `last`, both included; without a `last`, to the run's end."""

    first: Place
    last: Place | None = None

    def start(self, log: FrameLog) -> int | None:
        """The seq of the first frame; None while the log is too short to tell.

        `log.next_seq` if the run ends before it.
        """
        if not log.is_complete and not _reaches(log, self.first):
            return None
        first = self.first
        start = first.seq if isinstance(first, AtIndex) else log.after(first.ts_ns - 1)
        return min(start, log.next_seq)

    def stop(self, log: FrameLog) -> int:
        """The seq after the last frame of the range that the log holds."""
        match self.last:
            case None:
                return log.next_seq
            case AtIndex(seq):
                return min(seq + 1, log.next_seq)
            case AtTime(ts_ns):
                return log.after(ts_ns)

    def is_all_there(self, log: FrameLog) -> bool:
        """Whether no frame of the range is still to come."""
        match self.last:
            case None:
                return log.is_complete
            case AtIndex():
                return log.is_complete or _reaches(log, self.last)
            case AtTime(ts_ns):
                return log.is_past(ts_ns)


def _reaches(log: FrameLog, place: Place) -> bool:
    if isinstance(place, AtIndex):
        return place.seq < log.next_seq
    return log.next_seq > 0 and place.ts_ns <= log.last_ts_ns


def lines(log: FrameLog, start: int, stop: int) -> bytes:
    """Frames `start` to `stop` as NDJSON, each as the backend sent it, with its `seq`.

    Raises:
        Evicted: a frame is no longer held.
    """
    return b"".join(
        b'{"t":"frame","seq":%d,%b\n' % (seq, log.tail(seq).translate(_ONE_LINE))
        for seq in range(start, stop)
    )
