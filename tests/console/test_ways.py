"""The ways around an obstacle keep the promises of the main way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import msgspec
import pytest

from hewston_bff.tools.simulator import (
    FaultPlan,
    Lifecycle,
    RandomCuts,
    SimulatedBackend,
    SimulatedRun,
    SimulatorOptions,
    generated_run,
)
from hewston_bff.tools.simulator.recordings import RecordedFrames
from tests.console.relays import Wires
from tests.console.support import Line, NodeClient, free_port, node_client
from tests.support import QUICK, Bff, Message, serving, stack

DAY = generated_run("day")
MONTH = generated_run("month", frame_count=21 * 390)
WALL = tuple(generated_run(f"run-{n}", frame_count=60 + n) for n in range(12))
ALL = {"mode": "all", "speed": 0}


@asynccontextmanager
async def behind(bff: Bff, **options: Any) -> AsyncIterator[Wires]:
    """A proxy in front of the server."""
    async with Wires(bff.port, **options).running() as wires:
        yield wires


def _is(status: str, transport: str) -> Any:
    def matches(line: Line) -> bool:
        return line[1:4] == ["status", status, transport]

    return matches


async def _rest(client: NodeClient, call: str, *args: Any) -> Any:
    answer = await client.call(None, f"rest.{call}", *args)
    assert answer[1] == "answer", answer
    return answer[3]


# -- where WebSockets do not pass


async def test_twelve_runs_take_one_event_stream_and_leave_room_for_rest() -> None:
    async with stack(*WALL) as (bff, _, _), behind(bff, passes_sockets=False) as wires:
        async with node_client(wires.url, {run.run_id: ALL for run in WALL}) as client:
            await client.until(_is("online", "events"))
            assert (await _rest(client, "runs", {"limit": 50}))["total"] == len(WALL)
            while len({line[0] for line in client.of("end")}) < len(WALL):
                await client.event("end")
            for run in WALL:
                assert client.seqs(run.run_id) == list(range(len(run.frames)))
            assert (await bff.totals())["active_connections"] == 1
        assert wires.count("GET /api/v1/events?") == 1
        # The stream, what it says, and REST: a browser has six for one server.
        assert wires.most_open <= 4


async def test_on_an_event_stream_every_command_is_there() -> None:
    async with stack(DAY) as (bff, _, _):
        wanted = {"day": {"speed": 0.1}}
        async with node_client(bff.url, wanted, transport="events") as client:
            await client.frames(1)
            assert (await client.call("day", "pause"))[3]["status"] == "paused"
            await client.call("day", "step", 5)
            # It may come in one piece with the answer, and before it.
            await client.seen(lambda line: line[1] == "frame" and line[3] - line[2] == 4)
            assert (await client.call("day", "seek", 100))[3]["seq"] == 99
            await client.call("day", "mode", "all")
            await client.call("day", "speed", 10_000)
            await client.call("day", "play")
            await client.seen(lambda line: line[1] == "end")
            seqs = client.seqs()
            assert seqs[seqs.index(101) :] == list(range(101, 390))
            beyond = await client.call("day", "seek", 1_000)
            assert beyond[1:4] == ["refused", "seek", "RANGE"]


async def test_a_subscription_that_cannot_be_harms_no_other_on_the_stream() -> None:
    async with stack(DAY) as (bff, _, _):
        wanted = {"nothing": {}, "day": ALL | {"speed": 1}, "no/run": {}, "back": {"speed": -1}}
        async with node_client(bff.url, wanted, transport="events") as client:
            await client.frames(3)
            failed = {"nothing", "no/run", "back"}
            while {line[0] for line in client.of("error")} != failed:
                await client.event("error")
            codes = {line[0]: line[2] for line in client.of("error")}
            assert codes == {
                "nothing": "RUN_NOT_FOUND",
                "no/run": "VALIDATION",
                "back": "VALIDATION",
            }


async def test_an_event_stream_with_nothing_to_carry_rests_until_there_is() -> None:
    async with stack(DAY, bff_ws_subscribe_within_seconds=0.1) as (bff, _, _):
        async with node_client(bff.url, {"day": ALL}, transport="events") as client:
            await client.event("end")
            await client.call("day", "pause")
            assert (await bff.totals())["active_connections"] == 1
        async with node_client(bff.url, {}, transport="events") as client:
            await client.until(_is("idle", "events"))


# -- a wire that dies without a word


@pytest.mark.parametrize("transport", ["websocket", "events", "backend"])
async def test_a_silent_wire_is_noticed_and_every_frame_comes_once(transport: str) -> None:
    async with stack(DAY, bff_ws_heartbeat_seconds=0.2) as (bff, _, _), behind(bff) as wires:
        wanted = {"day": {"mode": "all", "speed": 3}}
        options = {"transport": transport, "heartbeatMs": 200}
        async with node_client(wires.url, wanted, **options) as client:
            await client.frames(10)
            wires.fall_silent()
            await client.until(_is("offline", transport))
            await client.frames(10)
            assert client.seqs() == list(range(client.seqs()[-1] + 1))
            assert not [line for line in client.lines if line[1] in {"lag", "reset", "error"}]


async def test_a_silent_backend_is_given_up_after_its_own_time() -> None:
    slow = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.2, flood_frames_per_s=100)
    async with SimulatedBackend([DAY], options=slow).running() as backend:
        async with Wires(int(backend.url.rpartition(":")[2])).running() as wires:
            options = {"transport": "backend", "backendUrl": wires.url, "backendSilenceMs": 700}
            async with node_client("http://127.0.0.1:9", {"day": {}}, **options) as client:
                await client.frames(100)
                wires.fall_silent()
                await client.until(_is("offline", "backend"))
                await client.event("end")
                assert client.seqs() == list(range(390))


# -- come back later


async def test_a_stream_that_is_refused_for_a_while_waits_so_long() -> None:
    async with stack(DAY, bff_ws_sockets=1) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day")
        for transport in ("events", "websocket", "auto"):
            async with node_client(bff.url, {"day": {}}, transport=transport) as client:
                waits = await client.until(lambda line: line[0] == "" and line[5] == 10_000)
                assert waits[2] == "offline"


async def test_an_address_that_said_when_to_come_back_is_left_alone_until_then() -> None:
    async with stack(DAY, bff_rate_proxied_per_minute=1) as (bff, _, _), behind(bff) as wires:
        async with node_client(wires.url, {}) as client:
            await _rest(client, "runs")
            for _ in range(3):
                refused = await client.call(None, "rest.runs")
                assert refused[1:4] == ["refused", "rest.runs", "RATE_LIMITED"]
                assert 0 < refused[5] <= 60
        assert wires.count("GET /api/v1/backtests") == 2


# -- this server is gone


async def test_with_this_server_gone_the_backend_is_asked_until_it_is_back() -> None:
    slow = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=800)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with SimulatedBackend([MONTH], options=slow).running() as backend:
        options = {"backendUrl": backend.url, "goneMs": 200}
        wanted = {"month": {"mode": "all", "speed": 1}}
        async with node_client(url, wanted, **options) as client:
            async with serving(backend.url, port=port, bff_ws_close_seconds=0.1):
                await client.frames(10)
            await client.until(_is("online", "backend"))
            await client.frames(10)
            assert (await _rest(client, "runs"))["total"] == 1
            assert (await _rest(client, "run", "month"))["dataset_id"]
            assert (await _rest(client, "status", "month"))["status"] == "DONE"
            whole = await _rest(client, "complete", "month")
            assert whole["metadata"]["partial_data"] is True
            assert (await _rest(client, "create", _NEW))["status"] == "QUEUED"
            async with serving(backend.url, port=port, bff_ws_close_seconds=0.1):
                await client.until(_is("online", "websocket"))
                last = client.seqs()[-1]
                await client.until(lambda line: line[1] == "frame" and line[3] > last + 20)
                await _rest(client, "chartData", _CHART)
            assert client.seqs() == list(range(client.seqs()[-1] + 1))
            assert not [line for line in client.lines if line[1] in {"lag", "reset", "error"}]


async def test_a_server_that_restarts_is_waited_for() -> None:
    port = free_port()
    async with SimulatedBackend([MONTH], options=QUICK).running() as backend:
        wanted = {"month": {"mode": "all", "speed": 1}}
        options = {"backendUrl": backend.url}
        async with node_client(f"http://127.0.0.1:{port}", wanted, **options) as client:
            for _ in range(2):
                async with serving(backend.url, port=port, bff_ws_close_seconds=0.1):
                    await client.frames(10)
            assert {line[3] for line in client.of("status", run="")} == {"websocket"}


async def test_from_the_backend_itself_every_frame_comes_once_whatever_is_asked() -> None:
    slow = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=100)
    async with SimulatedBackend([DAY], options=slow).running() as backend:
        options = {"transport": "backend", "backendUrl": backend.url}
        async with node_client("http://127.0.0.1:9", {"day": {}}, **options) as client:
            await client.frames(50)
            await client.call("day", "pause")
            paused_at = client.seqs()[-1]
            await client.call("day", "play")
            await client.event("end")
            assert client.seqs() == list(range(390))
            assert paused_at < 389
            await client.call("day", "seek", DAY_AT_300)
            await client.event("end")
            assert client.seqs()[390:] == list(range(300, 390))


async def test_times_with_fractions_and_twice_the_same_survive_every_cut() -> None:
    # As text `14:30:00.5Z` is before `14:30:00Z`, and a time alone does not tell two frames apart.
    times = [f"2024-03-01T14:{minute:02}:{second}Z" for minute in range(40) for second in _SECONDS]
    bodies: list[Message] = [
        {"t": "frame", "ts": ts, "ohlc": None, "orders": [], "equity": float(n), "dropped": 0}
        for n, ts in enumerate(times)
    ]
    frames = RecordedFrames(tuple(msgspec.json.encode(body) for body in bodies))
    day = date(2024, 3, 1)
    run = SimulatedRun(run_id="fine", symbol="AAPL", run_from=day, run_to=day, source=frames)
    cuts = FaultPlan(connections={"fine": RandomCuts(seed=3, count=20, max_frames=150)})
    quick = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, faults=cuts)
    simulated = SimulatedBackend([run], options=quick)
    async with simulated.running() as backend:
        options = {"transport": "backend", "backendUrl": backend.url}
        async with node_client("http://127.0.0.1:9", {"fine": {}}, **options) as client:
            await client.event("end")
            assert simulated.stats().opened("fine") == 21
            assert [line[4] for line in client.of("frame")] == times
            assert not [line for line in client.lines if line[1] in {"lag", "reset", "error"}]


async def test_a_run_that_is_not_made_yet_is_waited_for_at_the_backend() -> None:
    made = generated_run("made", lifecycle=Lifecycle(queued_s=0.1, running_s=0.2))
    async with SimulatedBackend([made], options=QUICK).running() as backend:
        options = {"transport": "backend", "backendUrl": backend.url}
        async with node_client("http://127.0.0.1:9", {"made": {}}, **options) as client:
            await client.event("end")
            assert client.seqs() == list(range(390))
            assert not client.of("error")


# -- requests


async def test_a_page_makes_three_requests_beside_its_stream() -> None:
    async with stack(DAY) as (bff, _, _), behind(bff) as wires:
        async with node_client(wires.url, {"day": ALL}) as client:
            run = (await _rest(client, "runs"))["items"][0]
            detail = await _rest(client, "run", run["run_id"])
            assert detail["symbol"] == run["symbol"]
            await _rest(client, "chartData", _CHART | {"symbol": detail["symbol"]})
            await client.event("end")
        assert wires.handshakes == 1
        assert [one.partition("?")[0] for one in wires.requests] == [
            "GET /api/v1/backtests",
            "GET /api/v1/backtests/day",
            "GET /api/v1/chart-data",
        ]


async def test_what_is_off_is_learnt_from_the_refusal_and_kept() -> None:
    off: dict[str, Any] = {"bff_feature_chart_aggregation": False}
    async with stack(DAY, **off) as (bff, _, _), behind(bff) as wires:
        async with node_client(wires.url, {}) as client:
            for _ in range(3):
                assert (await _rest(client, "chartData", _CHART))["bars"][0]["open"]
        assert wires.count("GET /api/v1/chart-data") == 1
        assert wires.count("GET /bars/minute?") == 3
        assert wires.count("GET /api/v1/features") == 0


async def test_a_run_is_made_once_for_each_key() -> None:
    async with stack(DAY) as (bff, _, _), node_client(bff.url, {}) as client:
        made = [await _rest(client, "create", _NEW, {"idempotencyKey": "one"}) for _ in range(2)]
        assert [one["status"] for one in made] == ["QUEUED", "EXISTS"]
        assert made[0]["run_id"] == made[1]["run_id"]
        assert (await _rest(client, "create", _NEW | {"seed": 2}))["status"] == "QUEUED"
        refused = await client.call(None, "rest.create", {})
        assert refused[1:4] == ["refused", "rest.create", "BAD_REQUEST"]


_SECONDS = ("00", "00.5", "00.5", "01.000000001")
_NEW = {
    "dataset_id": "AAPL-2024-1m",
    "strategy_id": "sma_crossover",
    "params": {"fast": 20, "slow": 50},
    "seed": 1,
    "from": "2024-01-02",
    "to": "2024-01-02",
}
DAY_AT_300 = "2024-01-02T19:30:00Z"
_CHART = {"symbol": "AAPL", "timeframe": "1M", "from": "2024-01-02", "to": "2024-01-03"}
