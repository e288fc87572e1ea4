"""Ranges of frames, against all frames looked at one by one."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.protocol.positions import AtIndex, AtTime
from hewston_bff.protocol.times import parse_time
from hewston_bff.topics.run.frame_range import FrameRange, Place, lines
from hewston_bff.topics.run.wire import RawFrame, decode
from tests.topics.run.frames import log_of, text, ts

counts = st.integers(0, 30)
places = st.integers(0, 40).map(AtIndex) | st.integers(-5, 65).map(
    lambda half: AtTime(_time_ns(0) + half * 30_000_000_000)
)


def _time_ns(minute: int) -> int:
    ts_ns = parse_time(ts(minute))
    assert ts_ns is not None
    return ts_ns


def is_at_or_after(seq: int, place: Place) -> bool:
    return seq >= place.seq if isinstance(place, AtIndex) else _time_ns(seq) >= place.ts_ns


def is_at_or_before(seq: int, place: Place | None) -> bool:
    if place is None:
        return True
    return seq <= place.seq if isinstance(place, AtIndex) else _time_ns(seq) <= place.ts_ns


@given(counts, places, st.none() | places)
def test_a_range_of_a_whole_run_is_the_frames_within(
    count: int, first: Place, last: Place | None
) -> None:
    log = log_of(count)
    log.is_complete = True
    wanted = FrameRange(first, last)
    start = wanted.start(log)
    assert start is not None
    assert wanted.is_all_there(log)
    assert list(range(start, wanted.stop(log))) == [
        seq for seq in range(count) if is_at_or_after(seq, first) and is_at_or_before(seq, last)
    ]


@given(counts, counts, places, st.none() | places)
def test_what_a_growing_run_says_of_a_range_stays_true(
    count: int, more: int, first: Place, last: Place | None
) -> None:
    wanted = FrameRange(first, last)
    shorter = log_of(count)
    longer = log_of(count + more)
    longer.is_complete = True
    if (start := wanted.start(shorter)) is not None:
        assert start == wanted.start(longer)
    if wanted.is_all_there(shorter):
        assert wanted.stop(shorter) == wanted.stop(longer)
    else:
        assert wanted.stop(shorter) == count


def test_a_frame_is_one_line_whatever_lies_between_its_members() -> None:
    log = log_of(1)
    message = decode(text(1).replace(b", ", b",\r\n"))
    assert isinstance(message, RawFrame)
    log.append(message)
    assert lines(log, 0, 2).count(b"\n") == 2
    assert [msgspec.json.decode(line)["seq"] for line in lines(log, 0, 2).splitlines()] == [0, 1]
