"""Folding: any way of cutting a run comes to the same."""

from collections.abc import Sequence
from itertools import pairwise
from math import nan

from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.topics.run.conflate import EMPTY, Columns, Fold, merge
from tests.topics.run.frames import or_none

_numbers = st.one_of(st.just(nan), st.integers(-1_000_000, 1_000_000).map(float))
_rows = st.lists(st.tuples(*[_numbers] * 6), min_size=1, max_size=40)
Row = tuple[float, ...]


def columns_of(rows: Sequence[Row]) -> Columns:
    """The rows as a block keeps them."""
    columns = Columns()
    for minute, (o, h, l, c, v, e) in enumerate(rows):  # noqa: E741 - the wire's own name
        columns.ts.append(minute)
        for column, value in zip("ohlcve", (o, h, l, c, v, e), strict=True):
            getattr(columns, column).append(value)
        columns.has_gaps = columns.has_gaps or any(value != value for value in (o, h, l, c, v, e))
    return columns


def comparable(fold: Fold) -> tuple[float | None, ...]:
    """A fold without NaN, which equals nothing."""
    values = (fold.o, fold.h, fold.l, fold.c, fold.v, fold.equity, fold.equity_min, fold.equity_max)
    return (*map(or_none, values), fold.equity_seq)


def by_the_book(rows: list[Row], first_seq: int) -> tuple[float | None, ...]:
    """What the definition says the rows come to."""
    o, h, l, c, v, e = (  # noqa: E741 - the wire's own name
        [value for value in column if or_none(value) is not None]
        for column in zip(*rows, strict=True)
    )
    with_equity = [i for i, row in enumerate(rows) if or_none(row[5]) is not None]
    return (
        o[0] if o else None,
        max(h, default=None),
        min(l, default=None),
        c[-1] if c else None,
        sum(v) if v else None,
        e[-1] if e else None,
        min(e, default=None),
        max(e, default=None),
        first_seq + with_equity[-1] if with_equity else -1,
    )


@given(_rows, st.integers(0, 10_000))
def test_open_is_first_high_max_low_min_close_last_and_absent_values_are_skipped(
    rows: list[Row], first_seq: int
) -> None:
    fold = columns_of(rows).fold(0, len(rows), first_seq=first_seq)
    assert comparable(fold) == by_the_book(rows, first_seq)


@given(_rows, st.lists(st.integers(1, 39)))
def test_the_folds_of_any_parts_merge_to_the_fold_of_the_whole(
    rows: list[Row], cuts: list[int]
) -> None:
    columns = columns_of(rows)
    edges = [0, *sorted({cut for cut in cuts if cut < len(rows)}), len(rows)]
    parts = [columns.fold(start, stop, first_seq=7) for start, stop in pairwise(edges)]
    assert comparable(merge(parts)) == comparable(columns.fold(0, len(rows), first_seq=7))


@given(_rows)
def test_the_way_for_blocks_without_gaps_gives_what_the_careful_way_gives(rows: list[Row]) -> None:
    whole = [tuple(0.0 if value != value else value for value in row) for row in rows]
    quick, careful = columns_of(whole), columns_of(whole)
    careful.has_gaps = True
    span = (0, len(whole))
    assert comparable(quick.fold(*span, first_seq=3)) == comparable(
        careful.fold(*span, first_seq=3)
    )


def test_nothing_merged_is_nothing() -> None:
    assert merge([]) is EMPTY
    assert comparable(merge([EMPTY, EMPTY])) == (*[None] * 8, -1)


def test_a_volume_that_nobody_gave_is_absent_and_not_zero() -> None:
    rows = [(nan, nan, nan, nan, nan, nan), (nan, nan, nan, nan, 0.0, nan)]
    columns = columns_of(rows)
    assert or_none(columns.fold(0, 1, first_seq=0).v) is None
    assert columns.fold(0, 2, first_seq=0).v == 0.0
