"""How a backend is asked for its runs: by which way, how many at once, and when again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from hewston_bff.tools.simulator import (
    CutAt,
    FaultPlan,
    Forever,
    HalfOpen,
    Lifecycle,
    SimulatedBackend,
    SimulatorOptions,
    generated_run,
)
from tests.support import QUICK, Bff, is_a, serving, sources, stack, without_ours
from tests.waiting import PATIENCE_S, eventually

AUTO: dict[str, Any] = {"bff_upstream_transport": "auto"}

DAY = generated_run("day")


def used(backend: SimulatedBackend, run_id: str) -> list[str]:
    """The transports of the connections to a run, in order."""
    return [each.transport for each in backend.stats().connections if each.run_id == run_id]


@asynccontextmanager
async def hanging() -> AsyncIterator[tuple[str, list[str]]]:
    """A backend that describes runs, and hangs whenever it is asked for a stream.

    Gives its address and the paths of the streams that were asked for.
    """
    asked: list[str] = []

    async def detail(request: web.Request) -> web.Response:
        return web.json_response({"status": "DONE"})

    async def hang(request: web.Request) -> web.Response:
        asked.append(request.path)
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/backtests/{run_id}", detail)
    app.router.add_get("/backtests/{run_id}/{how}", hang)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("transport", ["ws", "sse", "auto"])
async def test_handshakes_that_hang_let_nobody_else_through(transport: str) -> None:
    async with (
        hanging() as (url, asked),
        serving(url, bff_upstream_transport=transport, bff_ws_heartbeat_seconds=1.0) as bff,
        bff.viewer() as viewer,
    ):
        for n in range(6):
            await viewer.subscribe(f"run-{n}")
        # One loads at a time; the second slot is free for another load only six seconds later.
        async with asyncio.timeout(PATIENCE_S):
            while len(asked) < 2:
                await viewer.until(is_a("hb"))
        for _ in range(2):
            await viewer.until(is_a("hb"))
        assert len(asked) == 2


async def test_events_are_asked_for_where_there_are_some() -> None:
    async with stack(DAY, **AUTO) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        assert len(await viewer.until_end()) == 390
        assert used(backend, "day") == ["sse"]


async def test_a_backend_without_events_is_asked_for_them_once() -> None:
    runs = [generated_run(f"run-{n}", seed=n) for n in range(3)]
    options = replace(QUICK, has_events=False)
    async with stack(*runs, options=options, **AUTO) as (bff, backend, _), bff.viewer() as viewer:
        for run in runs:
            await viewer.subscribe(run.run_id, mode="all", speed=0)
            await viewer.until(is_a("end"))
            assert used(backend, run.run_id) == ["ws"]
        missed = [each for each in backend.stats().requests if each.path.endswith("/stream")]
        assert len(missed) == 1


async def test_a_run_whose_events_break_off_gets_a_websocket_and_no_other_does() -> None:
    cuts = ((CutAt(frame=100),), (CutAt(frame=100),))
    options = replace(QUICK, faults=FaultPlan(connections={"day": cuts}))
    other = generated_run("other", seed=3)
    async with (
        stack(DAY, other, options=options, **AUTO) as (bff, backend, _),
        bff.viewer() as viewer,
    ):
        await viewer.subscribe("day", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert used(backend, "day") == ["sse", "sse", "ws"]
        await viewer.subscribe("other", mode="all", speed=0)
        await viewer.until(is_a("end"))
        assert used(backend, "other") == ["sse"]


@pytest.mark.parametrize("transport", ["ws", "sse"])
async def test_a_run_that_grew_behind_its_stream_is_replayed_once(transport: str) -> None:
    lifecycle = Lifecycle(history=100, growth_fps=100.0, streams_what_is_there=True)
    run = generated_run("growing", frame_count=250, lifecycle=lifecycle)
    async with (
        stack(run, bff_upstream_transport=transport) as (bff, backend, _),
        bff.viewer() as viewer,
    ):
        await viewer.subscribe("growing", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(run)
        assert not viewer.of("reset")
        assert backend.stats().opened("growing") >= 2


async def test_any_answer_of_the_backend_brings_waiting_runs_back() -> None:
    settings: dict[str, Any] = {
        "bff_hub_backoff_base_seconds": 600.0,
        "bff_hub_backoff_cap_seconds": 600.0,
        "bff_upstream_transport": "auto",
    }
    options = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3, sse_frames_per_s=300)
    async with stack(DAY, options=options, **settings) as (bff, _, running):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            await viewer.until(is_a("frame"))
            await running.kill()
            await viewer.until(is_a("upstream", status="retrying"))
            async with bff.session.get(f"{bff.url}/api/v1/backtests") as response:
                assert response.status in {502, 503}
            await running.start()
            await eventually(lambda: _is_backend_well(bff))
            frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)


async def _is_backend_well(bff: Bff) -> bool:
    health = await bff.get("/api/v1/health")
    return bool(health["dependencies"]["backend_api"] == "ok")


@pytest.mark.parametrize("has_events", [True, False])
async def test_pages_are_answered_between_cold_runs_of_a_deaf_backend(*, has_events: bool) -> None:
    runs = [generated_run(f"run-{n}", frame_count=3_000, seed=n) for n in range(5)]
    options = replace(QUICK, play_silence_s=0.2, deaf_while_flooding=True, has_events=has_events)
    async with stack(*runs, options=options, **AUTO) as (bff, backend, _), bff.viewer() as viewer:
        for run in runs:
            await viewer.subscribe(run.run_id, speed=1000)
        started: set[int] = set()
        answered = 0
        while len(started) < len(runs):
            await bff.get("/api/v1/backtests")
            answered += 1
            started.add((await viewer.until(is_a("frame")))["sid"])
        assert answered >= len(runs)
        assert backend.stats().opened() == len(runs)


@pytest.mark.parametrize("transport", ["ws", "sse"])
async def test_streams_that_fall_silent_before_their_first_frame_hold_nobody_up(
    transport: str,
) -> None:
    silent = FaultPlan(connections={"a": (Forever((HalfOpen(frame=0),)),)})
    runs = (generated_run("a"), generated_run("day"))
    options = replace(QUICK, faults=silent)
    async with stack(
        *runs,
        options=options,
        bff_upstream_transport=transport,
        bff_hub_floods=1,
        bff_hub_load_seconds=0.5,
        bff_hub_silence_seconds=3600,
    ) as (bff, _, _):
        async with bff.viewer() as held, bff.viewer() as viewer:
            await held.subscribe("a")
            await held.until(lambda m: m["t"] == "upstream" and m["status"] == "up")
            await viewer.subscribe("day", mode="all", speed=0)
            await viewer.until(is_a("end"))
