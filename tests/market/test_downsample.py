"""Fewer bars that say the same, for any bars and targets."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.bars import NS_A_SECOND, Bars
from hewston_bff.market.downsample import downsample
from tests.market.bars import Row, bars_of, possible_rows, rows_of

DAY_S = 86_400
TARGETS = st.integers(1, 70)
NAN = math.nan


def folded(rows: list[Row]) -> Row:
    """One bar of several, spelled out."""
    opened, closed = rows[0], rows[-1]
    return (
        opened[0],
        opened[1],
        max(row[2] for row in rows),
        min(row[3] for row in rows),
        closed[4],
        sum(row[5] for row in rows),
    )


def buckets(source: list[Row], bars: Bars) -> list[list[Row]]:
    """The source rows that each bar stands for, by its time."""
    times = [row[0] for row in source]
    starts = [times.index(t) for t in (bars.t_ns // NS_A_SECOND).tolist()]
    return [source[a:b] for a, b in pairwise([*starts, len(source)])]


@given(rows=possible_rows(), target=TARGETS)
def test_there_are_never_more_bars_than_asked_for(rows: list[Row], target: int) -> None:
    assert len(downsample(bars_of(rows), target=target).bars) <= target


@given(rows=possible_rows(), target=TARGETS)
def test_each_bar_is_the_fold_of_neighbours_and_none_is_left_out(
    rows: list[Row], target: int
) -> None:
    bars, stride = downsample(bars_of(rows), target=target)
    parts = buckets(rows, bars)
    assert rows_of(bars) == [folded(part) for part in parts]
    assert sum(map(len, parts)) == len(rows)
    assert stride == (max(map(len, parts)) if len(rows) > target else None)


@given(rows=possible_rows(min_size=1), target=TARGETS)
def test_ends_extremes_and_volume_are_those_of_the_source(rows: list[Row], target: int) -> None:
    bars = downsample(bars_of(rows), target=target).bars
    assert folded(rows_of(bars)) == folded(rows)


@given(rows=possible_rows(), target=TARGETS)
def test_no_bucket_straddles_a_day_unless_there_are_more_days_than_points(
    rows: list[Row], target: int
) -> None:
    parts = buckets(rows, downsample(bars_of(rows), target=target).bars)
    days = [{row[0] // DAY_S for row in part} for part in parts]
    if len({row[0] // DAY_S for row in rows}) <= target:
        assert all(len(one) == 1 for one in days)
    else:
        assert sum(map(len, days)) == len(set().union(*days)), "a day was cut"


@given(rows=possible_rows(), target=TARGETS)
def test_what_fits_comes_back_as_it_is(rows: list[Row], target: int) -> None:
    bars = bars_of(rows)
    assert (downsample(bars, target=target).bars is bars) == (len(rows) <= target)


@given(rows=possible_rows(min_size=1), target=TARGETS)
def test_a_smaller_stride_would_not_have_been_enough(rows: list[Row], target: int) -> None:
    stride = downsample(bars_of(rows), target=target).stride
    days: dict[int, int] = {}
    for row in rows:
        days[row[0] // DAY_S] = days.get(row[0] // DAY_S, 0) + 1
    if stride is not None and len(days) <= target:
        assert sum(-(-count // (stride - 1)) for count in days.values()) > target


def test_a_year_of_session_minutes_keeps_its_days() -> None:
    rows: list[Row] = [
        (day * DAY_S + 52_200 + 60 * minute, 10.0, 11.0, 9.0, 10.5, 1.0)
        for day in range(252)
        for minute in range(390)
    ]
    bars, stride = downsample(bars_of(rows), target=10_000)
    assert (len(bars), stride) == (252 * 39, 10)


@pytest.mark.parametrize(
    ("volumes", "total"), [([1.0, NAN], 1.0), ([NAN, NAN], NAN), ([0.0, NAN], 0.0)]
)
def test_a_volume_nobody_knows_is_skipped_and_not_taken_for_none(
    volumes: list[float], total: float
) -> None:
    rows: list[Row] = [(60 * n, 1.0, 1.0, 1.0, 1.0, v) for n, v in enumerate(volumes)]
    merged = downsample(bars_of(rows), target=1).bars
    assert np.array_equal(merged.v, [total], equal_nan=True)
