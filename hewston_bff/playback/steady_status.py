"""When a viewer whose run arrives slower than it plays gets `playing` again.

Frames are delivered as they come. The status does not follow each of them: `buffering` is announced
at once when nothing is left to play, and `playing` again only when half a second of stock lies
ahead and half a second has passed, so that at most two changes a second are announced. The first
start is announced at once, and so is any other status.
"""

from dataclasses import dataclass
from math import inf

from hewston_bff.protocol.notices import CursorStatus

STOCK_S = 0.5
"""Seconds of playback that have to lie ahead before `playing` is announced again."""
DWELL_S = 0.5
"""How long `buffering` stays announced at least, once something has been played."""


@dataclass(slots=True)
class SteadyStatus:
    """The status announced last, and since when."""

    _told: CursorStatus | None = None
    _since_s: float = -inf
    _has_played: bool = False

    def told(self, status: CursorStatus, *, stock_s: float, now_s: float) -> CursorStatus:
        """What to announce for a cursor whose status is `status` now.

        `stock_s`: seconds of playback that the log holds ahead, inf if the log is complete.
        """
        is_back = status == "playing" and self._told == "buffering" and self._has_played
        if is_back and (stock_s < STOCK_S or now_s < self._since_s + DWELL_S):
            return "buffering"
        if status != self._told:
            self._told, self._since_s = status, now_s
        self._has_played = self._has_played or status == "playing"
        return status

    def restart(self) -> None:
        """The cursor moved: its next start is a first one."""
        self._has_played = False
