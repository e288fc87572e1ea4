"""The law: whatever ticks, pauses, stalls and speed changes do, nothing is lost, doubled or foreseen."""

from collections.abc import Iterable
from itertools import pairwise
from math import isnan
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.log.log import BLOCK
from hewston_bff.playback.cursor import CHUNK, TICKS_PER_S, Cursor
from hewston_bff.playback.playhead import Playhead
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.positions import AfterTime, AtEdge, AtIndex
from hewston_bff.topics.run.conflate import merge
from hewston_bff.topics.run.folding import fold_range, orders_in
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.replay_check import Replay, Verdict
from hewston_bff.topics.run.wire import RawFrame, decode
from tests.topics.run.frames import RUN, plain, text
from tests.topics.run.frames import frame as frame_of
from tests.topics.run.test_conflate import comparable


def _made(at: int) -> RawFrame:
    """A frame as real ones come: three share a time, bars are absent, equity is no number."""
    minute = at - at % 3
    orders = at % 3 if at % 7 == 0 else 0
    if at % 17 == 0:
        return frame_of(minute, bar=None, orders=orders, equity=1_000 + at % 50)
    if at % 13 == 0:
        spoiled = text(minute, bar={"o": 1, "c": 2 + at % 50}, orders=orders, equity=7_777)
        message = decode(spoiled.replace(b"7777", b"NaN"))
        assert isinstance(message, RawFrame)
        return message
    return plain(minute, shift=at, orders=orders)


_SOURCE = [_made(at) for at in range(2_000)]
"""The run; whole numbers, so that sums are exact however they are grouped."""

_steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 400)),
    st.tuples(st.just("tick"), st.integers(1, 90)),
    st.tuples(st.just("stall"), st.integers(2, 300)),
    st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("play"), st.just(0)),
    st.tuples(st.just("seek"), st.integers(0, 1_500)),
    st.tuples(st.just("after"), st.integers(0, 1_500)),
    st.tuples(st.just("live"), st.just(0)),
    st.tuples(st.just("step"), st.integers(1, 70)),
    st.tuples(st.just("speed"), st.sampled_from([0.5, 1, 20, 500, 100_000])),
    st.tuples(st.just("evict"), st.just(0)),
    st.tuples(st.just("reconnect"), st.integers(1, 2_000)),
    st.tuples(st.just("status"), st.booleans()),
    st.tuples(st.just("complete"), st.just(0)),
)


class Watched:
    """A growing log and one cursor on it; checks each span against the source as it is delivered."""

    def __init__(self, *, speed: float, max_fps: float, mode: Mode) -> None:
        self.log = frame_log(RUN)
        playhead = Playhead(speed=speed, is_paused=False)
        self.cursor = Cursor(playhead, max_fps=max_fps, mode=mode)
        self.is_growing = True
        self.now = 0
        self.stretches: list[list[tuple[int, int]]] = [[]]
        """The spans delivered; a seek or a loss begins a new stretch."""
        self.delivered = self.messages = self.merged = self.lost = self.jumped = 0

    def do(self, name: str, value: Any) -> None:
        """One step of a schedule, and a tick."""
        match name:
            case "append":
                self.append(value)
            case "reconnect":
                self.reconnect(value)
            case "evict":
                self.log.evict_block(below=self.log.next_seq)
            case "status":
                self.is_growing = bool(value) and not self.log.is_complete
            case "complete":
                self.log.is_complete, self.is_growing = True, False
            case _:
                self.command(name, value)
        for tick in range(value if name in {"tick", "stall"} else 1):
            self.tick(is_ready=name != "stall" or tick == value - 1)

    def command(self, name: str, value: Any) -> None:
        cursor = self.cursor
        match name:
            case "pause":
                cursor.pause()
            case "play":
                cursor.play()
            case "step":
                cursor.step(value)
            case "speed":
                cursor.set_speed(value, now_s=self.now / TICKS_PER_S)
            case "seek":
                cursor.aim(AtIndex(value), show=True)
            case "after":
                cursor.aim(AfterTime(_SOURCE[value].ts_ns), show=False)
            case "live":
                cursor.playhead.is_paused = False
                cursor.aim(AtEdge(), show=True)
                cursor.is_live = True
            case _:
                assert name in {"tick", "stall"}

    def append(self, count: int) -> None:
        for _ in range(0 if self.log.is_complete else count):
            if self.log.next_seq < len(_SOURCE):
                self.log.append(_SOURCE[self.log.next_seq])

    def reconnect(self, count: int) -> None:
        """The run from its first frame again, perhaps cut short, perhaps going on."""
        if self.log.is_complete:
            return
        replay = Replay(self.log)
        for frame in _SOURCE[:count]:
            verdict = replay.check(frame)
            assert verdict in {Verdict.KNOWN, Verdict.NEW}
            if verdict is Verdict.NEW:
                self.log.append(frame)

    def tick(self, *, is_ready: bool) -> None:
        """What a subscription does at a tick; not ready: its client takes nothing."""
        self.now += 1
        now_s, cursor, log = self.now / TICKS_PER_S, self.cursor, self.log
        if cursor.target is not None:
            before = cursor.next_seq
            if cursor.arrive(log) is None:
                return
            self.jumped += cursor.next_seq - before
            self.stretches.append([])
        lost = cursor.skip_evicted(log)
        if lost:
            self.lost += lost
            self.stretches.append([])
        start = cursor.next_seq
        owed = cursor.owed
        look = cursor.take if is_ready else cursor.due
        stop = look(log, now_s=now_s, is_growing=self.is_growing)
        assert start <= stop <= max(start, log.next_seq), "ahead of what there is"
        if stop > start and is_ready:
            self.take(start, stop, owed=owed)

    def take(self, start: int, stop: int, *, owed: int) -> None:
        """One span arrives."""
        assert not self.cursor.playhead.is_paused or stop - start <= max(owed, 0)
        is_merge = self.cursor.mode == "merge"
        assert is_merge or stop - start <= CHUNK
        spans = [(start, stop)] if is_merge else [(seq, seq + 1) for seq in range(start, stop)]
        self.stretches[-1] += spans
        self.messages += len(spans)
        self.merged += stop - start - len(spans)
        self.delivered += stop - start
        for first, last in spans:
            assert self.log.tail(last - 1) == _SOURCE[last - 1].tail
            check_orders(self.log, first, last)

    def check(self) -> None:
        """Adjacent spans whose folds come to the fold of the source; every frame accounted for."""
        for spans in self.stretches:
            for (_, stop), (start, _) in pairwise(spans):
                assert start == stop, "a gap, or a frame twice"
            held = [(a, b) for a, b in spans if a >= self.log.first_seq]
            if held:
                whole = fold_of_source(held[0][0], held[-1][1])
                folds = merge(fold_range(self.log, start, stop) for start, stop in held)
                assert comparable(folds) == whole
        assert self.messages + self.merged == self.delivered
        passed = self.cursor.next_seq - self.jumped
        assert passed == self.delivered + self.lost
        assert self.cursor.lost == self.lost


def check_orders(log: FrameLog, start: int, stop: int) -> None:
    """Every order of the span, once and in order."""
    source = b",".join(frame.orders for frame in _SOURCE[start:stop] if frame.orders)
    assert orders_in(log, start, stop) == (source, sum(f.order_count for f in _SOURCE[start:stop]))


def fold_of_source(start: int, stop: int) -> tuple[float | None, ...]:
    """The fold of the source's frames by the definition."""
    frames = _SOURCE[start:stop]
    opens, highs, lows = (present(getattr(frame, name) for frame in frames) for name in "ohl")
    closes, volumes = (present(getattr(frame, name) for frame in frames) for name in "cv")
    values = present(frame.equity for frame in frames)
    last = max(
        (start + at for at, frame in enumerate(frames) if not isnan(frame.equity)), default=-1
    )
    return (
        opens[0] if opens else None,
        max(highs, default=None),
        min(lows, default=None),
        closes[-1] if closes else None,
        sum(volumes) if volumes else None,
        values[-1] if values else None,
        min(values, default=None),
        max(values, default=None),
        last,
    )


def present(values: Iterable[float]) -> list[float]:
    """The values that are there."""
    return [value for value in values if not isnan(value)]


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from([0.01, 0.5, 1.0, 3.7, 60.0, 1_000.0, 100_000.0]),
    st.sampled_from([1.0, 7.5, 30.0, 60.0]),
    st.sampled_from(["merge", "all"]),
    st.lists(_steps, min_size=3, max_size=30),
)
def test_what_is_delivered_is_the_source(
    speed: float, max_fps: float, mode: Mode, steps: list[tuple[str, Any]]
) -> None:
    watched = Watched(speed=speed, max_fps=max_fps, mode=mode)
    for name, value in steps:
        watched.do(name, value)
    watched.check()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0.0, 1.0, 60.0, 100_000.0]),
    st.lists(st.tuples(st.sampled_from(["append", "stall", "tick"]), st.integers(1, 200))),
)
def test_all_mode_gives_each_frame_once_and_in_order(
    speed: float, steps: list[tuple[str, int]]
) -> None:
    watched = Watched(speed=speed, max_fps=30.0, mode="all")
    for name, value in steps:
        watched.do(name, value)
    watched.check()
    assert watched.stretches == [[(seq, seq + 1) for seq in range(watched.delivered)]]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.05, 200.0),
    st.sampled_from([1.0, 7.5, 30.0, 60.0]),
    st.lists(
        st.one_of(
            st.tuples(st.just("tick"), st.integers(1, 120)),
            st.tuples(st.just("stall"), st.integers(2, 120)),
        )
    ),
)
def test_stalls_cost_no_time_of_the_run(
    speed: float, max_fps: float, steps: list[tuple[str, int]]
) -> None:
    watched = Watched(speed=speed, max_fps=max_fps, mode="merge")
    watched.is_growing = False
    watched.append(len(_SOURCE))
    for name, value in steps:
        watched.do(name, value)
    due = (watched.now - 1) / TICKS_PER_S * 30 * speed + 1
    width = max(1.0, 30 * speed / max_fps)
    if watched.now and due < len(_SOURCE) - width:
        assert due - width - 1 <= watched.delivered <= due + 1e-3
    watched.check()


def test_a_speed_change_in_all_mode_leaves_no_backlog_to_rush_through() -> None:
    watched = Watched(speed=0.0, max_fps=30.0, mode="all")
    watched.is_growing = False
    watched.append(len(_SOURCE))
    watched.do("tick", 3)
    assert watched.delivered == 3 * BLOCK
    watched.do("speed", 1)
    watched.do("tick", 60)
    assert watched.delivered - 3 * BLOCK in range(29, 33)
    watched.do("speed", 100_000)
    watched.do("speed", 1)
    before = watched.delivered
    watched.do("tick", 60)
    assert watched.delivered - before < 2 * CHUNK
