"""Counts what was skipped of a run's stream, by reason; a replay counts nothing twice."""

from collections import Counter
from enum import StrEnum


class Skip(StrEnum):
    """Why a message, or a part of a frame, was skipped. A frame counts once."""

    MALFORMED = "malformed"
    """Not a JSON object, not UTF-8, or without a string `t`."""
    TIME_UNREADABLE = "time_unreadable"
    """A frame without a time, or with one that cannot be read."""
    TIME_WENT_BACK = "time_went_back"
    """A frame whose time is earlier than that of the frame before it."""
    TOO_LARGE = "too_large"
    """Larger than the limit for messages."""
    BINARY = "binary"
    """Not text."""
    ORDERS_UNREADABLE = "orders_unreadable"
    """The frame is kept, but some of its orders could not be read."""
    BAR_UNREADABLE = "bar_unreadable"
    """The frame is kept, but its bar, or a member of it, could not be read."""
    EQUITY_UNREADABLE = "equity_unreadable"
    """The frame is kept, but its equity, or a member of it, could not be read."""
    REPEATED = "repeated"
    """The same frame again, byte for byte. Nothing is lost."""
    UNKNOWN = "unknown"
    """A message of a kind that the protocol does not have. Nothing of the run is lost."""
    BACKEND_ERROR = "backend_error"
    """An `err` of the backend that concerns no frame. Nothing is lost."""

    @property
    def is_loss(self) -> bool:
        """Whether viewers miss something by it."""
        return self not in {Skip.REPEATED, Skip.UNKNOWN, Skip.BACKEND_ERROR}


class Skips:
    """The count of one run.

    The backend replays a run from its first frame on every connection, so each connection counts
    from 0. Until it has passed what the log holds, the larger of its count and the one before
    stands, reason by reason; from then on its own, because the log is what it has played.
    """

    def __init__(self) -> None:
        self._before: Counter[Skip] = Counter()
        self._now: Counter[Skip] = Counter()
        self.total = 0
        """Everything that was ever skipped, replays and harmless messages included."""
        self.last: Skip | None = None
        """The reason of the last one."""
        self._told = 0
        self.was_told = False
        """Whether any were ever announced to viewers."""

    def begin(self) -> None:
        """A new connection plays the run from its first frame."""
        self._before = self._before | self._now
        self._now = Counter()

    def add(self, reason: Skip) -> bool:
        """Count one; whether it is more than was known before."""
        self.total += 1
        self.last = reason
        self._now[reason] += 1
        return self._now[reason] > self._before[reason]

    def settle(self) -> None:
        """The connection has passed everything that the log holds."""
        self._before.clear()

    @property
    def lost(self) -> dict[str, int]:
        """Counts by reason, of reasons by which viewers miss something."""
        found = self._before | self._now
        return {str(reason): n for reason, n in sorted(found.items()) if reason.is_loss}

    def is_news(self, *, is_final: bool) -> bool:
        """Whether to notify viewers now: once, at each doubling, and of the final count.

        If so, the caller notifies them.
        """
        frames = self.frames
        is_due = frames != self._told if is_final else frames >= max(1, 2 * self._told)
        if is_due:
            self._told = frames
            self.was_told = True
        return is_due

    @property
    def frames(self) -> int:
        """How many frames are missing or incomplete."""
        return sum(self.lost.values())
