"""The OpenAPI document: it is one, it has every address, and answers are as it says."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from hewston_bff.app import create_app
from hewston_bff.settings import Settings
from hewston_bff.tools.simulator import generated_run
from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.contract.schemas import Schemas
from hewston_bff.web.health import TickLag
from hewston_bff.web.keys import CLIENTS
from hewston_bff.web.routes import ENDPOINTS
from tests.recordings import needs_recordings
from tests.support import Bff, Message, free_port, serving, stack
from tests.web.documented import Documented, validator
from tests.web.replaying import Recording, load, rest_recordings

DOCUMENTED = Documented(openapi(ENDPOINTS))
_CHART = "/api/v1/chart-data"
_RUNS = "/api/v1/runs/{run_id}"
_MINUTES = "symbol=AAPL&from=2024-01-02&to=2024-01-03"
_NEW_RUN = {
    "dataset_id": "AAPL-2024-1m",
    "strategy_id": "sma_crossover",
    "params": {"fast": 20, "slow": 50},
    "seed": 42,
    "speed": 60,
    "from": "2024-01-02",
    "to": "2024-01-02",
}


def test_the_document_is_one() -> None:
    OpenAPIV31SpecValidator(openapi(ENDPOINTS)).validate()


async def test_it_is_served_as_json_and_known_by_its_tag() -> None:
    async with stack() as (bff, _, _):
        url = bff.url + "/api/v1/openapi.json"
        async with bff.session.get(url) as response:
            assert response.content_type == "application/json"
            assert await response.json() == openapi(ENDPOINTS)
            etag = response.headers["ETag"]
        async with bff.session.get(url, headers={"If-None-Match": etag}) as response:
            assert response.status == 304


def test_every_address_is_in_it_and_it_has_no_other() -> None:
    app = create_app(Settings())
    served = {
        # A slash too many is passed on, for the backend to say so.
        (route.method.lower(), route.resource.canonical.rstrip("/") or "/")
        for route in app.router.routes()
        if route.resource is not None and route.method not in {"HEAD", "OPTIONS"}
    }
    assert served == DOCUMENTED.operations()


def test_what_two_models_are_called_is_noticed() -> None:
    schemas = Schemas()
    schemas.ref(TickLag)
    with pytest.raises(ValueError, match="two models are called TickLag"):
        schemas.ref(msgspec.defstruct("TickLag", [("p50", str)]))


@pytest.mark.parametrize(
    "body",
    [
        {"status": "alive", "since": 1},
        {"status": "dead"},
        {},
    ],
)
def test_a_body_that_is_not_as_documented_is_noticed(body: Message) -> None:
    live = DOCUMENTED.body("get", "/api/v1/health/live", 200)
    assert live.is_valid({"status": "alive"})
    assert not live.is_valid(body)


def test_parameters_are_those_that_are_checked() -> None:
    chart = DOCUMENTED.parameters("get", _CHART, place="query")
    assert {one["name"]: one["required"] for one in chart} == {
        **dict.fromkeys(("symbol", "timeframe", "from", "to"), True),
        **dict.fromkeys(("target_points", "rth_only", "layout"), False),
    }
    schemas = {one["name"]: one["schema"] for one in chart}
    bounds = {"minimum": 100, "maximum": 50_000, "default": 10_000}
    assert schemas["target_points"].items() >= bounds.items()
    complete = DOCUMENTED.parameters("get", f"{_RUNS}/complete", place="query")
    parts = {"include_orders", "include_equity", "include_metrics"}
    assert {one["name"] for one in complete if not one["required"]} == {*parts, "equity_points"}
    events = DOCUMENTED.parameters("get", "/api/v1/runs/{run_id}/events", place="query")
    names = {"speed", "max_fps", "mode", "paused", "from", "updates"}
    assert {one["name"] for one in events if not one["required"]} == names


@pytest.fixture
async def bff() -> AsyncIterator[Bff]:
    async with stack(generated_run("day")) as (bff, _, _):
        yield bff


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/v1/health", "", 200),
        ("/api/v1/health/ready", "", 200),
        ("/api/v1/health/live", "", 200),
        ("/api/v1/features", "", 200),
        ("/api/v1/websocket/stats", "", 200),
        ("/api/v1/websocket/health", "", 200),
        ("/api/v1/openapi.json", "", 200),
        ("/metrics", "", 200),
        ("/", "", 200),
        ("/console/{path}", "", 404),
        ("/client/{name}", "", 404),
        (_CHART, f"timeframe=1M&{_MINUTES}", 200),
        (_CHART, f"timeframe=1M&layout=columns&{_MINUTES}", 200),
        (_CHART, f"timeframe=1D&{_MINUTES}".replace("AAPL", "NONE"), 404),
        (_CHART, "", 422),
        (f"{_RUNS}/complete", "equity_points=100", 200),
        (f"{_RUNS}/complete", "equity_points=1", 422),
        (f"{_RUNS}/status", "", 200),
        (f"{_RUNS}/frames", "to=3", 200),
        (f"{_RUNS}/frames", "from=2024-13-01T00:00:00Z", 422),
        (f"{_RUNS}/frames", "from=999999", 404),
        ("/api/v1/stream", "", 422),
        ("/api/v1/runs/{run_id}/stream", "", 422),
        ("/api/v1/runs/{run_id}/events", "mode=all&speed=0", 200),
        ("/api/v1/runs/{run_id}/events", "speed=none", 422),
        ("/backtests/{run_id}/ws", "", 422),
        ("/backtests/{run_id}/stream", "mode=all&speed=0", 200),
        *(
            (prefix + path, query, status)
            for prefix in ("", "/api/v1")
            for path, query, status in (
                ("/backtests", "", 200),
                ("/backtests", "limit=x", 422),
                ("/backtests", "symbol=..", 422),
                ("/backtests/{run_id}", "", 200),
                ("/bars/daily", "symbol=AAPL", 200),
                ("/bars/daily", "symbol=NONE", 404),
                ("/bars/hour", _MINUTES, 200),
                ("/bars/minute", _MINUTES, 200),
                ("/bars/minute", "", 422),
                ("/bars/minute_decimated", _MINUTES, 200),
            )
        ),
    ],
)
async def test_an_answer_is_as_documented(bff: Bff, path: str, query: str, status: int) -> None:
    url = f"{bff.url}{path.format(run_id='day', path='none', name='none')}?{query}"
    async with bff.session.get(url) as response:
        assert response.status == status
        await DOCUMENTED.check(response, path)


async def test_a_run_is_made_as_documented(bff: Bff) -> None:
    body = DOCUMENTED.document["paths"]["/backtests"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/NewRun"}
    validator(DOCUMENTED.document, "/components/schemas/NewRun").validate(_NEW_RUN)
    for path, status in (("/backtests", 202), ("/api/v1/backtests", 200)):
        async with bff.session.post(bff.url + path, json=_NEW_RUN) as response:
            assert response.status == status
            await DOCUMENTED.check(response, path, method="post")
    async with bff.session.post(bff.url + "/backtests", data=b"{") as response:
        assert response.status == 400
        await DOCUMENTED.check(response, "/backtests", method="post")


async def test_errors_on_the_way_are_as_documented(bff: Bff) -> None:
    path = "/api/v1/runs/{run_id}/events"
    for run_id, headers, status in (
        ("unknown", {}, 404),
        ("day", {"Origin": "https://elsewhere.example"}, 403),
        ("day", {"Last-Event-ID": "x"}, 422),
    ):
        url = bff.url + path.format(run_id=run_id)
        async with bff.session.get(url, headers=headers) as response:
            assert response.status == status
            await DOCUMENTED.check(response, path)


async def _check(bff: Bff, path: str, status: int, *, query: str = "", **options: Any) -> None:
    method = options.pop("method", "get")
    url = f"{bff.url}{path.format(run_id='day')}?{query}"
    async with bff.session.request(method, url, **options) as response:
        assert response.status == status
        await DOCUMENTED.check(response, path, method=method)


async def test_what_is_switched_off_or_too_much_is_as_documented() -> None:
    off: dict[str, Any] = dict.fromkeys(
        (
            f"bff_feature_{name}"
            for name in ("chart_aggregation", "run_aggregation", "websocket_proxy")
        ),
        False,
    )
    limits: dict[str, Any] = {"bff_rate_proxied_per_minute": 2, "bff_request_bytes": 1_024}
    async with stack(**off, **limits) as (bff, _, _):
        streams = ("/api/v1/stream", f"{_RUNS}/stream", f"{_RUNS}/events")
        for path in (_CHART, f"{_RUNS}/complete", f"{_RUNS}/status", *streams):
            await _check(bff, path, 503)
        await _check(bff, "/backtests", 200)
        await _check(bff, "/backtests", 413, method="post", data=b" " * 1_025)
        await _check(bff, "/api/v1/backtests", 429)
        await _check(bff, "/api/v1/health/ready", 200)
        bff.app[CLIENTS].drain()
        await _check(bff, "/api/v1/health/ready", 503)
        await _check(bff, "/backtests/{run_id}/stream", 503)


async def test_answers_without_a_backend_are_as_documented() -> None:
    backend_url = f"http://127.0.0.1:{free_port()}"
    breaker = {"bff_backend_breaker_failures": 2, "bff_backend_breaker_seconds": 60}
    async with serving(backend_url, **breaker) as bff:
        await _check(bff, "/api/v1/bars/minute", 502, query=_MINUTES)
        await _check(bff, _CHART, 502, query=f"timeframe=1M&{_MINUTES}")
        # By now nobody asks it any more.
        await _check(bff, "/api/v1/bars/minute", 503, query=_MINUTES)
        await _check(bff, _CHART, 503, query=f"timeframe=1H&{_MINUTES}")
        await _check(bff, f"{_RUNS}/complete", 503)
        await _check(bff, "/api/v1/health", 200)


async def test_a_chart_that_is_known_is_as_documented(bff: Bff) -> None:
    query = f"timeframe=1M&{_MINUTES}"
    async with bff.session.get(f"{bff.url}{_CHART}?{query}") as response:
        known = {"If-None-Match": response.headers["ETag"]}
    await _check(bff, _CHART, 304, query=query, headers=known)


_PASSED_ON = ("list_", "detail", "daily_", "hour_", "minute_", "decim_", "post_")
_NOT_PASSED_ON = {"list_put", "list_delete"}


def _recorded() -> dict[str, Recording]:
    """The recorded answers in JSON to what is passed on."""
    files = rest_recordings().items()
    named = {
        name: load(path)
        for name, path in files
        if name.startswith(_PASSED_ON) and name not in _NOT_PASSED_ON
    }
    return {name: one for name, one in named.items() if isinstance(one["body"], dict)}


RECORDED = _recorded()


@needs_recordings
@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_answer_of_the_backend_is_as_documented(name: str) -> None:
    request = RECORDED[name]["request"]
    path = request["path"].partition("?")[0]
    path = "/backtests/{run_id}" if path.startswith("/backtests/") else path
    body = DOCUMENTED.body(request["method"].lower(), path, RECORDED[name]["status"])
    body.validate(RECORDED[name]["body"])
