"""What is told of a viewer that plays faster than its run comes."""

from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.playback.steady_status import DWELL_S, STOCK_S, SteadyStatus
from hewston_bff.protocol.notices import CursorStatus

TICK_S = 1 / 60


def test_the_first_start_is_told_at_once_and_the_next_with_half_a_second_in_stock() -> None:
    steady = SteadyStatus()
    assert steady.told("buffering", stock_s=0, now_s=0) == "buffering"
    assert steady.told("playing", stock_s=0.01, now_s=TICK_S) == "playing"
    assert steady.told("buffering", stock_s=0, now_s=0.1) == "buffering"
    assert steady.told("playing", stock_s=0.01, now_s=0.2) == "buffering"
    assert steady.told("playing", stock_s=0.5, now_s=0.3) == "buffering"
    assert steady.told("playing", stock_s=0.49, now_s=0.7) == "buffering"
    assert steady.told("playing", stock_s=0.5, now_s=0.7) == "playing"
    assert steady.told("ended", stock_s=inf, now_s=0.71) == "ended"


def test_a_complete_log_is_all_the_stock_there_can_be() -> None:
    steady = SteadyStatus()
    for status, now_s in (("playing", 0.0), ("buffering", 0.1)):
        steady.told(status, stock_s=0, now_s=now_s)  # type: ignore[arg-type]  # literals
    assert steady.told("playing", stock_s=inf, now_s=0.7) == "playing"


def test_after_a_seek_the_start_is_a_first_one() -> None:
    steady = SteadyStatus()
    steady.told("playing", stock_s=1, now_s=0)
    steady.told("buffering", stock_s=0, now_s=0.1)
    steady.restart()
    assert steady.told("playing", stock_s=0.01, now_s=0.2) == "playing"


statuses = st.sampled_from(["playing", "buffering"])


@given(st.lists(st.tuples(statuses, st.floats(0, 2)), max_size=400))
def test_at_most_two_changes_a_second_are_told(
    course: list[tuple[CursorStatus, float]],
) -> None:
    steady = SteadyStatus()
    told: list[tuple[float, CursorStatus]] = []
    for n, (status, stock_s) in enumerate(course):
        said = steady.told(status, stock_s=stock_s, now_s=n * TICK_S)
        if not told or told[-1][1] != said:
            told.append((n * TICK_S, said))
    backs = [at_s for at_s, said in told[2:] if said == "playing"]
    for at_s, said in told[2:]:
        if said == "playing":
            since = max(s for s, other in told if s < at_s and other == "buffering")
            assert at_s - since >= DWELL_S - 1e-9
    for earlier, later in pairwise(backs):
        assert later - earlier >= DWELL_S


@given(st.lists(st.tuples(statuses, st.floats(0, 2)), max_size=200))
def test_buffering_is_told_at_once_and_playing_never_without_stock(
    course: list[tuple[CursorStatus, float]],
) -> None:
    steady = SteadyStatus()
    before: CursorStatus | None = None
    has_played = False
    for n, (status, stock_s) in enumerate(course):
        said = steady.told(status, stock_s=stock_s, now_s=n * TICK_S)
        if status == "buffering":
            assert said == "buffering"
        if has_played and before == "buffering" and said == "playing":
            assert stock_s >= STOCK_S
        has_played = has_played or said == "playing"
        before = said
