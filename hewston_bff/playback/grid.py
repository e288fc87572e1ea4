"""Where playback cuts a log into messages.

For `rate` source frames a second and at most `per_s` messages a second a message covers
w = max(1, rate / per_s) frames on average, with cuts at floor(k·w). The cuts depend on nothing
else: all viewers at the same speed cut at the same frames, whenever they joined.
"""

from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Grid:
    """Cuts at floor(k·width) for whole k; `width` ≥ 1 frames."""

    width: float

    @classmethod
    def of(cls, *, rate: float, per_s: float) -> "Grid":
        """The grid for `rate` source frames and at most `per_s` messages a second."""
        return cls(max(1.0, rate / per_s))

    def next_cut(self, seq: int) -> int:
        """The first cut after `seq`."""
        if self.width == 1.0:
            return seq + 1
        k = ceil((seq + 1) / self.width)
        # The division may land a hair below the cut it stands for.
        cut = floor(k * self.width)
        return cut if cut > seq else floor((k + 1) * self.width)

    def last_cut(self, seq: int) -> int:
        """The last cut at or before `seq`."""
        if self.width == 1.0:
            return seq
        k = floor((seq + 1) / self.width)
        cut = floor(k * self.width)
        return cut if cut <= seq else floor((k - 1) * self.width)
