"""An id that stands for another run than before: nothing of the old one is shown as the new one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from hewston_bff.tools.simulator import Lifecycle, SimulatedRun, SimulatorOptions, generated_run
from hewston_bff.tools.simulator.runs import FIRST_CREATED
from tests.given import given_run
from tests.support import Bff, Message, is_a, sources, stack, without_ours
from tests.waiting import eventually

STORY = [frame.decode() for frame in generated_run("day", frame_count=500).frames]
LATER = FIRST_CREATED + timedelta(days=1)
OLD = given_run("day", *STORY[:390])
NEW = generated_run("day", seed=2, created_at=LATER)
LONGER = given_run("day", *STORY, created_at=LATER)
SHORTER = given_run("day", *STORY[:120], created_at=LATER)
ASKED_OFTEN: dict[str, Any] = {"bff_hub_access_fresh_seconds": 0.2}


@pytest.fixture(params=["ws", "sse"])
def upstream(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings for each way in which the backend streams."""
    return {"bff_upstream_transport": request.param}


async def complete(bff: Bff) -> Message:
    async with bff.session.get(f"{bff.url}/api/v1/runs/day/complete") as response:
        page: Message = await response.json()
        return page


def values(run: SimulatedRun) -> list[float]:
    return [frame["equity"]["value"] for frame in sources(run)]


@pytest.mark.parametrize("remade", [NEW, LONGER, SHORTER])
async def test_who_watches_gets_a_reset_and_then_the_new_run(
    remade: SimulatedRun, upstream: dict[str, Any]
) -> None:
    async with stack(OLD, **ASKED_OFTEN, **upstream) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        old_epoch = viewer.of("state")[0]["epoch"]
        backend.put_run(remade)
        reset = await viewer.until(is_a("reset"))
        assert (reset["reason"], reset["epoch"]) == ("run_remade", None)
        state = await viewer.until(lambda m: m["t"] == "state" and m.get("epoch") is not None)
        assert state["epoch"] != old_epoch
        await viewer.until_end()
        viewer.seen.clear()
        await viewer.ctrl("play")
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(remade)


async def test_a_paused_viewer_goes_on_by_time_in_the_new_run() -> None:
    async with stack(OLD, **ASKED_OFTEN) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        await viewer.ctrl("pause")
        await viewer.ctrl("seek", pos=100)
        shown = await viewer.until(is_a("frame", seq=100))
        backend.put_run(NEW)
        await viewer.until(is_a("reset"))
        state = await viewer.until(is_a("state", seeked=True))
        assert (state["status"], state["seq"], state["ts"]) == ("paused", 100, shown["ts"])
        await viewer.ctrl("step")
        frame = await viewer.until(is_a("frame"))
        assert without_ours(frame) == sources(NEW)[101]


async def test_a_run_that_runs_again_after_it_was_over_is_another() -> None:
    again = replace(OLD, lifecycle=Lifecycle(running_s=1.0))
    async with stack(OLD, **ASKED_OFTEN) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        old_epoch = viewer.of("state")[0]["epoch"]
        backend.put_run(again)
        await viewer.until(is_a("reset"))
        state = await viewer.until(lambda m: m["t"] == "state" and m.get("epoch") is not None)
        assert state["epoch"] != old_epoch, "although its frames are the same"
        await viewer.until_end()


async def test_a_page_is_of_the_run_that_the_backend_has_now() -> None:
    async with stack(OLD, bff_rate_aggregated_per_minute=0, **ASKED_OFTEN) as (bff, backend, _):
        page = await complete(bff)
        assert [point["equity"] for point in page["equity"]] == values(OLD)
        backend.put_run(NEW)

        async def is_new() -> bool:
            nonlocal page
            page = await complete(bff)
            if page["run"]["created_at"] != OLD_CREATED:
                return True
            assert [point["equity"] for point in page["equity"]] == values(OLD)
            return False

        await eventually(is_new)
        assert [point["equity"] for point in page["equity"]] == values(NEW)
        async with bff.session.get(f"{bff.url}/api/v1/runs/day/frames") as response:
            lines = (await response.text()).splitlines()
        assert [without_ours(msgspec.json.decode(line)) for line in lines] == sources(NEW)


OLD_CREATED = OLD.created_at.isoformat(timespec="microseconds")


async def test_what_streams_know_is_not_served_by_rest_as_the_old_run() -> None:
    async with stack(OLD, **ASKED_OFTEN) as (bff, backend, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        assert (await complete(bff))["run"]["created_at"] == OLD_CREATED
        backend.put_run(NEW)
        await viewer.until(is_a("reset"))
        page = await complete(bff)
        assert [point["equity"] for point in page["equity"]] == values(NEW)
        assert page["run"]["created_at"] != OLD_CREATED


async def test_a_kept_log_is_not_shown_as_the_run_that_came_after_it() -> None:
    async with stack(OLD) as (bff, backend, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            await viewer.until_end()
        backend.put_run(NEW)
        # Another caller: what the backend said to the first a moment ago is not for this one.
        headers = {"Authorization": "Bearer other"}
        async with bff.viewer(headers=headers) as late:
            await late.subscribe("day", mode="all", speed=0)
            await late.until_end()
        assert [without_ours(frame) for frame in late.frames()] == sources(NEW)
        assert not late.of("reset")


async def test_a_run_remade_while_it_pours_is_read_from_its_start() -> None:
    slow = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=300)
    async with stack(OLD, options=slow, **ASKED_OFTEN) as (bff, backend, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            await viewer.until(is_a("frame", seq=20))
            backend.put_run(NEW)
            await viewer.until(is_a("reset", reason="run_remade"))
            await viewer.until_end()
            viewer.seen.clear()
            await viewer.ctrl("play")
            assert [without_ours(f) for f in await viewer.until_end()] == sources(NEW)
        assert backend.stats().opened("day") == 2
