"""The addresses of a trading dashboard's own backend, and how services are told of."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hewston_bff.events.source_state import SourceLink, SourceStats
from hewston_bff.setting_checks import open_without_keys
from hewston_bff.settings import Settings, SettingsError
from hewston_bff.tools.simulator import generated_run
from hewston_bff.web.dashboard_status import SourceReport, bus_status
from hewston_bff.web.keys import SERVICES
from tests.api_key_files import BUS, STATS, key_file
from tests.platform_service import hangs_up, is_silent, platform_service
from tests.support import is_a, serving, stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.waiting import eventually

DAY = generated_run("day")
SECRET = "opensesame"
AT_MS = 1_795_229_399_763
AT = "2026-11-21T02:49:59.763000Z"
NO_BUS = {
    "connection_state": "disconnected",
    "connected_at": None,
    "last_message_at": None,
    "reconnect_attempts": 0,
    "error_message": None,
    "messages_received": 0,
}


@pytest.mark.parametrize(
    ("link", "stats", "expected"),
    [
        (SourceLink(), SourceStats(), {"connection_state": "connecting"}),
        (
            SourceLink("retrying", attempt=3, retry_in_ms=100),
            SourceStats(error="Redis refuses the password"),
            {
                "connection_state": "connecting",
                "reconnect_attempts": 3,
                "error_message": "Redis refuses the password",
            },
        ),
        (
            SourceLink("up"),
            SourceStats(connected_at_ms=AT_MS, last_event_at_ms=AT_MS, events=7, reconnects=2),
            {
                "connection_state": "connected",
                "connected_at": AT,
                "last_message_at": AT,
                "messages_received": 7,
            },
        ),
        (
            SourceLink("silent", heartbeat_age_ms=9_000),
            SourceStats(connected_at_ms=AT_MS),
            {
                "connection_state": "connected",
                "connected_at": AT,
                "error_message": "connected, but the trading node has missed its heartbeats: "
                "restart the node",
            },
        ),
        (
            SourceLink("retrying", attempt=9),
            SourceStats(connected_at_ms=AT_MS, error="the connection was lost"),
            {
                "connection_state": "reconnecting",
                "connected_at": AT,
                "reconnect_attempts": 9,
                "error_message": "the connection was lost",
            },
        ),
        (
            SourceLink("connecting", attempt=10),
            SourceStats(error="nobody listens there"),
            {
                "connection_state": "error",
                "reconnect_attempts": 10,
                "error_message": "nobody listens there",
            },
        ),
    ],
)
def test_the_bus_is_told_in_the_dashboards_words(
    link: SourceLink, stats: SourceStats, expected: dict[str, Any]
) -> None:
    told = msgspec.json.decode(msgspec.json.encode(bus_status(SourceReport(link, stats))))
    assert told == NO_BUS | expected


async def test_a_dashboard_finds_its_addresses_and_what_is_configured(tmp_path: Path) -> None:
    async with stack(DAY) as (bff, *_):
        assert await bff.get("/health") == {
            "status": "healthy",
            "environment": "development",
            "debug": False,
        }
        assert await bff.get("/api/v1/status") == {
            "api_version": "1.0.0",
            "status": "operational",
            "trading_mode": "disabled",
            "features": {
                "websocket": True,
                "messagebus": False,
                "authentication": False,
                "market_data": True,
                "trading": False,
                "portfolio": False,
            },
        }
        assert await bff.get("/api/v1/messagebus/status") == NO_BUS
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        sources[0].stats.events = 3
        assert (await bff.get("/api/v1/messagebus/status"))["messages_received"] == 3
        assert (await bff.get("/api/v1/status"))["features"]["messagebus"] is True
        sources[0].intake.link(SourceLink("retrying", attempt=1))
        assert (await bff.get("/api/v1/status"))["status"] == "degraded"
    async with stack(
        DAY,
        bff_debug=True,
        bff_environment="production",
        bff_api_keys_file=key_file(tmp_path),
        bff_feature_websocket_proxy=False,
        bff_feature_chart_aggregation=False,
        bff_mcp_url="http://127.0.0.1:1",
        bff_mcp_orders=True,
    ) as (bff, *_):
        told = await bff.get("/health")
        assert (told["debug"], told["environment"]) == (True, "production")
        status = await bff.get("/api/v1/status")
        assert status["trading_mode"] == "live"
        assert status["features"] == {
            "websocket": False,
            "messagebus": False,
            "authentication": True,
            "market_data": False,
            "trading": True,
            "portfolio": True,
        }


@pytest.mark.parametrize(
    ("name", "value", "is_on"),
    [
        ("DEBUG", "true", True),
        ("BFF_DEBUG", "1", True),
        ("DEBUG", "express:*", False),
        ("DEBUG", "0", False),
        ("DEBUG", "", False),
    ],
)
def test_debug_is_read_under_the_dashboards_name_too(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, is_on: bool
) -> None:
    monkeypatch.setenv(name, value)
    assert Settings.from_env().bff_debug is is_on


# -- the services


async def test_services_are_told_from_the_last_probe_and_none_is_made_for_a_request() -> None:
    async with platform_service() as mcp, platform_service() as onnx:
        onnx.answer = hangs_up
        urls = (
            f"mcp={mcp.url.replace('//', f'//us:{SECRET}@')}/health?key={SECRET}, onnx={onnx.url}"
        )
        async with stack(DAY, bff_services=urls) as (bff, *_):
            await eventually(bff.app[SERVICES].rows)
            asked = len(mcp.requests), len(onnx.requests)
            told = [await bff.get("/api/v1/health/services") for _ in range(20)]
            told.append(await bff.get("/health/services"))
            assert (len(mcp.requests), len(onnx.requests)) <= (asked[0] + 2, asked[1] + 2)
            first, second = told[0]["services"]
            assert (first["name"], first["status"], first["detail"]) == ("mcp", "ok", None)
            assert first["latency_ms"] > 0
            assert first["checked_at"].endswith("Z")
            assert (second["name"], second["status"]) == ("onnx", "down")
            assert second["latency_ms"] is None
            health = await bff.get("/api/v1/health")
            assert health["dependencies"] == {
                "backend_api": "ok",
                "redis": "disabled",
                "catalog": "disabled",
                "mcp": "ok",
                "onnx": "down",
            }
            assert health["status"] == "degraded"
            assert (await bff.get("/api/v1/status"))["status"] == "degraded"
            assert SECRET not in str((told, health))
            assert mcp.url.partition("//")[2] not in str((told, health))


async def test_who_subscribes_gets_the_newest_status_first_and_then_each_change() -> None:
    async with platform_service() as mcp:
        async with (
            stack(DAY, bff_services=f"mcp={mcp.url}") as (bff, *_),
            bff.viewer() as viewer,
        ):
            await eventually(bff.app[SERVICES].rows)
            await viewer.say(t="subscribe", id=1, topic="system:status")
            subscribed = await viewer.until(lambda message: message.get("re") == 1)
            assert (subscribed["t"], subscribed["mode"]) == ("subscribed", "latest")
            first = await viewer.until(is_a("event"))
            assert (first["topic"], first["type"]) == ("system:status", "SystemStatus")
            assert [row["status"] for row in first["data"]["services"]] == ["ok"]
            await mcp.stop()
            second = await viewer.until(is_a("event"))
            assert [row["status"] for row in second["data"]["services"]] == ["down"]
            proxied = {"X-Forwarded-For": "203.0.113.7"}
            path = "/api/v1/topics/system:status/last"
            last = await bff.get(path, headers=proxied)
            assert last["id"] == second["id"], "anybody may, while there are no keys"


async def test_status_needs_a_key_with_the_scope_bus_once_there_is_a_file(tmp_path: Path) -> None:
    async with platform_service() as mcp:
        settings: dict[str, Any] = {
            "bff_services": f"mcp={mcp.url}",
            "bff_api_keys_file": key_file(tmp_path),
        }
        async with serving("http://127.0.0.1:1", **settings) as bff:
            await eventually(bff.app[SERVICES].rows)
            for key, code in ((None, "UNAUTHORIZED"), (STATS, "FORBIDDEN"), (BUS, None)):
                offered = () if key is None else (f"apikey.{key}",)
                async with bff.viewer(protocols=offered) as viewer:
                    await viewer.say(t="subscribe", id=1, topic="system:status")
                    answer = await viewer.until(lambda message: message.get("re") == 1)
                    assert answer.get("code") == code
            async with bff.viewer(protocols=(f"apikey.{BUS}",)) as viewer:
                await viewer.say(t="subscribe", id=1, topic="system:status")
                await viewer.until(is_a("event"))
                key_file(tmp_path, {STATS: "stats"})
                assert (await viewer.until(is_a("err")))["code"] == "UNAUTHORIZED"
                assert await viewer.until_closed() == 4401


async def test_a_service_that_never_answers_keeps_nobody_waiting() -> None:
    async with platform_service() as service:
        service.answer = is_silent
        async with serving("http://127.0.0.1:1", bff_services=f"mcp={service.url}") as bff:
            await eventually(lambda: service.requests)
            row = (await bff.get("/health/services"))["services"][0]
            assert row["status"] == "degraded"
            assert row["checked_at"] is None
            assert row["detail"] == "not checked yet"


async def test_without_services_none_are_told() -> None:
    async with stack(DAY) as (bff, *_):
        assert await bff.get("/health/services") == {"services": []}
        for prefix in ("", "/api/v1"):
            assert await bff.get(f"{prefix}/health/redis") == {"status": "disabled"}
            assert await bff.get(f"{prefix}/health/db") == {"status": "disabled"}


async def test_a_catalog_that_is_not_there_is_down(tmp_path: Path) -> None:
    async with stack(DAY, hewston_catalog_path=tmp_path / "none.sqlite") as (bff, *_):
        assert await bff.get("/health/db") == {"status": "down"}


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ("http://127.0.0.1:9", "service 1: must have a name"),
        (f"mcp=us:{SECRET}@127.0.0.1", "service 1: must be name=URL"),
        ("a=http://127.0.0.1:9,a=http://127.0.0.1:8", "service 1: must have a name of its own"),
        ("a=http://127.0.0.1:9,catalog=http://127.0.0.1:8", "service 2: must have a name"),
        ("a=redis://127.0.0.1", "service 1: must be name=URL"),
    ],
)
def test_services_that_cannot_be_are_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, services: str, reason: str
) -> None:
    monkeypatch.setenv("BFF_SERVICES", services)
    with pytest.raises(SettingsError, match=reason) as caught:
        Settings.from_env()
    assert SECRET not in str(caught.value)


def test_the_settings_are_shown_without_passwords_and_what_is_open_is_told() -> None:
    settings = Settings(
        bff_services=f"mcp=http://us:{SECRET}@h:9/health?key={SECRET}",
        bff_mcp_password=SECRET,
    )
    assert settings.model_dump()["bff_services"] == "mcp=http://h:9/health"
    assert SECRET not in repr(settings) + str(settings.model_dump())
    (warning,) = open_without_keys(settings)
    assert "BFF_SERVICES" in warning
    assert open_without_keys(Settings()) == []
