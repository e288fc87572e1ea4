"""Viewers of one growing run, whatever they and the run do: a state machine checks what they hear."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hewston_bff.errors import InvalidRequest
from hewston_bff.hub.subscription import Subscription
from hewston_bff.topics.run.wire import RawFrame
from tests.hub.support import MemorySink, Stage, say
from tests.topics.run.frames import plain, ts

_VIEWERS = 3


class Viewers(RuleBasedStateMachine):
    """Three viewers; the model is the list of frames that the run has now."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(status="RUNNING")
        self.run: list[RawFrame] = []
        self.is_over = False
        self.shift = 0
        self.viewers: list[tuple[Subscription, MemorySink]] = []
        self.checked = [0] * _VIEWERS
        self.expected: list[int | None] = [0] * _VIEWERS
        self.asked = [0] * _VIEWERS

    @initialize(
        wishes=st.lists(
            st.fixed_dictionaries(
                {
                    "speed": st.sampled_from([0.5, 1.0, 60.0, 1_000.0]),
                    "max_fps": st.sampled_from([1.0, 30.0, 60.0]),
                    "mode": st.sampled_from(["merge", "all"]),
                    "paused": st.booleans(),
                    "from": st.sampled_from(["start", "live"]),
                    "updates": st.sampled_from(
                        [["frames"], ["frames", "run"], ["frames", "metrics"]]
                    ),
                }
            ),
            min_size=_VIEWERS,
            max_size=_VIEWERS,
        )
    )
    def arrive(self, wishes: list[dict[str, Any]]) -> None:
        self.viewers = [self.stage.view(**each) for each in wishes]
        for n, each in enumerate(wishes):
            self.expected[n] = 0 if each["from"] == "start" else None

    @rule(count=st.integers(1, 300))
    def grow(self, count: int) -> None:
        if self.is_over:
            return
        shift = self.shift
        new = [plain(len(self.run) + n, shift=shift) for n in range(count)]
        self.run += new
        self.stage.feed(*new)

    @rule(steps=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=5, max_size=20))
    def go_on(self, steps: list[tuple[int, int]]) -> None:
        """The run grows while time passes."""
        for count, ticks in steps:
            self.grow(count)
            self.tick(ticks)

    @rule()
    def all_live(self) -> None:
        for viewer, sink in self.viewers:
            sink.is_slow = False
            say(viewer, "live")
        self.go_on([(3, 5)] * 5)

    @rule(ticks=st.integers(1, 120))
    def tick(self, ticks: int) -> None:
        self.stage.tick(ticks)

    @rule(n=st.integers(0, _VIEWERS - 1), slow=st.booleans())
    def slow_down(self, n: int, slow: bool) -> None:  # noqa: FBT001 - a strategy's value
        self.viewers[n][1].is_slow = slow

    @rule(
        n=st.integers(0, _VIEWERS - 1),
        cmd=st.one_of(
            st.sampled_from([("play", {}), ("pause", {}), ("live", {})]),
            st.tuples(st.just("seek"), st.builds(lambda p: {"pos": p}, st.integers(-5, 900))),
            st.tuples(st.just("seek"), st.builds(lambda m: {"ts": ts(m)}, st.integers(-5, 900))),
            st.tuples(st.just("step"), st.builds(lambda v: {"val": v}, st.integers(-9, 40))),
            st.tuples(st.just("speed"), st.builds(lambda v: {"val": v}, st.sampled_from([1, 200]))),
        ),
    )
    def command(self, n: int, cmd: tuple[str, dict[str, Any]]) -> None:
        viewer, sink = self.viewers[n]
        self.asked[n] += 1
        request_id = f"{n}-{self.asked[n]}"
        before = len(sink.seen)
        try:
            say(viewer, cmd[0], id=request_id, **cmd[1])
        except InvalidRequest:
            assert cmd == ("step", {"val": 0})
            return
        answers = [m for m in sink.seen[before:] if m.get("re") == request_id]
        assert [m["t"] for m in answers] in (["state"], ["err"])

    @rule()
    def evict(self) -> None:
        self.stage.channel.log.evict_block(below=self.stage.channel.log.next_seq)

    @rule(at=st.integers(0, 900))
    def diverge(self, at: int) -> None:
        """The stream comes back and is another one from `at` on."""
        if self.is_over or at >= len(self.run) or at < self.stage.channel.log.first_seq:
            return
        self.stage.open(now_s=self.stage.ticker.next_s)
        self.shift += 1
        self.run = self.run[:at] + [
            plain(minute, shift=self.shift) for minute in range(at, len(self.run))
        ]
        self.stage.feed(*self.run)

    @rule()
    def reconnect(self) -> None:
        """The stream comes back the same, and ends short."""
        if self.is_over:
            return
        self.stage.open(now_s=self.stage.ticker.next_s)
        self.stage.feed(*self.run)

    @precondition(lambda self: len(self.run) > 900)
    @rule()
    def finish(self) -> None:
        if self.run:
            self.is_over = True
            self.stage.complete()

    @invariant()
    def what_they_hear_is_true(self) -> None:
        for n, (_, sink) in enumerate(self.viewers):
            for message in sink.seen[self.checked[n] :]:
                self._check(n, message)
            self.checked[n] = len(sink.seen)

    def _check(self, n: int, message: dict[str, Any]) -> None:
        kind = message["t"]
        if kind == "frame":
            first = message.get("from", message["seq"])
            expected = self.expected[n]
            assert expected is None or first == expected, f"{expected=} {message=}"
            self.expected[n] = message["seq"] + 1
            assert message["ts"] == ts(message["seq"])
            assert message.get("n", 1) == message["seq"] - first + 1
            times = [order["ts_utc"] for order in message["orders"]]
            wanted = [ts(m) for m in range(first, message["seq"] + 1) if m % 11 == 0]
            assert times == wanted
        elif kind in {"lag", "reset"} or message.get("seeked"):
            self.expected[n] = message["to"] + 1 if kind == "lag" else None
        elif kind == "snapshot":
            assert all(bar["ts"] <= ts(message["seq"]) for bar in message["bars"])
            assert len(message["bars"]) <= 1_000
        elif kind == "metrics":
            assert self.expected[n] in (None, message["seq"] + 1)
        elif kind == "end":
            assert self.is_over
            assert message["seq"] == len(self.run) - 1

    def teardown(self) -> None:
        """Whoever plays on gets to the end of a run that is over."""
        if not self.run or not self.viewers:
            return
        self.finish()
        for viewer, sink in self.viewers:
            sink.is_slow = False
            say(viewer, "speed", val=1_000)
            say(viewer, "play")
        self.stage.tick(1_200)
        self.what_they_hear_is_true()
        for viewer, sink in self.viewers:
            assert self.stage.status_of(viewer) == "ended", sink.seen[-3:]
            assert viewer.needs().start == len(self.run)
        for _, sink in self.viewers:
            msgspec.json.encode(sink.seen)


TestViewers = Viewers.TestCase
TestViewers.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
