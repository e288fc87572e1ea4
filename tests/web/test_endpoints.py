"""Every endpoint is declared once, and all that lists endpoints has exactly those."""

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from hewston_bff.app import create_app
from hewston_bff.errors import FeatureDisabled, RateLimited
from hewston_bff.feature_flags import Feature
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.protocol.dialects import Carrier
from hewston_bff.settings import Settings
from hewston_bff.web import health
from hewston_bff.web.endpoint import Endpoint, Tag
from hewston_bff.web.proxy import PREFIX
from hewston_bff.web.routes import ENDPOINTS
from tests.sources import PACKAGE, ROOT, module_name, python_sources
from tests.support import stack

_CODE = re.compile(r"`(WS|GET|POST|DELETE) (/[^?`]*)")

HANDLER_MODULES = [
    import_module(module_name(path))
    for path in python_sources(PACKAGE)
    if path.startswith(f"{PACKAGE}/web/")
]


def undeclared(app: web.Application, endpoints: Iterable[Endpoint]) -> set[tuple[str, str]]:
    """Routes (method, path) of the application that no endpoint declares."""
    return _routed(app) - _declared(endpoints)


def unserved(app: web.Application, endpoints: Iterable[Endpoint]) -> set[tuple[str, str]]:
    """Declared (method, path) that the application has no route for."""
    return _declared(endpoints) - _routed(app)


def _routed(app: web.Application) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in {"HEAD", "OPTIONS"}
    }


def _declared(endpoints: Iterable[Endpoint]) -> set[tuple[str, str]]:
    return {
        (method, replace(one, path=path).documented_path)
        for one in endpoints
        for path in one.paths
        for method in one.methods
        if method != "HEAD"
    }


def unlisted(modules: Sequence[ModuleType], endpoints: Iterable[Endpoint]) -> list[str]:
    """Endpoints that a module declares and nobody serves, and handlers that it does not declare."""
    names = {one.name for one in endpoints}
    handlers = {one.handler for one in endpoints}
    found = []
    for module in modules:
        own = getattr(module, "ENDPOINTS", ())
        found += [f"{module.__name__}: {one.name}" for one in own if one.name not in names]
        found += [
            f"{module.__name__}.{name}"
            for name, value in vars(module).items()
            if _is_handler(value) and value.__module__ == module.__name__ and value not in handlers
        ]
    return found


def _is_handler(value: object) -> bool:
    if not inspect.iscoroutinefunction(value) or value.__name__.startswith("_"):
        return False
    signature = inspect.signature(value)
    takes = [parameter.annotation for parameter in signature.parameters.values()]
    answers = inspect.isclass(signature.return_annotation) and issubclass(
        signature.return_annotation, web.StreamResponse
    )
    return takes == [web.Request] and answers


def test_every_route_is_declared_and_every_declaration_served() -> None:
    app = create_app(Settings())
    assert undeclared(app, ENDPOINTS) == set()
    assert unserved(app, ENDPOINTS) == set()
    assert unlisted(HANDLER_MODULES, ENDPOINTS) == []


def test_a_planted_route_and_a_planted_declaration_are_found() -> None:
    app = create_app(Settings())
    planted = replace(ENDPOINTS[0], name="planted", path="/planted")
    assert unserved(app, (*ENDPOINTS, planted)) == {("GET", "/planted")}
    app.router.add_get("/undeclared", health.live)
    assert undeclared(app, ENDPOINTS) == {("GET", "/undeclared")}


def test_a_planted_handler_and_a_module_left_out_are_found() -> None:
    async def forgotten(request: web.Request) -> web.Response:
        raise NotImplementedError

    module = ModuleType("planted")
    forgotten.__module__ = "planted"
    vars(module).update(forgotten=forgotten, ENDPOINTS=(replace(ENDPOINTS[0], name="left_out"),))
    assert unlisted([module], ENDPOINTS) == ["planted: left_out", "planted.forgotten"]


def test_an_endpoint_without_a_handler_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="handler"):
        Endpoint(name="a", path="/a", tag=Tag.RUNS, summary="", answers=())  # type: ignore[call-arg]  # the fault


def test_names_are_given_once() -> None:
    names = [one.name for one in ENDPOINTS]
    assert len(names) == len(set(names))
    dialects = [one.dialect.name for one in ENDPOINTS if one.dialect is not None]
    assert len(dialects) == len(set(dialects))


async def test_a_declared_endpoint_is_served_limited_switched_and_documented() -> None:
    planted = Endpoint(
        name="get_planted",
        path="/api/v1/planted",
        handler=health.live,
        tag=Tag.OPERATIONS,
        summary="Planted",
        answers=(),
        limit=RouteClass.AGGREGATED,
        feature=Feature.RUN_DATA,
    )
    assert planted.all_errors == (RateLimited, FeatureDisabled)
    settings: dict[str, Any] = {
        "bff_rate_aggregated_per_minute": 2,
        "endpoints": (*ENDPOINTS, planted),
    }
    async with stack(**settings) as (bff, _, _):
        assert await bff.get("/api/v1/planted") == {"status": "alive"}
        document = await bff.get("/api/v1/openapi.json")
        answers = document["paths"]["/api/v1/planted"]["get"]["responses"]
        assert {"429", "503"} <= answers.keys()
        assert "RateLimit-Limit" in answers["429"]["headers"]
        await bff.get("/api/v1/planted")
        async with bff.session.get(bff.url + "/api/v1/planted") as response:
            assert response.status == 429
    off: dict[str, Any] = {"bff_feature_run_aggregation": False, "endpoints": (*ENDPOINTS, planted)}
    async with stack(**off) as (bff, _, _):
        assert (await bff.get("/api/v1/planted"))["error"]["code"] == "FEATURE_DISABLED"


async def test_the_console_has_no_cors_and_may_be_left_out() -> None:
    origin = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "GET"}
    async with stack() as (bff, _, _):
        async with bff.session.options(bff.url + "/", headers=origin) as response:
            assert "Access-Control-Allow-Methods" not in response.headers
        async with bff.session.options(bff.url + "/api/v1/features", headers=origin) as response:
            assert response.headers["Access-Control-Allow-Methods"] == "GET"
    async with stack(bff_console_enabled=False) as (bff, _, _):
        async with bff.session.get(bff.url + "/") as response:
            assert response.status == 404


def listed(text: str, *, heading: str = "## Endpoints") -> set[tuple[str, str]]:
    """All (method, path) in the first column of the table below a heading."""
    table = text[text.index(heading) :].split("\n\n")[1]
    cells = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    return {found for cell in cells for found in _CODE.findall(cell)}


def _in_tables(endpoints: Iterable[Endpoint]) -> set[tuple[str, str]]:
    """The endpoints as tables name them: those of the backend without the prefix."""
    return {
        (
            "WS" if one.dialect and one.dialect.carrier is Carrier.SOCKET else one.methods[0],
            one.documented_path.removeprefix(PREFIX)
            if one.tag is Tag.BACKEND
            else one.documented_path,
        )
        for one in endpoints
    }


def test_the_reference_lists_the_endpoints_that_there_are() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    assert listed(text) == _in_tables(ENDPOINTS)
    assert listed(text.replace("| `GET /metrics`", "| `GET /planted`")) != _in_tables(ENDPOINTS)


def test_the_protocol_lists_the_streams_that_there_are() -> None:
    streams = [one for one in ENDPOINTS if one.dialect and one.dialect.sent]
    text = (ROOT / "docs" / "protocol.md").read_text()
    assert listed(text) == _in_tables(streams)
