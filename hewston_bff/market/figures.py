"""A run's figures: the only place where they are defined.

They are accumulated over the equity, so the figures of a stream up to a cursor and those of a whole
run are the same computation. `docs/metrics.md` has the definitions as a table.

A *period* is a point of the curve from which a return is taken: one with a bar, or with an equity
that differs from the one before. A frame without a bar and without a change lies outside of
sessions: it is not a return of zero. If bars are unknown, and until the first bar of a run, every
point is a period.
"""

from dataclasses import dataclass, field, replace
from math import ceil, isfinite, isnan, nan, sqrt
from statistics import median_high

import msgspec
import numpy as np
import numpy.typing as npt

from hewston_bff.market.trades import RoundTrips
from hewston_bff.protocol.figures import Figures, StreamFigures
from hewston_bff.protocol.times import format_time

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FLAT = 1e-24
"""A variance below this is rounding, not risk."""
_DAY_NS = 86_400 * 1_000_000_000
_CALENDAR_DAYS = 365.2425
_YEAR_NS = _CALENDAR_DAYS * _DAY_NS
_TRADING_DAYS = 252
_SESSION_NS = 390 * 60 * 1_000_000_000
_SATURDAY = 5
_MONDAY_OFFSET = 3
"""1970-01-01 was a Thursday."""
_SPARSE_DAYS = 2.5
"""More days than this between points: the run is neither daily nor finer."""
_WHOLE_DAYS = 2
"""So many complete days define the usual day."""


@dataclass(slots=True)
class _Moments:
    """Count, mean and sum of squared deviations of a population, merged batch by batch.

    Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Floats) -> None:
        count = len(values)
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
        total = self.count + count
        delta = mean - self.mean
        self.mean += delta * count / total
        self.squares += squares + delta * delta * self.count * count / total
        self.count = total

    @property
    def variance(self) -> float:
        return self.squares / self.count if self.count else 0.0


@dataclass(slots=True)
class _Pace:
    """How many periods a year has, estimated from their times."""

    first_day: int = 0
    day: int = -1
    today: int = 0
    """Periods on the last day so far."""
    before: tuple[int, ...] = ()
    """Periods on each day before; shared by copies."""
    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    saturdays: int = 0
    on_saturdays: int = 0
    """Periods on all of them."""
    within_day_ns: int = 0
    """Time between periods of one day, summed over `steps` of them."""
    steps: int = 0

    def add(self, ts_ns: Ints) -> None:
        """Take the times of the next periods (not empty)."""
        days = ts_ns // _DAY_NS
        if not self.count:
            self.first_ns, self.first_day = int(ts_ns[0]), int(days[0])
        else:
            ts_ns = np.concatenate(([self.last_ns], ts_ns))
            days = np.concatenate(([self.day], days))
        within = np.diff(ts_ns)[(np.diff(days) == 0)]
        within = within[within > 0]
        self.within_day_ns += int(within.sum())
        self.steps += len(within)
        new = slice(1, None) if self.count else slice(None)
        for day, size in zip(*_runs(days[new]), strict=True):
            is_saturday = (day + _MONDAY_OFFSET) % 7 == _SATURDAY
            if day != self.day or not self.count:
                self.before += (self.today,) if self.count else ()
                self.day, self.today = day, 0
                self.saturdays += is_saturday
            self.today += size
            self.on_saturdays += size if is_saturday else 0
            self.count += size
        self.last_ns = int(ts_ns[-1])

    def periods_per_year(self) -> float | None:
        """Periods a year; None if the step between periods is unknown.

        The usual day's count by the days of a year: 252 trading days, or all of the calendar where
        Saturdays are like other days. The usual day is the median of those that are over. While
        there are not two of them it has at least a session of 390 minutes, at the step so far.
        Points more than two days apart: as many as fit into a calendar year.
        """
        if self.count < 2 or self.last_ns == self.first_ns:
            return None
        a_day = self.today
        if len(self.before) >= _WHOLE_DAYS:
            a_day = median_high(self.before)
        elif self.steps:
            session = ceil(_SESSION_NS * self.steps / self.within_day_ns)
            a_day = max(self.today, session, *self.before)
        is_every_day = self.saturdays > 0 and 2 * self.on_saturdays >= a_day * self.saturdays
        days_a_year = _CALENDAR_DAYS if is_every_day else _TRADING_DAYS
        gap_days = (self.day - self.first_day) / (self.count - 1)
        return _CALENDAR_DAYS / gap_days if gap_days > _SPARSE_DAYS else a_day * days_a_year


def _runs(days: Ints) -> tuple[list[int], list[int]]:
    """Distinct values of non-decreasing days, and the count of each."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(days)) + 1))
    return days[starts].tolist(), np.diff(starts, append=len(days)).tolist()


@dataclass(slots=True)
class _Risk:
    """Returns over periods, and the number of periods a year."""

    returns: _Moments = field(default_factory=_Moments)
    downside: _Moments = field(default_factory=_Moments)
    pace: _Pace = field(default_factory=_Pace)
    base_lost_ns: int | None = None
    """Time of the first equity ≤ 0 that is the base of a return."""

    def copy(self) -> "_Risk":
        return replace(
            self,
            returns=replace(self.returns),
            downside=replace(self.downside),
            pace=replace(self.pace),
        )

    def add(self, ts_ns: Ints, equity: Floats, *, last: float) -> None:
        """Take the next periods (not empty); `last` is the equity before them, NaN if none."""
        if self.base_lost_ns is None:
            self._add_returns(ts_ns, equity, last)
        self.pace.add(ts_ns)

    def _add_returns(self, ts_ns: Ints, equity: Floats, last: float) -> None:
        is_first = isnan(last)
        bases = equity[:-1] if is_first else np.concatenate(([last], equity[:-1]))
        now = equity[1:] if is_first else equity
        lost = np.flatnonzero(bases <= 0)
        if lost.size:
            at = int(lost[0])
            times = ts_ns if is_first else np.concatenate(([self.pace.last_ns], ts_ns))
            self.base_lost_ns = int(times[at])
            bases, now = bases[:at], now[:at]
        if len(bases):
            returns = now / bases - 1
            self.returns.add(returns)
            self.downside.add(np.minimum(returns, 0))


@dataclass(slots=True)
class RunningFigures:
    """Figures over all equity and orders so far; 1.5 kB, copied for each block of a log."""

    first: float = nan
    last: float = nan
    first_ns: int = 0
    last_ns: int = 0
    """Times of the first and the last equity, whether of periods or not."""
    peak: float = nan
    max_drawdown: float = 0.0
    max_drawdown_money: float = 0.0
    risk: _Risk = field(default_factory=_Risk)
    unbarred: _Risk | None = field(default_factory=_Risk)
    """The same with every point as a period; None once a bar was seen, or if nobody knows."""
    trips: RoundTrips = field(default_factory=RoundTrips)
    orders: int = 0

    def copy(self) -> "RunningFigures":
        """An independent copy."""
        return replace(
            self,
            risk=self.risk.copy(),
            unbarred=None if self.unbarred is None else self.unbarred.copy(),
            trips=self.trips.copy(),
        )

    def feed(self, ts_ns: Ints, equity: Floats, *, has_bar: Bools | None = None) -> None:
        """Take the next points: times that do not fall, equity (NaN: none) and whether of a bar.

        `has_bar` None: nobody knows, so every point is a period. Batches may be of any size: the
        figures are the same up to rounding.
        """
        is_there = np.isfinite(equity)
        if not is_there.all():
            ts_ns, equity = ts_ns[is_there], equity[is_there]
            has_bar = None if has_bar is None else has_bar[is_there]
        if not len(equity):
            return
        if isnan(self.first):
            self.first, self.first_ns = float(equity[0]), int(ts_ns[0])
        self.last_ns = int(ts_ns[-1])
        if has_bar is None or has_bar.any():
            self.unbarred = None
        with np.errstate(all="ignore"):
            if self.unbarred is not None:
                self.unbarred.add(ts_ns, equity, last=self.last)
            self._add_drawdown(equity)
            if has_bar is not None:
                is_period = has_bar | (equity != np.concatenate(([self.last], equity[:-1])))
                ts_ns, equity = ts_ns[is_period], equity[is_period]
            if len(equity):
                self.risk.add(ts_ns, equity, last=self.last)
                self.last = float(equity[-1])

    def feed_orders(self, text: bytes, count: int) -> None:
        """Take the next `count` orders: JSON objects joined by commas."""
        self.orders += count
        self.trips.add_text(text)

    def _add_drawdown(self, equity: Floats) -> None:
        peaks = np.fmax.accumulate(np.concatenate(([self.peak], equity)))[1:]
        self.peak = float(peaks[-1])
        below = peaks - equity
        self.max_drawdown_money = max(self.max_drawdown_money, float(below.max()))
        is_base = peaks > 0
        if is_base.any():
            deepest = float((below[is_base] / peaks[is_base]).max())
            self.max_drawdown = max(self.max_drawdown, deepest)

    def figures(self) -> Figures:
        """The figures so far."""
        is_known, has_start = not isnan(self.first), self.first > 0
        risk = self.risk if self.unbarred is None else self.unbarred
        periods = risk.pace.periods_per_year()
        # After a base that is not positive there are no ratios.
        annual = None if risk.base_lost_ns is not None else periods
        return Figures(
            total_return=_known(self.last / self.first - 1) if has_start else None,
            profit=_known(self.last - self.first) if is_known else None,
            cagr=self._cagr() if has_start else None,
            max_drawdown=_known(self.max_drawdown) if has_start else None,
            max_drawdown_money=_known(self.max_drawdown_money) if is_known else None,
            sharpe=_ratio(risk.returns.mean, risk.returns, annual),
            sortino=_ratio(risk.returns.mean, risk.downside, annual),
            periods_per_year=periods,
            ratios_until=None if risk.base_lost_ns is None else format_time(risk.base_lost_ns),
            hit_rate=self.trips.hit_rate,
            unreadable_orders=self.trips.unreadable,
        )

    def stream_figures(self) -> StreamFigures:
        """The figures so far, and the number of orders."""
        return StreamFigures(**msgspec.structs.asdict(self.figures()), orders=self.orders)

    def _cagr(self) -> float | None:
        elapsed_ns = self.last_ns - self.first_ns
        if self.last <= 0 or elapsed_ns < _DAY_NS:
            return None
        growth = self.last / self.first
        try:
            return _known(growth ** (_YEAR_NS / elapsed_ns) - 1)
        except OverflowError:
            return None


def _ratio(mean: float, risk: _Moments, periods: float | None) -> float | None:
    if periods is None or not risk.variance >= FLAT:
        return None
    return _known(mean / sqrt(risk.variance) * sqrt(periods))


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None
