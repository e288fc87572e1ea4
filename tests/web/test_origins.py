"""Whose pages may read: those named, and our own, wherever that came from."""

import aiohttp
import pytest
import structlog

from hewston_bff.tools.simulator import generated_run
from tests.support import Bff, Message, stack

DAY = generated_run("day")
PROXY = "127.0.0.0/8"


async def _is_let_in(bff: Bff, origin: str, **headers: str) -> bool:
    """Whether a page of `origin` gets a socket, an event stream and CORS: all three or none."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["Origin"] = origin
    handshake = {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    handshake["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with bff.session.get(f"{bff.url}/api/v1/stream", headers=headers | handshake) as response:
        assert response.status in {101, 403}
        socket = response.status == 101
    async with bff.session.get(f"{bff.url}/api/v1/events", headers=headers) as response:
        assert response.status in {200, 403}
        events = response.status == 200
    async with bff.session.get(f"{bff.url}/api/v1/features", headers=headers) as response:
        cors = response.headers.get("Access-Control-Allow-Origin") == origin
    asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-a"}
    url = f"{bff.url}/api/v1/features"
    async with bff.session.options(url, headers=headers | asking) as response:
        assert response.status in {200, 403}
        preflight = response.headers.get("Access-Control-Allow-Origin") == origin
        if preflight:
            assert "GET" in response.headers["Access-Control-Allow-Methods"]
    assert {socket, events, cors, preflight} in ({True}, {False})
    return socket


async def test_our_own_page_is_let_in_under_whatever_name_it_was_opened() -> None:
    async with stack(DAY, bff_host="0.0.0.0") as (bff, *_):  # noqa: S104 - as in a container
        for host in (f"host.example:{bff.port}", "host.example", "192.0.2.1:8001", "[2001:db8::1]"):
            assert await _is_let_in(bff, f"http://{host}", Host=host), host
            assert await _is_let_in(bff, f"http://{host}", Host=host.upper()), host
        assert await _is_let_in(bff, "http://host.example", Host="host.example:80")
        for origin in (
            "https://host.example",
            "http://host.example:81",
            "http://evil.example",
            "http://host.example.evil.example",
            "null",
        ):
            assert not await _is_let_in(bff, origin, Host="host.example"), origin
        forged = {"X_Forwarded_Host": "evil.example", "Host": "host.example"}
        assert not await _is_let_in(bff, "http://evil.example", **forged)


async def test_a_name_that_leads_here_is_refused_where_only_this_machine_can_call() -> None:
    async with stack(DAY) as (bff, *_):
        evil = f"evil.example:{bff.port}"
        assert not await _is_let_in(bff, f"http://{evil}", Host=evil)
        for host in (f"127.0.0.1:{bff.port}", f"localhost:{bff.port}", f"[::1]:{bff.port}"):
            assert await _is_let_in(bff, f"http://{host}", Host=host)
    async with stack(DAY, bff_public_origins="http://desk.example") as (bff, *_):
        assert await _is_let_in(bff, "http://desk.example", Host="desk.example")


async def test_the_address_before_a_trusted_proxy_is_ours() -> None:
    async with stack(DAY, bff_trusted_proxies=PROXY) as (bff, *_):
        forwarded = {
            "X_Forwarded_For": "203.0.113.7, 127.0.0.5",
            "X_Forwarded_Proto": "https, http",
            "X_Forwarded_Host": "app.example.com, inner:8080",
        }
        assert await _is_let_in(bff, "https://app.example.com", **forwarded)
        for origin in ("http://app.example.com", "https://inner:8080", "http://inner:8080"):
            assert not await _is_let_in(bff, origin, **forwarded), origin


async def test_a_refusal_is_logged_with_the_origin_and_the_settings_names() -> None:
    async with stack(DAY, bff_host="0.0.0.0") as (bff, *_):  # noqa: S104
        with structlog.testing.capture_logs() as logs, pytest.raises(aiohttp.ClientError):
            async with bff.viewer(headers={"Origin": "https://a.example", "Host": "a.example"}):
                pass
    (line,) = [line for line in logs if line["event"] == "origin.refused"]
    assert (line["origin"], line["came_to"]) == ("https://a.example", "http://a.example")
    for name in ("BFF_PUBLIC_ORIGINS", "BFF_TRUSTED_PROXIES", "BFF_CORS_ORIGINS"):
        assert name in line["hint"]


async def test_a_location_has_the_address_and_prefix_of_the_way() -> None:
    async with stack(DAY, bff_trusted_proxies=PROXY) as (bff, *_):
        for forwarded, before in (
            (
                {"Proto": "HTTPS", "Host": "a.example", "Prefix": "/hewston/"},
                "https://a.example/hewston",
            ),
            ({"Proto": "gopher", "Host": "a b", "Prefix": "//evil"}, bff.url),
            ({}, bff.url),
        ):
            headers = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
            url = f"{bff.url}/api/v1/backtests/"
            async with bff.session.get(url, headers=headers, allow_redirects=False) as response:
                assert response.status == 307
                assert response.headers["Location"] == f"{before}/api/v1/backtests"


async def test_the_document_holds_under_any_prefix() -> None:
    async with stack(DAY) as (bff, *_):
        document: Message = await bff.get("/api/v1/openapi.json")
    assert document["servers"] == [{"url": "../.."}]
