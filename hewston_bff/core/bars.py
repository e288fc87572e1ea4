"""Bars as columns, and which of them cannot be."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NO_TIME_S = np.iinfo(np.int64).min
"""In place of a time that is missing or unreadable: before all others, so never in order."""

_NONE = np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Columns of equal length; `t_s` in epoch seconds UTC, NaN for what the source did not say."""

    t_s: Ints
    o: Floats
    h: Floats
    l: Floats  # noqa: E741 - the backend's own word
    c: Floats
    v: Floats

    def __len__(self) -> int:
        """How many bars."""
        return len(self.t_s)

    def taken(self, which: Bools | slice) -> "Bars":
        """The bars that a numpy index picks, in its order."""
        return Bars(
            self.t_s[which],
            self.o[which],
            self.h[which],
            self.l[which],
            self.c[which],
            self.v[which],
        )


def joined(parts: list[Bars]) -> Bars:
    """All bars of `parts`, one after the other."""
    return Bars(
        t_s=np.concatenate([np.empty(0, np.int64), *(part.t_s for part in parts)]),
        o=np.concatenate([_NONE, *(part.o for part in parts)]),
        h=np.concatenate([_NONE, *(part.h for part in parts)]),
        l=np.concatenate([_NONE, *(part.l for part in parts)]),
        c=np.concatenate([_NONE, *(part.c for part in parts)]),
        v=np.concatenate([_NONE, *(part.v for part in parts)]),
    )


def possible(bars: Bars) -> Bars:
    """The bars that can be: prices finite and positive, high ≥ low, later than all before.

    A volume that is missing is unknown and can be; a negative or infinite one can't.
    """
    priced = _where(bars, _is_priced(bars))
    latest_before = np.maximum.accumulate(np.concatenate(([NO_TIME_S], priced.t_s)))[:-1]
    return _where(priced, priced.t_s > latest_before)


def _is_priced(bars: Bars) -> Bools:
    is_priced = np.isnan(bars.v) | (np.isfinite(bars.v) & (bars.v >= 0))
    for prices in (bars.o, bars.h, bars.l, bars.c):
        is_priced &= np.isfinite(prices) & (prices > 0)
    return is_priced & (bars.h >= bars.l)


def _where(bars: Bars, which: Bools) -> Bars:
    """Without copying if it is all of them, as it almost always is."""
    return bars if which.all() else bars.taken(which)
