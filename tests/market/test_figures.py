"""Figures against numpy's own, computed at once from whole series of many kinds of data."""

from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.figures import RunningFigures
from hewston_bff.protocol.figures import Figures
from hewston_bff.protocol.times import format_time

MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
MONDAY_NS = 19_786 * DAY_NS
"""2024-03-04, a Monday."""
SESSION_NS = 14 * HOUR_NS + 30 * MINUTE_NS
CALENDAR = 365.2425


@dataclass
class Series:
    """A run's equity by frames: times, values, and which frames have a bar."""

    ts_ns: np.ndarray
    equity: np.ndarray
    has_bar: np.ndarray

    def feed(self, *, size: int = 256, knows_bars: bool = True) -> RunningFigures:
        running = RunningFigures()
        for begin in range(0, len(self.equity), size):
            part = slice(begin, begin + size)
            has_bar = self.has_bar[part] if knows_bars else None
            running.feed(self.ts_ns[part], self.equity[part], has_bar=has_bar)
        return running

    def figures(self, *, size: int = 256, knows_bars: bool = True) -> Figures:
        return self.feed(size=size, knows_bars=knows_bars).figures()


def walk(count: int, *, seed: int = 7, drift: float = 2e-5, risk: float = 1e-3) -> np.ndarray:
    """Returns of a random walk."""
    return np.random.default_rng(seed).normal(drift, risk, count)


def series(ts_ns: np.ndarray, returns: np.ndarray, *, start: float = 1e5) -> Series:
    """A frame with a bar at each of the times; the first return is that of the second."""
    equity = start * np.concatenate(([1.0], np.cumprod(1 + returns[: len(ts_ns) - 1])))
    return Series(ts_ns.astype(np.int64), equity, np.ones(len(ts_ns), np.bool_))


def weekdays(count: int) -> np.ndarray:
    """The starts of so many days from Monday to Friday, in ns."""
    days = np.arange(count)
    return MONDAY_NS + (days // 5 * 7 + days % 5) * DAY_NS


def grid(days: np.ndarray, *, begin_ns: int, step_ns: int, a_day: int) -> np.ndarray:
    """The same times on each of these days."""
    return (days[:, None] + begin_ns + np.arange(a_day) * step_ns).ravel()


KINDS = {
    "daily": (weekdays(500) + 21 * HOUR_NS, 252),
    "daily, weekends too": (MONDAY_NS + np.arange(500) * DAY_NS, CALENDAR),
    "weekly": (MONDAY_NS + np.arange(100) * 7 * DAY_NS, CALENDAR / 7),
    "session hours": (
        grid(weekdays(60), begin_ns=SESSION_NS, step_ns=HOUR_NS, a_day=7),
        252 * 7,
    ),
    "session minutes": (
        grid(weekdays(10), begin_ns=SESSION_NS, step_ns=MINUTE_NS, a_day=390),
        98_280,
    ),
    "ten minutes of a session": (MONDAY_NS + SESSION_NS + np.arange(10) * MINUTE_NS, 98_280),
    "minutes of a longer session": (
        grid(weekdays(8), begin_ns=8 * HOUR_NS, step_ns=MINUTE_NS, a_day=510),
        252 * 510,
    ),
    "minutes of a shorter session": (
        grid(weekdays(8), begin_ns=0, step_ns=MINUTE_NS, a_day=300),
        252 * 300,
    ),
    "minutes around the clock on weekdays": (
        grid(weekdays(10), begin_ns=0, step_ns=MINUTE_NS, a_day=1_440),
        252 * 1_440,
    ),
    "crypto minutes": (MONDAY_NS + np.arange(9 * 1_440) * MINUTE_NS, CALENDAR * 1_440),
    "crypto hours": (MONDAY_NS + np.arange(60 * 24) * HOUR_NS, CALENDAR * 24),
}


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_each_kind_of_data_are_those_of_numpy(kind: str) -> None:
    ts_ns, periods = KINDS[kind]
    run = series(ts_ns, walk(len(ts_ns)))
    found = run.figures()
    equity = run.equity
    returns = np.diff(equity) / equity[:-1]
    assert found.periods_per_year == pytest.approx(periods)
    assert found.sharpe == pytest.approx(np.mean(returns) / np.std(returns) * periods**0.5)
    downside = np.std(np.clip(returns, None, 0))
    assert found.sortino == pytest.approx(np.mean(returns) / downside * periods**0.5)
    assert found.total_return == pytest.approx(equity[-1] / equity[0] - 1)
    assert found.profit == pytest.approx(equity[-1] - equity[0])
    peaks = np.maximum.accumulate(equity)
    assert found.max_drawdown == pytest.approx(np.max(1 - equity / peaks))
    assert found.max_drawdown_money == pytest.approx(np.max(peaks - equity))
    years = (ts_ns[-1] - ts_ns[0]) / DAY_NS / CALENDAR
    growth = (equity[-1] / equity[0]) ** (1 / years) - 1 if ts_ns[-1] - ts_ns[0] >= DAY_NS else None
    assert found.cagr == (growth if growth is None else pytest.approx(growth))


def with_nights(days: int) -> tuple[Series, np.ndarray]:
    """Minutes around the clock whose sessions have bars; and the returns of the sessions alone."""
    times = MONDAY_NS + np.arange(days * 1_440) * MINUTE_NS
    minute = (times % DAY_NS) // MINUTE_NS
    weekday = (times // DAY_NS + 3) % 7
    is_session = (minute >= 870) & (minute < 1_260) & (weekday < 5)
    returns = np.where(is_session, walk(len(times)), 0.0)
    equity = 1e5 * np.cumprod(1 + returns)
    inside = equity[is_session]
    return Series(times, equity, is_session), np.diff(inside) / inside[:-1]


def test_frames_without_a_bar_and_a_change_are_no_periods() -> None:
    run, returns = with_nights(12)
    found = run.figures()
    assert found.periods_per_year == 98_280
    # The very first frame is the start of the curve, so the first minute's return is there too.
    returns = np.concatenate(([run.equity[870] / run.equity[0] - 1], returns))
    assert found.sharpe == pytest.approx(np.mean(returns) / np.std(returns) * 98_280**0.5)


def test_where_nobody_knows_of_bars_nights_make_no_difference_that_matters() -> None:
    run, _ = with_nights(7 * 52)
    told, guessed = run.figures(), run.figures(knows_bars=False)
    assert guessed.periods_per_year == pytest.approx(CALENDAR * 1_440)
    assert told.sharpe is not None
    # 260 weekdays a year here, 252 in the definition: √(260.9/252) = 1.017.
    assert guessed.sharpe == pytest.approx(told.sharpe, rel=0.02)


def test_a_change_without_a_bar_is_a_period() -> None:
    ts_ns = MONDAY_NS + np.arange(4) * MINUTE_NS
    run = Series(ts_ns, np.array([100.0, 110.0, 110.0, 99.0]), np.array([1, 0, 0, 1], np.bool_))
    returns = np.array([0.1, -0.1])
    assert run.figures().sharpe == pytest.approx(returns.mean() / returns.std() * 98_280**0.5)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_run_without_any_bar_has_the_figures_of_its_curve(size: int) -> None:
    ts_ns = weekdays(500)
    returns = np.where(np.arange(499) % 9 == 0, walk(499), 0.0)
    returns[40:] = 0.0
    run = series(ts_ns, returns)
    run.has_bar[:] = False
    returns = np.diff(run.equity) / run.equity[:-1]
    found = run.figures(size=size)
    assert found.periods_per_year == 252
    assert found.sharpe == pytest.approx(np.mean(returns) / np.std(returns) * 252**0.5)
    assert found.sortino == pytest.approx(run.figures(knows_bars=False).sortino)
    # From the first bar on the frames that have none tell that nothing was traded.
    run.has_bar[-1] = True
    assert run.figures(size=size).sharpe != pytest.approx(found.sharpe, rel=0.1)


def test_what_lies_outside_of_sessions_is_part_of_the_time_that_growth_took() -> None:
    ts_ns = MONDAY_NS + np.arange(367) * DAY_NS
    equity = np.array([1_000.0, 1_050.0] + [1_100.0] * 365)
    has_bar = np.arange(367) < 3
    found = Series(ts_ns, equity, has_bar).figures()
    assert found.cagr == pytest.approx(1.1 ** (CALENDAR / 366) - 1)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 10_000])
def test_it_does_not_matter_in_what_pieces_a_curve_comes(size: int) -> None:
    run, _ = with_nights(3)
    whole, pieces = run.figures(size=len(run.equity)), run.figures(size=size)
    for name in Figures.__struct_fields__:
        wanted = getattr(whole, name)
        if isinstance(wanted, float):
            wanted = pytest.approx(wanted, rel=1e-9)
        assert getattr(pieces, name) == wanted, name


def minutes(*equity: float) -> Series:
    count = len(equity)
    ts_ns = MONDAY_NS + SESSION_NS + np.arange(count) * MINUTE_NS
    return Series(ts_ns, np.array(equity, np.float64), np.ones(count, np.bool_))


def test_there_are_no_ratios_from_the_first_base_that_is_not_positive() -> None:
    curve = (100.0, 50.0, -10.0, 20.0, 30.0)
    found = minutes(*curve).figures()
    assert (found.sharpe, found.sortino) == (None, None)
    assert found.ratios_until == "2024-03-04T14:32:00Z"
    assert found.total_return == pytest.approx(-0.7)
    assert found.profit == -70.0
    assert found.max_drawdown == pytest.approx(1.1)
    assert found.max_drawdown_money == 110.0
    before = minutes(*curve[:3]).figures()
    # A fall to −10 is a return of −120 %; nothing has been a part of −10 yet.
    returns = np.array([-0.5, -1.2])
    assert before.sharpe == pytest.approx(returns.mean() / returns.std() * 98_280**0.5)
    assert before.ratios_until is None


def test_it_does_not_matter_where_a_piece_ends_when_the_base_is_lost() -> None:
    for size in (1, 2, 3, 4, 5):
        found = minutes(100, 50, -10, 20, 30).figures(size=size)
        assert (found.sharpe, found.ratios_until) == (None, "2024-03-04T14:32:00Z")


@pytest.mark.parametrize("start", [0.0, -5.0])
def test_a_start_that_is_not_positive_has_figures_in_money_alone(start: float) -> None:
    found = minutes(start, 10.0, 4.0).figures()
    shares = (found.total_return, found.cagr, found.max_drawdown, found.sharpe, found.sortino)
    assert shares == (None,) * 5
    assert (found.profit, found.max_drawdown_money) == (4 - start, 6.0)
    assert found.ratios_until == format_time(MONDAY_NS + SESSION_NS)


def test_equity_below_zero_throughout_has_its_drawdown_in_money() -> None:
    found = minutes(-5.0, -7.0, -6.0).figures()
    assert (found.profit, found.max_drawdown_money, found.max_drawdown) == (-1.0, 2.0, None)


@pytest.mark.parametrize("equity", [(), (nan,), (nan, inf)])
def test_without_a_value_there_is_nothing_to_say(equity: tuple[float, ...]) -> None:
    found = minutes(*equity).figures()
    assert found == Figures(*(None,) * 10, unreadable_orders=0)


def test_one_point_is_worth_what_it_is_worth() -> None:
    found = minutes(250.0).figures()
    assert (found.total_return, found.profit, found.max_drawdown) == (0.0, 0.0, 0.0)
    assert (found.sharpe, found.cagr, found.periods_per_year) == (None, None, None)


def test_points_of_one_time_have_no_step() -> None:
    run = minutes(100.0, 101.0, 99.0)
    run.ts_ns[:] = MONDAY_NS
    found = run.figures()
    assert found.total_return == pytest.approx(-0.01)
    assert (found.periods_per_year, found.sharpe) == (None, None)


def test_a_flat_curve_and_one_that_only_rises_have_no_ratio_over_nothing() -> None:
    flat, rising = minutes(5, 5, 5).figures(), minutes(1, 2, 3).figures()
    assert (flat.sharpe, flat.sortino, flat.total_return) == (None, None, 0.0)
    assert rising.sortino is None
    assert rising.sharpe is not None


@given(st.lists(st.one_of(st.just(nan), st.floats(10, 1_000)), max_size=40))
def test_absent_values_are_not_there(values: list[float]) -> None:
    run = minutes(*values)
    is_there = ~np.isnan(run.equity)
    present = Series(run.ts_ns[is_there], run.equity[is_there], run.has_bar[is_there])
    assert run.figures() == present.figures()


@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 6)), min_size=1, max_size=60))
def test_money_and_drawdown_hold_for_any_curve(values: list[float]) -> None:
    found = minutes(*values).figures()
    equity = np.array(values)
    peaks = np.maximum.accumulate(equity)
    assert found.profit == equity[-1] - equity[0]
    assert found.max_drawdown_money == np.max(peaks - equity)
    if values[0] > 0:
        assert found.max_drawdown == pytest.approx(np.max((peaks - equity) / peaks))
    else:
        assert found.max_drawdown is None


def test_too_much_for_a_number_is_none() -> None:
    ts_ns = MONDAY_NS + np.arange(3) * DAY_NS
    found = Series(ts_ns, np.array([1.0, 2.0, 1e300]), np.ones(3, np.bool_)).figures()
    assert found.cagr is None
    assert minutes(1e-300, 1e300).figures().total_return is None


def test_a_copy_goes_its_own_way() -> None:
    running = minutes(1.0, 2.0).feed()
    running.feed_orders(b'{"side":"BUY","qty":1,"price":1}', 1)
    other = running.copy()
    other.feed(np.array([MONDAY_NS + DAY_NS]), np.array([9.0]), has_bar=None)
    other.feed_orders(b'{"side":"SELL","qty":1,"price":2}', 1)
    assert (running.last, other.last) == (2.0, 9.0)
    assert (running.figures().hit_rate, other.figures().hit_rate) == (None, 1.0)
    assert (running.stream_figures().orders, other.stream_figures().orders) == (1, 2)
    assert not isnan(running.risk.returns.mean)
