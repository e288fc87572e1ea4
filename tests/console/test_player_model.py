"""What the player knows and decides, without a page: in Node."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tests.console.support import in_node
from tests.console.test_picture import frame, given, minute

MODEL = {"PlayerModel, modeFor": "player/model.js"}
TEXTS = {"statusText, controlsOf, countdownText": "player/status-text.js"}
BAR = [10, 12, 9, 11, 100]
STATE = {
    "status": "playing",
    "seq": -1,
    "ts": None,
    "epoch": "e",
    "speed": 1,
    "mode": "all",
    "liveEdge": None,
    "complete": False,
    "recovered": None,
}
CONNECTION = {"status": "online", "transport": "websocket", "attempt": 0, "retryInMs": None}
SITUATION = {
    "state": STATE,
    "connection": CONNECTION,
    "upstream": None,
    "runStatus": "DONE",
    "reason": "",
    "skipped": None,
    "hasPicture": True,
    "isEmpty": False,
}
_GIVEN = "const model = new PlayerModel({ state: () => state, connection: () => connection });\n"


def minutes(count: int, **more: Any) -> list[dict[str, Any]]:
    """So many frames, a minute each."""
    return [frame(seq, minute(seq), BAR, 1_000 + seq) | more for seq in range(count)]


def in_model(script: str, *, state: dict[str, Any] | None = None, **values: Any) -> Any:
    """What the script returns, given a `model` of a run that plays, and these values."""
    names = given(state=STATE | (state or {}), connection=CONNECTION, **values)
    return in_node(names + _GIVEN + script, modules=MODEL)


def situation(**changes: Any) -> dict[str, Any]:
    """A run that plays; `state` and `connection` are changed by member."""
    parts = {name: SITUATION[name] | changes.pop(name, {}) for name in ("state", "connection")}
    return SITUATION | parts | changes


# -- frames and the picture


def test_frames_wait_for_the_next_picture_and_merged_ones_count_for_as_many() -> None:
    frames = [*minutes(2), frame(6, minute(6), BAR) | {"from": 2, "n": 5, "ts0": minute(2)}]
    script = """
      for (const each of frames) model.take(each);
      const before = [model.position.held, model.hasQueue];
      const isDrawn = model.absorb();
      return [before, isDrawn, model.position.held, model.position.seq, model.hasQueue,
        model.absorb(), model.panel().health.merged];"""
    assert in_model(script, frames=frames) == [[0, True], True, 3, 6, False, False, "4"]


def test_a_hidden_page_takes_frames_in_once_four_thousand_wait() -> None:
    script = """
      const taken = Array.from({ length: 4002 }, (_, seq) => model.take({ ...first, seq }));
      return taken.indexOf(true);"""
    assert in_model(script, first=minutes(1)[0]) == 4_000


@pytest.mark.parametrize(("status", "held"), [("playing", 0), ("paused", 4), ("ended", 4)])
def test_what_waits_is_drawn_at_once_where_nothing_more_will_come(status: str, held: int) -> None:
    script = """
      for (const each of frames) model.take(each);
      return [model.moved(state), model.position.held];"""
    moved = in_model(script, state={"status": status, "seq": 3}, frames=minutes(4))
    assert moved == [held > 0, held]


def test_a_cursor_that_is_elsewhere_forgets_what_lies_after_it() -> None:
    script = """
      for (const each of frames) model.take(each);
      const isOther = model.moved(state);
      const { seq, held, time } = model.position;
      return [isOther, seq, held, time, model.clock];"""
    state = {"status": "paused", "seq": 4, "ts": minute(4)}
    # date -u -d 2024-01-02T00:04:00Z +%s
    expected = [True, 4, 5, 1_704_153_840, "2024-01-02 00:04 UTC"]
    assert in_model(script, state=state, frames=minutes(10)) == expected


def test_a_snapshot_fills_what_was_jumped_over_and_nothing_else() -> None:
    snapshot = {
        "seq": 390,
        "ts": minute(390),
        "bars": [
            {"o": 1, "h": 2, "l": 1, "c": 2, "v": 5, "ts0": minute(0), "ts": minute(200)},
            {"o": 2, "h": 3, "l": 2, "c": 3, "v": 5, "ts0": minute(201), "ts": minute(390)},
        ],
        "equity": [],
        "orders_total": 0,
    }
    script = """
      const isFirst = model.fill(snapshot, true);
      model.take(late);
      return [isFirst, model.position.held, model.fill({ ...snapshot, seq: 400 }, true)];"""
    late = frame(391, minute(391), BAR)
    assert in_model(script, snapshot=snapshot, late=late) == [True, 2, False]


@pytest.mark.parametrize(("speed", "mode"), [(0.01, "all"), (60, "all"), (120, "merge")])
def test_up_to_speed_sixty_every_frame_comes_alone(speed: float, mode: str) -> None:
    assert in_node(f"return modeFor({speed})", modules=MODEL) == mode


# -- what stands beside the picture


def test_the_panel_is_of_one_frame_and_counts_the_orders_that_were_jumped_over() -> None:
    orders = [{"ts_utc": minute(1), "side": "BUY", "qty": 1, "price": 11}] * 2
    frames = minutes(3)
    frames[1]["orders"] = orders
    metrics = {"total_return": 0.0125, "max_drawdown": 0.05, "sharpe": 1.5, "orders": 7}
    script = """
      for (const each of frames) model.take(each);
      model.absorb();
      model.picture.figures.told({ seq: 2, metrics });
      model.latency = 3.25;
      const { seq, figures, health, spoken, unseen } = model.panel();
      return [seq, figures.close, figures.equity, figures.total_return, figures.max_drawdown,
        figures.sharpe, figures.orders, health.behind, health.latency, spoken, unseen];"""
    state = {"status": "paused", "seq": 2, "ts": minute(2), "liveEdge": 1_002}
    assert in_model(script, state=state, frames=frames, metrics=metrics) == [
        *(2, "11", "1,002", "+1.25 %", "−5.00 %", "1.50", "7", "1K", "3.3 ms"),
        *("At 2024-01-02 00:02 UTC", "5 earlier ones were jumped over."),
    ]


def test_nothing_is_read_aloud_while_it_plays() -> None:
    assert in_model("return model.panel().spoken") is None


# -- how it stands


@pytest.mark.parametrize(
    ("changes", "pill", "title", "actions"),
    [
        ({}, "playing", None, None),
        ({"state": {"status": "connecting"}, "hasPicture": False}, "connecting", "Connecting", []),
        (
            {"connection": {"status": "offline"}},
            *("offline", "The server cannot be reached", []),
        ),
        (
            {"state": {"status": "paused"}, "hasPicture": False},
            *("paused", "Paused before the first frame", []),
        ),
        (
            {"upstream": {"status": "retrying", "attempt": 2}},
            *("backend lost", None, None),
        ),
        (
            {"state": {"complete": True}, "upstream": {"status": "retrying", "attempt": 2}},
            *("playing", None, None),
        ),
        (
            {"state": {"status": "buffering"}, "hasPicture": False},
            *("buffering", "Waiting for the backend", []),
        ),
        (
            {"state": {"status": "buffering"}, "runStatus": "QUEUED", "hasPicture": False},
            *("buffering", "Waiting for the run", []),
        ),
        (
            {"state": {"status": "buffering", "seq": 9, "liveEdge": 9}},
            *("buffering", "All there is so far", []),
        ),
        (
            {"state": {"status": "buffering"}, "upstream": {"status": "failed"}},
            *("failed", "The backend cannot play this run", ["retry", "runs"]),
        ),
        (
            {"state": {"status": "ended"}, "hasPicture": False},
            *("ended", "No data", ["retry", "runs"]),
        ),
        (
            {"runStatus": "CANCELLED", "hasPicture": False},
            *("playing", "This run was cancelled", ["retry", "runs"]),
        ),
    ],
)
def test_how_the_player_stands_is_told_in_words(
    changes: dict[str, Any], pill: str, title: str | None, actions: list[str] | None
) -> None:
    script = """
      const { pill, notice } = statusText(situation);
      return [pill, notice?.title ?? null, notice?.actions ?? null];"""
    told = in_node(given(situation=situation(**changes)) + script, modules=TEXTS)
    assert told == [pill, title, actions]


def test_what_is_lost_missing_and_not_possible_stays_in_sight() -> None:
    changes = {
        "connection": {"status": "offline", "transport": "backend", "attempt": 4},
        "runStatus": "ERROR",
        "reason": "out of memory",
        "skipped": {"frames": 1, "reasons": {"malformed": 1}},
    }
    script = """
      const { outage, attempt, lost, failed, skipped, limits } = statusText(situation);
      return [outage, attempt, lost, failed, skipped, limits.slice(0, 26)];"""
    assert in_node(given(situation=situation(**changes)) + script, modules=TEXTS) == [
        "connection",
        4,
        "No connection to the server: nothing new comes. What has come stays.",
        "This run ended in ERROR: out of memory. Its frames go as far as it came.",
        "1 frame of this run could not be read and is missing here: malformed (1).",
        "By the backend's own path:",
    ]


@pytest.mark.parametrize(
    ("attempt", "left_ms", "text"),
    [
        (3, 4_200, " Attempt 3: the next try is in 5 s."),
        (3, 0, " Attempt 3: trying now."),
        (0, 1_000, " It is tried again: the next try is in 1 s."),
        (12, 61_000, " Attempt 12: the next try is in 61 s."),
    ],
)
def test_the_time_to_the_next_attempt_is_counted_down(
    attempt: int, left_ms: float, text: str
) -> None:
    assert in_node(f"return countdownText({attempt}, {left_ms})", modules=TEXTS) == text


@pytest.mark.parametrize(
    ("changes", "is_moving", "controls"),
    [
        ({}, True, ["Pause", True, True, True]),
        ({}, False, ["Play", True, True, True]),
        ({"state": {"complete": True}}, True, ["Pause", True, True, False]),
        ({"upstream": {"status": "complete"}}, True, ["Pause", True, True, False]),
        ({"upstream": {"status": "up"}}, True, ["Pause", True, True, True]),
        ({"connection": {"transport": "backend"}}, True, ["Pause", True, False, False]),
        (
            {"state": {"status": "ended"}, "hasPicture": False},
            True,
            ["Play", False, False, False],
        ),
    ],
)
def test_controls_work_where_there_is_something_to_play(
    changes: dict[str, Any],
    is_moving: bool,  # noqa: FBT001
    controls: list[Any],
) -> None:
    script = """
      const { playLabel, canPlay, canStep, canFollow } = controlsOf(situation, isMoving);
      return [playLabel, canPlay, canStep, canFollow];"""
    values = given(situation=situation(**changes), isMoving=is_moving)
    assert in_node(values + script, modules=TEXTS) == controls


def test_what_is_waited_for_is_said_over_a_picture_until_it_comes() -> None:
    script = """
      for (const each of frames) model.take(each);
      model.absorb();
      const said = [];
      for (const [status, other] of [["buffering"], ["playing"], ["buffering", "Another"], ["playing"]]) {
        state.status = status;
        model.updateStatus();
        if (other) model.say(other);
        said.push(model.said);
      }
      return [said, model.cover];"""
    state = {"seq": 2, "liveEdge": 2}
    words = "All there is so far. The backend has not said yet whether this is the end."
    assert in_model(script, state=state, frames=minutes(3)) == [
        [words, "", "Another", "Another"],
        None,
    ]


def test_while_it_connects_it_means_to_go_on_as_before() -> None:
    script = """
      return ["paused", "connecting", "buffering", "connecting"].map((status) => {
        state.status = status;
        model.updateStatus();
        return model.isMoving;
      });"""
    assert in_model(script) == [False, False, True, True]


# -- the run itself


@pytest.mark.parametrize(
    ("equity", "is_partial", "title"),
    [
        ([], False, "No data"),
        ([], True, "Waiting for the backend"),
        (None, False, "Waiting for the backend"),
    ],
)
def test_a_run_that_is_over_without_equity_has_no_data(
    equity: list[Any] | None,
    is_partial: bool,  # noqa: FBT001
    title: str,
) -> None:
    run = {"orders": None, "equity": equity, "run": {}, "metadata": {"partial_data": is_partial}}
    script = "model.complete(run); model.updateStatus(); return model.cover.title;"
    assert in_model(script, state={"status": "buffering"}, run=run) == title


@pytest.mark.parametrize(("count", "frames"), [(2, 2), (599, 599), (600, None)])
def test_of_a_short_run_each_frame_has_a_point(count: int, frames: int | None) -> None:
    equity = [{"timestamp": minute(n), "equity": n} for n in range(count)]
    run = {"orders": [], "equity": equity, "run": {}, "metadata": {"partial_data": False}}
    script = "const told = model.complete(run); return [told.frames, told.points.length, told.points[1]];"
    assert in_model(script, run=run) == [frames, count, {"time": 1_704_153_660, "value": 1}]


def test_news_of_a_run_count_until_newer_ones_come_and_not_beyond_another_run() -> None:
    script = """
      const skipped = { frames: 3, reasons: { malformed: 3 } };
      const isOver = ["RUNNING", "DONE"].map((status) => model.runNews({ status, skipped }));
      const told = () => { model.updateStatus(); return model.status.skipped.slice(0, 8); };
      model.runNews({ status: "DONE" });
      const before = told();
      model.reset();
      return [isOver, before, told(), model.said];"""
    assert in_model(script) == [
        *([False, True], "3 frames", ""),
        "The backend has made this run anew: the picture starts over.",
    ]


# -- keys


@pytest.mark.parametrize(
    ("transport", "keys", "calls"),
    [
        ("websocket", " ", [["pause"]]),
        ("websocket", "ArrowLeft", [["step", -1]]),
        ("websocket", "Home", [["seek", 0]]),
        ("websocket", "l", [["live"]]),
        ("backend", "ArrowLeft", []),
        ("backend", "l", []),
        ("backend", "Home", [["seek", 0]]),
    ],
)
def test_keys_do_what_the_buttons_may(transport: str, keys: str, calls: list[Any]) -> None:
    script = """
      const calls = [];
      const subscription = new Proxy({}, { get: (_, name) => (...args) => {
        calls.push([name, ...args]);
        return Promise.resolve();
      } });
      const commands = new Commands(subscription, model, { say: () => undefined });
      const isKnown = commands.key({ key, shiftKey: false });
      return [isKnown, calls];"""
    connection = CONNECTION | {"transport": transport}
    names = given(state=STATE, connection=connection, key=keys)
    modules = MODEL | {"Commands": "player/commands.js"}
    assert in_node(names + _GIVEN + script, modules=modules) == [True, calls]


# -- when to paint


def _painted(times: list[float]) -> list[float]:
    script = """
      const clock = new PaintClock();
      return times.filter((now) => clock.isPictureDue(now) && (clock.painted(now), true));"""
    painted: list[float] = in_node(
        given(times=times) + script, modules={"PaintClock": "player/paint-clock.js"}
    )
    return painted


@pytest.mark.parametrize("hertz", [30, 60, 75, 120, 144])
def test_thirty_pictures_a_second_are_painted_on_any_display(hertz: int) -> None:
    times = [1_000 + n * 1_000 / hertz for n in range(hertz * 10)]
    # After the first the timetable allows two at once, as after a late one.
    assert 10 * 30 - 1 <= len(_painted(times)) <= 10 * 30 + 3


def test_after_a_late_picture_two_come_sooner_and_no_more() -> None:
    times = [1_000 + n * 1_000 / 60 for n in range(600)]
    painted = _painted([now for now in times if not 5_000 < now < 5_490])
    # Of the fifteen that were missed; beside the thirty of the second, and the late one itself.
    assert len([now for now in painted if 5_490 <= now < 6_490]) == 30 + 2 + 1
    later = [now for now in painted if now >= 6_490]
    assert {round((b - a) * 60 / 1_000) for a, b in pairwise(later)} == {2}


def test_the_panel_is_drawn_ten_times_a_second_or_when_something_else_is_drawn() -> None:
    script = """
      const clock = new PaintClock();
      const drawn = [1000, 1100, 1101, 1150, 1202].map((now) => clock.takePanel(now));
      clock.hurryPanel();
      return [...drawn, clock.takePanel(1203)];"""
    modules = {"PaintClock": "player/paint-clock.js"}
    assert in_node(script, modules=modules) == [True, False, True, False, True, True]


def test_the_module_needs_no_page() -> None:
    """Node has no document: what touched one would fail above, and here says so by name."""
    assert in_node("return typeof document", modules=MODEL) == "undefined"
    assert msgspec.json.encode(in_model("return model.controls")) == (
        b'{"playLabel":"Pause","canPlay":true,"canStep":true,"canFollow":true}'
    )
