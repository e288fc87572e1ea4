"""What the program writes and tells of itself holds no credential."""

import signal
from pathlib import Path

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import SimulatedBackend, SimulatorOptions, generated_run
from tests.api_key_files import key_file
from tests.platform_service import hangs_up, platform_service, raves, says
from tests.program import once_up, program
from tests.support import Viewer, free_port
from tests.waiting import eventually

_SECRET = "opensesame"
_GOOD = f"{_SECRET}-viewer"
_OPTIONS = SimulatorOptions(
    play_silence_s=0.01,
    hb_interval_s=0.3,
    require_token={_GOOD: None, f"{_SECRET}-service": None},
)


async def _use(session: aiohttp.ClientSession) -> str:
    """Come with credentials in every way, good ones and others; what is told of it to anybody."""
    headers = {"Authorization": f"Bearer {_GOOD}", "Cookie": f"sid={_SECRET}"}
    offered = ("hewston.bff.v1", f"bearer.{_GOOD}")
    async with session.ws_connect("/api/v1/stream", protocols=offered, autoping=False) as ws:
        assert (await Viewer(ws).subscribe("day"))["t"] == "subscribed"
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await session.ws_connect("/backtests/day/ws", protocols=(f"bearer.{_SECRET}-wrong",))
    for path in ("/api/v1/backtests/day", "/api/v1/runs/day/complete"):
        async with session.get(path, headers=headers) as response:
            assert response.status == 200, path
        wrong = {"Authorization": f"Bearer {_SECRET}-wrong"}
        async with session.get(path, headers=wrong) as response:
            assert response.status in {401, 403}, path
    told = ""
    for path in ("/api/v1/websocket/stats", "/api/v1/health", "/metrics"):
        async with session.get(path) as response:
            told += await response.text()
    return told


async def test_credentials_are_in_no_log_line_stat_or_metric() -> None:
    port = free_port()
    async with SimulatedBackend([generated_run("day")], options=_OPTIONS).running() as backend:
        environ = {
            "HEWSTON_BACKEND_URL": backend.url,
            "BFF_BACKEND_TOKEN": f"{_SECRET}-service",
            "BFF_LOG_LEVEL": "DEBUG",
        }
        async with program("serve", "--port", str(port), **environ) as process:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                await once_up(session, "/api/v1/health/live")
                told = await _use(session)
            process.send_signal(signal.SIGTERM)
            stdout, stderr = await process.communicate()
            assert process.returncode == 0
    lines = [msgspec.json.decode(line) for line in stderr.splitlines() if line[:1] == b"{"]
    assert len([line for line in lines if line["event"] == "http.access"]) >= 9
    assert "hewston_bff_frames_in" in told
    assert _SECRET not in told
    assert _SECRET.encode() not in stdout + stderr


# -- API keys, passwords of services, the token of a session there

_KEY = f"{_SECRET}-key"
_TOKEN = f"{_SECRET}/token"


async def _use_key(session: aiohttp.ClientSession) -> str:
    """Come with API keys in every way, good ones and others; all that is told."""
    told = ""
    for key in (_KEY, f"{_KEY}-unknown"):
        sent = ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"})
        for headers in (*sent, {"Sec-WebSocket-Protocol": f"apikey.{key}"}):
            for path in (
                *("/metrics", "/api/v1/websocket/stats", "/api/v1/health/services"),
                *("/mcp/login", "/mcp/holdings", "/api/v1/backtests", "/api/v1/status"),
            ):
                async with session.get(path, headers=headers) as response:
                    told += f"{response.status} {response.headers} {await response.text()}"
        for path in ("/mcp/orders", "/mcp/login"):
            body = {"username": "u", "password": f"{_SECRET}-body"}
            async with session.post(path, json=body, headers={"X-API-Key": key}) as response:
                told += f"{response.status} {response.headers} {await response.text()}"
        protocols = ("hewston.bff.v1", f"apikey.{key}")
        async with session.ws_connect("/api/v1/stream", protocols=protocols) as ws:
            await ws.send_json({"t": "ping", "id": 1})
            told += str(await ws.receive())
    return told


async def _is_down(session: aiohttp.ClientSession) -> bool:
    async with session.get("/health/services") as response:
        return "it closed the connection" in await response.text()


async def test_no_key_password_or_token_of_a_service_is_written_or_told(tmp_path: Path) -> None:
    port = free_port()
    async with platform_service() as service:
        service.answer = hangs_up
        url = service.url.replace("//", f"//us:{_SECRET}-probe@")
        environ = {
            "HEWSTON_BACKEND_URL": "http://127.0.0.1:1",
            "BFF_API_KEYS_FILE": str(key_file(tmp_path, {_KEY: "bus,jobs,orders,stats"})),
            "BFF_SERVICES": f"mcp={url}/health?key={_SECRET}",
            "BFF_MCP_URL": service.url,
            "BFF_MCP_USERNAME": f"{_SECRET}-user",
            "BFF_MCP_PASSWORD": f"{_SECRET}-password",
            "BFF_MCP_ORDERS": "true",
            "BFF_LOG_LEVEL": "DEBUG",
            "PYTHONASYNCIODEBUG": "1",
        }
        async with program("serve", "--port", str(port), **environ) as process:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                await once_up(session, "/api/v1/health/live")
                await eventually(lambda: _is_down(session), "the first probe")
                service.answer = says({"token": _TOKEN, "again": [f"?token={_TOKEN}"]})
                told = await _use_key(session)
                assert "mcp" in told
                for misbehaviour in (hangs_up, raves, says({"why": _TOKEN}, status=500)):
                    service.answer = misbehaviour
                    told += await _use_key(session)
                await service.stop()
                told += await _use_key(session)
            process.send_signal(signal.SIGTERM)
            stdout, stderr = await process.communicate()
            assert process.returncode == 0
    assert f"token={_SECRET}" in " ".join(service.requests), "it was used"
    assert "ORDER_OUTCOME_UNKNOWN" in told
    assert b"mcp.order_unknown" in stderr
    changes = [line for line in stderr.splitlines() if b"services.changed" in line]
    assert {msgspec.json.decode(line)["name"] for line in changes} == {"mcp"}
    assert _SECRET not in told
    assert _SECRET.encode() not in stdout + stderr
