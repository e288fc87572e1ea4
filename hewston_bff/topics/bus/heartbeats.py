"""When the writers of a bus were last heard."""

from typing import Final

DEFAULT_INTERVAL_S: Final = 1.0
_SHORTEST_S: Final = 0.1
_LONGEST_S: Final = 60.0
_MISSED: Final = 3


class Heartbeats:
    """Heartbeats by stream: every node has a pace of its own. Times are loop times."""

    def __init__(self) -> None:
        self._span_ms: dict[bytes, tuple[int, int]] = {}
        self._interval_s: dict[bytes, float] = {}
        self.heard_s: float | None = None
        """When the last one was heard; None if none ever was."""

    def hear(self, key: bytes, id_ms: int, *, heard_s: float) -> None:
        """A heartbeat was read of this stream, next to the ones before, backwards or forwards.

        The ids tell the pace, however late they were read.
        """
        self.heard_s = heard_s if self.heard_s is None else max(self.heard_s, heard_s)
        oldest_ms, newest_ms = self._span_ms.get(key, (id_ms, id_ms))
        self._span_ms[key] = min(oldest_ms, id_ms), max(newest_ms, id_ms)
        gap_s = max(id_ms - newest_ms, oldest_ms - id_ms) / 1_000
        # A longer gap is a node that was away, a shorter one two nodes on one stream.
        if _SHORTEST_S <= gap_s <= _LONGEST_S:
            interval_s = self._interval_s.get(key, gap_s)
            self._interval_s[key] = interval_s + (gap_s - interval_s) / 4

    @property
    def patience_s(self) -> float:
        """After how long without one three were missed, of the slowest node."""
        return _MISSED * max(self._interval_s.values(), default=DEFAULT_INTERVAL_S)
