from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.tools.loadtest.record import UNKNOWN, StreamRecord


def _record() -> StreamRecord:
    return StreamRecord("r", due_ns=1)


def _span(record: StreamRecord, first: int, seq: int, *, now_ns: int = 1, dropped: int = 0) -> int:
    return record.frame(first, seq, seq - first + 1, dropped, now_ns)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 500)))
def test_adjacent_spans_break_nothing_and_count_what_was_merged(
    start: int, widths: list[int]
) -> None:
    record, first = _record(), start
    for width in widths:
        _span(record, first, first + width - 1)
        first += width
    assert record.breaks == 0
    assert record.frames == len(widths)
    assert record.merged == sum(widths) - len(widths)


@given(
    st.integers(0, 10**6),
    st.integers(-(10**6), 10**6).filter(lambda shift: shift != 0),
    st.integers(1, 9),
)
def test_a_gap_or_a_repetition_is_one_break(start: int, shift: int, width: int) -> None:
    record = _record()
    _span(record, start, start + width - 1)
    first = max(0, start + width + shift)
    _span(record, first, first)
    assert record.breaks == (first != start + width)


def test_a_jump_may_land_anywhere_once() -> None:
    record = _record()
    _span(record, 0, 9)
    record.jump()
    _span(record, 500, 500)
    assert record.breaks == 0
    _span(record, 600, 600)
    assert record.breaks == 1


def test_a_lag_excuses_the_gap_and_counts_as_lost() -> None:
    record = _record()
    _span(record, 0, 9)
    record.lag(10, 29)
    _span(record, 30, 30, dropped=20)
    assert (record.breaks, record.lost) == (0, 20)


def test_lost_is_what_the_frames_say_even_without_a_lag() -> None:
    record = _record()
    _span(record, 0, 0, dropped=7)
    assert record.lost == 7


def test_a_count_that_does_not_fit_the_range_is_a_break() -> None:
    record = _record()
    record.frame(0, 9, 9, 0, 1)
    assert record.breaks == 1


def test_frames_without_numbers_are_counted_but_not_checked() -> None:
    record = _record()
    for _ in range(3):
        record.frame(UNKNOWN, UNKNOWN, 1, UNKNOWN, 1)
    assert (record.frames, record.breaks, record.lost) == (3, 0, 0)


def test_gaps_are_the_times_between_frames() -> None:
    record = _record()
    assert [_span(record, at, at, now_ns=ns) for at, ns in enumerate((10, 25, 27))] == [
        UNKNOWN,
        15,
        2,
    ]
    assert record.first_ns == 10


def test_the_pause_after_the_end_of_a_run_is_no_gap() -> None:
    record = _record()
    _span(record, 0, 0, now_ns=10)
    record.end()
    record.jump()
    assert record.open_gap_ns(50) == UNKNOWN
    assert _span(record, 0, 0, now_ns=90) == UNKNOWN
    assert record.first_ns == 10


def test_silence_is_known_while_frames_are_due() -> None:
    record = _record()
    assert record.open_gap_ns(50) == UNKNOWN
    _span(record, 0, 0, now_ns=10)
    assert record.open_gap_ns(50) == 40
    record.leave()
    assert record.open_gap_ns(50) == UNKNOWN


def test_a_window_starts_the_rates_but_keeps_what_went_wrong() -> None:
    record = _record()
    _span(record, 0, 9)
    _span(record, 99, 99, dropped=3)
    record.begin_window()
    assert (record.frames, record.merged) == (0, 0)
    assert (record.breaks, record.lost) == (1, 3)
