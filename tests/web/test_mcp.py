"""What is passed on to the market-connectivity service, on real sockets, while it misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
import structlog
from aiohttp import web

from hewston_bff.web.keys import API_KEYS
from tests.api_key_files import BUS, JOBS, ORDERS, STATS, key_file
from tests.platform_service import (
    Misbehaviour,
    PlatformService,
    answers,
    hangs_up,
    is_silent,
    platform_service,
    raves,
    says,
    stops_in_its_body,
)
from tests.support import Bff, serving
from tests.waiting import eventually

TOKEN = "t0ken/of+the session"
PASSWORD = "opensesame-pw"
ORDER = '{"symbol": "INFY", "side":"BUY","qty": 1.10}'
READS = ("/mcp/holdings", "/mcp/positions")


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Mcp(NamedTuple):
    """The service, and the server in front of it."""

    service: PlatformService
    bff: Bff

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: str | None = None,
        **more: str,
    ) -> Answer:
        """An answer, in which there is no secret."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if key is not None:
            headers["X-API-Key"] = key
        url = self.bff.url + path
        async with self.bff.session.request(method, url, headers=headers, data=body) as response:
            told = await response.text()
            for secret in (TOKEN, "t0ken%2Fof%2Bthe", PASSWORD, BUS, ORDERS):
                assert secret not in told + str(response.headers)
            return Answer(response.status, told)

    async def log_in(self, key: str | None = None) -> None:
        """As the configured account."""
        assert (await self.ask("GET", "/mcp/login", key=key)).status == 200


async def _connects(request: web.Request) -> web.StreamResponse:
    """What the service does as long as it is well; it repeats all that it hears."""
    heard: dict[str, Any] = {"echo": str(request.url), "query": dict(request.query)}
    if request.path == "/login":
        given = await request.json()
        if given["password"] != PASSWORD:
            return web.json_response({"error": f"no: {given['password']}"}, status=401)
        heard |= {"status": "success", "data": {"access_token": TOKEN, "user": given["username"]}}
        heard["given"] = given
    elif request.query.get("token") != TOKEN:
        return web.json_response({"error": "who?"}, status=401)
    elif request.path == "/orders":
        heard = {"order_id": 1, "order": await request.json()}
    return web.json_response(heard, headers={"Set-Cookie": f"s={TOKEN}", "X-Token": TOKEN})


@asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[Mcp]:
    """The service and the server, with orders and an account unless `settings` say otherwise."""
    async with platform_service() as service:
        service.answer = _connects
        defaults: dict[str, Any] = {
            "bff_mcp_url": service.url,
            "bff_mcp_username": "desk",
            "bff_mcp_password": PASSWORD,
            "bff_mcp_orders": True,
        }
        async with serving("http://127.0.0.1:1", **(defaults | settings)) as bff:
            yield Mcp(service, bff)


def _asked(service: PlatformService) -> list[str]:
    """Method and path with query of each request to the service."""
    return [" ".join(one.split(" ")[:2]) for one in service.requests]


async def test_it_is_off_until_it_is_configured() -> None:
    async with connected(bff_mcp_url=None) as mcp:
        for method, path in (
            ("GET", "/mcp/login"),
            ("POST", "/mcp/login"),
            ("POST", "/mcp/orders"),
        ):
            assert (await mcp.ask(method, path, body=ORDER)).code == "FEATURE_DISABLED"
        for path in READS:
            assert (await mcp.ask("GET", path)).code == "FEATURE_DISABLED"
    async with connected(bff_mcp_orders=False) as mcp:
        await mcp.log_in()
        refused = await mcp.ask("POST", "/mcp/orders", body=ORDER)
        assert (refused.status, refused.code) == (503, "FEATURE_DISABLED")
        assert _asked(mcp.service) == ["POST /login"]


async def test_each_address_is_one_of_theirs_and_nothing_else_is_reached() -> None:
    token = "token=t0ken/of%2Bthe+session"
    async with connected() as mcp:
        told = (await mcp.ask("GET", "/mcp/login?user=x")).json
        assert told["data"] == {"user": "desk"}
        assert told["given"] == {"username": "desk"}
        for path in READS:
            assert (await mcp.ask("GET", f"{path}?token=mine&path=/admin")).status == 200
        placed = await mcp.ask("POST", "/mcp/orders?token=mine", body=ORDER)
        assert placed.json == {"order_id": 1, "order": msgspec.json.decode(ORDER)}
        for path in ("/mcp", "/mcp/", "/mcp/admin", "/mcp/holdings/1", "/mcp/%2e%2e/admin"):
            assert (await mcp.ask("GET", path)).status == 404, path
        for method, path in (("GET", "/mcp/orders"), ("DELETE", "/mcp/orders"), ("PUT", READS[0])):
            assert (await mcp.ask(method, path)).status == 405
        assert _asked(mcp.service) == [
            "POST /login",
            f"GET /holdings?{token}",
            f"GET /positions?{token}",
            f"POST /orders?{token}",
        ]
        assert mcp.service.requests[-1].endswith(ORDER), "as it came, to the last zero"
        assert all("'Content-Type': 'application/json'" in mcp.service.requests[i] for i in (0, 3))


async def test_an_answer_without_a_secret_is_passed_on_to_the_last_byte() -> None:
    async with connected() as mcp:
        await mcp.log_in()
        text = '{ "qty": 1.10, "big": 123456789012345678901234567890, "é": "\\u00e9" }'
        mcp.service.answer = answers(text, content_type="application/json")
        assert await mcp.ask("GET", READS[0]) == Answer(200, text)
        mcp.service.answer = says({"error": "no such account"}, status=422)
        passed = await mcp.ask("GET", READS[0])
        assert (passed.status, passed.json) == (422, {"error": "no such account"})


async def test_a_caller_gives_an_account_of_its_own() -> None:
    async with connected(bff_mcp_username=None) as mcp:
        assert (await mcp.ask("GET", "/mcp/login")).code == "VALIDATION"
        assert (await mcp.ask("POST", "/mcp/login")).code == "VALIDATION"
        for wrong in (
            "{",
            "[]",
            '{"username": "u"}',
            f'{{"username": "u", "password": ["{TOKEN}"]}}',
        ):
            assert (await mcp.ask("POST", "/mcp/login", body=wrong)).code == "VALIDATION"
        assert mcp.service.requests == []
        body = f'{{"username": "u", "password": "{PASSWORD}x"}}'
        refused = await mcp.ask("POST", "/mcp/login", body=body)
        assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
        assert (await mcp.ask("GET", READS[0])).code == "UNAUTHORIZED"
        good = f'{{"username": "u", "password": "{PASSWORD}"}}'
        assert (await mcp.ask("POST", "/mcp/login", body=good)).status == 200
        assert (await mcp.ask("GET", READS[0])).status == 200
        assert (await mcp.ask("POST", "/mcp/login", body=" " * 65_537)).code == "PAYLOAD_TOO_LARGE"


async def test_a_session_belongs_to_the_key_that_logged_in(tmp_path: Path) -> None:
    both = "key-4-of-two-scopes"
    keys = {BUS: "bus", both: "bus,orders", ORDERS: "orders", STATS: "stats", JOBS: "jobs"}
    async with connected(bff_api_keys_file=key_file(tmp_path, keys)) as mcp:
        await mcp.log_in(BUS)
        assert (await mcp.ask("GET", READS[0], key=BUS)).status == 200
        assert (await mcp.ask("GET", READS[0], key=both)).code == "UNAUTHORIZED"
        assert (await mcp.ask("POST", "/mcp/orders", key=both, body=ORDER)).code == "UNAUTHORIZED"
        assert (await mcp.ask("POST", "/mcp/orders", key=BUS, body=ORDER)).code == "FORBIDDEN"
        await mcp.log_in(both)
        assert (await mcp.ask("POST", "/mcp/orders", key=both, body=ORDER)).status == 200
        asked = len(mcp.service.requests)
        for path in ("/mcp/login", *READS):
            for other in (ORDERS, STATS, JOBS):
                assert (await mcp.ask("GET", path, key=other)).status == 403
            assert (await mcp.ask("GET", path)).status == 401
            assert (await mcp.ask("GET", path, Authorization=f"Bearer {BUS}")).status == 401
        assert len(mcp.service.requests) == asked
        # Withdrawn and given again, it has to log in again.
        key_file(tmp_path, {both: "bus"})
        mcp.bff.app[API_KEYS].look()
        key_file(tmp_path, keys)
        mcp.bff.app[API_KEYS].look()
        assert (await mcp.ask("GET", READS[0], key=BUS)).code == "UNAUTHORIZED"
        assert (await mcp.ask("GET", READS[0], key=both)).status == 200


async def test_without_keys_a_session_belongs_to_the_callers_address() -> None:
    async with connected(bff_trusted_proxies="127.0.0.0/8") as mcp:
        page = {"Origin": "http://localhost:5173"}
        there = page | {"X_Forwarded_For": "203.0.113.7"}
        assert (await mcp.ask("GET", "/mcp/login", **there)).status == 200
        assert (await mcp.ask("GET", READS[0], **there)).status == 200
        assert (await mcp.ask("GET", READS[0], **page)).code == "UNAUTHORIZED"
        stranger = {"X_Forwarded_For": "203.0.113.7"}
        assert (await mcp.ask("GET", READS[0], **stranger)).code == "FORBIDDEN"
        evil = {"Origin": "http://evil.example"}
        assert (await mcp.ask("POST", "/mcp/orders", body=ORDER, **evil)).code == "FORBIDDEN"


# -- an order


@pytest.mark.parametrize(
    "misbehaviour",
    [
        hangs_up,
        raves,
        is_silent,
        stops_in_its_body,
        says({"error": "after it was placed"}, status=500),
        says({"error": "busy"}, status=503),
        answers("<html>", status=200),
        answers("", status=303, location="/orders/1"),
    ],
)
async def test_an_order_without_an_answer_that_tells_is_sent_once_and_its_outcome_is_unknown(
    misbehaviour: Misbehaviour,
) -> None:
    async with connected(bff_backend_timeout=2.0) as mcp:
        await mcp.log_in()
        mcp.service.requests.clear()
        mcp.service.answer = misbehaviour
        with structlog.testing.capture_logs() as logs:
            unknown = await mcp.ask("POST", "/mcp/orders", body=ORDER)
        assert (unknown.status, unknown.code) == (502, "ORDER_OUTCOME_UNKNOWN")
        assert "before you send it again" in unknown.json["error"]["message"]
        assert len(mcp.service.requests) == 1
        assert [log["event"] for log in logs if "order" in log["event"]] == ["mcp.order_unknown"]
        assert TOKEN not in str(logs)
        assert "INFY" not in str(logs)


async def test_an_order_that_was_not_sent_says_so() -> None:
    async with connected() as mcp:
        await mcp.log_in()
        await mcp.service.stop()
        refused = await mcp.ask("POST", "/mcp/orders", body=ORDER)
        assert (refused.status, refused.code) == (502, "BACKEND_UNAVAILABLE")
        assert "was not sent" in refused.json["error"]["message"]


async def test_what_the_service_says_against_an_order_is_passed_on() -> None:
    async with connected() as mcp:
        await mcp.log_in()
        mcp.service.answer = says({"error": "margin", "token": TOKEN}, status=400)
        refused = await mcp.ask("POST", "/mcp/orders", body=ORDER)
        assert (refused.status, refused.json) == (400, {"error": "margin", "token": "[removed]"})
        mcp.service.answer = answers("no", status=404)
        assert (await mcp.ask("POST", "/mcp/orders", body=ORDER)).code == "BACKEND_UNAVAILABLE"
        mcp.service.answer = answers("", status=201)
        assert await mcp.ask("POST", "/mcp/orders", body=ORDER) == Answer(201, "null")
        mcp.service.answer = says({}, status=401)
        assert (await mcp.ask("POST", "/mcp/orders", body=ORDER)).code == "UNAUTHORIZED"
        mcp.service.requests.clear()
        assert (await mcp.ask("POST", "/mcp/orders", body=ORDER)).code == "UNAUTHORIZED"
        for bad in ("", "[]", "1", "{", f'{{"a": "{TOKEN}"'):
            await mcp.ask("POST", "/mcp/orders", body=bad)
        assert mcp.service.requests == []


@pytest.mark.parametrize("body", ["", "[]", "1", "{", "\x00"])
async def test_an_order_that_is_no_object_is_not_sent(body: str) -> None:
    async with connected() as mcp:
        await mcp.log_in()
        assert (await mcp.ask("POST", "/mcp/orders", body=body)).code == "VALIDATION"
        assert _asked(mcp.service) == ["POST /login"]


async def test_a_caller_that_leaves_after_its_order_was_sent_leaves_a_line_in_the_log() -> None:
    async with connected() as mcp:
        await mcp.log_in()
        mcp.service.requests.clear()
        mcp.service.answer = is_silent
        with structlog.testing.capture_logs() as logs:
            url = mcp.bff.url + "/mcp/orders"
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(_leaving(mcp.bff.session, url), name="a caller")
                await eventually(lambda: mcp.service.requests)
                asking.cancel()
            await eventually(lambda: [log for log in logs if log["event"] == "mcp.order_unknown"])
        assert len(mcp.service.requests) == 1


async def _leaving(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url, data=ORDER):
        raise AssertionError


# -- reading


@pytest.mark.parametrize(
    ("misbehaviour", "code", "asked"),
    [
        (hangs_up, "BACKEND_UNAVAILABLE", 1),
        (raves, "BACKEND_UNAVAILABLE", 1),
        (is_silent, "BACKEND_TIMEOUT", 1),
        (stops_in_its_body, "BACKEND_TIMEOUT", 1),
        (says({"trace": TOKEN}, status=500), "BACKEND_UNAVAILABLE", 1),
        (answers(TOKEN), "BACKEND_UNAVAILABLE", 1),
        (
            answers("", status=302, location=f"http://127.0.0.1:1/?{TOKEN}"),
            "BACKEND_UNAVAILABLE",
            1,
        ),
        (says({}, status=429), "RATE_LIMITED", 1),
    ],
)
async def test_a_reading_that_fails_is_an_error_without_a_secret(
    misbehaviour: Misbehaviour, code: str, asked: int
) -> None:
    async with connected(bff_backend_timeout=2.0) as mcp:
        await mcp.log_in()
        mcp.service.requests.clear()
        mcp.service.answer = misbehaviour
        with structlog.testing.capture_logs() as logs:
            assert (await mcp.ask("GET", READS[0])).code == code
        assert len(mcp.service.requests) == asked
        assert TOKEN not in str(logs)
        mcp.service.answer = _connects
        assert (await mcp.ask("GET", READS[0])).status == 200


async def test_a_session_that_the_service_has_ended_is_forgotten() -> None:
    async with connected() as mcp:
        await mcp.log_in()
        mcp.service.answer = says({"error": "expired"}, status=403)
        assert (await mcp.ask("GET", READS[1])).code == "UNAUTHORIZED"
        mcp.service.answer = _connects
        assert (await mcp.ask("GET", READS[1])).code == "UNAUTHORIZED"
        await mcp.log_in()
        assert (await mcp.ask("GET", READS[1])).status == 200


async def test_a_login_without_a_token_is_none() -> None:
    async with connected() as mcp:
        mcp.service.answer = says({"status": "success"})
        assert (await mcp.ask("GET", "/mcp/login")).code == "BACKEND_UNAVAILABLE"
        assert (await mcp.ask("GET", READS[0])).code == "UNAUTHORIZED"
