"""API keys: where they are asked for, how they are sent, and where they never go."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web
from pydantic import ValidationError

from hewston_bff.credentials import Scope
from hewston_bff.settings import Settings
from hewston_bff.tools.simulator import generated_run
from hewston_bff.web.access import caller_of, require
from hewston_bff.web.endpoint import Endpoint, Tag
from hewston_bff.web.keys import API_KEYS
from hewston_bff.web.routes import ENDPOINTS
from tests.api_key_files import BUS, JOBS, ORDERS, STATS, key_file
from tests.support import Bff, serving, stack
from tests.waiting import eventually

DAY = generated_run("day")
FIGURES = ("/metrics", "/api/v1/websocket/stats")
UNKNOWN = "key-9-of-nobody"


def _at(path: str, handler: Any) -> Endpoint:
    return Endpoint(
        name=path, path=path, handler=handler, tag=Tag.OPERATIONS, summary="", answers=()
    )


async def _who(request: web.Request) -> web.Response:
    caller = caller_of(request, bearer_counts="bearer" in request.query)
    told = {"key": caller.key, "is_trusted": caller.is_trusted}
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


async def _guarded(request: web.Request) -> web.Response:
    require(request, Scope(request.query["scope"]))
    return web.Response(status=204)


PROBES = (*ENDPOINTS, _at("/who", _who), _at("/guarded", _guarded))


async def _status(bff: Bff, path: str, **headers: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with bff.session.get(bff.url + path, headers=headers) as response:
        text = await response.text()
        for key in (BUS, STATS, ORDERS, JOBS, UNKNOWN):
            assert key not in text + str(response.headers)
        if response.status == 401:
            assert "X-API-Key" in response.headers["WWW-Authenticate"]
            assert (await response.json())["error"]["code"] == "UNAUTHORIZED"
        else:
            assert "WWW-Authenticate" not in response.headers
        return response.status


@pytest.mark.parametrize("path", FIGURES)
async def test_figures_need_a_key_with_their_scope_once_there_is_a_file(
    tmp_path: Path, path: str
) -> None:
    async with stack(DAY, bff_api_keys_file=key_file(tmp_path)) as (bff, *_):
        assert await _status(bff, path) == 401
        assert await _status(bff, path, Origin=f"http://127.0.0.1:{bff.port}") == 401
        assert await _status(bff, path, X_API_Key=UNKNOWN) == 401
        assert await _status(bff, path, X_API_Key="") == 401
        for key in (BUS, ORDERS, JOBS):
            assert await _status(bff, path, X_API_Key=key) == 403
        # There `Authorization` is the viewer's, whoever reads it.
        assert await _status(bff, path, Authorization=f"Bearer {STATS}") == 401
        assert await _status(bff, path, X_API_Key=STATS) == 200
        assert await _status(bff, "/api/v1/websocket/health") == 200
    async with stack(DAY) as (bff, *_):
        assert await _status(bff, path) == 200
        assert await _status(bff, path, Origin="http://evil.example") == 200


@pytest.mark.parametrize(
    ("scope", "key"), [("bus", BUS), ("jobs", JOBS), ("orders", ORDERS), ("stats", STATS)]
)
async def test_each_scope_is_asked_for_and_bearer_counts_for_topics_alone(
    tmp_path: Path, scope: str, key: str
) -> None:
    path = f"/guarded?scope={scope}"
    async with serving(
        "http://127.0.0.1:1", endpoints=PROBES, bff_api_keys_file=key_file(tmp_path)
    ) as bff:
        assert await _status(bff, path) == 401
        assert await _status(bff, path, X_API_Key=UNKNOWN) == 401
        assert await _status(bff, path, X_API_Key=STATS if scope == "jobs" else JOBS) == 403
        assert await _status(bff, path, X_API_Key=key) == 204
        assert await _status(bff, path, Sec_WebSocket_Protocol=f"a, apikey.{key}") == 204
        counts = scope in {"bus", "jobs"}
        for bearer in ("Bearer", "bearer"):
            status = await _status(bff, path, Authorization=f"{bearer} {key}")
            assert status == (204 if counts else 401)
        assert await _status(bff, path, Authorization=f"Basic {key}") == 401


async def test_without_a_file_this_machine_and_allowed_origins_may() -> None:
    path = "/guarded?scope=bus"
    async with serving("http://127.0.0.1:1", endpoints=PROBES) as bff:
        assert await _status(bff, path) == 204
        assert await _status(bff, path, Origin="http://localhost:5173") == 204
        assert await _status(bff, path, Origin=f"http://127.0.0.1:{bff.port}") == 204
        assert await _status(bff, path, Sec_Fetch_Site="same-origin") == 204
        assert await _status(bff, path, Sec_Fetch_Site="none") == 204
        assert await _status(bff, path, X_API_Key=UNKNOWN) == 204
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            # A name that was made to lead here, whose page reads its own site.
            {"Host": "evil.example"},
            {"Host": "evil.example", "Sec_Fetch_Site": "same-origin"},
            # A proxy of this machine that nobody named: its clients may be anybody.
            {"X_Forwarded_For": "203.0.113.7"},
            {"X_Forwarded_For": "127.0.0.1"},
            {"Forwarded": "for=203.0.113.7"},
            {"Via": "1.1 proxy"},
        ):
            assert await _status(bff, path, **headers) == 403, headers
            assert await _status(bff, path, X_API_Key=BUS, **headers) == 403, headers


async def test_behind_a_trusted_proxy_it_is_the_client_that_counts() -> None:
    path = "/guarded?scope=bus"
    async with serving(
        "http://127.0.0.1:1", endpoints=PROBES, bff_trusted_proxies="127.0.0.0/8"
    ) as bff:
        host = {"X_Forwarded_Host": "desk.example", "X_Forwarded_Proto": "https"}
        assert await _status(bff, path, X_Forwarded_For="203.0.113.7", **host) == 403
        assert await _status(bff, path, X_Forwarded_For="::1", **host) == 204
        assert await _status(bff, path, **host) == 403, "the proxy does not say for whom"
        page = host | {"Origin": "https://desk.example"}
        assert await _status(bff, path, X_Forwarded_For="203.0.113.7", **page) == 204
        assert await _status(bff, path, X_Forwarded_For="203.0.113.7, 127.0.0.1", **host) == 403


async def test_a_key_is_read_where_it_may_be_sent() -> None:
    async with serving("http://127.0.0.1:1", endpoints=PROBES) as bff:

        async def key(path: str = "/who", **headers: str) -> str | None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            found: str | None = (await bff.get(path, headers=named))["key"]
            return found

        assert await key() is None
        assert await key(X_API_Key="a", Sec_WebSocket_Protocol="apikey.b") == "a"
        assert await key(Sec_WebSocket_Protocol="hewston.bff.v1,apikey.b , bearer.c") == "b"
        assert await key(Sec_WebSocket_Protocol="bearer.c") is None
        assert await key(Authorization="Bearer d") is None
        assert await key("/who?bearer", Authorization="Bearer d") == "d"
        assert await key("/who?bearer", Authorization="Bearer d", X_API_Key="a") == "a"
        assert await key("/who?bearer", Authorization="Bearer") is None
        assert await key("/who?key=e") is None, "a key in an address would be logged by proxies"


async def test_an_api_key_never_reaches_the_backend_and_is_no_viewers_token(
    tmp_path: Path,
) -> None:
    heard: list[str] = []

    async def backend(request: web.Request) -> web.Response:
        heard.append(f"{request.raw_path} {request.headers}")
        return web.json_response({"run_id": "day", "status": "DONE"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    headers = {"X-API-Key": BUS, "Authorization": "Bearer of-the-viewer"}
    try:
        async with serving(url, bff_api_keys_file=key_file(tmp_path)) as bff:
            for path in ("/backtests", "/api/v1/backtests/day", "/api/v1/runs/day/complete"):
                async with bff.session.get(bff.url + path, headers=headers) as response:
                    await response.read()
            async with bff.session.post(bff.url + "/backtests", headers=headers, json={}) as made:
                await made.read()
            offered = ("hewston.bff.v1", f"apikey.{BUS}", "bearer.of-the-viewer")
            for path in ("/api/v1/stream", "/api/v1/runs/day/stream", "/backtests/day/ws"):
                ws = await bff.session.ws_connect(bff.url + path, protocols=offered)
                assert ws.protocol == "hewston.bff.v1"
                if path == "/api/v1/stream":
                    await ws.send_json({"t": "subscribe", "id": 1, "run_id": "day"})
                    await ws.receive()
                await ws.close()
    finally:
        await runner.cleanup()
    assert len(heard) >= 5
    assert any("of-the-viewer" in one for one in heard)
    assert BUS not in "\n".join(heard)


async def test_a_key_alone_is_no_credential_of_a_viewer() -> None:
    async with stack(DAY) as (bff, *_):
        async with bff.session.ws_connect(
            bff.url + "/api/v1/stream", protocols=(f"apikey.{BUS}",)
        ) as ws:
            assert ws.protocol is None
            assert BUS not in str(bff.hub.stats())


async def test_a_key_that_is_withdrawn_while_it_runs_is_refused_from_then_on(
    tmp_path: Path,
) -> None:
    file = key_file(tmp_path)
    async with stack(DAY, bff_api_keys_file=file) as (bff, *_):
        heard: list[None] = []
        bff.app[API_KEYS].on_change(lambda: heard.append(None))
        assert await _status(bff, "/metrics", X_API_Key=STATS) == 200
        with structlog.testing.capture_logs() as logs:
            key_file(tmp_path, {BUS: "bus"})

            async def is_refused() -> bool:
                return await _status(bff, "/metrics", X_API_Key=STATS) == 401

            await eventually(is_refused)
        assert heard == [None]
        assert [log["withdrawn"] for log in logs if log["event"] == "api_keys.changed"] != []
        assert STATS not in str(logs)


@pytest.mark.parametrize("text", ["# a\nno key at all\n", None])
def test_a_file_that_makes_no_sense_is_refused_at_the_start(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError, match=r"can't be read" if text is None else "line 2"):
        Settings(bff_api_keys_file=file)


def test_an_empty_name_of_the_file_does_not_mean_none() -> None:
    with pytest.raises(ValidationError, match="unset it"):
        Settings(bff_api_keys_file="")


async def test_a_page_of_an_allowed_origin_may_send_a_key(tmp_path: Path) -> None:
    asking = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    async with stack(DAY, bff_api_keys_file=key_file(tmp_path)) as (bff, *_):
        url = f"{bff.url}/api/v1/websocket/stats"
        async with bff.session.options(url, headers=asking) as response:
            assert response.status == 200
            allowed = response.headers["Access-Control-Allow-Headers"]
            assert "x-api-key" in allowed.lower()


async def test_a_key_that_is_no_text_is_unknown(tmp_path: Path) -> None:
    async with stack(DAY, bff_api_keys_file=key_file(tmp_path)) as (bff, *_):
        reader, writer = await asyncio.open_connection("127.0.0.1", bff.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: \xff\xfe\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
