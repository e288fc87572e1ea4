"""Merges many frames into one, without loss of meaning.

State folds (open first, high max, low min, close last, volume sum, equity last with its extremes;
absent values are skipped, not zero). Events do not: every order is kept, in order.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from math import isnan, nan

import msgspec


class Fold(msgspec.Struct, frozen=True, gc=False):
    """The merged numbers of a range of frames. NaN: no frame of the range had a value.

    `equity_seq` is the frame that `equity` is from, -1 where there is none.
    """

    o: float = nan
    h: float = nan
    l: float = nan  # noqa: E741 - the wire's own name
    c: float = nan
    v: float = nan
    equity: float = nan
    equity_min: float = nan
    equity_max: float = nan
    equity_seq: int = -1


EMPTY = Fold()


class Columns:
    """The numbers of consecutive frames, in columns; 56 bytes for each frame."""

    __slots__ = ("c", "e", "h", "has_gaps", "l", "o", "ts", "v")

    def __init__(self) -> None:
        self.ts = array("q")
        self.o = array("d")
        self.h = array("d")
        self.l = array("d")
        self.c = array("d")
        self.v = array("d")
        self.e = array("d")
        self.has_gaps = False
        """Whether any value of any frame is absent; without gaps folding is plain slices."""

    def fold(self, start: int, stop: int, *, first_seq: int) -> Fold:
        """Frames `start` to `stop` (local indices, not empty) as one."""
        if self.has_gaps:
            return self._fold_with_gaps(start, stop, first_seq=first_seq)
        equity = self.e[start:stop]
        return Fold(
            self.o[start],
            max(self.h[start:stop]),
            min(self.l[start:stop]),
            self.c[stop - 1],
            sum(self.v[start:stop]),
            equity[-1],
            min(equity),
            max(equity),
            first_seq + stop - 1,
        )

    def _fold_with_gaps(self, start: int, stop: int, *, first_seq: int) -> Fold:
        opens, closes = _present(self.o[start:stop]), _present(self.c[start:stop])
        highs, lows = _present(self.h[start:stop]), _present(self.l[start:stop])
        volumes, equity = _present(self.v[start:stop]), _present(self.e[start:stop])
        last = next((i for i in range(stop - 1, start - 1, -1) if not isnan(self.e[i])), None)
        return Fold(
            opens[0] if opens else nan,
            max(highs, default=nan),
            min(lows, default=nan),
            closes[-1] if closes else nan,
            sum(volumes) if volumes else nan,
            equity[-1] if equity else nan,
            min(equity, default=nan),
            max(equity, default=nan),
            -1 if last is None else first_seq + last,
        )


def merge(folds: Iterable[Fold]) -> Fold:
    """Folds of adjacent ranges, in order, as the fold of the whole."""
    whole = EMPTY
    for fold in folds:
        whole = fold if whole is EMPTY else _join(whole, fold)
    return whole


def _join(a: Fold, b: Fold) -> Fold:
    has_equity = b.equity_seq >= 0
    return Fold(
        b.o if isnan(a.o) else a.o,
        _extreme(max, a.h, b.h),
        _extreme(min, a.l, b.l),
        a.c if isnan(b.c) else b.c,
        b.v if isnan(a.v) else a.v if isnan(b.v) else a.v + b.v,
        b.equity if has_equity else a.equity,
        _extreme(min, a.equity_min, b.equity_min),
        _extreme(max, a.equity_max, b.equity_max),
        b.equity_seq if has_equity else a.equity_seq,
    )


def _extreme(pick: Callable[[float, float], float], a: float, b: float) -> float:
    return b if isnan(a) else a if isnan(b) else pick(a, b)


def _present(values: Sequence[float]) -> list[float]:
    return [value for value in values if not isnan(value)]
