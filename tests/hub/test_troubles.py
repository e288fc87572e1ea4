"""What must not reach others: a refused command changes nothing, a broken viewer breaks none."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hub.support import Message, Stage, say
from tests.topics.run.frames import plain

FRAMES = [plain(n) for n in range(60)]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("seek", {"pos": 60}),
    ("seek", {"pos": 10**9}),
    ("seek", {"pos": "2099-01-01T00:00:00Z"}),
]


def told(messages: list[Message]) -> list[Message]:
    """All but the refusals, in order, without the time of day at which it was told."""
    kept = [message for message in messages if message["t"] != "err"]
    return [{k: v for k, v in one.items() if k != "updated_at"} for one in kept]


@given(
    speed=st.sampled_from([0.1, 0.5, 1.0, 60.0]),
    mode=st.sampled_from(["merge", "all"]),
    course=st.lists(st.sampled_from([None, None, "pause", "play", "step", "back", *REFUSED])),
    ticks=st.integers(1, 40),
)
def test_refused_seeks_at_every_tick_are_as_if_they_had_not_been_said(
    speed: float, mode: str, course: list[Any], ticks: int
) -> None:
    plain_stage, other_stage = Stage(), Stage()
    pairs = []
    for stage in (plain_stage, other_stage):
        stage.feed(*FRAMES)
        stage.complete()
        pairs.append(stage.view(speed=speed, mode=mode))
    (calm, expected), (asking, seen) = pairs
    refused = 0
    for said in course:
        for stage in (plain_stage, other_stage):
            stage.tick(ticks)
        for cmd, values in [said] if isinstance(said, tuple) else REFUSED:
            say(asking, cmd, **values)
            refused += 1
        if isinstance(said, str):
            cmd, values = {"step": ("step", {"val": 2}), "back": ("step", {"val": -2})}.get(
                said, (said, {})
            )
            for viewer in (calm, asking):
                say(viewer, cmd, **values)
    for stage in (plain_stage, other_stage):
        stage.tick(120)
    assert told(seen.seen) == told(expected.seen)
    refusals = [m for m in seen.seen if m["t"] == "err" and m["code"] == "RANGE"]
    assert len(refusals) - len([m for m in expected.seen if m["t"] == "err"]) == refused


def test_one_impossible_seek_a_tick_leaves_three_frames_a_second() -> None:
    stage = Stage()
    stage.feed(*FRAMES)
    stage.complete()
    viewer, sink = stage.view(speed=0.1)
    for _ in range(600):
        stage.tick()
        say(viewer, "seek", pos=10**6)
    assert 29 <= len(sink.frames()) <= 31, "ten seconds of three frames"


@pytest.mark.parametrize("broken_at", [0, 1, 2])
def test_a_live_viewer_whose_socket_breaks_costs_its_neighbours_no_frame(broken_at: int) -> None:
    stage = Stage(status="RUNNING")
    stage.feed(*FRAMES[:10])
    viewers = [stage.view(**{"from": "live"}) for _ in range(3)]
    stage.tick(60)
    stage.feed(*FRAMES[10:20])
    stage.tick(60)
    assert len(stage.entry.audience.groups) == 1

    def breaks(data: bytes) -> bool:
        raise ZeroDivisionError("planted")

    group = next(iter(stage.entry.audience.groups.values()))
    assert len(group.members) == 3
    broken, sink = viewers[broken_at]
    group.members[broken] = breaks
    for n in range(20, 40):
        stage.feed(FRAMES[n])
        stage.tick(3)
    for n, (_, other) in enumerate(viewers):
        if n != broken_at:
            seqs = [(m.get("from", m["seq"]), m["seq"]) for m in other.frames()]
            assert all(a[1] + 1 == b[0] for a, b in pairwise(seqs)), seqs
            assert seqs[-1][1] == 39
    assert sink.ended == [1011]
