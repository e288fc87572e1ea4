"""A run's equity curve as a whole: its figures, its drawdown, and the curve in fewer points.

The definitions are those of `metrics`, over all values at once; and cagr = (e_end / e_start)^(1/T)
− 1 with T = days / 365.2425; hit_rate = winning round trips / all round trips.
"""

from collections import deque
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from tsdownsample import MinMaxLTTBDownsampler

from hewston_bff.core.metrics import FLAT, MINUTES_A_YEAR

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NS_A_YEAR = 365.2425 * 86_400e9
_DUST = 1e-9
"""Of a trade's quantity: what rounding leaves of a position that was closed."""
_EXTREMES = 4


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity by time, ns since 1970; only finite values, made by `curve`."""

    ts_ns: Ints
    equity: Floats

    def __len__(self) -> int:
        return len(self.equity)


def curve(ts_ns: Ints, equity: Floats) -> Curve:
    """The points that have a value."""
    is_there = np.isfinite(equity)
    return Curve(ts_ns[is_there], equity[is_there])


class Figures(msgspec.Struct, frozen=True):
    """What a run comes to; None where there is nothing to say."""

    total_return: float | None
    cagr: float | None
    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    hit_rate: float | None


def figures(points: Curve, *, hit_rate: float | None) -> Figures:
    """The figures of a run with this curve."""
    equity = points.equity
    has_start = len(points) > 0 and equity[0] != 0
    with np.errstate(all="ignore"):
        before = equity[:-1]
        returns = equity[1:][before != 0] / before[before != 0] - 1
        return Figures(
            total_return=_known(equity[-1] / equity[0] - 1) if has_start else None,
            cagr=_cagr(points) if has_start else None,
            max_drawdown=_known(np.fmax.reduce(drawdown(points), initial=0.0))
            if has_start
            else None,
            sharpe=_ratio(returns, returns),
            sortino=_ratio(returns, np.minimum(returns, 0)),
            hit_rate=hit_rate,
        )


def drawdown(points: Curve) -> Floats:
    """How far each point lies below the highest before, as a part of it; NaN if that is ≤ 0."""
    peaks = np.maximum.accumulate(points.equity)
    with np.errstate(all="ignore"):
        return np.where(peaks > 0, (peaks - points.equity) / peaks, np.nan)


def thinned(points: Curve, *, to: int) -> Ints:
    """Indices of at most `to` (≥ 10) points that draw the same picture, in order.

    The first, the last, the highest and the lowest are among them, and the peak and trough of the
    deepest drawdown: the library alone loses extremes.
    """
    count = len(points)
    if count <= to:
        return np.arange(count)
    equity = np.ascontiguousarray(points.equity)
    # By index, not by time: nights and weekends would get most of the points.
    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]  # it has no types
    shape = downsampler.downsample(equity, n_out=to - _EXTREMES)
    depth = np.nan_to_num(drawdown(points), nan=-1.0)
    trough = int(np.argmax(depth))
    peak = int(np.argmax(equity[: trough + 1]))
    is_kept = np.zeros(count, np.bool_)
    is_kept[shape] = True
    is_kept[[int(np.argmax(equity)), int(np.argmin(equity)), peak, trough]] = True
    return np.flatnonzero(is_kept)


class Trade(NamedTuple):
    """An order that was filled: how many were bought, or sold (negative), and at what price."""

    quantity: float
    price: float


class RoundTrips:
    """Trades in their order, first in first out.

    A round trip is what one trade closes of one earlier trade; it wins if it gains anything.
    """

    def __init__(self) -> None:
        self._held: deque[Trade] = deque()
        self._trips = 0
        self._won = 0

    @property
    def hit_rate(self) -> float | None:
        """The part of all round trips that won; None if there was none."""
        return self._won / self._trips if self._trips else None

    def add(self, trade: Trade) -> None:
        """Take the next trade."""
        held, left = self._held, trade.quantity
        while left and held and held[0].quantity * left < 0:
            entry = held.popleft()
            self._trips += 1
            self._won += (trade.price - entry.price) * entry.quantity > 0
            rest = left + entry.quantity
            if abs(rest) <= _DUST * abs(trade.quantity):
                return
            if rest * entry.quantity > 0:
                held.appendleft(Trade(rest, entry.price))
                return
            left = rest
        if left:
            held.append(Trade(left, trade.price))


def _cagr(points: Curve) -> float | None:
    growth = points.equity[-1] / points.equity[0]
    years = (points.ts_ns[-1] - points.ts_ns[0]) / _NS_A_YEAR
    if points.equity[-1] <= 0 or growth <= 0 or years <= 0:
        return None
    return _known(growth ** (1 / years) - 1)


def _ratio(returns: Floats, risky: Floats) -> float | None:
    if not returns.size:
        return None
    variance = risky.var()
    if not variance >= FLAT:
        return None
    return _known(returns.mean() / np.sqrt(variance) * np.sqrt(MINUTES_A_YEAR))


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None
