"""Durations counted in bins, so that an hour of messages takes no more room than a second.

Bins grow by 1 % each, from 1 µs to 2 h: a percentile is at most 1 % above the truth. Recording is
an append to an array; the counting happens in bulk, in `flush` or when a figure is asked for.

A client that waits during a stall sends (or here: gets) one late message where many were due, so
the stall weighs as little as one good message: coordinated omission. `corrected` puts the missing
ones back as HdrHistogram does: a gap of g where e was expected also counts as g − e, g − 2e, … down
to e. That is what viewers who look at arbitrary moments would have measured.
"""

from array import array

import msgspec
import numpy as np
import numpy.typing as npt

FIRST_NS = 1_000
LAST_NS = 7_200 * 10**9
GROWTH = 1.01

Floats = npt.NDArray[np.float64]

_EDGES: Floats = np.append(
    FIRST_NS * GROWTH ** np.arange(np.log(LAST_NS / FIRST_NS) / np.log(GROWTH)), float(LAST_NS)
)
"""Upper edge of each bin, in ns; what is longer counts in the last one."""


class Percentiles(msgspec.Struct, frozen=True):
    """A distribution in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Histogram:
    """Durations in ns. `append` takes one and costs as much as a list's."""

    def __init__(self) -> None:
        self._recent = array("q")
        self.append = self._recent.append
        self._counts = np.zeros(len(_EDGES), dtype=np.float64)
        self._max_ns = 0

    def flush(self) -> None:
        """Count what was appended. To be called now and then, to keep the memory bounded."""
        if not self._recent:
            return
        values = np.array(self._recent)
        del self._recent[:]
        self._max_ns = max(self._max_ns, int(values.max()))
        at = np.minimum(np.searchsorted(_EDGES, values), len(_EDGES) - 1)
        self._counts += np.bincount(at, minlength=len(_EDGES))

    def clear(self) -> None:
        """Forget everything."""
        self.flush()
        self._counts[:] = 0
        self._max_ns = 0

    @property
    def count(self) -> int:
        """How many durations there are; of a corrected histogram with those put back."""
        self.flush()
        return int(self._counts.sum())

    @property
    def max_ns(self) -> int:
        """The longest, exactly; 0 if there is none."""
        self.flush()
        return self._max_ns

    def percentile_ns(self, percent: float) -> float:
        """What `percent` % do not exceed: a bin's upper edge, never above the longest."""
        self.flush()
        total = np.cumsum(self._counts)
        if not total[-1]:
            return 0.0
        # At least one duration: rank 0 would fall into a bin before the first that holds any.
        rank = max(1.0, percent / 100 * total[-1])
        at = int(np.searchsorted(total, rank - 1e-9))
        return min(float(_EDGES[at]), float(self._max_ns))

    def percentiles(self) -> Percentiles | None:
        """The usual ones in milliseconds, None if nothing was recorded."""
        if not self.count:
            return None
        p50, p95, p99 = (round(self.percentile_ns(p) / 1e6, 3) for p in (50, 95, 99))
        return Percentiles(p50, p95, p99, round(self._max_ns / 1e6, 3))

    def corrected(self, expected_ns: float) -> "Histogram":
        """A copy in which stalls weigh what they cost: see the module's first lines."""
        self.flush()
        copy = Histogram()
        copy._counts = self._counts.copy()
        copy._max_ns = self._max_ns
        for at in np.flatnonzero(self._counts):
            # A bin's upper edge can lie above every duration in it, but not above the longest.
            gap = min(float(_EDGES[at]), float(self._max_ns)) / expected_ns
            copy._counts += self._counts[at] * _missing(gap, _EDGES / expected_ns)
        return copy

    def bins(self) -> list[tuple[float, int]]:
        """(Upper edge in ms, count) of the bins that hold something, ascending."""
        self.flush()
        return [
            (float(_EDGES[at]) / 1e6, int(self._counts[at])) for at in np.flatnonzero(self._counts)
        ]


def _missing(gap: float, edges: Floats) -> Floats:
    """How many of gap − 1, gap − 2, … down to 1 lie in each bin; all in expected gaps.

    Counted, not listed: where little is expected and much was missed there are millions.
    """
    rounding = 1e-9
    last = np.floor(gap - 1 + rounding)
    first = np.maximum(1.0, np.ceil(gap - edges - rounding))
    up_to_edge = np.maximum(0.0, last - first + 1)
    return np.diff(up_to_edge, prepend=0.0)
