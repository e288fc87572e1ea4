"""Fewer bars that say the same: whole bars are merged, none is left out.

Of every result the highest high, lowest low, first open, last close and total volume are those of
its source. Buckets hold `stride` neighbouring bars of one UTC day, the last of a day perhaps
fewer; if there are more days than points, they hold whole days.
"""

from typing import NamedTuple

import numpy as np

from hewston_bff.market.bars import NS_A_SECOND, Bars, Ints, merged

_DAY_NS = 86_400 * NS_A_SECOND


class Downsampled(NamedTuple):
    """Merged bars under the time of their first; `stride`: the most bars merged into one."""

    bars: Bars
    stride: int | None


def downsample(bars: Bars, *, target: int) -> Downsampled:
    """At most `target` (≥ 1) bars in place of `bars`, which are in order. O(n)."""
    if len(bars) <= target:
        return Downsampled(bars, None)
    starts = _starts(bars.t_ns, target=target)
    widths = np.diff(starts, append=len(bars))
    return Downsampled(merged(bars, starts), int(widths.max()))


def _starts(t_ns: Ints, *, target: int) -> Ints:
    """Where each bucket begins."""
    days = t_ns // _DAY_NS
    day_starts = np.concatenate(([0], np.flatnonzero(np.diff(days)) + 1)).astype(np.int64)
    if len(day_starts) > target:
        return day_starts[:: -(-len(day_starts) // target)]
    sizes = np.diff(day_starts, append=len(t_ns))
    stride = _stride(sizes, target=target)
    within_day = np.arange(len(t_ns)) - np.repeat(day_starts, sizes)
    return np.flatnonzero(within_day % stride == 0)


def _stride(day_sizes: Ints, *, target: int) -> int:
    """The least number of bars a bucket by which the days make at most `target` buckets."""
    low, high = 1, int(day_sizes.max())
    while low < high:
        middle = (low + high) // 2
        if int(np.sum(-(-day_sizes // middle))) <= target:
            high = middle
        else:
            low = middle + 1
    return low
