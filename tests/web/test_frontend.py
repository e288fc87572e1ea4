"""The frontend that exists, pointed at us: what it does, request by request."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import generated_run
from tests.support import QUICK, Bff, Viewer, is_a, stack
from tests.waiting import PATIENCE_S, eventually

ORIGIN = "http://127.0.0.1:5173"
FOREIGN = "http://evil.example"
DAY = generated_run("day")
WISH = {
    "dataset_id": f"{DAY.symbol}-2024-1m",
    "strategy_id": "sma_crossover",
    "params": {"fast": 10},
    "from": "2024-01-02",
    "to": "2024-01-03",
}
CREATED_QUICKLY = replace(QUICK, created_queued_s=0.05, created_running_s=0.05)
FROM_PAGE = {"Origin": ORIGIN}


def _assert_readable(response: aiohttp.ClientResponse) -> None:
    """A page of the frontend's origin may read this, with credentials; caches keep it apart."""
    assert response.headers.getall("Access-Control-Allow-Origin") == [ORIGIN]
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.headers["Vary"]


async def _preflight(
    bff: Bff, path: str, method: str, *, wanted: str, origin: str = ORIGIN
) -> aiohttp.ClientResponse:
    async with bff.session.options(
        bff.url + path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": wanted,
        },
    ) as response:
        await response.read()
        return response


async def test_the_list_and_the_chart_come_as_from_the_backend() -> None:
    async with stack(DAY) as (bff, _, running):
        for path in (
            "/backtests?limit=20&offset=0&order=-created_at",
            f"/bars/hour?symbol={DAY.symbol}&from=2024-01-01&to=2024-12-31&rth_only=1",
        ):
            async with (
                bff.session.get(bff.url + path) as ours,
                bff.session.get(running.url + path) as theirs,
            ):
                assert ours.status == theirs.status == 200
                assert await ours.read() == await theirs.read()


async def test_a_run_is_created_found_and_played() -> None:
    async with stack(DAY, options=CREATED_QUICKLY) as (bff, backend, _):
        asked = await _preflight(bff, "/backtests", "POST", wanted="content-type,idempotency-key")
        assert asked.status == 200
        _assert_readable(asked)
        assert asked.headers["Access-Control-Allow-Methods"] == "POST"
        allowed = asked.headers["Access-Control-Allow-Headers"].lower().split(",")
        assert set(allowed) == {"content-type", "idempotency-key"}
        assert asked.headers["Access-Control-Max-Age"] == "600"
        headers = {**FROM_PAGE, "Content-Type": "application/json", "Idempotency-Key": "k"}
        answers = []
        for _ in range(2):
            async with bff.session.post(
                bff.url + "/backtests", data=msgspec.json.encode(WISH), headers=headers
            ) as response:
                _assert_readable(response)
                answers.append((response.status, await response.json()))
        (first, created), (second, existing) = answers
        run_id = created["run_id"]
        assert (first, created["status"], second, existing["status"]) == (
            202,
            "QUEUED",
            200,
            "EXISTS",
        )
        assert existing["run_id"] == run_id
        async with bff.session.get(f"{bff.url}/backtests/{run_id}", headers=FROM_PAGE) as response:
            assert response.status == 200
            _assert_readable(response)
        async with bff.viewer(f"/backtests/{run_id}/ws", headers=FROM_PAGE) as viewer:
            await _play_until_a_frame(viewer)
        posts = [r for r in backend.stats().requests if r.route == "POST /backtests"]
        assert [post.idempotency_key for post in posts] == ["k", "k"]


async def _play_until_a_frame(viewer: Viewer) -> None:
    """As its page does: `play`, and again every while until a frame is there."""

    async def insist() -> None:
        while not viewer.of("frame"):
            await viewer.say(t="ctrl", cmd="play")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await seen.wait()

    seen = asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(insist())
        frame = await viewer.until(is_a("frame"))
        seen.set()
    assert frame.get("from", frame["seq"]) == 0
    assert frame["dropped"] == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [("/backtests/unknown", 404), ("/backtests/%00", 422), ("/nowhere", 404)],
)
async def test_errors_can_be_read_by_the_page(path: str, status: int) -> None:
    async with stack(DAY) as (bff, *_):
        async with bff.session.get(bff.url + path, headers=FROM_PAGE) as response:
            assert response.status == status
            _assert_readable(response)
        async with bff.session.put(bff.url + "/backtests", headers=FROM_PAGE) as response:
            assert response.status == 405
            _assert_readable(response)


async def test_a_backend_that_is_down_can_be_read_of_too() -> None:
    async with stack(DAY) as (bff, _, running):
        await running.kill()
        async with bff.session.get(bff.url + "/backtests", headers=FROM_PAGE) as response:
            assert response.status == 502
            _assert_readable(response)
        await running.start()
        async with bff.session.get(bff.url + "/backtests", headers=FROM_PAGE) as response:
            assert response.status == 200


async def test_a_foreign_page_is_told_nothing() -> None:
    async with stack(DAY) as (bff, *_):
        refused = await _preflight(bff, "/backtests", "POST", wanted="x", origin=FOREIGN)
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
        async with bff.session.get(bff.url + "/backtests", headers={"Origin": FOREIGN}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert response.headers["Vary"] == "Origin"


async def test_requests_after_a_500_reach_the_backend() -> None:
    async with stack(DAY) as (bff, *_):
        for _ in range(3):
            broken = msgspec.json.encode({**WISH, "dataset_id": "NONE-2024-1m"})
            async with bff.session.post(bff.url + "/backtests", data=broken) as response:
                assert response.status == 500
                assert response.content_type == "text/plain"
            async with bff.session.get(bff.url + "/backtests/day") as response:
                assert response.status == 200
            bad = f"/bars/daily?symbol={DAY.symbol}&from=2024-13-45"
            async with bff.session.get(bff.url + bad) as response:
                assert response.status == 500
            async with bff.session.post(
                bff.url + "/backtests", data=msgspec.json.encode(WISH)
            ) as response:
                assert response.status in {200, 202}


async def test_a_body_that_stops_the_backend_is_an_outage_and_no_more() -> None:
    options = replace(QUICK, crash_s=0.2)
    # Asked without a pause until it is back: more often than an address may.
    async with stack(DAY, options=options, bff_rate_proxied_per_minute=0) as (bff, *_):
        crash = {"strategy_id": "x", "params": {}, "symbol": DAY.symbol, "year": 2024}
        body = msgspec.json.encode(crash)
        async with bff.session.post(bff.url + "/backtests", data=body) as response:
            assert response.status == 502

        async def is_back() -> bool:
            async with bff.session.get(bff.url + "/backtests/day") as response:
                assert response.status in {200, 502, 503}
                return response.status == 200

        await eventually(is_back)
