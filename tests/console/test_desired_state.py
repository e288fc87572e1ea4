"""What a subscription asks for, and what messages change of where it stands: in Node."""

from typing import Any

import pytest

from tests.console.support import in_node
from tests.console.test_picture import given

DESIRED = {"DesiredState": "client/desired-state.js"}
OBSERVED = {
    "initialState, changesOfState, changesOfSubscribed, isPlaced": "client/observed-state.js"
}
AT_7 = {"epoch": "e", "seq": 7, "ts": "2024-01-02T00:07:00Z", "mode": "merge"}


@pytest.mark.parametrize(
    ("options", "state", "sought", "place"),
    [
        ({}, {"seq": -1, "epoch": None}, None, {"from": "start"}),
        ({"from": "live"}, {"seq": -1, "epoch": None}, None, {"from": "live"}),
        ({"from": 5}, AT_7, None, {"resume": {"epoch": "e", "seq": 7, "ts": AT_7["ts"]}}),
        ({}, AT_7 | {"ts": None}, None, {"resume": {"epoch": "e", "seq": 7}}),
        # By the backend's own path frames are counted, and there is no epoch.
        ({}, AT_7 | {"epoch": None}, None, {"from": 8}),
        ({}, AT_7, 3, {"from": 3}),
        ({}, AT_7, 0, {"from": 0}),
    ],
)
def test_it_goes_on_behind_the_last_frame_or_where_a_seek_wanted_to_be(
    options: dict[str, Any], state: dict[str, Any], sought: int | None, place: dict[str, Any]
) -> None:
    script = """
      const desired = new DesiredState(options);
      desired.seeks.target = sought;
      return desired.place(state);"""
    assert (
        in_node(given(options=options, state=state, sought=sought) + script, modules=DESIRED)
        == place
    )


def test_a_request_says_all_that_is_wanted_by_then() -> None:
    script = """
      const desired = new DesiredState({ speed: 2, fps: 10, updates: ["equity"] });
      desired.pause();
      return desired.request("day", state);"""
    assert in_node(given(state=AT_7) + script, modules=DESIRED) == {
        "run_id": "day",
        "speed": 2,
        "paused": True,
        "mode": "merge",
        "max_fps": 10,
        "updates": ["equity"],
        "resume": {"epoch": "e", "seq": 7, "ts": AT_7["ts"]},
    }


def test_what_was_wanted_since_a_request_follows_it_and_nothing_else_does() -> None:
    script = """
      const desired = new DesiredState({});
      desired.seeks.target = 3;
      desired.request("day", state);
      const none = [desired.commandsSinceRequest(), desired.targetSinceRequest()];
      desired.speed = 5;
      desired.pause();
      desired.seeks.target = 4;
      const some = [desired.commandsSinceRequest(), desired.targetSinceRequest()];
      desired.request("day", state);
      return [none, some, desired.commandsSinceRequest()];"""
    assert in_node(given(state=AT_7) + script, modules=DESIRED) == [
        [[], None],
        [[{"cmd": "speed", "val": 5}, {"cmd": "pause"}], 4],
        [],
    ]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], [False, False]),
        (["follow"], [True, False]),
        (["follow", "pause"], [False, True]),
        (["pause", "follow"], [True, False]),
        (["follow", "startOver"], [False, False]),
    ],
)
def test_who_pauses_or_starts_over_follows_no_more(calls: list[str], expected: list[bool]) -> None:
    script = """
      const desired = new DesiredState({});
      for (const call of calls) desired[call]();
      return [desired.live, desired.paused];"""
    assert in_node(given(calls=calls) + script, modules=DESIRED) == expected


def test_null_is_as_good_as_nothing() -> None:
    script = """
      const options = { speed: null, fps: null, from: null, mode: null };
      const { speed, fps } = new DesiredState(options);
      const state = initialState(options);
      return [speed, fps, state.speed, state.mode, state.seq, state.status];"""
    modules = DESIRED | OBSERVED
    assert in_node(script, modules=modules) == [60, 30, 60, "merge", -1, "connecting"]


SUBSCRIBED = {"status": "playing", "speed": 1, "complete": False, "recovered": True}


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        # A cold log: what was delivered still stands.
        ({"epoch": None, "last": None, "seq": -1}, {"epoch": "e", "liveEdge": 9}),
        ({"epoch": "e", "last": 20, "seq": 7}, {"epoch": "e", "liveEdge": 20, "seq": 7}),
        (
            {"epoch": "f", "last": 20, "seq": 5},
            {"epoch": "f", "liveEdge": 20, "seq": 5, "ts": None},
        ),
    ],
)
def test_the_answer_to_subscribe_keeps_what_it_does_not_know_better(
    message: dict[str, Any], changes: dict[str, Any]
) -> None:
    values = given(state=AT_7 | {"liveEdge": 9}, message=SUBSCRIBED | message)
    told = in_node(values + "return changesOfSubscribed(state, message);", modules=OBSERVED)
    assert told == SUBSCRIBED | changes


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ({"seeked": False}, {}),
        ({"seeked": True}, {"seq": 4, "ts": "t"}),
        (
            {"seeked": False, "epoch": "f", "complete": True, "recovered": False},
            {"seq": 4, "ts": "t", "epoch": "f", "complete": True, "recovered": False},
        ),
    ],
)
def test_a_state_moves_the_cursor_only_where_it_was_placed(
    more: dict[str, Any], changes: dict[str, Any]
) -> None:
    message = {"status": "paused", "speed": 2, "live_edge": 12, "seq": 4, "ts": "t"} | more
    script = "return [isPlaced(message), changesOfState(message)];"
    assert in_node(given(message=message) + script, modules=OBSERVED) == [
        "seq" in changes,
        {"status": "paused", "speed": 2, "liveEdge": 12} | changes,
    ]


def test_the_wait_for_the_next_attempt_doubles_up_to_the_cap_unless_the_server_says() -> None:
    script = """
      const timer = new RetryTimer({ baseMs: 100, capMs: 1000 }, () => undefined);
      const waits = Array.from({ length: 400 }, () => {
        timer.attempt = 0;
        return [0, 1, 2, 3, 4, 5].map(() => timer.start());
      });
      const longest = [0, 1, 2, 3, 4, 5].map((n) => Math.max(...waits.map((row) => row[n])));
      const told = [timer.start(7), timer.start(0), timer.attempt];
      timer.stop();
      return [longest, told];"""
    longest, told = in_node(script, modules={"RetryTimer": "client/retry-timer.js"})
    caps = [100, 200, 400, 800, 1_000, 1_000]
    # Of 400 random shares of the cap the largest is near it.
    assert all(0.9 * cap < wait <= cap for wait, cap in zip(longest, caps, strict=True))
    assert told == [7, 0, 8]
