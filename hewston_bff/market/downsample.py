"""Reduces bars to fewer: neighbours are merged, none is dropped.

The result has the source's highest high, lowest low, first open, last close and total volume.
Buckets hold `stride` neighbouring bars of one UTC day, the last of a day perhaps fewer; if there
are more days than points, they hold whole days.
"""

from typing import NamedTuple

import numpy as np

from hewston_bff.market.bars import NS_A_SECOND, Bars, Ints, merged

_DAY_NS = 86_400 * NS_A_SECOND


class Downsampled(NamedTuple):
    """Merged bars, each with the time of its first; `stride`: the most bars merged into one."""

    bars: Bars
    stride: int | None


def downsample(bars: Bars, *, target: int) -> Downsampled:
    """Reduce `bars`, which are in order, to at most `target` (≥ 1). O(n)."""
    if len(bars) <= target:
        return Downsampled(bars, None)
    starts = _starts(bars.t_ns, target=target)
    widths = np.diff(starts, append=len(bars))
    return Downsampled(merged(bars, starts), int(widths.max()))


def _starts(t_ns: Ints, *, target: int) -> Ints:
    """The index at which each bucket begins."""
    days = t_ns // _DAY_NS
    day_starts = np.concatenate(([0], np.flatnonzero(np.diff(days)) + 1)).astype(np.int64)
    if len(day_starts) > target:
        return day_starts[:: -(-len(day_starts) // target)]
    sizes = np.diff(day_starts, append=len(t_ns))
    stride = _stride(sizes, target=target)
    within_day = np.arange(len(t_ns)) - np.repeat(day_starts, sizes)
    return np.flatnonzero(within_day % stride == 0)


def _stride(day_sizes: Ints, *, target: int) -> int:
    """The smallest number of bars in a bucket that makes at most `target` buckets."""
    low, high = 1, int(day_sizes.max())
    while low < high:
        middle = (low + high) // 2
        if int(np.sum(-(-day_sizes // middle))) <= target:
            high = middle
        else:
            low = middle + 1
    return low
