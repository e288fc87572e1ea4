"""Which bars can be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.core.bars import NO_TIME_S, possible
from tests.core.bars import Row, bars_of, possible_rows, rows_of

GOOD: Row = (100, 10.0, 11.0, 9.0, 10.5, 5.0)
NAN, INF = math.nan, math.inf


def with_(**members: float) -> Row:
    """A good bar, but for some members."""
    changed = dict(zip("tohlcv", GOOD, strict=True)) | members
    return int(changed["t"]), *(changed[name] for name in "ohlcv")  # type: ignore[return-value]


@pytest.mark.parametrize(
    "bad",
    [
        *(with_(**{name: value}) for name in "ohlc" for value in (0.0, -1.0, NAN, INF, -INF)),
        with_(h=8.0),
        with_(v=-1.0),
        with_(v=INF),
        with_(t=NO_TIME_S),
    ],
)
def test_a_bar_that_cannot_be_is_left_out(bad: Row) -> None:
    assert rows_of(possible(bars_of([bad]))) == []
    after = (200, *GOOD[1:])
    assert rows_of(possible(bars_of([bad, after]))) == [after]


@pytest.mark.parametrize("good", [GOOD, with_(h=9.0), with_(v=0.0), with_(o=1.0), with_(t=-5)])
def test_a_bar_that_can_be_stays(good: Row) -> None:
    assert rows_of(possible(bars_of([good]))) == [good]


def test_a_volume_may_be_unknown() -> None:
    assert len(possible(bars_of([with_(v=NAN)]))) == 1


def test_time_that_goes_back_or_stands_still_is_left_out_by_what_was_kept_before() -> None:
    times = [100, 200, 200, 150, 201, 900, 300]
    bars = bars_of([with_(t=t, o=-1.0 if t == 900 else 10.0) for t in times])
    assert possible(bars).t_s.tolist() == [100, 200, 201, 300]


@given(rows=possible_rows())
def test_bars_in_order_all_stay(rows: list[Row]) -> None:
    assert rows_of(possible(bars_of(rows))) == rows


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 50), *[st.floats(allow_nan=True, width=16)] * 5), max_size=50
    )
)
def test_what_stays_is_in_order_and_positive(rows: list[Row]) -> None:
    kept = rows_of(possible(bars_of(rows)))
    assert [row[0] for row in kept] == sorted({row[0] for row in kept})
    assert all(min(row[1:5]) > 0 and row[2] >= row[3] for row in kept)
