"""Bars as columns: dropping impossible ones, and merging several into one."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NO_TIME_NS = int(np.iinfo(np.int64).min)
"""Stands for a time that is missing or unreadable."""
NS_A_SECOND = 1_000_000_000

_NONE = np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Columns of equal length; `t_ns` in ns since 1970 UTC, NaN for values that are missing."""

    t_ns: Ints
    o: Floats
    h: Floats
    l: Floats  # noqa: E741 - the backend's own word
    c: Floats
    v: Floats

    def __len__(self) -> int:
        """How many bars."""
        return len(self.t_ns)

    def taken(self, which: Bools | slice) -> "Bars":
        """The bars that a numpy index selects, in its order."""
        return Bars(
            self.t_ns[which],
            self.o[which],
            self.h[which],
            self.l[which],
            self.c[which],
            self.v[which],
        )


def joined(parts: list[Bars]) -> Bars:
    """The bars of all `parts`, concatenated."""
    return Bars(
        t_ns=np.concatenate([np.empty(0, np.int64), *(part.t_ns for part in parts)]),
        o=np.concatenate([_NONE, *(part.o for part in parts)]),
        h=np.concatenate([_NONE, *(part.h for part in parts)]),
        l=np.concatenate([_NONE, *(part.l for part in parts)]),
        c=np.concatenate([_NONE, *(part.c for part in parts)]),
        v=np.concatenate([_NONE, *(part.v for part in parts)]),
    )


def possible(bars: Bars) -> Bars:
    """The valid bars: with a time, finite prices, high ≥ low, and no earlier than any before.

    Prices of zero and below are possible: crude oil closed at −37.63 on 20 April 2020. A volume
    that is not finite is unknown.
    """
    priced = _where(bars, _is_priced(bars))
    latest = np.maximum.accumulate(priced.t_ns) if len(priced) else priced.t_ns
    ordered = _where(priced, priced.t_ns >= latest)
    volumes = ordered.v
    if not np.isfinite(volumes).all():
        ordered = replace(ordered, v=np.where(np.isfinite(volumes), volumes, np.nan))
    return ordered


def merged(bars: Bars, starts: Ints) -> Bars:
    """Bars in order, merged from each of `starts` to before the next.

    Time and open of the first, highest high, lowest low, last close, and the sum of the volumes
    that are known.
    """
    ends = np.append(starts[1:], len(bars))
    return Bars(
        t_ns=bars.t_ns[starts],
        o=bars.o[starts],
        h=np.maximum.reduceat(bars.h, starts),
        l=np.minimum.reduceat(bars.l, starts),
        c=bars.c[ends - 1],
        v=_summed(bars.v, starts),
    )


def by_second(bars: Bars) -> Bars:
    """Bars in order, those of one second merged: answers carry no finer time."""
    seconds = bars.t_ns // NS_A_SECOND
    is_new = np.diff(seconds) != 0
    if is_new.all():
        return bars
    return merged(bars, np.concatenate(([0], np.flatnonzero(is_new) + 1)))


def _summed(volumes: Floats, starts: Ints) -> Floats:
    """Sums of the known volumes; NaN where none is known."""
    is_known = ~np.isnan(volumes)
    sums = np.add.reduceat(np.where(is_known, volumes, 0.0), starts)
    return np.where(np.logical_or.reduceat(is_known, starts), sums, np.nan)


def _is_priced(bars: Bars) -> Bools:
    is_priced: Bools = bars.t_ns != NO_TIME_NS
    for prices in (bars.o, bars.h, bars.l, bars.c):
        is_priced &= np.isfinite(prices)
    is_priced &= bars.h >= bars.l
    return is_priced


def _where(bars: Bars, which: Bools) -> Bars:
    """The selected bars; no copy if that is all of them, as it almost always is."""
    return bars if which.all() else bars.taken(which)
