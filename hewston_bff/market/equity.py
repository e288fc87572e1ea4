"""A run's equity curve: drawdown, figures, and thinning to fewer points."""

from dataclasses import dataclass

import numpy as np

from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.figures import Bools, Floats, Ints, RunningFigures

_EXTREMES = 6
_STEP_POINTS = 8_192


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity by time, ns since 1970, in order; NaN where a point has no value.

    `has_bar`: whether the frame of a point has a bar; None if unknown. `left_out`: points of the
    source that could not be read.
    """

    ts_ns: Ints
    equity: Floats
    has_bar: Bools | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.equity)


def running_figures(points: Curve) -> Cooperative[RunningFigures]:
    """The figures of a whole curve, in steps of less than a millisecond."""
    running = RunningFigures()
    for begin in range(0, len(points), _STEP_POINTS):
        part = slice(begin, begin + _STEP_POINTS)
        has_bar = None if points.has_bar is None else points.has_bar[part]
        running.feed(points.ts_ns[part], points.equity[part], has_bar=has_bar)
        yield
    return running


def drawdown(points: Curve) -> Floats:
    """How far each point lies below the peak so far, as a share of it; NaN if that is ≤ 0."""
    peaks = np.fmax.accumulate(points.equity)
    with np.errstate(all="ignore"):
        return np.where(peaks > 0, (peaks - points.equity) / peaks, np.nan)


def drop(points: Curve) -> Floats:
    """How far each point lies below the peak so far, in the unit of the equity."""
    return np.fmax.accumulate(points.equity) - points.equity


def thinned(points: Curve, *, to: int) -> Ints:
    """Indices, in order, of at most `to` (≥ 10) points that draw the same picture.

    The first, the last, the highest and the lowest are among them, and peak and trough of the
    deepest drawdown as a share and in money: the library alone loses extremes. Points without a
    value are dropped first.
    """
    if len(points) <= to:
        return np.arange(len(points))
    known = np.flatnonzero(np.isfinite(points.equity))
    if len(known) <= to:
        return known
    equity = np.ascontiguousarray(points.equity[known])
    # By index, not by time: nights and weekends would get most of the points.
    from tsdownsample import MinMaxLTTBDownsampler  # noqa: PLC0415 - with the first curve drawn

    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]  # it has no types
    shape = downsampler.downsample(equity, n_out=to - _EXTREMES)
    is_kept = np.zeros(len(known), np.bool_)
    is_kept[shape] = True
    is_kept[[int(np.argmax(equity)), int(np.argmin(equity))]] = True
    # As a share and in money: they differ where equity began at or below zero, or grew much.
    for depth in (np.nan_to_num(drawdown(points)[known], nan=-1.0), drop(points)[known]):
        trough = int(np.argmax(depth))
        is_kept[[trough, int(np.argmax(equity[: trough + 1]))]] = True
    return known[is_kept]
