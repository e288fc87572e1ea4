"""`GET /api/v1/runs/{id}/complete` and `/status`: what comes back, from whom, and what is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from hewston_bff.tools.simulator import Lifecycle, generated_run
from hewston_bff.web.runs import CompletePage, RunStatus
from tests.net.files.catalogs import insert, make_catalog, write_equity, write_orders
from tests.recordings import present_recordings
from tests.support import Bff, Message, is_a, serving, sources, stack
from tests.waiting import eventually
from tests.web.run_backend import (
    DETAIL,
    EQUITY,
    METRICS,
    NOT_FOUND,
    ORDERS,
    RUN,
    Behaviour,
    RunBackend,
    hangs,
    run_backend,
    says,
)

PARTS = ("metrics", "equity", "orders")


@asynccontextmanager
async def run_stack(**settings: Any) -> AsyncIterator[tuple[Bff, RunBackend]]:
    settings.setdefault("bff_rate_aggregated_per_minute", 0)
    async with run_backend() as backend, serving(backend.url, **settings) as bff:
        yield bff, backend


async def ask(
    bff: Bff,
    what: str = "complete",
    status: int = 200,
    /,
    *,
    run_id: str = RUN,
    token: str | None = None,
    **query: Any,
) -> Message:
    headers = {} if token is None else {"Authorization": token}
    url = f"{bff.url}/api/v1/runs/{run_id}/{what}"
    async with bff.session.get(url, params=query, headers=headers) as response:
        body: Message = await response.json()
        assert response.status == status, body
        return body


async def cache_bytes(bff: Bff) -> float:
    text = await (await bff.session.get(f"{bff.url}/metrics")).text()
    (line,) = [line for line in text.splitlines() if line.startswith("hewston_bff_cache_bytes ")]
    return float(line.split()[1])


# -- what comes back


async def test_the_page_is_the_contracts() -> None:
    async with run_stack() as (bff, _):
        page = await ask(bff)
        assert isinstance(page["metadata"].pop("load_time_ms"), int)
        nobody_told = dict.fromkeys(("started_at", "completed_at", "error_message"))
        assert page == {
            "run": {**DETAIL, **nobody_told, "symbol": "TSLA"},
            "metrics": METRICS,
            "equity": [
                {**point, "drawdown": depth}
                for point, depth in zip(EQUITY, (0.0, 0.0, (110 - 88) / 110), strict=True)
            ],
            "orders": ORDERS,
            "metadata": {
                "cache_hit": False,
                "backend_calls": 4,
                "data_sources": [
                    *("run:backend", "metrics:backend", "equity:backend", "orders:backend"),
                ],
                "partial_data": False,
                "failed_sources": [],
                "orders_count": 2,
                "equity_points": 3,
                "stale": False,
            },
        }


async def test_page_and_status_are_as_their_models_say() -> None:
    async with run_stack() as (bff, _):
        CompletePage.model_validate(await ask(bff))
        RunStatus.model_validate(await ask(bff, "status"))


async def test_a_status_is_what_changes_and_null_is_what_nobody_told() -> None:
    async with run_stack() as (bff, backend):
        backend.is_now(status="RUNNING", progress=0.5, started_at="2024-02-01T00:00:01Z")
        assert await ask(bff, "status") == {
            "run_id": RUN,
            "status": "RUNNING",
            "strategy_id": "sma",
            "symbol": "TSLA",
            "created_at": "2024-02-01T00:00:00Z",
            "started_at": "2024-02-01T00:00:01Z",
            "completed_at": None,
            "error_message": None,
            "progress": 0.5,
        }


async def test_only_what_is_wanted_is_asked_for() -> None:
    async with run_stack() as (bff, backend):
        page = await ask(bff, include_metrics="false", include_orders="0")
        assert page["metrics"] is None
        assert page["orders"] is None
        assert len(page["equity"]) == 3
        assert page["metadata"]["failed_sources"] == []
        assert page["metadata"]["orders_count"] is None
        assert [part for part, _ in backend.asked] == ["run", "equity"]


async def test_fewer_points_keep_the_ends_the_peaks_and_the_troughs() -> None:
    minutes = [f"2024-01-02T{14 + at // 60:02}:{at % 60:02}:00Z" for at in range(600)]
    values = [1_000.0 + at % 7 for at in range(600)]
    values[217], values[431] = 1_500.0, 400.0
    points = [
        {"timestamp": minute, "equity": value}
        for minute, value in zip(minutes, values, strict=True)
    ]
    async with run_stack() as (bff, backend):
        backend.does["equity"] = says({"equity": points})
        page = await ask(bff, equity_points=100)
        kept = [(point["timestamp"], point["equity"]) for point in page["equity"]]
        assert 50 < len(kept) <= 100
        assert page["metadata"]["equity_points"] == len(kept)
        assert {(minutes[at], values[at]) for at in (0, 217, 431, 599)} <= set(kept)
        assert max(point["drawdown"] for point in page["equity"]) == (1_500 - 400) / 1_500
        assert len((await ask(bff))["equity"]) == 600, "another answer"


# -- from whom


async def test_what_the_backend_does_not_know_comes_from_the_artifacts(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path / "catalog.sqlite")
    folder = tmp_path / "data" / "backtests" / RUN
    insert(catalog, "datasets", dataset_id="TSLA-2024-1m", symbol="TSLA.X")
    insert(
        catalog,
        "runs",
        run_id=RUN,
        dataset_id="TSLA-2024-1m",
        started_at="2024-02-01T00:00:05Z",
        equity_path=f"data/backtests/{RUN}/equity.parquet",
        orders_path=f"data/backtests/{RUN}/orders.parquet",
    )
    figures = {"total_return": 0.5, "cagr": None, "sharpe": 1.25}
    insert(catalog, "run_metrics", run_id=RUN, **figures)
    write_equity(folder / "equity.parquet", {"2024-01-02T14:30:00Z": 7.0})
    write_orders(folder / "orders.parquet", [{"ts_utc": "2024-01-02T14:30:00Z", "side": "BUY"}])
    paths = {"hewston_catalog_path": catalog, "hewston_data_dir": tmp_path / "data"}
    async with run_stack(**paths) as (bff, backend):
        for part in PARTS:
            backend.does[part] = NOT_FOUND
        page = await ask(bff)
        assert page["metadata"]["data_sources"] == [
            *("run:backend", "metrics:catalog", "metrics:computed"),
            *("equity:artifacts", "orders:artifacts"),
        ]
        assert page["metrics"].items() >= figures.items()
        assert page["metrics"]["unreadable_orders"] == 1
        assert page["equity"] == [
            {"timestamp": "2024-01-02T14:30:00Z", "equity": 7.0, "drawdown": 0.0}
        ]
        assert page["orders"] == [{"ts_utc": "2024-01-02T14:30:00Z", "side": "BUY"}]
        assert page["run"]["symbol"] == "TSLA.X"
        assert page["run"]["started_at"] == "2024-02-01T00:00:05Z"
        assert (await ask(bff, "status"))["started_at"] == "2024-02-01T00:00:05Z"


@pytest.mark.parametrize(
    "recorded", ["2d5e4d11831541a38b9af277c23fbf85", "654658d82be94356804a91544f6afd49"]
)
async def test_figures_of_recorded_artifacts_are_those_their_backend_told(recorded: str) -> None:
    artifacts = present_recordings() / "artifacts"
    folder = artifacts / recorded
    async with run_stack(hewston_data_dir=artifacts) as (bff, backend):
        names = ("equity", "orders")
        paths = {f"{name}_path": f"data/{recorded}/{name}.parquet" for name in names}
        backend.is_now(artifacts=paths)
        for part in PARTS:
            backend.does[part] = NOT_FOUND
        page = await ask(bff, equity_points=100)
        assert page["metadata"]["failed_sources"] == []
        assert "metrics:computed" in page["metadata"]["data_sources"]
        told = msgspec.json.decode((folder / "metrics.json").read_bytes())
        assert {name: round(page["metrics"][name], 6) for name in told} == {
            name: round(value, 6) for name, value in told.items()
        }


async def test_what_nobody_else_has_comes_from_the_stream() -> None:
    run = generated_run("day")
    async with stack(run) as (bff, _, _):
        page = await ask(bff, run_id="day")
        frames = sources(run)
        values = [frame["equity"]["value"] for frame in frames]
        assert [point["equity"] for point in page["equity"]] == values
        assert [point["timestamp"] for point in page["equity"]] == [
            frame["equity"]["ts"] for frame in frames
        ]
        assert page["orders"] == [order for frame in frames for order in frame["orders"]]
        assert page["metrics"]["total_return"] == pytest.approx(values[-1] / values[0] - 1)
        assert page["metadata"]["data_sources"] == [
            *("run:backend", "metrics:computed", "equity:stream", "orders:stream"),
        ]
        assert not page["metadata"]["partial_data"]
        again = await ask(bff, run_id="day")
        assert again["metadata"]["cache_hit"]
        assert again["metadata"]["backend_calls"] == 0


async def test_nobody_has_the_parts_of_a_run_that_goes_on_and_its_stream_is_not_asked() -> None:
    async with run_stack() as (bff, backend):
        backend.is_now(status="RUNNING")
        for part in PARTS:
            backend.does[part] = NOT_FOUND
        page = await ask(bff)
        assert [page[part] for part in PARTS] == [None] * 3
        assert page["metadata"]["failed_sources"] == sorted(PARTS)
        assert backend.calls("ws") == 0
        assert (await ask(bff))["metadata"]["cache_hit"], "until it may be otherwise"


# -- kept


@pytest.mark.parametrize(
    ("status", "is_kept"),
    [
        *((status, True) for status in ("DONE", "ERROR", "COMPLETED", "FAILED", "CANCELLED")),
        *(("RUNNING", True), ("QUEUED", False), ("PAUSED", False), (None, False)),
    ],
)
async def test_what_is_kept_depends_on_the_status(status: str | None, is_kept: bool) -> None:  # noqa: FBT001 - a case
    async with run_stack() as (bff, backend):
        backend.is_now(status=status)
        first, second = await ask(bff), await ask(bff)
        assert second["metadata"]["cache_hit"] is is_kept
        assert {**second, "metadata": None} == {**first, "metadata": None}
        assert backend.calls("equity") == (1 if is_kept else 2)
        assert second["metadata"]["backend_calls"] == (0 if is_kept else 4)


async def test_a_run_that_ends_loses_what_was_kept_of_it() -> None:
    async with run_stack() as (bff, backend):
        backend.is_now(status="RUNNING")
        await ask(bff)
        assert (await ask(bff))["metadata"]["cache_hit"]
        assert await cache_bytes(bff) > 0
        backend.is_now(status="DONE")
        assert (await ask(bff, "status"))["status"] == "DONE"
        assert await cache_bytes(bff) == 0
        page = await ask(bff)
        assert not page["metadata"]["cache_hit"]
        assert page["run"]["status"] == "DONE"


async def test_who_watched_a_run_to_its_end_is_not_told_that_it_runs() -> None:
    growing = Lifecycle(history=50, growth_fps=200.0)
    run = generated_run("day", frame_count=150, lifecycle=growing)
    async with stack(run) as (bff, _, _), bff.viewer() as viewer:
        assert (await ask(bff, run_id="day"))["run"]["status"] == "RUNNING"
        await viewer.subscribe("day", mode="all", speed=0, **{"from": "live"}, updates=["run"])
        await viewer.until(is_a("run", status="DONE"))
        page = await ask(bff, run_id="day")
        assert page["run"]["status"] == "DONE"
        assert len(page["equity"]) == 150


async def test_other_wishes_and_other_credentials_are_other_answers() -> None:
    async with run_stack() as (bff, backend):
        for token in (None, "one", "two", "one"):
            await ask(bff, token=token)
        sent = [token for part, token in backend.asked if part == "equity"]
        assert sent == [None, "one", "two"]
        assert not (await ask(bff, include_orders="no"))["metadata"]["cache_hit"]


async def test_who_is_no_longer_allowed_gets_nothing_that_was_kept() -> None:
    async with run_stack(bff_hub_access_fresh_seconds=0.0001) as (bff, backend):
        await ask(bff, token="mine")
        assert (await ask(bff, token="mine"))["metadata"]["cache_hit"]
        backend.does["run"] = says({}, status=403)
        assert (await ask(bff, "complete", 403, token="mine"))["error"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("how", [hangs, says(b"", status=500)], ids=["hangs", "500"])
async def test_a_finished_run_outlives_a_backend_that_is_down_or_deaf(how: Behaviour) -> None:
    settings = {"bff_hub_access_fresh_seconds": 0.0001, "bff_hub_admission_seconds": 0.1}
    async with run_stack(**settings) as (bff, backend):
        await ask(bff)
        backend.does["run"] = how
        page = await ask(bff)
        assert page["metadata"]["stale"]
        assert page["orders"] == ORDERS


async def test_a_whole_page_is_not_given_up_for_one_with_parts_missing() -> None:
    async with run_stack(bff_redis_ttl_run=0.0001) as (bff, backend):
        backend.is_now(status="RUNNING")
        await ask(bff)
        backend.does["orders"] = says(b"", status=500)
        for _ in range(3):
            page = await ask(bff)
            assert page["metadata"]["stale"]
            assert page["orders"] == ORDERS
        backend.does["orders"] = says([])

        async def are_gone() -> bool:
            return not (await ask(bff))["orders"]

        await eventually(are_gone)


async def test_a_hundred_who_ask_at_once_make_one_call_of_each_kind() -> None:
    async with run_stack() as (bff, backend), asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(bff)) for _ in range(100)]
        pages = [await task for task in asking]
        assert {msgspec.json.encode(page["orders"]) for page in pages} == {
            msgspec.json.encode(ORDERS)
        }
        assert [backend.calls(part) for part in ("run", *PARTS)] == [1] * 4


async def test_compressed_for_those_who_take_it() -> None:
    async with run_stack() as (bff, _), aiohttp.ClientSession(auto_decompress=False) as session:
        url = f"{bff.url}/api/v1/runs/{RUN}/complete"
        for offer, encoding in (("gzip", "gzip"), ("identity", None)):
            response = await session.get(url, headers={"Accept-Encoding": offer})
            assert response.headers.get("Content-Encoding") == encoding
            assert response.headers["Vary"] == "Accept-Encoding"
            assert response.headers["Cache-Control"] == "private, no-cache"


# -- what is not there, or not well


@pytest.mark.parametrize("what", ["complete", "status"])
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"error": {"code": "RUN_NOT_FOUND"}}, (404, "RUN_NOT_FOUND")),
        (401, {}, (401, "UNAUTHORIZED")),
        (403, {}, (403, "FORBIDDEN")),
        (429, {}, (429, "RATE_LIMITED")),
        (500, b"Internal Server Error", (502, "BACKEND_UNAVAILABLE")),
        (307, b"", (502, "BACKEND_UNAVAILABLE")),
        (200, b"[]", (502, "BACKEND_UNAVAILABLE")),
        (200, b'{"run_id":', (502, "BACKEND_UNAVAILABLE")),
        (200, b'{"run_id":"\xff"}', (502, "BACKEND_UNAVAILABLE")),
    ],
)
async def test_without_the_runs_facts_there_is_no_answer(
    what: str, status: int, body: object, expected: tuple[int, str]
) -> None:
    async with run_stack() as (bff, backend):
        backend.does["run"] = says(body, status=status)
        error = (await ask(bff, what, expected[0]))["error"]
        assert error["code"] == expected[1]
        assert [part for part, _ in backend.asked] == ["run"]


async def test_a_backend_that_is_not_there_or_hangs() -> None:
    async with serving("http://127.0.0.1:9") as bff:
        assert (await ask(bff, "complete", 502))["error"]["code"] == "BACKEND_UNAVAILABLE"
    async with run_stack(bff_backend_timeout=0.1) as (bff, backend):
        backend.does["run"] = hangs
        assert (await ask(bff, "complete", 504))["error"]["code"] == "BACKEND_TIMEOUT"


async def test_switched_off_it_says_so_before_all_else() -> None:
    async with run_stack(bff_feature_run_aggregation=False) as (bff, backend):
        for what in ("complete", "status"):
            error = (await ask(bff, what, 503, run_id="%20"))["error"]
            assert error["code"] == "FEATURE_DISABLED"
        assert not backend.asked


BAD = {
    **dict.fromkeys(
        ("include_orders", "include_equity", "include_metrics"),
        ("", "maybe", "2", "true\r\n", "A" * 10_000),
    ),
    "equity_points": (
        *("", "99", "50001", "-100", "1e3", "1_000", "100.0", "\u0665\u0660\u0660", "null"),
        "1" * 10_000,
    ),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=lambda value: value[:24].encode("unicode_escape").decode(),
)
async def test_a_bad_value_is_refused_by_name_and_the_backend_hears_nothing(
    name: str, value: str
) -> None:
    async with run_stack() as (bff, backend):
        error = (await ask(bff, "complete", 422, **{name: value}))["error"]
        assert list(error["details"]) == [name]
        assert not backend.asked


@pytest.mark.parametrize("what", ["complete", "status"])
@pytest.mark.parametrize("run_id", ["%20", "a%2Fb", "%00", "A" * 129, "%C3%A9", "a%0D%0Ab"])
async def test_what_can_be_no_run_is_refused_and_the_backend_hears_nothing(
    what: str, run_id: str
) -> None:
    async with run_stack() as (bff, backend):
        url = URL(f"{bff.url}/api/v1/runs/{run_id}/{what}", encoded=True)
        async with bff.session.get(url) as response:
            error = (await response.json())["error"]
            assert (response.status, list(error["details"])) == (422, ["run_id"])
        assert not backend.asked


async def test_a_parameter_given_twice_is_refused() -> None:
    async with run_stack() as (bff, backend):
        url = f"{bff.url}/api/v1/runs/{RUN}/complete?equity_points=100&equity_points=200"
        async with bff.session.get(url) as response:
            assert response.status == 422
            assert list((await response.json())["error"]["details"]) == ["equity_points"]
        assert not backend.asked


async def test_it_counts_among_the_aggregated_routes() -> None:
    async with run_stack(bff_rate_aggregated_per_minute=1) as (bff, _):
        await ask(bff)
        assert (await ask(bff, "status", 429))["error"]["code"] == "RATE_LIMITED"


async def test_equity_is_thinned_unless_all_of_it_is_asked_for() -> None:
    async with run_stack() as (bff, backend):
        points = [
            {"timestamp": 1_704_205_800 + 60 * n, "equity": 1_000.0 + n % 7} for n in range(5_000)
        ]
        backend.does["equity"] = says(points)
        page = await ask(bff)
        assert page["metadata"]["equity_points"] == len(page["equity"]) <= 2_000
        every = await ask(bff, equity_points="all")
        assert [point["equity"] for point in every["equity"]] == [each["equity"] for each in points]
        assert every["equity"][0]["timestamp"] == "2024-01-02T14:30:00Z"


async def test_a_point_without_a_number_keeps_its_place_and_one_without_a_time_is_told() -> None:
    async with run_stack() as (bff, backend):
        backend.does["metrics"] = says(
            b'{"total_return":0.01,"sharpe":NaN,"profit_factor":Infinity,"hit_rate":1.0}'
        )
        backend.does["equity"] = says(
            b'[{"ts":"2024-01-02T14:30:00","value":100},{"ts":"2024-01-02T14:31:00","value":NaN},'
            b'{"ts":"2024-01-02T14:32:00","value":98},{"ts":"2024-01-02T14:33:00","value":99}]'
        )
        page = await ask(bff)
        assert [point["equity"] for point in page["equity"]] == [100.0, None, 98.0, 99.0]
        assert page["metadata"]["failed_sources"] == []
        figures = page["metrics"]
        assert (figures["total_return"], figures["profit_factor"]) == (0.01, None)
        assert (figures["hit_rate"], figures["max_drawdown"]) == (1.0, pytest.approx(0.02))
        assert figures["sharpe"] is not None
        assert "metrics:computed" in page["metadata"]["data_sources"]
        backend.does["equity"] = says(
            [{"ts": "2024-01-02T14:30:00Z", "value": 1}, {"ts": "soon", "value": 2}]
        )
        page = await ask(bff, equity_points=200)
        assert [point["equity"] for point in page["equity"]] == [1.0]
        assert page["metadata"]["failed_sources"] == ["equity"]
        assert page["metadata"]["partial_data"]


@pytest.mark.parametrize("kind", ["day", "gaps"])
async def test_the_stream_and_the_whole_run_tell_the_same_figures(kind: str) -> None:
    run = generated_run("r", frame_count=1_500, null_ohlc=0.5 if kind == "gaps" else 0.0)
    async with stack(run) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("r", speed=1_000, updates=["frames", "metrics"])
        await viewer.until_end()
        streamed = viewer.of("metrics")[-1]["metrics"]
        whole = (await ask(bff, run_id="r"))["metrics"]
        assert streamed.pop("orders") == len((await ask(bff, run_id="r"))["orders"])
        assert streamed == {
            name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for name, value in whole.items()
        }
