"""`/complete` when a part is slow, absent, broken or silent: an answer, and what it lacks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from hewston_bff.tools.simulator import (
    CutAt,
    FaultPlan,
    HalfOpen,
    Refuse,
    StreamError,
    generated_run,
)
from hewston_bff.tools.simulator.faults import ScriptedFault
from tests.net.files.catalogs import insert, make_catalog
from tests.support import QUICK, Bff, Message, serving, stack
from tests.waiting import PATIENCE_S
from tests.web.run_backend import (
    EQUITY,
    METRICS,
    NOT_FOUND,
    ORDERS,
    RUN,
    Behaviour,
    RunBackend,
    breaks_off,
    drops,
    hangs,
    run_backend,
    says,
    trickles,
)

PARTS = ("metrics", "equity", "orders")
WHOLE = {"metrics": METRICS, "orders": ORDERS}
DEEP = b"[" * 200_000
BROKEN: dict[str, Behaviour] = {
    "500": says(b"Internal Server Error", status=500),
    "503": says({}, status=503),
    "401": says({}, status=401),
    "307": says(b"", status=307),
    "204": says(b"", status=204),
    "hangs": hangs,
    "trickles": trickles,
    "drops": drops,
    "breaks off": breaks_off,
    "empty": says(b""),
    "no JSON": says(b"<html>"),
    "half of it": says(b'[{"'),
    "no UTF-8": says(b'{"metrics":"\xff"}'),
    "null": says(None),
    "a number": says(1),
    "of numbers": says([1, 2]),
    "deep": says(DEEP),
}
MALFORMED: dict[str, tuple[object, ...]] = {
    "equity": (
        {},
        {"equity": {}},
        {"equity": None},
        [{"timestamp": "soon", "equity": 1.0}],
        [{"timestamp": "9999-12-31T23:59:59Z", "equity": 1.0}],
        [{"timestamp": "2024-01-02T14:30:00Z", "equity": "1"}],
        [{"timestamp": "2024-01-02T14:30:00Z"}],
        [{"equity": 1.0}],
    ),
    "orders": ({}, {"orders": {}}, {"orders": "none"}, [[]], [{}, None]),
    "metrics": ([{}], "none"),
}


@asynccontextmanager
async def impatient(**settings: Any) -> AsyncIterator[tuple[Bff, RunBackend]]:
    """A server that waits for some seconds in all: long enough for what answers at once."""
    defaults = {"bff_backend_timeout": 5.0, "bff_rate_aggregated_per_minute": 0}
    async with run_backend() as backend, serving(backend.url, **(defaults | settings)) as bff:
        yield bff, backend


async def whole(bff: Bff, query: str = "", *, run_id: str = RUN) -> Message:
    """The page; a client that waited much longer than the server would give up."""
    async with asyncio.timeout(PATIENCE_S):
        page = await bff.get(f"/api/v1/runs/{run_id}/complete?{query}")
        assert "error" not in page, page
        return page


def assert_lacks(page: Message, *lacking: str) -> None:
    """Exactly these parts are null and named, all others are there."""
    assert page["metadata"]["failed_sources"] == sorted(lacking)
    assert page["metadata"]["partial_data"] == bool(lacking)
    assert [part for part in sorted(PARTS) if page[part] is None] == sorted(lacking)
    assert page["run"]["run_id"] == RUN
    for part, expected in WHOLE.items():
        assert part in lacking or page[part] == expected
    assert "equity" in lacking or len(page["equity"]) == len(EQUITY)
    found = {source.partition(":")[0] for source in page["metadata"]["data_sources"]}
    assert found == {"run", *PARTS} - set(lacking)


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_fails_is_null_and_named_and_the_others_are_there(
    part: str, how: str
) -> None:
    async with impatient() as (bff, backend):
        healthy, backend.does[part] = backend.does[part], BROKEN[how]
        assert_lacks(await whole(bff), part)
        backend.does[part] = healthy
        assert_lacks(await whole(bff))


@pytest.mark.parametrize(
    ("part", "body"), [(part, body) for part, bodies in MALFORMED.items() for body in bodies]
)
async def test_a_part_of_another_make_is_null_and_named(part: str, body: object) -> None:
    async with impatient() as (bff, backend):
        backend.does[part] = says(body)
        assert_lacks(await whole(bff), part)


async def test_all_parts_may_fail_at_once() -> None:
    async with impatient() as (bff, backend):
        backend.does |= {"metrics": hangs, "equity": breaks_off, "orders": says(b"", status=500)}
        assert_lacks(await whole(bff), *PARTS)


async def test_parts_are_asked_for_at_once_and_a_slow_one_is_waited_for() -> None:
    async with run_backend() as backend, serving(backend.url) as bff:
        all_have_come = asyncio.Barrier(len(PARTS))

        def after_all(then: Behaviour) -> Behaviour:
            async def answer(request: web.Request) -> web.StreamResponse:
                await all_have_come.wait()
                return await then(request)

            return answer

        for part in PARTS:
            backend.does[part] = after_all(backend.does[part])
        assert_lacks(await whole(bff))


async def test_figures_are_computed_from_what_is_there() -> None:
    async with impatient() as (bff, backend):
        backend.does["metrics"] = NOT_FOUND
        figures = (await whole(bff, "include_orders=false"))["metrics"]
        assert figures["total_return"] == pytest.approx(-0.12)
        assert figures["max_drawdown"] == pytest.approx(0.2)
        assert figures["hit_rate"] == 1.0
        backend.does["orders"] = hangs
        page = await whole(bff, "include_equity=false")
        assert page["metrics"] == figures | {"hit_rate": None}
        assert page["metadata"]["failed_sources"] == ["orders"]


async def test_what_the_figures_lack_is_named_although_nobody_asked_for_it() -> None:
    async with impatient() as (bff, backend):
        backend.does |= {"metrics": NOT_FOUND, "equity": hangs}
        page = await whole(bff, "include_equity=false&include_orders=false")
        assert page["metrics"] is None
        assert page["metadata"]["failed_sources"] == ["equity", "metrics"]


# -- where the backend has no parts


async def test_a_catalog_and_a_folder_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    nothing = tmp_path / "none"
    run = generated_run("day")
    async with stack(run, hewston_catalog_path=nothing, hewston_data_dir=nothing) as (bff, _, _):
        page = await whole(bff, run_id="day")
        assert page["metadata"]["failed_sources"] == []
        assert "equity:stream" in page["metadata"]["data_sources"]


async def test_artifacts_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path / "catalog.sqlite")
    file = tmp_path / "backtests" / RUN / "equity.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PAR1 no PAR1")
    settings = {"hewston_catalog_path": catalog, "hewston_data_dir": tmp_path}
    async with impatient(**settings) as (bff, backend):
        backend.does["equity"] = NOT_FOUND
        assert_lacks(await whole(bff), "equity")


async def test_orders_in_a_file_that_python_has_no_values_for_come_from_the_stream(
    tmp_path: Path,
) -> None:
    catalog = make_catalog(tmp_path / "catalog.sqlite")
    insert(catalog, "runs", run_id="day", orders_path="orders.parquet")
    settings: dict[str, Any] = {"hewston_catalog_path": catalog, "hewston_data_dir": tmp_path}
    for column in (
        pa.array([1_704_205_800_000_000_001], pa.timestamp("ns", tz="UTC")),
        pa.array([1 << 60], pa.timestamp("us", tz="UTC")),
        pa.array([b"\xff"]).view(pa.string()),
    ):
        pq.write_table(pa.table({"ts_utc": column}), tmp_path / "orders.parquet")
        async with stack(generated_run("day"), **settings) as (bff, _, _):
            page = await whole(bff, run_id="day")
            assert page["metadata"]["failed_sources"] == []
            assert "orders:stream" in page["metadata"]["data_sources"]


@pytest.mark.parametrize("how", [NOT_FOUND, hangs, drops, says(b"", status=500)])
async def test_without_a_stream_what_nobody_else_has_is_null_and_named(how: Behaviour) -> None:
    async with impatient() as (bff, backend):
        backend.does |= {"equity": NOT_FOUND, "ws": how}
        assert_lacks(await whole(bff), "equity")


@pytest.mark.parametrize(
    "fault", [HalfOpen(frame=1), Refuse(status=403), StreamError(times=9), CutAt(frame=0)], ids=str
)
async def test_a_stream_that_does_not_get_far_is_given_up_in_time(fault: ScriptedFault) -> None:
    options = replace(QUICK, faults=FaultPlan(default=(fault,)))
    async with stack(options=options, bff_backend_timeout=5.0) as (bff, _, _):
        page = await whole(bff, run_id="day")
        assert page["metadata"]["failed_sources"] == sorted(PARTS)
        assert page["run"]["status"] == "DONE"
