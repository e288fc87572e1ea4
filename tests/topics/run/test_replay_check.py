"""A replay held against the log."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.log.log import BLOCK
from hewston_bff.topics.run.folding import orders_in
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.replay_check import Replay, Verdict
from tests.topics.run.frames import log_of, plain


def feed(log: FrameLog, minutes: range, *, shift_from: int | None = None) -> tuple[FrameLog, int]:
    """Replay `minutes`, with other frames from `shift_from` on; the log after it and divergences."""
    replay, diverged = Replay(log), 0
    for minute in minutes:
        shift = 9 if shift_from is not None and minute >= shift_from else 0
        frame = plain(minute, shift=shift)
        match replay.check(frame):
            case Verdict.NEW:
                log.append(frame)
            case Verdict.DIVERGED:
                log = log.fork(*replay.fork())
                replay.go_on_with(log)
                diverged += 1
            case Verdict.KNOWN | Verdict.REPEATED | Verdict.WENT_BACK:
                pass
    return log, diverged


@pytest.mark.parametrize("evicted", [0, 1, 2])
@pytest.mark.parametrize("held", [1, BLOCK, 2 * BLOCK + 30, 4 * BLOCK])
def test_an_equal_replay_is_known_and_then_goes_on(held: int, evicted: int) -> None:
    log = log_of(held)
    for _ in range(evicted):
        log.evict_block(below=held)
    epoch = log.epoch
    after, diverged = feed(log, range(held + 300))
    assert (after, diverged) == (log, 0)
    assert log.next_seq == held + 300
    assert log.epoch == epoch
    assert log.tail(held + 299) == plain(held + 299).tail


@pytest.mark.parametrize("evicted", [0, 1])
@pytest.mark.parametrize("at", [0, 5, BLOCK - 1, BLOCK, BLOCK + 77, 2 * BLOCK, 2 * BLOCK + 29])
def test_a_different_replay_gives_the_new_streams_frames_in_a_new_epoch(
    at: int, evicted: int
) -> None:
    log = log_of(2 * BLOCK + 30)
    for _ in range(evicted):
        log.evict_block(below=2 * BLOCK)
    after, diverged = feed(log, range(3 * BLOCK), shift_from=at)
    assert diverged == 1
    assert after.epoch != log.epoch
    assert after.next_seq == 3 * BLOCK
    for seq in range(after.first_seq, 3 * BLOCK):
        assert after.tail(seq) == plain(seq, shift=9 if seq >= at else 0).tail


def test_a_replay_that_ends_short_is_no_divergence() -> None:
    log = log_of(500)
    after, diverged = feed(log, range(100))
    assert (after.next_seq, diverged) == (500, 0)


def test_only_the_same_frame_again_is_a_repetition_and_only_time_going_back_is_left_out() -> None:
    replay = Replay(log_of(10))
    assert replay.check(plain(0)) is Verdict.KNOWN
    assert replay.check(plain(0)) is Verdict.REPEATED
    assert replay.check(plain(1)) is Verdict.KNOWN
    assert replay.check(plain(0)) is Verdict.WENT_BACK
    assert replay.check(plain(1)) is Verdict.REPEATED
    assert replay.check(plain(2)) is Verdict.KNOWN


moments = st.integers(0, 6)
"""Few, so that frames share them and go back."""


@settings(deadline=None)
@given(
    st.lists(st.tuples(moments, st.integers(0, 2)), max_size=40),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_every_replay_leaves_out_the_same_and_finds_the_log_unchanged(
    stream: list[tuple[int, int]], cuts: list[int]
) -> None:
    frames = [plain(minute, shift=shift, orders=1) for minute, shift in stream]
    # Independently: order is arrival; what is before the latest time goes, and so does a twin.
    kept: list[tuple[int, int]] = []
    for each in stream:
        if not kept or each[0] > kept[-1][0] or (each[0] == kept[-1][0] and each != kept[-1]):
            kept.append(each)
    log = log_of(0)
    for cut in (*cuts, len(frames)):
        replay = Replay(log)
        for frame in frames[:cut]:
            verdict = replay.check(frame)
            assert verdict is not Verdict.DIVERGED
            if verdict is Verdict.NEW:
                log.append(frame)
    assert [log.tail(seq) for seq in range(log.next_seq)] == [
        plain(minute, shift=shift, orders=1).tail for minute, shift in kept
    ]
    assert orders_in(log, 0, log.next_seq)[1] == len(kept)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 5 * BLOCK), max_size=4))
def test_eviction_during_a_replay_is_never_taken_for_a_divergence(evict_at: set[int]) -> None:
    log = log_of(5 * BLOCK)
    replay = Replay(log)
    for minute in range(5 * BLOCK + 10):
        if minute in evict_at:
            log.evict_block(below=5 * BLOCK)
        verdict = replay.check(plain(minute))
        assert verdict is (Verdict.NEW if minute >= 5 * BLOCK else Verdict.KNOWN)
        if verdict is Verdict.NEW:
            log.append(plain(minute))


def test_another_divergence_after_a_fork_is_seen_too() -> None:
    log, _ = feed(log_of(300), range(300), shift_from=100)
    first = log.epoch
    log, diverged = feed(log, range(300))
    assert diverged == 1
    assert log.epoch != first
    assert log.tail(150) == plain(150).tail
