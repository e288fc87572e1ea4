"""Running figures against the platform's definitions, computed at once."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.core.metrics import EquityStats

_YEAR = np.sqrt(252 * 390)


def figures_of(values: list[float]) -> dict[str, float | int | None]:
    """The figures after these values."""
    stats = EquityStats()
    stats.feed(values)
    return stats.figures()


@given(st.lists(st.floats(10, 1_000), min_size=3, max_size=60))
def test_figures_are_the_definitions(values: list[float]) -> None:
    figures = figures_of(values)
    equity = np.array(values)
    returns = equity[1:] / equity[:-1] - 1
    peaks = np.maximum.accumulate(equity)
    assert figures["total_return"] == pytest.approx(equity[-1] / equity[0] - 1)
    assert figures["max_drawdown"] == pytest.approx(((peaks - equity) / peaks).max())
    for name, risk in (("sharpe", returns.std()), ("sortino", np.minimum(returns, 0).std())):
        if risk > 1e-6:
            assert figures[name] == pytest.approx(returns.mean() / risk * _YEAR, rel=1e-6, abs=1e-9)


@given(st.lists(st.one_of(st.just(nan), st.floats(10, 1_000)), max_size=40))
def test_absent_values_change_no_figure(values: list[float]) -> None:
    present = [value for value in values if value == value]
    assert figures_of(values) == figures_of(present)


def test_a_flat_curve_has_no_ratio() -> None:
    assert figures_of([5.0, 5.0, 5.0]) == {
        "total_return": 0.0,
        "max_drawdown": 0.0,
        "sharpe": None,
        "sortino": None,
        "orders": 0,
    }


def test_a_curve_that_only_rises_has_no_downside_ratio() -> None:
    figures = figures_of([1.0, 2.0, 3.0])
    assert figures["sortino"] is None
    assert figures["sharpe"] is not None


@pytest.mark.parametrize("values", [[], [nan], [0.0, 5.0]])
def test_without_a_start_there_is_no_return(values: list[float]) -> None:
    assert figures_of(values)["total_return"] is None


def test_a_copy_goes_its_own_way() -> None:
    stats = EquityStats()
    stats.feed([1.0, 2.0])
    other = stats.copy()
    other.feed([9.0])
    assert (stats.last, other.last) == (2.0, 9.0)
