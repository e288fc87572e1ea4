"""`GET /api/v1/runs/{id}/frames`: the frames of a range, exactly, or none that look like all."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from hewston_bff.tools.simulator import (
    CutAt,
    FaultPlan,
    HalfOpen,
    Lifecycle,
    SimulatorOptions,
    generated_run,
)
from tests.support import QUICK, Bff, Message, sources, stack, without_ours
from tests.waiting import PATIENCE_S

DAY = generated_run("day")
SOURCES = sources(DAY)


async def ask(bff: Bff, run_id: str = "day", /, **query: Any) -> list[Message]:
    """The frames; `from_` is `from`."""
    asked = {name.rstrip("_"): value for name, value in query.items()}
    async with bff.session.get(f"{bff.url}/api/v1/runs/{run_id}/frames", params=asked) as response:
        body = await response.read()
        assert response.status == 200, body
        assert response.content_type == "application/x-ndjson"
        assert body.endswith(b"\n")
        return [msgspec.json.decode(line) for line in body.splitlines()]


async def refused(bff: Bff, status: int, run_id: str = "day", /, **query: Any) -> Message:
    """The error."""
    asked = {name.rstrip("_"): value for name, value in query.items()}
    async with bff.session.get(f"{bff.url}/api/v1/runs/{run_id}/frames", params=asked) as response:
        body: Message = await response.json()
        assert response.status == status, body
        error: Message = body["error"]
        return error


async def test_without_a_range_all_frames_of_a_finished_run_come_as_the_backend_has_them() -> None:
    async with stack(DAY) as (bff, backend, _):
        frames = await ask(bff)
        assert [frame["seq"] for frame in frames] == list(range(390))
        assert [without_ours(frame) for frame in frames] == SOURCES
        assert await ask(bff, format="ndjson") == frames
        assert backend.stats().opened("day") == 1


RANGES: list[tuple[dict[str, Any], list[int]]] = [
    ({"from_": 10, "to": 12}, [10, 11, 12]),
    ({"from_": 389}, [389]),
    ({"to": 0}, [0]),
    ({"from_": 388, "to": 5_000}, [388, 389]),
    ({"from_": SOURCES[7]["ts"], "to": SOURCES[9]["ts"]}, [7, 8, 9]),
    ({"from_": "1999-01-01T00:00:00Z", "to": SOURCES[1]["ts"]}, [0, 1]),
    ({"from_": 300, "to": SOURCES[301]["ts"]}, [300, 301]),
    ({"from_": SOURCES[388]["ts"], "to": "9999-12-31T23:59:59Z"}, [388, 389]),
]


async def test_a_range_is_of_indices_or_times_and_has_both_its_ends() -> None:
    async with stack(DAY) as (bff, _, _):
        for query, expected in RANGES:
            frames = await ask(bff, **query)
            assert [frame["seq"] for frame in frames] == expected, query
            assert [without_ours(frame) for frame in frames] == [SOURCES[seq] for seq in expected]


async def test_an_early_range_is_there_before_the_run_has_come() -> None:
    options = replace(QUICK, faults=FaultPlan(default=(HalfOpen(frame=100),)))
    async with stack(DAY, options=options) as (bff, _, _):
        assert len(await ask(bff, to=99)) == 100


async def test_of_a_run_that_grows_what_is_there_comes_or_what_is_named_is_waited_for() -> None:
    growing = Lifecycle(history=50, growth_fps=200.0, is_endless=True)
    run = generated_run("day", frame_count=5_000, lifecycle=growing)
    async with stack(run) as (bff, _, _):
        frames = await ask(bff, from_=10)
        assert [frame["seq"] for frame in frames] == list(range(10, 10 + len(frames)))
        assert len(await ask(bff, to=len(frames) + 40)) == len(frames) + 41


async def test_a_lost_stream_leaves_no_gap() -> None:
    options = replace(QUICK, faults=FaultPlan(connections={"day": [(CutAt(frame=150),)]}))
    async with stack(DAY, options=options) as (bff, _, _):
        assert [without_ours(frame) for frame in await ask(bff)] == SOURCES


async def test_a_long_range_does_not_hold_up_others() -> None:
    run = generated_run("day", frame_count=5_000)
    async with stack(run) as (bff, _, _):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(bff))
            health = group.create_task(bff.get("/api/v1/health/live"))
        assert len(asking.result()) == 5_000
        assert health.result() == {"status": "alive"}


# -- what is not there, or not allowed


async def test_frames_that_the_run_has_not_are_no_data() -> None:
    async with stack(DAY) as (bff, _, _):
        for query in ({"from_": 390}, {"from_": "2030-01-01T00:00:00Z"}, {"to": "1999-01-01"}):
            error = await refused(bff, 404, **query)
            assert error["code"] == "NO_DATA"
            assert error["details"] == {"first_seq": 0, "next_seq": 390}


async def test_frames_that_do_not_come_are_waited_for_and_half_a_range_is_cut_off() -> None:
    options = replace(QUICK, faults=FaultPlan(default=(HalfOpen(frame=100),)))
    async with stack(DAY, options=options, bff_backend_timeout=1.0) as (bff, _, _):
        assert (await refused(bff, 504, from_=100))["code"] == "BACKEND_TIMEOUT"
        with pytest.raises(aiohttp.ClientError):
            await ask(bff, from_=50)


async def test_a_run_needs_the_backends_permission_with_the_callers_credentials() -> None:
    options = SimulatorOptions(play_silence_s=0.02, require_token={"mine": None})
    async with stack(DAY, options=options) as (bff, _, _):
        url = f"{bff.url}/api/v1/runs/day/frames?to=1"
        for token, status in ((None, 401), ("mine", 200), ("other", 401), (None, 401)):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with bff.session.get(url, headers=headers) as response:
                assert response.status == status
    async with stack(DAY) as (bff, _, _):
        assert (await refused(bff, 404, "unknown"))["code"] == "RUN_NOT_FOUND"


async def test_a_permission_that_is_withdrawn_ends_a_range_that_is_waited_for() -> None:
    options = replace(
        QUICK, require_token={"mine": None}, faults=FaultPlan(default=(HalfOpen(frame=100),))
    )
    settings = {"bff_hub_access_fresh_seconds": 0.1}
    async with stack(DAY, options=options, **settings) as (bff, backend, _):
        url = f"{bff.url}/api/v1/runs/day/frames"
        headers = {"Authorization": "Bearer mine"}
        async with bff.session.get(url, headers=headers) as response:
            assert response.status == 200
            backend.set_tokens({})
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_switched_off_it_says_so() -> None:
    async with stack(DAY, bff_feature_run_aggregation=False) as (bff, backend, _):
        assert (await refused(bff, 503))["code"] == "FEATURE_DISABLED"
        assert backend.stats().requests == ()


async def test_a_head_has_no_frames_behind_it() -> None:
    async with stack(DAY) as (bff, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(bff.url).port)
        target = "/api/v1/runs/day/frames?to=3"
        writer.write(f"HEAD {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200")
        # What follows would be taken for the next answer.
        assert body == b""


async def test_nobody_is_left_reading_and_streams_are_counted() -> None:
    async with stack(DAY, bff_ws_sockets_per_address=1) as (bff, _, _):
        for _ in range(3):
            await ask(bff, to=3)
        assert (await bff.totals())["total_subscribers"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("from", "to") for value in ("", "-1", "1.5", "1e3", "soon")),
        *((name, value) for name in ("from", "to") for value in ("+1", "\u0661", "1\r\n", "5\0")),
        *(("from", value) for value in ("9" * 16, "9" * 10_000, "2024-13-01", "live", "start")),
        *(("format", value) for value in ("", "csv", "NDJSON")),
    ],
    ids=lambda value: value[:24].encode("unicode_escape").decode(),
)
async def test_a_bad_value_is_refused_by_name_and_the_backend_hears_nothing(
    name: str, value: str
) -> None:
    async with stack(DAY) as (bff, backend, _):
        error = await refused(bff, 422, **{name: value})
        assert list(error["details"]) == [name]
        assert len(str(error)) < 600
        assert backend.stats().requests == ()


async def test_a_range_that_ends_before_it_begins_and_what_can_be_no_run_are_refused() -> None:
    async with stack(DAY) as (bff, backend, _):
        for query in (
            {"from_": 5, "to": 4},
            {"from_": SOURCES[5]["ts"], "to": SOURCES[4]["ts"]},
        ):
            assert list((await refused(bff, 422, **query))["details"]) == ["to"]
        url = URL(f"{bff.url}/api/v1/runs/a%2Fb/frames", encoded=True)
        async with bff.session.get(url) as response:
            assert response.status == 422
        assert backend.stats().requests == ()
