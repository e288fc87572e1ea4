"""Streams and REST ask the backend for a run's description together, and know what either heard."""

from dataclasses import replace
from typing import Any

import pytest

from hewston_bff.tools.simulator import Lifecycle, generated_run
from hewston_bff.web.keys import CLIENTS
from tests.support import QUICK, Bff, Message, is_a, stack
from tests.waiting import eventually

DESCRIBED = "GET /backtests/{run_id}"
MINE = {"Authorization": "Bearer mine"}
YOURS = {"Authorization": "Bearer yours"}
GUARDED = replace(QUICK, require_token={"mine": None})
REST_FIRST = ("complete", "status", "frames?to=0")


async def ask(bff: Bff, what: str, headers: dict[str, str]) -> int:
    """The status of an answer of REST's."""
    url = f"{bff.url}/api/v1/runs/day/{what}"
    async with bff.session.get(url, headers=headers) as response:
        await response.read()
        return response.status


async def all_have_left(bff: Bff) -> None:
    await eventually(lambda: not bff.app[CLIENTS].open)


async def test_a_page_that_opens_a_stream_and_asks_for_the_rest_asks_the_backend_once() -> None:
    async with stack() as (bff, backend, _):
        async with bff.viewer(headers=MINE) as viewer:
            await viewer.subscribe("day", paused=True)
            for what in REST_FIRST:
                assert await ask(bff, what, MINE) == 200
            asked = backend.stats().requests_by_route[DESCRIBED]
        assert asked == 1


@pytest.mark.parametrize("first", REST_FIRST)
async def test_a_page_that_asks_before_it_opens_a_stream_asks_the_backend_once(first: str) -> None:
    async with stack() as (bff, backend, _):
        assert await ask(bff, first, MINE) == 200
        asked = backend.stats().requests_by_route[DESCRIBED]
        async with bff.viewer(headers=MINE) as viewer:
            await viewer.subscribe("day", mode="all", speed=0, updates=["frames", "run"])
            news = await viewer.until(is_a("run"))
            assert news["status"] == "DONE"
            await viewer.until_end()
        assert (asked, backend.stats().requests_by_route[DESCRIBED]) == (1, 1)


async def test_whoever_comes_back_within_half_a_minute_is_not_asked_about_again() -> None:
    settings: dict[str, Any] = {"bff_hub_linger_seconds": 0.01}
    async with stack(**settings) as (bff, backend, _):
        for _ in range(3):
            async with bff.viewer(headers=MINE) as viewer:
                await viewer.subscribe("day", mode="all", speed=0)
                await viewer.until_end()
            await all_have_left(bff)
        assert backend.stats().requests_by_route[DESCRIBED] == 1


async def test_what_one_caller_may_is_no_permission_for_another() -> None:
    async with stack(options=GUARDED) as (bff, backend, _):
        async with bff.viewer(headers=MINE) as viewer:
            await viewer.subscribe("day", paused=True)
            assert await ask(bff, "complete", YOURS) == 401
            assert await ask(bff, "complete", {}) == 401
            assert await ask(bff, "complete", MINE) == 200
        assert await ask(bff, "complete", YOURS) == 401
        assert backend.stats().requests_by_route[DESCRIBED] == 4


async def test_a_no_that_a_stream_hears_is_a_no_to_rest() -> None:
    settings: dict[str, Any] = {"bff_hub_access_fresh_seconds": 0.2}
    async with stack(options=GUARDED, **settings) as (bff, backend, _):
        assert await ask(bff, "complete", MINE) == 200
        async with bff.viewer(headers=MINE) as viewer:
            await viewer.subscribe("day", paused=True)
            backend.set_tokens({})
            assert (await viewer.until(is_a("err")))["code"] == "UNAUTHORIZED"
        assert await ask(bff, "complete", MINE) == 401


async def test_what_rest_hears_of_a_run_its_viewers_hear() -> None:
    queued = generated_run("day", lifecycle=Lifecycle(queued_s=3_600.0))
    async with stack(queued) as (bff, backend, _), bff.viewer(headers=MINE) as viewer:
        await viewer.subscribe("day", paused=True, updates=["run"])
        assert (await viewer.until(is_a("run")))["status"] == "QUEUED"
        backend.put_run(replace(queued, lifecycle=Lifecycle()))
        assert await ask(bff, "status", YOURS) == 200
        news: Message = await viewer.until(is_a("run"))
        assert news["status"] == "DONE"
