"""When a viewer whose run comes slower than it plays is told `playing` again.

Frames are delivered as they come. What is said of it does not follow each of them: `buffering` is
told at once when nothing is left to play, and `playing` again only when half a second of stock is
there and half a second has passed, so that at most two changes a second are told. The first start
is told at once, and so is whatever is neither of the two.
"""

from dataclasses import dataclass
from math import inf

from hewston_bff.protocol.notices import CursorStatus

STOCK_S = 0.5
"""Seconds of playback that have to lie ahead before `playing` is told again."""
DWELL_S = 0.5
"""How long `buffering` is told for at least, once something has been played."""


@dataclass(slots=True)
class SteadyStatus:
    """What was told last, and since when."""

    _told: CursorStatus | None = None
    _since_s: float = -inf
    _has_played: bool = False

    def told(self, status: CursorStatus, *, stock_s: float, now_s: float) -> CursorStatus:
        """What to tell of a cursor whose status is `status` now.

        `stock_s`: how long what the log holds ahead of it lasts, inf if it holds all of the run.
        """
        is_back = status == "playing" and self._told == "buffering" and self._has_played
        if is_back and (stock_s < STOCK_S or now_s < self._since_s + DWELL_S):
            return "buffering"
        if status != self._told:
            self._told, self._since_s = status, now_s
        self._has_played = self._has_played or status == "playing"
        return status

    def restart(self) -> None:
        """The cursor went elsewhere: the next start is a first one."""
        self._has_played = False
