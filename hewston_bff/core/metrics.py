"""Running figures of an equity curve: what is known of a run at one frame.

Definitions of the platform, for equity e_t and returns r_t = e_t / e_{t-1} − 1 a minute:
total_return = e_end / e_start − 1; max_drawdown = max over t of (peak_t − e_t) / peak_t;
sharpe = mean(r) / std(r) · √(252·390), null if std = 0; sortino likewise with std of min(r, 0).
Mean and variance are carried as Welford does (Technometrics 4(3), 1962), population variance.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt

MINUTES_A_YEAR = 252 * 390
FLAT = 1e-24
"""A variance below this is rounding, not risk."""


@dataclass(slots=True)
class EquityStats:
    """Figures over the equity values seen so far, and the number of orders."""

    first: float = nan
    last: float = nan
    peak: float = nan
    max_drawdown: float = 0.0
    returns: int = 0
    mean: float = 0.0
    squares: float = 0.0
    down_mean: float = 0.0
    down_squares: float = 0.0
    orders: int = 0

    def copy(self) -> "EquityStats":
        """An independent copy."""
        return replace(self)

    def feed(self, values: Iterable[float]) -> None:
        """Take equity `values` in order; absent (NaN) ones are skipped."""
        for value in values:
            if isnan(value):
                continue
            if isnan(self.first):
                self.first = self.peak = value
            elif self.last != 0:
                self._add_return(value / self.last - 1)
            self.last = value
            if value > self.peak:
                self.peak = value
            elif self.peak > 0:
                self.max_drawdown = max(self.max_drawdown, (self.peak - value) / self.peak)

    def _add_return(self, r: float) -> None:
        self.returns += 1
        delta = r - self.mean
        self.mean += delta / self.returns
        self.squares += delta * (r - self.mean)
        down = min(r, 0.0)
        delta = down - self.down_mean
        self.down_mean += delta / self.returns
        self.down_squares += delta * (down - self.down_mean)

    def figures(self) -> dict[str, float | int | None]:
        """The figures by their wire names; None where there is nothing to say yet."""
        has_start = not isnan(self.first) and self.first != 0
        return {
            "total_return": self.last / self.first - 1 if has_start else None,
            "max_drawdown": self.max_drawdown if has_start else None,
            "sharpe": self._ratio(self.squares),
            "sortino": self._ratio(self.down_squares),
            "orders": self.orders,
        }

    def _ratio(self, squares: float) -> float | None:
        if self.returns == 0 or squares / self.returns < FLAT:
            return None
        return self.mean / sqrt(squares / self.returns) * sqrt(MINUTES_A_YEAR)
