"""What the backend does wrong, and what viewers see of it."""

import asyncio
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from hewston_bff.tools.simulator import (
    Binary,
    Diverge,
    Duplicate,
    FaultPlan,
    Forever,
    Garbage,
    HalfOpen,
    Huge,
    Lifecycle,
    RandomCuts,
    Refuse,
    Script,
    ScriptedFault,
    SimulatorOptions,
    StreamError,
    generated_run,
)
from tests.support import Viewer, is_a, sources, stack, without_ours
from tests.waiting import PATIENCE_S

DAY = generated_run("day")


@pytest.fixture(params=["ws", "sse"])
def upstream(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings for each way in which the backend streams."""
    return {"bff_upstream_transport": request.param}


def failing(*scripts: Script | Forever, run_id: str = "day") -> SimulatorOptions:
    """A backend whose connections to `run_id` fail in turn, then are well."""
    plan = FaultPlan(connections={run_id: list(scripts)})
    return SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, faults=plan)


async def test_a_hundred_random_cuts_cost_no_frame_and_give_none_twice(
    upstream: dict[str, Any],
) -> None:
    plan = FaultPlan(connections={"day": RandomCuts(seed=7, count=100, max_frames=380)})
    options = SimulatorOptions(play_silence_s=0.0, hb_interval_s=0.3, faults=plan)
    settings = {"bff_hub_backoff_base_seconds": 0.001, "bff_hub_backoff_cap_seconds": 0.002}
    async with stack(DAY, options=options, **settings, **upstream) as (bff, backend, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            frames = await viewer.until_end()
            assert [without_ours(frame) for frame in frames] == sources(DAY)
            assert not viewer.of("reset")
        assert backend.stats().opened("day") == 101
        is_ws = upstream["bff_upstream_transport"] == "ws"
        assert backend.stats().plays == (101 if is_ws else 0)
        assert max(c.plays for c in backend.stats().connections) == is_ws


async def test_a_replay_that_differs_resets_and_goes_on_by_time(
    upstream: dict[str, Any],
) -> None:
    options = failing((HalfOpen(frame=300),), (Diverge(frame=100),))
    async with stack(DAY, options=options, **upstream) as (bff, _, running), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        # Cut only now: what was sent and not yet read is lost by a cut, and could not differ.
        await viewer.until(is_a("frame", seq=299))
        await running.kill()
        await running.start()
        reset = await viewer.until(is_a("reset"))
        first_epoch = viewer.of("state")[0]["epoch"]
        before = viewer.frames()
        assert [without_ours(f) for f in before] == sources(DAY)[: len(before)]
        await viewer.until_end()
        assert reset["epoch"] != first_epoch
        after = viewer.frames()[len(before) :]
        assert after[0]["seq"] == before[-1]["seq"] + 1
        assert after[-1]["seq"] == 389
        state = next(m for m in viewer.of("state") if m["seeked"])
        assert state["seq"] == before[-1]["seq"]


async def test_a_half_open_connection_is_noticed_within_the_silence(
    upstream: dict[str, Any],
) -> None:
    options = failing((HalfOpen(frame=100),))
    async with stack(DAY, options=options, bff_hub_silence_seconds=3, **upstream) as (
        bff,
        backend,
        _,
    ):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            frames = await viewer.until_end()
            assert [without_ours(frame) for frame in frames] == sources(DAY)
            assert viewer.of("upstream")[-1]["status"] == "complete"
            assert any(m["status"] == "retrying" for m in viewer.of("upstream"))
        assert backend.stats().opened("day") == 2


@pytest.mark.parametrize(
    "fault",
    [
        Garbage(frame=50, data=b"{"),
        Binary(frame=50),
        Huge(frame=50, size_bytes=2_000_000),
        Duplicate(frame=50, times=3),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_useless_messages_are_counted_and_skipped(
    fault: ScriptedFault, upstream: dict[str, Any]
) -> None:
    async with (
        stack(DAY, options=failing((fault,)), **upstream) as (bff, _, _),
        bff.viewer() as viewer,
    ):
        await viewer.subscribe("day", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert (await bff.totals())["skipped"] >= 1


async def test_refusals_of_the_handshake_are_retried_or_final(
    upstream: dict[str, Any],
) -> None:
    options = failing((Refuse(status=503),), (Refuse(status=503),))
    async with stack(DAY, options=options, **upstream) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        assert len(await viewer.until_end()) == 390
        news = [m for m in viewer.of("upstream") if m["status"] == "retrying"]
        assert [m["attempt"] for m in news] == [1, 2]
    options = failing(Forever((Refuse(status=403),)))
    async with stack(DAY, options=options, **upstream) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day")
        error = await viewer.until(is_a("err"))
        assert error["code"] == "FORBIDDEN"
        assert viewer.of("upstream")[-1]["status"] == "failed"


async def test_three_stream_errors_in_a_row_fail_the_run_visibly(
    upstream: dict[str, Any],
) -> None:
    options = failing(Forever((StreamError(times=9),)))
    async with stack(DAY, options=options, **upstream) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day")
        error = await viewer.until(is_a("err"))
        assert error["code"] == "BACKEND_UNAVAILABLE"
        assert "/" not in error["msg"]
        assert backend.stats().opened("day") == 3


async def test_a_stream_error_that_goes_away_is_forgotten(
    upstream: dict[str, Any],
) -> None:
    options = failing((StreamError(times=1),), (StreamError(times=1),))
    async with stack(DAY, options=options, **upstream) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        assert len(await viewer.until_end()) == 390


async def test_a_backend_that_is_down_at_the_start_is_waited_for() -> None:
    async with stack(DAY) as (bff, _, running):
        await running.kill()
        async with bff.viewer("/api/v1/runs/day/stream?speed=1000") as viewer:
            news = await viewer.until(is_a("upstream", status="retrying"))
            assert news["attempt"] >= 1
            assert viewer.of("subscribed")[0]["status"] == "buffering"
            health = await bff.get("/api/v1/health")
            assert (health["status"], health["dependencies"]["backend_api"]) == ("degraded", "down")
            await running.start()
            await viewer.until_end()
            assert viewer.frames()[-1]["seq"] == 389
            assert (await bff.get("/api/v1/health"))["status"] == "ok"


async def test_a_backend_killed_in_the_middle_is_a_pause_and_nothing_else(
    upstream: dict[str, Any],
) -> None:
    options = SimulatorOptions(
        play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=400, sse_frames_per_s=400
    )
    async with stack(DAY, options=options, **upstream) as (bff, _, running), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until(lambda m: m.get("seq", 0) > 50 and m["t"] == "frame")
        await running.kill()
        await viewer.until(is_a("upstream", status="retrying"))
        await running.start()
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert not viewer.of("reset")


async def test_a_killed_backend_leaves_a_complete_run_playable() -> None:
    async with stack(DAY) as (bff, _, running), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        await running.kill()
        await viewer.ctrl("play")
        await viewer.until_end()
        assert len(viewer.frames()) == 780


async def test_a_run_that_is_not_ready_starts_by_itself(
    upstream: dict[str, Any],
) -> None:
    queued = generated_run("queued", lifecycle=Lifecycle(queued_s=inf))
    async with stack(queued, **upstream) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("queued", mode="all", speed=0)
        assert viewer.of("subscribed")[0]["status"] == "buffering"
        await _until_queued(viewer)
        backend.put_run(replace(queued, lifecycle=Lifecycle(running_s=0.5)))
        assert len(await viewer.until_end()) == 390
        statuses = [m["status"] for m in viewer.of("run")]
        assert statuses[0] == "QUEUED"
        assert statuses[-1] == "DONE"
        assert not viewer.of("err")


async def test_a_run_that_was_queued_is_shown_while_it_grows(upstream: dict[str, Any]) -> None:
    growing = Lifecycle(history=50, growth_fps=200.0, is_endless=True)
    run = generated_run("growing", frame_count=5_000, lifecycle=Lifecycle(queued_s=inf))
    asked_often = upstream | {"bff_hub_access_fresh_seconds": 1.0}
    async with stack(run, **asked_often) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("growing")
        await _until_queued(viewer)
        backend.put_run(replace(run, lifecycle=growing))
        async with asyncio.timeout(PATIENCE_S):
            await viewer.until(is_a("frame"))
            while len(viewer.of("run")) < 2:
                await viewer.next()
        assert [m["status"] for m in viewer.of("run")] == ["QUEUED", "RUNNING"]


async def test_two_streams_pour_at_most_at_the_same_time() -> None:
    runs = [generated_run(f"run-{n}", seed=n) for n in range(6)]
    options = SimulatorOptions(play_silence_s=0.05, hb_interval_s=0.3)
    async with stack(*runs, options=options) as (bff, backend, _), bff.viewer() as viewer:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(viewer.ws.send_str(_subscribe(run.run_id)))
        ended: set[int] = set()
        while len(ended) < 6:
            ended.add((await viewer.until(is_a("end")))["sid"])
        assert backend.stats().floods_max <= 2
        assert all(backend.stats().opened(run.run_id) == 1 for run in runs)


async def _until_queued(viewer: Viewer) -> None:
    """Wait until it has heard that its run is queued, which may come with an answer."""
    if not viewer.of("run"):
        await viewer.until(is_a("run"))
    assert viewer.of("run")[0]["status"] == "QUEUED"


def _subscribe(run_id: str) -> str:
    return f'{{"t":"subscribe","run_id":"{run_id}","mode":"all","speed":0}}'
