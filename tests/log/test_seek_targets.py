"""Where a client wants to be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.log.seek_targets import Found, OutOfRange, locate
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.positions import AfterTime, AtEdge, AtIndex, AtTime, Resumed, SeekTarget
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.frame_range import FrameRange
from tests.topics.run.frames import RUN, log_of, plain

EMPTY = frame_log(RUN)
EPOCH = log_of(1).epoch or Epoch("")
START = AtIndex(0)


def done(count: int) -> FrameLog:
    log = log_of(count)
    log.is_complete = True
    return log


def resumed(seq: int, *, epoch: Epoch = EPOCH, minute: int | None = None) -> Resumed:
    ts_ns = None if minute is None else plain(minute).ts_ns
    return Resumed(epoch, seq, ts_ns, otherwise=START)


@pytest.mark.parametrize(
    ("target", "log", "place"),
    [
        (AtIndex(3), log_of(10), Found(3)),
        (AtIndex(10), log_of(10), None),
        (AtIndex(10), done(10), OutOfRange()),
        (AtIndex(-1), log_of(10), OutOfRange()),
        (AtTime(plain(4).ts_ns), log_of(10), Found(4)),
        (AtTime(plain(9).ts_ns + 1), log_of(10), None),
        (AtTime(plain(9).ts_ns + 1), done(10), OutOfRange()),
        (AtTime(0), log_of(10), Found(0)),
        (AtTime(0), EMPTY, None),
        (AfterTime(plain(4).ts_ns), log_of(10), Found(5)),
        (AfterTime(plain(9).ts_ns), log_of(10), Found(10)),
        (AfterTime(plain(12).ts_ns), log_of(10), None),
        (AfterTime(plain(12).ts_ns), done(10), Found(10)),
        (AtEdge(), log_of(10), Found(9)),
        (AtEdge(), EMPTY, None),
        (resumed(4, minute=4), log_of(10), Found(5, recovered=True)),
        (resumed(9), log_of(10), Found(10, recovered=True)),
        (resumed(-1), log_of(10), Found(0, recovered=True)),
        (resumed(10), log_of(10), None),
        (resumed(10, minute=4), done(10), Found(5, recovered=False)),
        (resumed(4, minute=7), log_of(10), Found(8, recovered=False)),
        (resumed(4, epoch=Epoch("other"), minute=6), log_of(10), Found(7, recovered=False)),
        (resumed(4, epoch=Epoch("other")), log_of(10), Found(0, recovered=False)),
        (resumed(4), EMPTY, None),
    ],
)
def test_a_place_is_found_or_not_there_or_not_there_yet(
    target: SeekTarget, log: FrameLog, place: Found | OutOfRange | None
) -> None:
    assert locate(target, log) == place


def test_evicted_places() -> None:
    log = log_of(600)
    log.evict_block(below=600)
    assert locate(AtIndex(255), log) == OutOfRange()
    assert locate(AtTime(0), log) == Found(256)
    assert locate(resumed(255), log) == Found(256, recovered=True)
    assert locate(resumed(100, minute=100), log) == Found(256, recovered=False)


def test_a_shared_time_is_its_last_frame_once_no_other_of_it_can_come() -> None:
    log = log_of(2)
    log.append(plain(1, shift=3))
    at_one = plain(1).ts_ns
    assert locate(AtTime(at_one), log) is None
    assert locate(AtTime(at_one - 1), log) == Found(0)
    log.is_quiet = True
    assert locate(AtTime(at_one), log) == Found(2)
    assert locate(AtTime(at_one + 1), log) is None
    log.is_quiet = False
    log.append(plain(2))
    assert locate(AtTime(at_one), log) == Found(2)
    assert locate(AfterTime(at_one), log) == Found(3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 150)), min_size=1, max_size=8),
    st.integers(-1, 10),
)
def test_times_are_found_in_any_log_as_by_looking_at_every_frame(
    shared: list[tuple[int, int]], minute: int
) -> None:
    # So many frames of a time that they lie in several blocks.
    minutes = sorted(each for each, times in shared for _ in range(times))
    log = log_of(0)
    for at, each in enumerate(minutes):
        log.append(plain(each, shift=at))
    log.is_complete = True
    ts_ns = plain(0).ts_ns + minute * 60 * 1_000_000_000
    after = sum(each <= minute for each in minutes)
    assert log.after(ts_ns) == after
    assert log.at_or_before(ts_ns) == max(after - 1, 0)
    wanted = FrameRange(AtTime(ts_ns), AtTime(ts_ns))
    assert wanted.start(log) == sum(each < minute for each in minutes)
    assert wanted.stop(log) == after
