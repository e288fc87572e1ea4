"""What is left out of a stream: how often it counts, and who is told when."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.link import Quiet
from hewston_bff.topics.run.skips import Skip
from tests.hub.support import MemorySink, Message, Stage
from tests.topics.run.frames import plain

LOST = Skip.TIME_UNREADABLE


def told(sink: MemorySink) -> list[Message]:
    """What the `run` messages say of skipped frames, one after the other."""
    return [message["skipped"] for message in sink.seen if "skipped" in message]


def skip(stage: Stage, count: int, reason: Skip = LOST) -> None:
    for _ in range(count):
        stage.skip(reason)


def test_skips_are_news_once_then_at_doublings_and_in_the_end() -> None:
    stage = Stage(status="RUNNING")
    _, sink = stage.view()
    stage.feed(plain(0))
    skip(stage, 11)
    assert [each["frames"] for each in told(sink)] == [1, 2, 4, 8]
    stage.complete()
    assert told(sink)[-1] == {"frames": 11, "reasons": {"time_unreadable": 11}}


def test_what_costs_nobody_anything_is_only_counted() -> None:
    stage = Stage(status="RUNNING")
    _, sink = stage.view()
    for reason in (Skip.REPEATED, Skip.UNKNOWN, Skip.BACKEND_ERROR):
        skip(stage, 3, reason)
    stage.feed(plain(0), plain(0))
    stage.complete()
    assert told(sink) == []
    assert dict(stage.counters.skipped) == {"repeated": 4, "unknown": 3, "backend_error": 3}


def test_who_may_not_read_the_run_hears_of_it_once_that_is_allowed() -> None:
    stage = Stage(status="RUNNING")
    stage.permit.is_granted = False
    _, sink = stage.view()
    _, other = stage.view(updates=["frames"])
    stage.feed(plain(0))
    skip(stage, 2)
    assert told(sink) == []
    assert not [message for message in other.seen if message["t"] == "err"]
    stage.permit.is_granted = True
    for _ in range(2):
        stage.entry.granted(stage.permit)
    assert told(sink) == [{"frames": 2, "reasons": {"time_unreadable": 2}}]
    (error,) = [message for message in other.seen if message["t"] == "err"]
    assert error["code"] == "FRAMES_SKIPPED"
    assert error["details"] == {"frames": 2, "reasons": {"time_unreadable": 2}}


def test_a_replay_that_brings_the_skipped_frame_takes_it_back() -> None:
    stage = Stage(status="RUNNING")
    _, sink = stage.view()
    stage.feed(plain(0))
    skip(stage, 1)
    stage.feed(plain(2), plain(3))
    stage.open(now_s=1.0)
    stage.feed(*(plain(minute) for minute in range(5)))
    assert stage.channel.log.next_seq == 5
    assert stage.channel.skipped is not None
    assert stage.channel.skipped.frames == 0
    assert told(sink)[-1] == {"frames": 0, "reasons": {}}
    _, late = stage.view(updates=["frames"])
    assert not [message for message in late.seen if message["t"] == "err"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=5))
def test_however_often_the_stream_breaks_the_count_is_that_of_one_way_through(
    cuts: list[int],
) -> None:
    # 12 messages: every third has no time that could be read.
    stage = Stage(status="RUNNING")
    highest = 0
    for cut in (*cuts, 12):
        stage.open(now_s=1.0)
        for at in range(cut):
            if at % 3 == 2:
                skip(stage, 1)
            else:
                stage.feed(plain(at))
        highest = max(highest, cut)
        assert stage.source.state.skips.frames == highest // 3
        assert stage.counters.skipped[LOST] == highest // 3
    assert stage.channel.log.next_seq == 8


def test_who_comes_late_hears_what_the_last_replay_lacks() -> None:
    stage = Stage(status="RUNNING")
    stage.feed(plain(0))
    skip(stage, 3)
    stage.describe(RunDescription(status="DONE"))
    # This replay lacks less: as much as was told at the last doubling.
    stage.open(now_s=1e6)
    skip(stage, 2)
    stage.feed(plain(0))
    for now_s in (2e6, 3e6):
        stage.step(Quiet(), now_s=now_s)
    assert stage.log.is_complete
    assert stage.source.state.skips.frames == 2
    _, late = stage.view()
    assert told(late) == [{"frames": 2, "reasons": {"time_unreadable": 2}}]
