"""What the simulated node writes, checked against itself by independent computations."""

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from hewston_bff.tools.node import bus_script, job_script, system_script
from hewston_bff.tools.node.timeline import NodeEntry, Timeline

START_S = 1_795_229_400
SECOND_NS = 10**9
Script = Callable[[int], Timeline]


def written(script: Script, seconds: int) -> list[NodeEntry]:
    timeline = script(START_S * SECOND_NS)
    return timeline.advance((START_S + seconds) * SECOND_NS)


def payloads(entries: list[NodeEntry], prefix: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.payload) for one in entries if one.topic.startswith(prefix)]


@pytest.mark.parametrize("script", [bus_script, job_script, system_script])
def test_equal_starts_give_equal_entries_however_they_are_asked_for(script: Script) -> None:
    at_once = written(script, 20)
    timeline, in_parts = script(START_S * SECOND_NS), []
    for step in range(1, 401):
        in_parts += timeline.advance(START_S * SECOND_NS + step * SECOND_NS // 20)
    assert in_parts == at_once
    assert [one.ns for one in at_once] == sorted(one.ns for one in at_once)
    assert script((START_S + 1) * SECOND_NS).advance((START_S + 21) * SECOND_NS) != at_once


def test_forty_instruments_quote_about_five_times_a_second_now_busy_now_calm() -> None:
    seconds = 240
    quotes = [e for e in written(bus_script, seconds) if e.topic.startswith("data.quotes.")]
    counts = Counter(one.topic for one in quotes)
    assert len(counts) == 40
    assert "data.quotes.SIM.EUR/USD" in counts
    assert all(2 < count / seconds < 11 for count in counts.values())
    assert 4 < len(quotes) / seconds / 40 < 6
    of_one = Counter(
        (one.ns - START_S * SECOND_NS) // (10 * SECOND_NS)
        for one in quotes
        if one.topic == "data.quotes.SIM.EUR/USD"
    )
    assert max(of_one.values()) > 2 * min(of_one.values())


def test_quotes_are_plausible() -> None:
    first: dict[str, Decimal] = {}
    for quote in payloads(written(bus_script, 120), "data.quotes."):
        bid, ask = Decimal(quote["bid_price"]), Decimal(quote["ask_price"])
        before = first.setdefault(quote["instrument_id"], bid)
        assert 0 < bid < ask < bid * Decimal("1.002")
        assert before * Decimal("0.9") < bid < before * Decimal("1.1")
        assert quote["ts_event"] == quote["ts_init"]


@pytest.mark.parametrize(("name", "step_s"), [("1-SECOND", 1), ("1-MINUTE", 60)])
def test_bars_are_what_their_trades_make(name: str, step_s: int) -> None:
    seconds = 180
    entries = written(bus_script, seconds)
    trades = defaultdict(list)
    for trade in payloads(entries, "data.trades."):
        end_s = (int(trade["ts_event"]) // SECOND_NS // step_s + 1) * step_s
        trades[trade["instrument_id"], end_s].append(
            (Decimal(trade["price"]), Decimal(trade["size"]))
        )
    expected = {
        key: (
            *(of[0][0], max(price for price, _ in of), min(price for price, _ in of), of[-1][0]),
            sum(size for _, size in of),
        )
        for key, of in trades.items()
        # A bar comes when its interval is over.
        if key[1] < START_S + seconds
    }
    bars = {}
    for bar in payloads(entries, "data.bars."):
        instrument, _, rest = bar["bar_type"].partition("-")
        if rest == f"{name}-LAST-INTERNAL":
            key = (instrument, int(bar["ts_event"]) // SECOND_NS)
            assert key not in bars
            members = ("open", "high", "low", "close", "volume")
            bars[key] = tuple(Decimal(bar[member]) for member in members)
    assert bars == expected
    assert len(bars) > 70


def test_a_second_part_of_a_minute_begins_with_an_open_bar_of_its_own() -> None:
    timeline = bus_script((START_S + 59) * SECOND_NS)
    entries = timeline.advance((START_S + 61) * SECOND_NS)
    minutes = [e for e in entries if e.topic.endswith("-1-MINUTE-LAST-INTERNAL")]
    assert minutes
    assert {one.ns for one in minutes} == {(START_S + 60) * SECOND_NS}


ORDER_STEPS = {
    None: {"OrderInitialized"},
    "OrderInitialized": {"OrderSubmitted"},
    "OrderSubmitted": {"OrderAccepted"},
    "OrderAccepted": {"OrderFilled", "OrderCanceled"},
}


def test_orders_go_from_one_state_to_the_next() -> None:
    states: dict[str, str] = {}
    for event in payloads(written(bus_script, 120), "events.order."):
        order = event["client_order_id"]
        assert event["type"] in ORDER_STEPS[states.get(order)]
        states[order] = event["type"]
    ends = Counter(states.values())
    assert ends["OrderFilled"] > ends["OrderCanceled"] > 5


def test_positions_are_the_sums_of_their_fills() -> None:
    entries = written(bus_script, 600)
    held: dict[str, Decimal] = defaultdict(Decimal)
    kinds = Counter[str]()
    for entry in entries:
        event = msgspec.json.decode(entry.payload)
        if entry.topic.startswith("events.fills."):
            sign = 1 if event["order_side"] == "BUY" else -1
            held[event["position_id"]] += sign * Decimal(event["last_qty"])
        elif entry.topic.startswith("events.position."):
            kinds[event["type"]] += 1
            size = held[event["position_id"]]
            assert Decimal(event["quantity"]) == abs(size)
            assert event["signed_qty"] == float(size)
            assert event["side"] == ("FLAT" if not size else "LONG" if size > 0 else "SHORT")
            assert (event["type"] == "PositionClosed") == (not size)
    assert set(kinds) == {"PositionOpened", "PositionChanged", "PositionClosed"}


def test_a_closed_position_gains_what_its_fills_differ_by() -> None:
    cash: dict[str, Decimal] = defaultdict(Decimal)
    closed = 0
    for entry in written(bus_script, 600):
        event = msgspec.json.decode(entry.payload)
        if entry.topic.startswith("events.fills."):
            sign = -1 if event["order_side"] == "BUY" else 1
            value = Decimal(event["last_qty"]) * Decimal(event["last_px"])
            cash[event["position_id"]] += sign * value
        elif event["type"] == "PositionClosed":
            closed += 1
            gained = Decimal(event["realized_pnl"].split()[0])
            assert abs(gained - cash.pop(event["position_id"])) < Decimal("0.02")
    assert closed > 10


def test_no_component_says_its_config() -> None:
    events = payloads(written(bus_script, 120), "events.system.")
    assert {event["state"] for event in events} >= {"READY", "RUNNING", "DEGRADED"}
    assert not any("config" in event for event in events)


RANKS = {"queued": 0, "running": 1, "completed": 2, "failed": 2}


def test_states_of_jobs_never_go_back_and_some_fail() -> None:
    last: dict[str, dict[str, Any]] = {}
    for entry in written(job_script, 600):
        update = msgspec.json.decode(entry.payload)
        assert update["job_id"] == entry.topic
        before = last.get(entry.topic, {"status": "queued", "progress": 0.0})
        assert RANKS[update["status"]] >= RANKS[before["status"]]
        assert RANKS[before["status"]] < 2
        assert update["progress"] >= before["progress"]
        assert (update["status"] == "completed") == (update["result"] is not None)
        assert (update["status"] == "failed") == (update["error"] is not None)
        if update["status"] == "completed":
            assert update["progress"] == 1.0
        last[entry.topic] = update
    ends = Counter(update["status"] for update in last.values())
    assert ends["completed"] > 2 * ends["failed"] > 8


def test_jobs_of_another_start_are_other_jobs() -> None:
    first = {entry.topic for entry in written(job_script, 60)}
    timeline = job_script((START_S + 60) * SECOND_NS)
    assert not first & {one.topic for one in timeline.advance((START_S + 120) * SECOND_NS)}


def test_a_service_goes_down_every_45_seconds_and_comes_back() -> None:
    entries = written(system_script, 91)
    told = [(one.ns // SECOND_NS - START_S, msgspec.json.decode(one.payload)) for one in entries]
    statuses = [
        (at_s, {row["name"]: row["status"] for row in page["services"]}) for at_s, page in told
    ]
    turn = ((0, "ok"), (30, "down"), (41, "degraded"), (45, "ok"), (75, "down"), (86, "degraded"))
    assert [(at_s, each["onnx"]) for at_s, each in statuses] == [*turn, (90, "ok")]
    assert {each["mcp"] for _, each in statuses} == {"ok"}
    rows = [row for _, page in told for row in page["services"]]
    assert all((row["latency_ms"] is None) == (row["status"] == "down") for row in rows)
