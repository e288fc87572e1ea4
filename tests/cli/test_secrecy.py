"""What the program writes and tells of itself holds no credential."""

import signal

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import SimulatedBackend, SimulatorOptions, generated_run
from tests.program import once_up, program
from tests.support import Viewer, free_port

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
