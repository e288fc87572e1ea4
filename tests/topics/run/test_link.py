"""The link's table, cell by cell, and how long it waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.backoff import full_jitter
from hewston_bff.net.limits.token_bucket import TokenBucket
from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.link import LinkState, LinkTimes, UpstreamLink, step, with_status

TIMES = LinkTimes()
UP = step(UpstreamLink(), links.Opened(), now_s=0.0, times=TIMES)


def after(link: UpstreamLink, *events: tuple[links.LinkEvent, float]) -> UpstreamLink:
    """The link after events at their times."""
    for event, now_s in events:
        link = step(link, event, now_s=now_s, times=TIMES)
    return link


def test_a_connection_that_stands_is_up() -> None:
    link = after(UpstreamLink(), (links.Connect(), 0.0))
    assert link.state is LinkState.CONNECTING
    assert after(link, (links.Opened(), 1.0)).state is LinkState.UP


def test_two_quiet_heartbeats_after_a_frame_end_a_run_that_is_over() -> None:
    link = with_status(UP, "DONE")
    assert after(link, (links.Quiet(), 1), (links.Quiet(), 9)).state is LinkState.UP
    link = after(link, (links.NewFrame(), 1), (links.Quiet(), 2))
    assert after(link, (links.Quiet(), 2.4)).state is LinkState.UP
    assert after(link, (links.Quiet(), 2.6)).state is LinkState.COMPLETE
    assert after(link, (links.KnownFrame(), 2.3), (links.Quiet(), 2.6)).state is LinkState.UP


@pytest.mark.parametrize("status", ["RUNNING", "QUEUED", None])
def test_a_run_that_is_not_known_to_be_over_does_not_end(status: str | None) -> None:
    link = UP if status is None else with_status(UP, status)
    link = after(link, (links.NewFrame(), 1), (links.Quiet(), 2), (links.Quiet(), 9))
    assert link.state is LinkState.UP


def test_a_named_end_is_the_end_unless_the_run_is_known_to_go_on() -> None:
    assert after(UP, (links.EndSaid(), 1)).state is LinkState.COMPLETE
    growing = with_status(UP, "RUNNING")
    assert after(growing, (links.EndSaid(), 1)).state is LinkState.POLLING


def test_a_loss_backs_off_further_each_time_until_something_new_comes() -> None:
    link = UpstreamLink()
    waits = []
    for _ in range(8):
        link = after(link, (links.Connect(), 0), (links.ConnectionLost(jitter=1.0), 0))
        waits.append(link.retry_in_s)
    assert waits == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert link.state is LinkState.RETRYING
    link = after(link, (links.Opened(), 0), (links.KnownFrame(), 0), (links.ConnectionLost(1.0), 1))
    assert link.attempt == 9
    link = after(link, (links.Opened(), 0), (links.NewFrame(), 0), (links.ConnectionLost(1.0), 1))
    assert (link.attempt, link.retry_in_s) == (1, 0.5)


def test_thirty_seconds_of_health_start_the_attempts_again() -> None:
    link = after(
        UpstreamLink(), *[(links.ConnectionLost(jitter=1.0), 0.0)] * 5, (links.Opened(), 100)
    )
    assert after(link, (links.ConnectionLost(jitter=1.0), 129)).attempt == 6
    assert after(link, (links.ConnectionLost(jitter=1.0), 130)).attempt == 1


def test_stream_errors_poll_a_run_that_goes_on_and_fail_one_that_is_over() -> None:
    link = with_status(UP, "QUEUED")
    waits = []
    for _ in range(6):
        link = after(link, (links.StreamFault(), 0))
        waits.append(link.retry_in_s)
    assert link.state is LinkState.POLLING
    assert waits[0] == 1.0
    assert waits[-1] == 5.0
    assert waits == sorted(waits)
    link = with_status(UP, "DONE")
    states = []
    for _ in range(3):
        link = after(link, (links.StreamFault(), 0))
        states.append(link.state)
    assert states == [LinkState.RETRYING, LinkState.RETRYING, LinkState.FAILED]


def test_a_run_that_had_nothing_to_play_is_unready_until_its_status_changes() -> None:
    link = after(with_status(UP, "QUEUED"), (links.StreamFault(), 1))
    assert link.is_unready
    assert not with_status(link, "RUNNING").is_unready
    assert not with_status(link, "DONE").is_unready
    assert not with_status(UP, "RUNNING").is_unready


def test_frames_between_stream_errors_start_their_count_again() -> None:
    fault, frame = (links.StreamFault(), 0.0), (links.NewFrame(), 0.0)
    link = after(with_status(UP, "DONE"), fault, fault, frame, fault)
    assert link.state is LinkState.RETRYING


def test_a_refusal_is_final_and_letting_go_keeps_what_was_final() -> None:
    failed = after(UP, (links.Refused(), 0))
    assert failed.state is LinkState.FAILED
    assert after(failed, (links.Stopped(), 0)).state is LinkState.FAILED
    assert after(UP, (links.Stopped(), 0)).state is LinkState.IDLE


@given(st.integers(1, 500), st.floats(0, 1))
def test_full_jitter_lies_between_nothing_and_the_ceiling(attempt: int, jitter: float) -> None:
    wait_s = full_jitter(attempt, base_s=0.5, cap_s=20, jitter=jitter)
    assert 0 <= wait_s <= min(20, 0.5 * 2 ** (attempt - 1))
    assert full_jitter(attempt, base_s=0.5, cap_s=20, jitter=1.0) >= wait_s


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_a_bucket_gives_no_more_than_its_rate(gaps: list[float]) -> None:
    bucket = TokenBucket.full(rate_per_s=5, now_s=0)
    now_s, taken = 0.0, 0
    for gap in gaps:
        now_s += gap
        taken += bucket.take(now_s=now_s)
    assert taken <= 5 + 5 * now_s + 1e-6


def test_who_asks_for_a_little_too_much_does_not_become_an_abuser_in_time() -> None:
    little, much = (TokenBucket.full(rate_per_s=10, now_s=0) for _ in range(2))
    for n in range(10_000):
        little.take(now_s=n / 12)
        much.take(now_s=n / 40)
    assert little.refused < 10
    assert much.refused > 1_000


def test_an_hb_right_behind_the_last_frame_is_the_first_of_the_two() -> None:
    link = after(with_status(UP, "DONE"), (links.NewFrame(), 20.0))
    link = after(link, (links.Quiet(is_drained=False), 20.0))
    assert link.state is LinkState.UP
    assert after(link, (links.Quiet(is_drained=False), 25.0)).state is LinkState.UP
    assert after(link, (links.Quiet(), 25.0)).state is LinkState.COMPLETE


def test_silence_before_a_first_frame_is_no_end_while_the_backend_may_load() -> None:
    link = after(with_status(UP, "DONE"), (links.Quiet(), 0.1), (links.Quiet(), 5.1))
    assert link.state is LinkState.UP
    assert after(link, (links.NewFrame(), 5.5), (links.Quiet(), 10.1)).state is LinkState.UP
    assert after(link, (links.Quiet(), 10.1)).state is LinkState.COMPLETE
    assert not after(link, (links.Quiet(), 10.1)).has_frames


@pytest.mark.parametrize(
    "end", [[(links.Quiet(), 11.0), (links.Quiet(), 16.0)], [(links.EndSaid(), 11.0)]]
)
def test_a_stream_opened_before_the_run_was_over_is_replayed_once(
    end: list[tuple[links.LinkEvent, float]],
) -> None:
    growing = after(
        with_status(UpstreamLink(), "RUNNING"), (links.Opened(), 0.0), (links.NewFrame(), 1.0)
    )
    link = after(with_status(growing, "DONE"), *end)
    assert (link.state, link.retry_in_s) == (LinkState.REPLAYING, 0.0)
    link = after(link, (links.Connect(), 20.0), (links.Opened(), 21.0), (links.KnownFrame(), 22.0))
    assert after(link, *((event, at + 20.0) for event, at in end)).state is LinkState.COMPLETE


@given(st.lists(st.floats(0.0, 12.0), max_size=12))
def test_no_run_ends_without_a_frame_within_the_longest_load(gaps: list[float]) -> None:
    link, now_s = with_status(UP, "DONE"), 0.0
    for gap in gaps:
        now_s += gap
        link = after(link, (links.Quiet(), now_s))
        assert link.state is LinkState.UP or now_s >= 10.0
