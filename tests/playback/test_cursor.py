"""How a cursor moves."""

import itertools
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.log.seek_targets import Found, OutOfRange
from hewston_bff.playback.cursor import Cursor
from hewston_bff.playback.playhead import Playhead
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.positions import AtEdge, AtIndex, AtTime
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from tests.topics.run.frames import RUN, log_of, plain

TICK = 1 / 60


def cursor(
    *, speed: float = 1.0, max_fps: float = 30.0, mode: Mode = "merge", paused: bool = False
) -> Cursor:
    return Cursor(Playhead(speed=speed, is_paused=paused), max_fps=max_fps, mode=mode)


def spans(
    moving: Cursor, log: FrameLog, *, seconds: float, start_s: float = 0.0, growing: bool = False
) -> list[tuple[float, int, int]]:
    """What is delivered, when, as time passes tick by tick."""
    out = []
    for k in range(round(seconds / TICK)):
        now_s = start_s + k * TICK
        while True:
            first = moving.next_seq
            stop = moving.take(log, now_s=now_s, is_growing=growing)
            if stop <= first:
                break
            out.append((now_s, first, stop))
            if moving.wake_s > now_s:
                break
    return out


def complete(count: int) -> FrameLog:
    log = log_of(count)
    log.is_complete = True
    return log


@pytest.mark.parametrize("speed", [0.1, 0.5, 1, 2.5, 60, 1_000])
@pytest.mark.parametrize("max_fps", [1, 30, 45, 60])
def test_a_merge_keeps_its_speed_and_its_rate(speed: float, max_fps: float) -> None:
    log = complete(20_000)
    moving = cursor(speed=speed, max_fps=max_fps)
    out = spans(moving, log, seconds=10)
    expected = min(20_000, 300 * speed)
    width = max(1.0, 30 * speed / max_fps)
    assert moving.next_seq == pytest.approx(expected, abs=2 * width + 1)
    assert len(out) <= 10 * max_fps + 1
    assert all(b[1] == a[2] for a, b in itertools.pairwise(out))


def test_viewers_at_one_speed_cut_alike_whenever_they_joined() -> None:
    log = complete(5_000)
    first, second = cursor(speed=7.3), cursor(speed=7.3)
    ours = {span[1:] for span in spans(first, log, seconds=5)}
    second.aim(AtIndex(101), show=True)
    second.arrive(log)
    theirs = [span[1:] for span in spans(second, log, seconds=5, start_s=3.01)]
    assert theirs[0] == (101, 102)
    shared = [span for span in theirs[2:] if span[1] < 900]
    assert len(shared) > 50
    assert set(shared) <= ours


def test_a_paused_cursor_delivers_nothing_but_what_a_seek_or_step_owes() -> None:
    log = complete(100)
    still = cursor(paused=True)
    assert spans(still, log, seconds=2) == []
    assert still.wake_s == inf
    still.aim(AtIndex(40), show=True)
    assert still.arrive(log) == Found(40)
    assert [span[1:] for span in spans(still, log, seconds=2)] == [(40, 41)]
    still.step(5)
    assert [span[1:] for span in spans(still, log, seconds=2)] == [(41, 46)]
    assert still.status(log, is_growing=False) == "paused"


def test_the_clock_stands_still_while_there_is_nothing() -> None:
    log = log_of(30)
    moving = cursor(speed=1)
    assert spans(moving, log, seconds=2)[-1][2] == 30
    assert moving.status(log, is_growing=False) == "buffering"
    assert spans(moving, log, seconds=600) == []
    for minute in range(30, 90):
        log.append(plain(minute))
    out = spans(moving, log, seconds=1, start_s=700)
    assert 28 <= out[-1][2] - 30 <= 31


def test_a_slow_reader_gets_wider_spans_and_loses_nothing() -> None:
    log = complete(1_000)
    moving = cursor(speed=2)
    assert moving.due(log, now_s=0.0, is_growing=False) in {0, 1, 2}
    assert moving.take(log, now_s=5.0, is_growing=False) == 300
    assert moving.next_seq == 300


def test_another_speed_goes_on_from_here() -> None:
    log = complete(10_000)
    moving = cursor(speed=10)
    spans(moving, log, seconds=2)
    at = moving.next_seq
    moving.set_speed(1, now_s=2.0)
    out = spans(moving, log, seconds=1, start_s=2.0)
    assert out[0][1] == at
    assert moving.next_seq - at == pytest.approx(30, abs=12)


def test_play_is_idempotent_and_keeps_the_pace() -> None:
    log = complete(10_000)
    moving = cursor(speed=1)
    for k in range(5):
        spans(moving, log, seconds=1, start_s=float(k))
        moving.play()
    assert moving.next_seq == pytest.approx(150, abs=2)


def test_the_end_of_a_complete_log_is_the_end() -> None:
    log = complete(100)
    moving = cursor(speed=60)
    assert spans(moving, log, seconds=1)[-1][2] == 100
    assert moving.status(log, is_growing=False) == "ended"


def test_the_edge_of_a_growing_run_makes_a_cursor_live() -> None:
    log = log_of(50)
    moving = cursor(speed=60)
    spans(moving, log, seconds=1, growing=True)
    assert moving.status(log, is_growing=True) == "live"
    assert moving.status(log, is_growing=False) == "buffering"
    for minute in range(50, 60):
        log.append(plain(minute))
    assert [span[1:] for span in spans(moving, log, seconds=0.1, start_s=2, growing=True)] == [
        (50, 60)
    ]


def test_live_viewers_with_one_max_fps_share_their_spans() -> None:
    log = log_of(10)
    one, two = cursor(max_fps=10), cursor(max_fps=10)
    for each in (one, two):
        each.aim(AtEdge(), show=True)
        each.is_live = True
        each.arrive(log)
    shared: list[list[tuple[int, int]]] = [[], []]
    for k in range(120):
        if k % 3 == 0:
            log.append(plain(10 + k))
        for out, each in zip(shared, (one, two), strict=True):
            if each is two and k < 30:
                continue
            out += [s[1:] for s in spans(each, log, seconds=TICK, start_s=k * TICK, growing=True)]
    assert len(shared[0]) <= 2 + 20
    assert set(shared[1][2:]) <= set(shared[0])


def test_all_mode_at_speed_0_is_as_fast_as_one_asks() -> None:
    log = complete(1_000)
    moving = cursor(mode="all", speed=0)
    out = spans(moving, log, seconds=TICK)
    assert [stop - start for _, start, stop in out] == [256, 256, 256, 232]


def test_all_mode_keeps_its_speed() -> None:
    log = complete(5_000)
    moving = cursor(mode="all", speed=10)
    spans(moving, log, seconds=4)
    assert moving.next_seq == pytest.approx(1_200, abs=6)


def test_a_seek_back_or_forth_goes_to_the_last_frame_at_or_before_a_time() -> None:
    log = complete(100)
    moving = cursor(paused=True)
    moving.aim(AtTime(plain(30).ts_ns + 5), show=True)
    assert moving.arrive(log) == Found(30)
    moving.aim(AtTime(0), show=True)
    assert moving.arrive(log) == Found(0)
    moving.aim(AtTime(plain(100).ts_ns), show=True)
    assert moving.arrive(log) == OutOfRange()
    assert moving.next_seq == 100


def test_a_place_not_there_yet_is_waited_for() -> None:
    log = log_of(10)
    moving = cursor(paused=True)
    moving.aim(AtIndex(12), show=True)
    assert moving.arrive(log) is None
    assert moving.status(log, is_growing=False) == "buffering"
    for minute in range(10, 13):
        log.append(plain(minute))
    assert moving.arrive(log) == Found(12)
    assert [span[1:] for span in spans(moving, log, seconds=1)] == [(12, 13)]


def test_evicted_frames_are_passed_over_and_counted() -> None:
    log = log_of(600)
    moving = cursor()
    log.evict_block(below=600)
    assert moving.skip_evicted(log) == 256
    assert (moving.lost, moving.next_seq) == (256, 256)
    assert moving.skip_evicted(log) == 0


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([0.01, 0.5, 1.0, 3.7, 60.0, 1_000.0, 100_000.0]),
    st.sampled_from([1.0, 7.5, 30.0, 60.0]),
    st.sampled_from(["merge", "all"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 400)),
            st.tuples(st.just("tick"), st.integers(1, 90)),
            st.tuples(st.just("stall"), st.integers(1, 300)),
            st.tuples(st.just("pause"), st.just(0)),
            st.tuples(st.just("play"), st.just(0)),
            st.tuples(st.just("seek"), st.integers(0, 1_500)),
            st.tuples(st.just("step"), st.integers(1, 70)),
            st.tuples(st.just("speed"), st.sampled_from([1, 20, 500])),
            st.tuples(st.just("evict"), st.just(0)),
            st.tuples(st.just("complete"), st.just(0)),
        ),
        max_size=30,
    ),
)
def test_between_seeks_the_spans_are_adjacent_and_never_ahead_of_the_log(
    speed: float, max_fps: float, mode: Mode, steps: list[tuple[str, int]]
) -> None:
    """Conservation: nothing twice, nothing left out but what eviction took and was counted."""
    log = frame_log(RUN)
    moving = cursor(speed=speed, max_fps=max_fps, mode=mode)
    k, expected = 0, 0
    for name, value in steps:
        if name == "append" and not log.is_complete:
            for _ in range(value):
                log.append(plain(log.next_seq))
        elif name == "complete":
            log.is_complete = True
        elif name == "pause":
            moving.pause()
        elif name == "play":
            moving.play()
        elif name == "speed":
            moving.set_speed(value, now_s=k * TICK)
        elif name == "step":
            moving.step(value)
        elif name == "seek":
            moving.aim(AtIndex(value), show=True)
        elif name == "evict":
            log.evict_block(below=log.next_seq)
        for tick in range(value if name in {"tick", "stall"} else 1):
            k += 1
            if moving.target is not None:
                moving.arrive(log)
                expected = moving.next_seq
            lost = moving.skip_evicted(log)
            expected += lost
            start = moving.next_seq
            assert start == expected
            is_stalled = name == "stall" and tick < value - 1
            look = moving.due if is_stalled else moving.take
            stop = look(log, now_s=k * TICK, is_growing=False)
            assert start <= stop <= max(log.next_seq, start)
            if stop > start and not is_stalled:
                if mode == "all":
                    assert stop - start <= 256
                expected = stop
