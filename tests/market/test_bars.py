"""Which bars can be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.bars import NO_TIME_NS, NS_A_SECOND, Bars, by_second, possible
from tests.market.bars import Row, bars_of, possible_rows, rows_of

GOOD: Row = (100, 10.0, 11.0, 9.0, 10.5, 5.0)
NAN, INF = math.nan, math.inf


def with_(**members: float) -> Row:
    """A good bar, but for some members."""
    changed = dict(zip("tohlcv", GOOD, strict=True)) | members
    return int(changed["t"]), *(changed[name] for name in "ohlcv")  # type: ignore[return-value]


@pytest.mark.parametrize(
    "bad",
    [
        *(with_(**{name: value}) for name in "ohlc" for value in (NAN, INF, -INF)),
        with_(h=8.0),
        with_(t=NO_TIME_NS),
    ],
)
def test_a_bar_that_cannot_be_is_left_out(bad: Row) -> None:
    assert rows_of(possible(bars_of([bad]))) == []
    after = (200, *GOOD[1:])
    assert rows_of(possible(bars_of([bad, after]))) == [after]


@pytest.mark.parametrize(
    "good",
    [
        *(GOOD, with_(h=9.0), with_(v=0.0), with_(o=1.0), with_(t=-5), with_(v=-1.0)),
        (100, 17.73, 17.85, -40.32, -37.63, 5.0),
        (100, 0.0, 0.0, 0.0, 0.0, 0.0),
        (100, -3.0, -1.0, -4.0, -2.0, 1.0),
    ],
)
def test_a_bar_that_can_be_stays(good: Row) -> None:
    assert rows_of(possible(bars_of([good]))) == [good]


@pytest.mark.parametrize("volume", [NAN, INF, -INF])
def test_a_volume_may_be_unknown(volume: float) -> None:
    (row,) = rows_of(possible(bars_of([with_(v=volume)])))
    assert row[:5] == GOOD[:5]
    assert math.isnan(row[5])


def test_time_that_goes_back_is_left_out_by_what_was_kept_before() -> None:
    times = [100, 200, 200, 150, 201, 900, 300]
    bars = bars_of([with_(t=t, o=NAN if t == 900 else 10.0) for t in times])
    assert (possible(bars).t_ns // NS_A_SECOND).tolist() == [100, 200, 200, 201, 300]


@given(rows=possible_rows())
def test_bars_in_order_all_stay(rows: list[Row]) -> None:
    assert rows_of(possible(bars_of(rows))) == rows


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 50), *[st.floats(allow_nan=True, width=16)] * 5), max_size=50
    )
)
def test_what_stays_is_in_order_and_finite(rows: list[Row]) -> None:
    kept = rows_of(possible(bars_of(rows)))
    assert [row[0] for row in kept] == sorted(row[0] for row in kept)
    assert all(all(map(math.isfinite, row[1:5])) and row[2] >= row[3] for row in kept)


def test_bars_of_one_second_are_merged_and_none_is_dropped() -> None:
    times_us = (10_000_001, 10_000_002, 10_999_999, 11_000_000, 12_500_000)
    prices = [
        *((5, 6, 4, 5.5, 1), (5.5, 9, 5, 8, NAN), (8, 8, 1, 2, 4)),
        *((2, 3, 2, 3, NAN), (3, 3, 3, 3, 7)),
    ]
    columns = (np.array(column, np.float64) for column in zip(*prices, strict=True))
    bars = Bars(np.array(times_us, np.int64) * 1_000, *columns)
    told_apart = by_second(bars)
    assert [row[:5] for row in rows_of(told_apart)] == [
        *((10, 5, 9, 1, 2), (11, 2, 3, 2, 3), (12, 3, 3, 3, 3)),
    ]
    assert np.array_equal(told_apart.v, [5, NAN, 7], equal_nan=True)


@given(rows=possible_rows())
def test_bars_of_different_seconds_stay_as_they_are(rows: list[Row]) -> None:
    assert rows_of(by_second(bars_of(rows))) == rows
