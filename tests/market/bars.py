"""Bars as columns, made up."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from hewston_bff.market.bars import NO_TIME_NS, NS_A_SECOND, Bars

Row = tuple[int, float, float, float, float, float]
"""t (epoch seconds), o, h, l, c, v."""


def bars_of(rows: Sequence[Row]) -> Bars:
    """Rows as columns."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    times, *numbers = columns
    times_ns = [NO_TIME_NS if t == NO_TIME_NS else round(t * NS_A_SECOND) for t in times]
    return Bars(np.array(times_ns, np.int64), *(np.array(one, np.float64) for one in numbers))


def rows_of(bars: Bars) -> list[Row]:
    """Columns as rows."""
    times = np.where(bars.t_ns == NO_TIME_NS, NO_TIME_NS, bars.t_ns // NS_A_SECOND)
    columns = (times, bars.o, bars.h, bars.l, bars.c, bars.v)
    return list(zip(*(column.tolist() for column in columns), strict=True))


PRICES = st.floats(0.01, 1e6, allow_nan=False)


@st.composite
def possible_rows(draw: st.DrawFn, *, min_size: int = 0, max_size: int = 60) -> list[Row]:
    """Bars in order, some close together, some days apart; whole volumes, so that sums are exact."""
    count = draw(st.integers(min_size, max_size))
    gaps = draw(
        st.lists(
            st.one_of(st.just(60), st.integers(1, 3_600), st.integers(40_000, 400_000)),
            min_size=count,
            max_size=count,
        )
    )
    rows: list[Row] = []
    now_s = draw(st.integers(0, 2_000_000_000))
    for gap_s in gaps:
        now_s += gap_s
        low, high = sorted((draw(PRICES), draw(PRICES)))
        volume = float(draw(st.integers(0, 10**9)))
        rows.append((now_s, draw(PRICES), high, low, draw(PRICES), volume))
    return rows
