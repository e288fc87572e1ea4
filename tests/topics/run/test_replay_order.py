"""Who gets a free slot."""

from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.topics.run.description import run_days
from hewston_bff.topics.run.replay_order import Waiting, expected_s, next_in_line


def test_short_runs_come_before_long_ones_and_unknown_ones_after_those_of_a_month() -> None:
    year, month, day = (
        Waiting(0.0, is_loaded=False, expected_s=expected_s(days)) for days in (252.0, 21.0, 1.0)
    )
    unknown = Waiting(0.0, is_loaded=False)
    line = [year, unknown, month, day]
    order = []
    while line:
        index = next_in_line(line, is_loading=False)
        assert index is not None
        order.append(line.pop(index))
    assert order == [day, month, year, unknown]


def test_nobody_is_overtaken_by_those_who_come_eight_seconds_later() -> None:
    long = Waiting(0.0, is_loaded=False, expected_s=1e6)
    late = Waiting(8.1, is_loaded=False, expected_s=0.0)
    assert next_in_line([late, long], is_loading=False) == 1


def test_while_one_loads_only_those_that_were_loaded_go_on() -> None:
    new, loaded = Waiting(0.0, is_loaded=False), Waiting(5.0, is_loaded=True)
    assert next_in_line([new], is_loading=True) is None
    assert next_in_line([new, loaded], is_loading=True) == 1
    assert next_in_line([new, loaded], is_loading=False) == 0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20))
def test_whoever_waits_longest_gets_a_slot_within_eight_seconds_of_later_ones(
    line: list[tuple[float, float]],
) -> None:
    waiting = [Waiting(since, is_loaded=False, expected_s=takes) for since, takes in line]
    index = next_in_line(waiting, is_loading=False)
    assert index is not None
    assert waiting[index].since_s <= min(each.since_s for each in waiting) + 8.0


def test_the_description_tells_the_days_of_trading_or_nothing() -> None:
    days = run_days(b'"2024-01-01"', b'"2024-12-31"')
    assert days is not None
    assert 250 < days < 254
    assert run_days(b'"2024-01-02T14:30:00Z"', b'"2024-01-02"') == 252 / 365.25
    for bad in (b"", b"null", b"7", b'"never"', b'"2023-12-31"'):
        assert run_days(b'"2024-01-01"', bad) is None
