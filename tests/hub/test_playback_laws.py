"""What the stream protocol promises a viewer, sentence by sentence, read from the messages."""

from itertools import pairwise
from typing import Any

import pytest

from hewston_bff.errors import BackendUnavailable
from hewston_bff.hub.subscription import Subscription
from hewston_bff.topics.run.link import Connect, ConnectionLost, Opened, Quiet, Refused, Stopped
from tests.hub.support import MemorySink, Message, Stage, say
from tests.topics.run.frames import frame, plain, ts


def stage_of(count: int, *, status: str = "DONE", is_over: bool = True) -> Stage:
    """A run of plain frames, complete unless it is not over."""
    stage = Stage(status=status)
    stage.feed(*map(plain, range(count)))
    if is_over:
        stage.complete()
    return stage


def growing(count: int) -> Stage:
    """A run known to go on."""
    return stage_of(count, status="RUNNING", is_over=False)


def spans(messages: list[Message]) -> list[tuple[int, int]]:
    """First and last seq of each frame message."""
    return [
        (m["from"] if "from" in m else m["seq"], m["seq"]) for m in messages if m["t"] == "frame"
    ]


def kinds(messages: list[Message]) -> list[str]:
    return [message["t"] for message in messages]


def ask(viewer: Subscription, sink: MemorySink, cmd: str, **values: Any) -> Message:
    """Give a command; its one answer."""
    before = len(sink.seen)
    say(viewer, cmd, id="ask", **values)
    answers = [message for message in sink.seen[before:] if message.get("re") == "ask"]
    assert len(answers) == 1
    return answers[0]


# -- speed


@pytest.mark.parametrize(("speed", "max_fps", "width"), [(60, 30, 60), (1, 30, 1), (2.5, 15, 5)])
def test_a_message_stands_for_thirty_times_speed_over_max_fps_frames(
    speed: float, max_fps: float, width: int
) -> None:
    _, sink = watch_for(stage_of(4_000), 60, speed=speed, max_fps=max_fps)
    ranges = spans(sink.seen)[:-1]
    assert {last - first + 1 for first, last in ranges[1:]} == {width}
    assert len(ranges) == pytest.approx(min(30 * speed, max_fps), abs=2)


@pytest.mark.parametrize("speed", [1, 500, 1_000, 2_000])
def test_every_frame_alone_passes_at_thirty_times_speed_too(speed: float) -> None:
    _, sink = watch_for(stage_of(30_000), 24, speed=speed, mode="all")
    assert spans(sink.seen)[-1][1] == pytest.approx(30 * speed * 24 / 60, rel=0.1)


def test_the_clock_stands_still_while_permission_is_not_confirmed() -> None:
    stage = stage_of(2_000)
    _, sink = watch_for(stage, 60, speed=1)
    stage.permit.is_granted = False
    stage.entry.suspended(stage.permit)
    stage.tick(600)
    shown = len(spans(sink.seen))
    stage.permit.is_granted = True
    stage.entry.granted(stage.permit)
    stage.tick(60)
    assert {last - first for first, last in spans(sink.seen)} == {0}
    assert len(spans(sink.seen)) - shown == pytest.approx(30, abs=2)


def watch_for(stage: Stage, ticks: int, **wishes: Any) -> tuple[Subscription, MemorySink]:
    """A viewer that has watched for so many ticks."""
    viewer, sink = stage.view(**wishes)
    stage.tick(ticks)
    return viewer, sink


def test_a_speed_change_keeps_the_position() -> None:
    stage = stage_of(9_000)
    viewer, sink = watch_for(stage, 120, speed=10)
    answer = ask(viewer, sink, "speed", val=1)
    assert answer["seq"] == spans(sink.seen)[-1][1]
    before = len(sink.seen)
    stage.tick(120)
    after = spans(sink.seen[before:])
    assert after[0][0] == answer["seq"] + 1
    assert after[-1][1] - answer["seq"] == pytest.approx(60, abs=12)


def test_as_fast_as_possible_and_then_speed_1_goes_on_at_speed_1() -> None:
    stage = stage_of(20_000)
    viewer, sink = watch_for(stage, 3, mode="all", speed=0)
    at = ask(viewer, sink, "speed", val=1)["seq"]
    stage.tick(120)
    assert spans(sink.seen)[-1][1] - at == pytest.approx(60, abs=2)


# -- play, pause


def test_play_while_playing_changes_nothing() -> None:
    runs = []
    for plays in (0, 1):
        stage = stage_of(2_000)
        viewer, sink = stage.view(speed=1)
        for _ in range(6):
            stage.tick(31)
            for _ in range(plays):
                say(viewer, "play")
        runs.append(spans(sink.seen))
    assert runs[0] == runs[1]


def test_paused_nothing_comes_however_long() -> None:
    stage = stage_of(2_000)
    viewer, sink = watch_for(stage, 30)
    ask(viewer, sink, "pause")
    before = len(sink.seen)
    stage.tick(600)
    assert sink.seen[before:] == []


@pytest.mark.parametrize("how", ["played", "sought", "live"])
def test_play_at_the_end_starts_at_the_beginning_at_the_same_speed(how: str) -> None:
    stage = growing(600) if how == "live" else stage_of(600)
    viewer, sink = watch_for(stage, 900, speed=2)
    if how == "sought":
        say(viewer, "seek", pos=599)
        stage.tick(600)
    elif how == "live":
        say(viewer, "live")
        stage.tick(60)
        stage.complete()
        stage.tick(60)
    assert kinds(sink.seen)[-1] == "end"
    answer = ask(viewer, sink, "play")
    assert (answer["seq"], answer["seeked"]) == (-1, True)
    before = len(sink.seen)
    stage.tick(60)
    again = spans(sink.seen[before:])
    assert again[0][0] == 0
    assert again[-1][1] == pytest.approx(60, abs=3)
    stage.tick(900)
    assert kinds(sink.seen).count("end") == {"played": 2, "sought": 3, "live": 2}[how]


# -- seek, step, live


def test_a_seek_answers_then_shows_a_picture_up_to_there_and_then_that_frame_even_paused() -> None:
    stage = stage_of(2_000)
    viewer, sink = stage.view(paused=True)
    stage.tick(10)
    before = len(sink.seen)
    ask(viewer, sink, "seek", ts=ts(1_500))
    stage.tick(60)
    state, snapshot, shown = sink.seen[before:]
    assert (state["t"], state["seeked"], state["seq"]) == ("state", True, 1_499)
    assert (snapshot["t"], snapshot["seq"], snapshot["ts"]) == ("snapshot", 1_499, ts(1_499))
    assert len(snapshot["bars"]) <= 1_000
    assert max(bar["ts"] for bar in snapshot["bars"]) == ts(1_499)
    assert max(point["ts"] for point in snapshot["equity"]) == ts(1_499)
    assert snapshot["orders_total"] == sum(plain(minute).order_count for minute in range(1_500))
    assert (shown["t"], shown["seq"], "from" in shown) == ("frame", 1_500, False)


def test_seeks_that_pile_up_are_all_answered_and_the_last_one_counts() -> None:
    stage = stage_of(2_000)
    viewer, sink = stage.view(paused=True)
    stage.tick(10)
    before = len(sink.seen)
    for pos in (100, 900, 300):
        say(viewer, "seek", id=pos, pos=pos)
    stage.tick(60)
    messages = sink.seen[before:]
    assert [m["re"] for m in messages if m["t"] == "state"] == [100, 900, 300]
    assert spans(messages) == [(300, 300)]
    assert kinds(messages).count("snapshot") == 1


def test_a_dragged_scrubber_gets_at_most_five_snapshots_a_second() -> None:
    stage = stage_of(2_000)
    viewer, sink = stage.view(paused=True)
    for pos in range(120):
        say(viewer, "seek", pos=pos * 10)
        stage.tick()
    assert 9 <= kinds(sink.seen).count("snapshot") <= 11


def test_a_place_the_run_does_not_have_is_refused_and_changes_nothing() -> None:
    stage = stage_of(500)
    viewer, sink = watch_for(stage, 30, speed=1)
    at = viewer.needs().start
    error = ask(viewer, sink, "seek", pos=500)
    assert (error["t"], error["code"]) == ("err", "RANGE")
    assert error["details"] == {"min": 0, "max": 499, "min_ts": ts(0), "max_ts": ts(499)}
    before = len(sink.seen)
    stage.tick(60)
    assert spans(sink.seen[before:])[0][0] == at


def test_a_live_viewer_that_asked_for_an_impossible_place_stays_live() -> None:
    stage = growing(500)
    viewer, sink = watch_for(stage, 60, **{"from": "live"})
    assert ask(viewer, sink, "seek", pos=-1)["code"] == "RANGE"
    before = len(sink.seen)
    stage.feed(*map(plain, range(500, 520)))
    stage.tick(10)
    assert spans(sink.seen[before:]) == [(500, 519)]


def test_a_place_that_is_yet_to_come_is_waited_for_and_refused_if_the_run_ends_before() -> None:
    stage = growing(100)
    viewer, sink = watch_for(stage, 30, paused=True)
    assert ask(viewer, sink, "seek", pos=150)["status"] == "buffering"
    stage.feed(*map(plain, range(100, 200)))
    stage.tick(60)
    assert spans(sink.seen) == [(150, 150)]
    say(viewer, "seek", id="late", pos=999)
    stage.complete()
    stage.tick(10)
    late = [message for message in sink.seen if message.get("re") == "late"]
    assert [message.get("code", message.get("status")) for message in late] == [
        "buffering",
        "RANGE",
    ]
    assert viewer.needs().start == 200


def test_a_step_is_one_message_and_a_step_back_a_seek() -> None:
    stage = stage_of(500)
    viewer, sink = stage.view(paused=True)
    ask(viewer, sink, "step", val=25)
    stage.tick(10)
    assert spans(sink.seen) == [(0, 24)]
    assert ask(viewer, sink, "step", val=-5)["seq"] == 18
    stage.tick(60)
    assert spans(sink.seen)[-1] == (19, 19)
    assert ask(viewer, sink, "step")["status"] == "paused"
    stage.tick(10)
    assert spans(sink.seen)[-1] == (20, 20)


def test_speed_that_reaches_the_edge_of_a_growing_run_is_live_and_shares_beats() -> None:
    stage = growing(300)
    one, ours = stage.view(speed=60, max_fps=10)
    two, theirs = stage.view(speed=1_000, max_fps=10)
    stage.tick(60)
    assert (stage.status_of(one), stage.status_of(two)) == ("live", "live")
    for minute in range(300, 360):
        stage.feed(plain(minute))
        stage.tick(2)
    late = [span for span in spans(ours.seen) if span[0] > 305]
    assert late == [span for span in spans(theirs.seen) if span[0] > 305]
    assert len(late) <= 21


def test_an_empty_log_is_no_edge_to_be_live_at() -> None:
    stage = Stage(status="RUNNING")
    viewer, sink = watch_for(stage, 30, speed=1)
    assert stage.status_of(viewer) == "buffering"
    stage.feed(*map(plain, range(500)))
    stage.tick(60)
    assert spans(sink.seen)[-1][1] == pytest.approx(30, abs=3)
    assert ask(viewer, sink, "play")["status"] == "playing"


# -- the end, and beginnings


def test_the_end_is_said_once_even_if_a_command_heard_of_it_first() -> None:
    stage = growing(300)
    viewer, sink = watch_for(stage, 60, **{"from": "live"})
    stage.complete()
    assert ask(viewer, sink, "speed", val=3)["status"] == "ended"
    stage.tick(60)
    ask(viewer, sink, "speed", val=5)
    stage.tick(60)
    assert kinds(sink.seen).count("end") == 1


def test_whoever_comes_back_at_the_end_is_told_that_it_is_the_end() -> None:
    stage = stage_of(100)
    _, sink = watch_for(stage, 10, resume={"epoch": stage.channel.log.epoch, "seq": 99})
    assert (sink.seen[0]["status"], sink.seen[0]["recovered"]) == ("ended", True)
    assert sink.seen[-1] == {"t": "end", "seq": 99}


def test_viewers_who_left_are_not_kept() -> None:
    for stage in (stage_of(200), growing(200), Stage(status="QUEUED")):
        for _ in range(5):
            viewer, _ = watch_for(stage, 60, max_fps=30 + len(stage.entry.audience.listeners))
            stage.entry.audience.listeners.discard(viewer)
            viewer.close()
        assert not stage.entry.audience.waiting
        assert not any(group.members for group in stage.entry.audience.groups.values())


def test_a_resume_goes_on_exactly_or_by_time_with_a_picture_first() -> None:
    stage = stage_of(500)
    epoch = stage.channel.log.epoch
    _, exact = watch_for(stage, 60, resume={"epoch": epoch, "seq": 99, "ts": ts(99)})
    assert (exact.seen[0]["recovered"], exact.seen[0]["seq"]) == (True, 99)
    assert "snapshot" not in kinds(exact.seen)
    assert spans(exact.seen)[0][0] == 100
    _, by_time = watch_for(stage, 60, resume={"epoch": "other", "seq": 7, "ts": ts(99)})
    assert (by_time.seen[0]["recovered"], by_time.seen[0]["seq"]) == (False, 99)
    assert kinds(by_time.seen).index("snapshot") < kinds(by_time.seen).index("frame")


def test_on_a_cold_log_what_is_not_known_is_null_and_told_with_the_first_frame() -> None:
    stage = Stage(status="RUNNING")
    _, sink = watch_for(stage, 5)
    subscribed = sink.seen[0]
    assert [subscribed[name] for name in ("epoch", "first", "last")] == [None] * 3
    stage.feed(plain(0))
    stage.tick(5)
    state = next(message for message in sink.seen if message["t"] == "state")
    assert (state["epoch"], state["first"], state["last"]) == (stage.channel.log.epoch, 0, 0)


# -- loss, divergence, slowness


def test_what_was_evicted_unread_is_announced_and_counted_in_dropped() -> None:
    stage = stage_of(700)
    viewer, sink = stage.view(paused=True)
    say(viewer, "step", val=10)
    stage.tick(5)
    stage.channel.log.evict_block(below=700)
    say(viewer, "play")
    stage.tick(60)
    lag = next(message for message in sink.seen if message["t"] == "lag")
    assert (lag["from"], lag["to"], lag["reason"]) == (10, 255, "evicted")
    rest = [message for message in sink.seen[sink.seen.index(lag) :] if message["t"] == "frame"]
    assert spans(rest)[0][0] == 256
    assert {message["dropped"] for message in rest} == {246}
    assert stage.counters.dropped == 246


@pytest.mark.parametrize("seen", [0, 40, 255, 256, 400])
@pytest.mark.parametrize("evicted", [0, 1])
def test_after_a_divergence_a_viewer_goes_on_by_time(seen: int, evicted: int) -> None:
    stage = stage_of(600, is_over=False)
    viewer, sink = stage.view(paused=True)
    if seen:
        say(viewer, "step", val=seen + 1)
        stage.tick(5)
    for _ in range(evicted):
        stage.channel.log.evict_block(below=600)
    held_from = stage.channel.log.first_seq
    before = len(sink.seen)
    stage.open(now_s=stage.ticker.next_s)
    stage.feed(*(plain(minute, shift=9 * (minute >= 500)) for minute in range(600)))
    say(viewer, "play")
    stage.tick(60)
    messages = sink.seen[before:]
    reset = kinds(messages).index("reset")
    assert messages[reset]["epoch"] == stage.channel.log.epoch
    following = messages[reset:]
    assert any(message["t"] == "state" and message["seeked"] for message in following)
    expected = max(seen + 1, held_from) if seen else held_from
    assert spans(following)[0][0] == expected
    lost = [message["to"] - message["from"] + 1 for message in messages if message["t"] == "lag"]
    assert sum(lost) == max(0, held_from - (seen + 1 if seen else 0))


def test_a_viewer_without_an_answer_yet_hears_of_neither_reset_nor_failure() -> None:
    stage = stage_of(300, is_over=False)
    stage.permit.is_granted = False
    viewer, sink = stage.view()
    viewer.is_answered = False
    sink.seen.clear()
    stage.open(now_s=stage.ticker.next_s)
    stage.feed(*(plain(minute, shift=9) for minute in range(300)))
    stage.fail(BackendUnavailable("try later"))
    stage.tick(5)
    assert sink.seen == []


def test_a_slow_viewer_gets_wider_messages_and_loses_nothing() -> None:
    stage = stage_of(3_000)
    viewer, sink = stage.view(speed=10)
    for slow in (False, True, False, True, False):
        sink.is_slow = slow
        stage.tick(90)
    ranges = spans(sink.seen)
    assert all(start == stop + 1 for (_, stop), (start, _) in pairwise(ranges))
    assert max(last - first for first, last in ranges) > 300
    assert all(message["dropped"] == 0 for message in sink.frames())
    assert viewer.needs().start == pytest.approx(7.5 * 300, abs=21)


def test_published_is_delivered_and_merged_and_lost() -> None:
    stage = stage_of(3_000)
    viewer, sink = watch_for(stage, 40, speed=7, max_fps=15)
    stage.channel.log.evict_block(below=3_000)
    stage.channel.log.evict_block(below=3_000)
    stage.tick(2_000)
    counters = stage.counters
    assert stage.status_of(viewer) == "ended"
    assert counters.frames_out == len(sink.frames())
    assert counters.frames_out + counters.merged + counters.dropped == counters.frames_in == 3_000


# -- what may be heard, and what must be readable


def test_metrics_and_frames_are_never_ahead_of_the_cursor() -> None:
    stage = stage_of(2_000)
    _, sink = watch_for(stage, 600, speed=5, updates=["frames", "metrics"])
    last = -1
    for message in sink.seen:
        if message["t"] == "frame":
            last = message["seq"]
        elif message["t"] == "metrics":
            assert message["seq"] == last
            assert message["metrics"]["orders"] == sum(
                plain(m).order_count for m in range(last + 1)
            )
    assert 9 <= kinds(sink.seen).count("metrics") <= 11


@pytest.mark.parametrize("commands", [["pause"], ["step", "step"], ["pause", "step"]])
def test_metrics_at_rest_are_those_of_the_cursor(commands: list[str]) -> None:
    stage = stage_of(2_000)
    viewer, sink = watch_for(stage, 90, speed=5, updates=["frames", "metrics"])
    for command in commands:
        say(viewer, command)
        stage.tick(3)
    figures = [message for message in sink.seen if message["t"] == "metrics"]
    assert figures[-1]["seq"] == sink.frames()[-1]["seq"]


def test_metrics_before_the_end_is_known_are_those_of_the_last_frame() -> None:
    stage = stage_of(600, is_over=False)
    _, sink = watch_for(stage, 90, speed=20, updates=["frames", "metrics"])
    assert sink.frames()[-1]["seq"] == 599
    assert [m["seq"] for m in sink.seen if m["t"] == "metrics"][-1] == 599


def test_a_viewer_without_permission_learns_nothing_of_the_run() -> None:
    stage = stage_of(300)
    stage.permit.is_granted = False
    viewer, sink = watch_for(stage, 30)
    ask(viewer, sink, "seek", pos=100)
    stage.tick(30)
    assert set(kinds(sink.seen)) <= {"subscribed", "state"}
    assert all(message.get("ts") is None for message in sink.seen)
    stage.permit.is_granted = True
    viewer.permitted()
    stage.tick(60)
    assert spans(sink.seen)[0][0] == 100


def test_a_volume_beyond_all_bounds_is_left_out_and_not_written_as_infinity() -> None:
    stage = Stage()
    bar: dict[str, float | None] = {"o": 1, "h": 1, "l": 1, "c": 1, "v": 1.7e308}
    stage.feed(*(frame(minute, bar=bar, equity=1) for minute in range(10)))
    stage.complete()
    _, sink = watch_for(stage, 10, speed=1_000)
    assert sink.frames()[0]["ohlc"] == {"o": 1, "h": 1, "l": 1, "c": 1}


def test_news_of_the_stream_is_told_once_to_a_client_of_several_subscriptions() -> None:
    stage = growing(10)
    viewer, sink = stage.view()
    other, _ = stage.view()
    other.sink = sink
    before = len(sink.seen)
    stage.step(Refused(), now_s=1.0)
    stage.step(Opened(), now_s=2.0)
    assert [m["status"] for m in sink.seen[before:] if m["t"] == "upstream"] == ["failed", "up"]
    assert stage.status_of(viewer) in {"playing", "live", "buffering"}


def test_a_first_attempt_to_connect_is_no_news_and_a_further_one_is() -> None:
    stage = growing(10)
    stage.step(Stopped())
    _, sink = stage.view()
    for event in (Connect(), Opened(), ConnectionLost(jitter=0.5), Connect(), Opened()):
        stage.step(event, now_s=1.0)
    news = [(m["status"], m.get("attempt")) for m in sink.seen if m["t"] == "upstream"]
    assert news == [("up", None), ("retrying", 1), ("connecting", 2), ("up", None)]


def test_a_run_that_was_complete_and_turns_out_to_differ_is_complete_again_at_its_end() -> None:
    stage = growing(10)
    stage.complete()
    stage.step(Refused())
    stage.step(Connect())
    stage.open(now_s=1e7)
    stage.feed(plain(0, shift=1))
    assert not stage.log.is_complete
    for now_s in (2e7, 3e7):
        stage.step(Quiet(), now_s=now_s)
    _, sink = stage.view()
    stage.tick(60)
    assert sink.seen[-1] == {"t": "end", "seq": 0}
