"""A run's figures in messages and answers; `market.figures` computes them."""

import msgspec


class Figures(msgspec.Struct, frozen=True):
    """The figures of a run up to some point; None where a figure is not defined.

    Shares are parts of one (0.01 is 1 %), money is in the unit of the equity. Formulas, for equity
    e and returns r_t = e_t / e_{t-1} − 1 over periods:

    | figure | formula | None |
    |---|---|---|
    | total_return | e_end / e_start − 1 | e_start ≤ 0 |
    | profit | e_end − e_start | no equity |
    | cagr | (e_end / e_start)^(1/T) − 1, T = days / 365.2425 | e ≤ 0 at an end, T < 1 day |
    | max_drawdown | max (peak − e) / peak; above 1 if e < 0 | e_start ≤ 0 |
    | max_drawdown_money | max (peak − e) | no equity |
    | sharpe | mean(r) / std(r) · √periods_per_year | no risk; after a base ≤ 0 |
    | sortino | mean(r) / std(min(r, 0)) · √periods_per_year | the same |
    | hit_rate | winning round trips / all, see `trades` | none, or an order is unreadable |

    std is of the population. `ratios_until`: the time of the first e ≤ 0 that a return would have
    to be a part of; there are no ratios from there on. Source: the platform's definitions, with
    its fixed √(252·390) replaced by the run's own periods a year.
    """

    total_return: float | None
    profit: float | None
    cagr: float | None
    max_drawdown: float | None
    max_drawdown_money: float | None
    sharpe: float | None
    sortino: float | None
    periods_per_year: float | None
    ratios_until: str | None
    hit_rate: float | None
    unreadable_orders: int


class StreamFigures(Figures, frozen=True):
    """The same, and how many orders there were."""

    orders: int
