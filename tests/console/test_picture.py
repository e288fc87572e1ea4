"""What the console makes of frames before it draws: candles, views, speeds, words. In Node."""

from dataclasses import astuple
from math import inf, isnan, nan
from random import Random
from typing import Any

import msgspec
import pytest

from tests.console import reference
from tests.console.support import in_node

CANDLES = {"Candles": "chart/candles.js", "History, pieceOf": "chart/history.js"}
VIEW = {"nextRange, viewOf, windowOf, isNearEdge, positionOf, timeAt": "chart/visible-range.js"}
ORDERS = {"Orders, thinnedWords": "chart/orders.js"}
_FOLDED = """
  const history = new History();
  const candles = new Candles(timeframe);
  for (const frame of frames) { history.add(pieceOf(frame)); candles.take(history); }
"""
_LIST = """
  return candles.list.map((c) => [c.time, c.open, c.high, c.low, c.close, c.volume, c.equity]);
"""


def given(**values: Any) -> str:
    """JavaScript that names these values."""
    return "".join(f"const {name} = {_json(value)};\n" for name, value in values.items())


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def frame(seq: int, time: str, bar: Any, equity: float | None = None) -> dict[str, Any]:
    """A frame as the stream sends it; `bar` as o, h, l, c, v."""
    ohlc = None if bar is None else dict(zip("ohlcv", bar, strict=True))
    point = None if equity is None else {"ts": time, "value": equity}
    return {"seq": seq, "ts": time, "ohlc": ohlc, "equity": point, "orders": [], "dropped": 0}


def minute(number: int) -> str:
    """The time of a minute of 2024."""
    return f"2024-01-{2 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}:00Z"


def walk(*, seed: int, count: int) -> list[dict[str, Any]]:
    """Frames with holes, negative prices and times that repeat."""
    chance = Random(seed)
    frames, at, price, equity = [], 0, 2.0, 1_000.0
    for seq in range(count):
        at += chance.choice([0, 1, 1, 1, 2, 90])
        price = round(price + chance.uniform(-1, 1), 2)
        equity = round(equity + chance.choice([0, 0, chance.uniform(-9, 9)]), 2)
        bar: list[float | None] = [price, price + 1, price - 1, price + 0.5, 10]
        if chance.random() < 0.2:
            bar[chance.randrange(5)] = None
        frames.append(
            frame(
                seq,
                minute(at),
                None if chance.random() < 0.4 else bar,
                None if chance.random() < 0.2 else equity,
            )
        )
    return frames


def numbers(rows: list[list[Any]]) -> list[list[float]]:
    """Rows with what has no JSON put back."""
    return [[float(value) for value in row] for row in rows]


def same(one: list[list[float]], other: list[list[float]]) -> bool:
    """Equal, NaN included, but for the rounding of sums."""
    return len(one) == len(other) and all(
        (isnan(a) and isnan(b)) or a == pytest.approx(b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1H", "1D"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_candles_are_those_of_the_source_frames(seed: int, timeframe: str) -> None:
    frames = walk(seed=seed, count=400)
    script = given(frames=frames, timeframe=timeframe) + _FOLDED + _LIST
    made = numbers(in_node(script, modules=CANDLES))
    expected = [list(astuple(candle)) for candle in reference.candles(frames, timeframe)]
    assert same(made, expected)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_a_step_back_it_is_as_if_the_rest_had_never_been(seed: int) -> None:
    frames = walk(seed=seed, count=300)
    cuts = [299, 298, 297, 250, 120, 119, 3, 0, -1]
    script = (
        given(frames=frames, timeframe="1H", cuts=cuts)
        + _FOLDED
        + """
        const seen = (list) => list.map((c) => [c.time, c.open, c.close, c.volume, c.equity, c.drawdown, c.loss, c.end.peak]);
        return cuts.map((seq) => {
          history.cut(seq, seq < 0 ? -Infinity : NaN);
          candles.cut(history);
          const anew = new Candles("1H");
          anew.take(history);
          return JSON.stringify(seen(candles.list)) === JSON.stringify(seen(anew.list))
            && JSON.stringify(candles.standing) === JSON.stringify(anew.standing);
        });"""
    )
    assert in_node(script, modules=CANDLES) == [True] * len(cuts)


def test_an_hour_without_a_price_has_no_candle() -> None:
    frames = [
        frame(0, minute(0), [1, 1, 1, 1, 1], 100),
        *(frame(seq, minute(seq), None, 100) for seq in range(1, 300)),
        frame(300, minute(300), [2, 2, 2, 2, 1], 100),
    ]
    script = given(frames=frames, timeframe="1H") + _FOLDED + "return candles.list.length"
    assert in_node(script, modules=CANDLES) == 2


def test_a_drawdown_is_a_share_where_there_is_one_and_always_money() -> None:
    worth = [100, 90, None, 95, -5]
    frames = [frame(seq, minute(seq), [1] * 5, value) for seq, value in enumerate(worth)]
    script = (
        given(frames=frames, timeframe="1m")
        + _FOLDED
        + "return candles.list.map(({ drawdown, loss }) => [drawdown, loss])"
    )
    made = numbers(in_node(script, modules=CANDLES))
    assert same(made, [[0, 0], [-0.1, -10], [-0.1, -10], [-0.05, -5], [-1.05, -105]])


def test_over_no_positive_peak_a_drawdown_is_money_alone() -> None:
    worth = [-10, -30, 0, -1]
    frames = [frame(seq, minute(seq), [1] * 5, value) for seq, value in enumerate(worth)]
    script = (
        given(frames=frames, timeframe="1m")
        + _FOLDED
        + "return candles.list.map(({ drawdown, loss }) => [drawdown, loss])"
    )
    made = numbers(in_node(script, modules=CANDLES))
    assert same(made, [[nan, 0], [nan, -20], [nan, 0], [nan, -1]])


# -- the view

_MINUTES = "const list = Array.from({ length: 1000 }, (_, at) => ({ time: at * 60 }));"


def test_a_step_back_moves_nothing_in_sight() -> None:
    script = (
        _MINUTES
        + """
      const view = viewOf(list, { from: 863.5, to: 1003 }, 60);
      list.pop();
      return nextRange(view, list, { step: 60, keep: "time", least: 12, most: 2000 });"""
    )
    assert in_node(script, modules=VIEW) == {"from": 863.5, "to": 1003}


def test_finer_candles_show_the_same_time() -> None:
    script = (
        _MINUTES
        + """
      const coarse = list.filter((_, at) => at % 10 === 0);
      const view = viewOf(coarse, { from: 40, to: 60 }, 600);
      return nextRange(view, list, { step: 60, keep: "time", least: 12, most: 2000 });"""
    )
    assert in_node(script, modules=VIEW) == {"from": 400, "to": 600}


def test_another_timeframe_does_not_stretch_the_room_before_the_first_candle() -> None:
    script = (
        _MINUTES
        + """
      const hours = [{ time: 0 }, { time: 3600 }, { time: 7200 }];
      const view = viewOf(hours, { from: -134, to: 6 }, 3600);
      const how = { step: 60, keep: "frame", least: 12, most: 2000, usual: 140 };
      return [nextRange(view, list.slice(0, 150), how), nextRange(view, list.slice(0, 20), how)];"""
    )
    assert in_node(script, modules=VIEW) == [{"from": 0, "to": 153}, {"from": -117, "to": 23}]


def test_after_a_jump_as_many_candles_are_in_sight_as_before() -> None:
    script = (
        _MINUTES
        + """
      const view = viewOf(list.slice(0, 200), { from: 100, to: 203 }, 60);
      return nextRange(view, list, { step: 60, keep: "width", least: 12, most: 2000 });"""
    )
    assert in_node(script, modules=VIEW) == {"from": 900, "to": 1003}


def test_who_looks_further_back_is_not_disturbed_but_is_taken_along_by_a_cut() -> None:
    script = (
        _MINUTES
        + """
      const view = viewOf(list, { from: 300, to: 400 }, 60);
      const how = { step: 60, keep: "time", least: 12, most: 2000 };
      return [nextRange(view, list.slice(0, 900), how), nextRange(view, list.slice(0, 200), how)];"""
    )
    assert in_node(script, modules=VIEW) == [{"from": 300, "to": 400}, {"from": 99, "to": 199}]


def test_what_is_drawn_is_bounded_however_long_the_run_is() -> None:
    script = """
      const range = { from: 90000, to: 90140 };
      const window = windowOf(range, 98280);
      return [window.end - window.first, window.first <= range.from, window.end > range.to,
        isNearEdge(range, window, 98280), isNearEdge({ from: 89820, to: 89960 }, window, 98280)];"""
    assert in_node(script, modules=VIEW) == [540, True, True, False, True]


def test_positions_and_times_are_each_others_inverse() -> None:
    script = """
      const list = [0, 60, 120, 86400, 86460].map((time) => ({ time }));
      return [-3, -0.5, 0, 0.25, 2.5, 4, 7.5].map((at) => positionOf(list, timeAt(list, at, 60), 60));"""
    assert in_node(script, modules=VIEW) == [-3, -0.5, 0, 0.25, 2.5, 4, 7.5]


# -- orders, speeds, words


@pytest.mark.parametrize(
    ("range_", "words"),
    [
        ({"from": 0, "to": 99}, ""),
        ({"from": 0, "to": 999}, "1,000 orders here, 334 arrows drawn: zoom in for all"),
    ],
)
def test_no_arrow_is_left_out_without_a_word(range_: dict[str, int], words: str) -> None:
    script = (
        given(range=range_)
        + """
      const list = Array.from({ length: 1000 }, (_, at) => ({ time: at * 60, open: 1, close: 1 }));
      const orders = new Orders();
      list.forEach(({ time }, seq) => orders.take({ seq, ts: new Date(time * 1000).toISOString(),
        orders: [{ ts_utc: new Date(time * 1000).toISOString(), side: "BUY", qty: 1, price: 1 }] }));
      return thinnedWords(orders.arrows(list, "1m", range));"""
    )
    assert in_node(script, modules=ORDERS) == words


def test_where_arrows_are_left_out_both_sides_are_left() -> None:
    script = """
      const list = Array.from({ length: 1000 }, (_, at) => ({ time: at * 60, open: 1, close: 1 }));
      const orders = new Orders();
      list.forEach(({ time }, seq) => orders.take({ seq, ts: new Date(time * 1000).toISOString(),
        orders: [{ ts_utc: new Date(time * 1000).toISOString(), side: seq % 2 ? "SELL" : "BUY", qty: 1, price: 1 }] }));
      const { arrows } = orders.arrows(list, "1m", { from: 0, to: 799 });
      return [true, false].map((side) => arrows.filter(({ isBuy }) => isBuy === side).length);"""
    assert in_node(script, modules=ORDERS) == [200, 200]


def test_orders_up_to_a_frame_are_counted_with_those_before_a_jump() -> None:
    script = """
      const order = (number) => ({ ts_utc: new Date(number * 60000).toISOString(), side: "BUY", qty: 1, price: 1 });
      const orders = new Orders();
      orders.know([0, 1, 2, 3, 4].map(order));
      orders.jumped(2, 10);
      orders.take({ seq: 11, ts: "1970-01-01T00:02:00Z", orders: [order(2)] });
      orders.take({ seq: 14, ts: "1970-01-01T00:03:00Z", orders: [order(3)] });
      return [10, 11, 13, 14].map((seq) => orders.upTo(seq));"""
    assert in_node(script, modules=ORDERS) == [2, 3, 3, 4]


@pytest.mark.parametrize(
    ("situation", "is_young"),
    [
        ({"runStatus": "QUEUED", "upstream": {"status": "retrying", "attempt": 2}}, True),
        ({"runStatus": "RUNNING", "upstream": None}, True),
        ({"runStatus": "RUNNING", "upstream": {"status": "connecting", "attempt": 1}}, True),
        ({"runStatus": "RUNNING", "upstream": {"status": "retrying", "attempt": 0}}, True),
        ({"runStatus": "RUNNING", "upstream": {"status": "retrying", "attempt": 1}}, False),
        ({"runStatus": "RUNNING", "upstream": {"status": "connecting", "attempt": 2}}, False),
        ({"runStatus": "DONE", "upstream": None}, False),
    ],
)
def test_an_outage_is_not_taken_for_a_run_that_has_not_begun(
    situation: dict[str, Any],
    is_young: bool,  # noqa: FBT001
) -> None:
    script = f"return isYoung({_json(situation | {'hasPicture': False})})"
    assert in_node(script, modules={"isYoung": "ui/run-status.js"}) is is_young


@pytest.mark.parametrize(
    ("timeframe", "range_", "words"),
    [
        ("1m", {"from": 0, "to": 2}, "Some candles here hold more than 1m each"),
        ("1m", {"from": 2, "to": 3}, ""),
        ("15m", {"from": 0, "to": 9}, ""),
    ],
)
def test_candles_that_hold_more_than_their_timeframe_are_told(
    timeframe: str, range_: dict[str, int], words: str
) -> None:
    bar = [1, 2, 1, 2, 5]
    # The second holds the minutes 31 to 35.
    merged = frame(5, minute(35), bar) | {"from": 1, "n": 5, "ts0": minute(31)}
    frames = [
        frame(0, minute(30), bar),
        merged,
        *(frame(6 + n, minute(36 + n), bar) for n in (0, 1)),
    ]
    script = (
        given(frames=frames, timeframe=timeframe, range=range_)
        + "const candles = new Candles(timeframe), history = new History();"
        + "frames.forEach((each) => history.add(pieceOf(each))); candles.take(history);"
        + "return wideWords(candles.list, timeframe, range);"
    )
    modules = {"Candles, wideWords": "chart/candles.js", "History, pieceOf": "chart/history.js"}
    assert in_node(script, modules=modules) == words


def test_orders_of_a_candle_share_an_arrow_that_counts_them_whatever_their_case() -> None:
    script = """
      const list = [{ time: 0, open: 1, close: 1 }, { time: 3600, open: NaN, close: NaN }];
      const orders = new Orders();
      const placed = [["BUY", 60], ["buy", 120], ["sell", 180], ["BUY", 3660]];
      placed.forEach(([side, time], seq) => orders.take({ seq, ts: new Date(time * 1000).toISOString(),
        orders: [{ ts_utc: new Date(time * 1000).toISOString().slice(0, 19), side, qty: 1, price: 1 }] }));
      return orders.arrows(list, "1H", { from: 0, to: 1 }).arrows
        .map(({ time, isBuy, count }) => [time, isBuy, count]);"""
    # Hours begin at half past: those of the first half hour belong to the bucket before.
    assert sum(row[2] for row in in_node(script, modules=ORDERS)) == 4


def test_orders_that_a_jump_passed_are_there_once_they_are_known_and_each_once() -> None:
    script = """
      const order = (number) => ({ ts_utc: new Date(number * 60000).toISOString(), side: "BUY", qty: number, price: 1 });
      const orders = new Orders();
      orders.take({ seq: 0, ts: "1970-01-01T00:00:00Z", orders: [order(0)] });
      orders.jumped(3, 10);
      orders.take({ seq: 11, ts: "1970-01-01T00:03:00Z", orders: [order(3)] });
      const before = orders.length;
      orders.know([0, 1, 2, 3, 4].map(order));
      return [before, orders.newest(9).map(({ order }) => order.qty)];"""
    assert in_node(script, modules=ORDERS) == [2, [3, 2, 1, 0]]


@pytest.mark.parametrize(
    ("frames", "least_s", "most_s"),
    [
        (98_280, 40, 90),
        (8_190, 40, 90),
        (390, 40, 90),
        (60, 30, 110),
        (132_469, 40, 90),
        (10, 10, 90),
    ],
)
def test_nobody_chose_a_speed_so_a_run_lasts_about_a_minute(
    frames: int, least_s: int, most_s: int
) -> None:
    speed = in_node(f"return speedFor({frames})", modules={"speedFor": "player/playback-speed.js"})
    assert least_s <= frames / (30 * speed) <= most_s


def test_two_frames_are_played_as_slowly_as_may_be() -> None:
    assert in_node("return speedFor(2)", modules={"speedFor": "player/playback-speed.js"}) == 0.01


@pytest.mark.parametrize(
    ("skipped", "words"),
    [
        ("null", ""),
        ('{"frames": 0, "reasons": {}}', ""),
        (
            '{"frames": 3, "reasons": {"time_unreadable": 3}}',
            "3 frames of this run could not be read and are missing here: time unreadable (3).",
        ),
        (
            '{"frames": 1200, "reasons": {"malformed": 1199, "too_large": 1}}',
            "1,200 frames of this run could not be read and are missing here: malformed (1,199), too large (1).",
        ),
    ],
)
def test_what_was_skipped_is_told_by_name_and_count(skipped: str, words: str) -> None:
    script = f"return skippedWords({skipped})"
    assert in_node(script, modules={"skippedWords": "ui/run-status.js"}) == words


@pytest.mark.parametrize(
    ("changes", "is_nothing"),
    [
        ({}, False),
        ({"state": {"status": "ended"}}, True),
        ({"state": {"status": "ended"}, "hasPicture": True}, False),
        ({"isEmpty": True}, True),
        ({"runStatus": "ERROR"}, True),
        ({"runStatus": "ERROR", "hasPicture": True}, False),
        ({"runStatus": "QUEUED", "upstream": {"status": "retrying"}}, False),
        ({"upstream": {"status": "failed"}}, True),
        ({"state": {"status": "connecting"}, "runStatus": "ERROR"}, False),
    ],
)
def test_a_run_without_a_frame_has_nothing_to_play(
    changes: dict[str, Any],
    is_nothing: bool,  # noqa: FBT001
) -> None:
    usual = {
        "state": {"status": "buffering"},
        "upstream": None,
        "runStatus": "",
        "hasPicture": False,
        "isEmpty": False,
    }
    script = f"return hasNothing({_json(usual | changes)})"
    assert in_node(script, modules={"hasNothing": "player/status-text.js"}) is is_nothing


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-13, 0.001, 0, 1, 1e8, 4.6e14, 1e300, 1.7e308])
def test_the_chart_is_given_numbers_it_can_count_with(size: float) -> None:
    script = (
        given(size=size)
        + """
      const precision = new Precision();
      precision.take(size);
      const scale = new SeriesScale(precision);
      scale.fit(size);
      const given = scale.scaled(size);
      const { minMove, formatter } = scale.format(size);
      const { priceRange } = scale.widened({ priceRange: { minValue: given, maxValue: given } });
      return [given, given + minMove > given, priceRange.maxValue > priceRange.minValue + minMove,
        Number.isFinite(priceRange.maxValue), formatter(given) === precision.write(size)];"""
    )
    modules = {"SeriesScale": "chart/series-scale.js", "Precision": "ui/format.js"}
    given_size, *holds = in_node(script, modules=modules)
    assert 0 <= float(given_size) < min(inf, 1e9)
    assert holds == [True] * 4
