"""A machine that fails: what is written nowhere, and descriptors that are used up."""

import os
import signal
import sys
from pathlib import Path

import aiohttp
import msgspec

from hewston_bff.simulator import SimulatedBackend, generated_run
from tests.program import once_up, started
from tests.support import QUICK, Viewer, free_port

DAY = generated_run("day")
SERVE = (sys.executable, "-m", "hewston_bff", "serve", "--port")


async def _serves(session: aiohttp.ClientSession) -> None:
    """Requests are answered, errors as they are, and a socket goes on through both."""
    async with session.ws_connect("/api/v1/stream", autoping=False) as ws:
        viewer = Viewer(ws)
        await viewer.subscribe("day", mode="all", speed=0)
        for path, status in (("/api/v1/health/live", 200), ("/nothing", 404)):
            async with session.get(path) as response:
                assert response.status == status
        assert len(await viewer.until_end()) == 390


async def test_on_a_full_disk_all_goes_on() -> None:
    port, full = free_port(), os.open("/dev/full", os.O_WRONLY)
    try:
        async with SimulatedBackend((DAY,), options=QUICK).running() as backend:
            environ = {"HEWSTON_BACKEND_URL": backend.url, "BFF_UNHEARD_OF": "1"}
            async with (
                started(*SERVE, str(port), output=full, **environ) as process,
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            ):
                await once_up(session, "/api/v1/health/live")
                await _serves(session)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
    finally:
        os.close(full)


async def test_what_a_closed_pipe_did_not_take_is_counted_and_told_once(tmp_path: Path) -> None:
    pipe, port = tmp_path / "log", free_port()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    try:
        async with SimulatedBackend((DAY,), options=QUICK).running() as backend:
            environ = {"HEWSTON_BACKEND_URL": backend.url}
            async with (
                started(*SERVE, str(port), output=writer, **environ),
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            ):
                await once_up(session, "/api/v1/health/live")
                os.close(reader)
                await _serves(session)
                reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
                for path in ("/heard/1", "/heard/2"):
                    async with session.get(path):
                        pass
                lines = list(map(msgspec.json.decode, os.read(reader, 1 << 16).splitlines()))
    finally:
        os.close(reader)
        os.close(writer)
    told = [line for line in lines if line["event"] == "log.dropped"]
    assert len(told) == 1
    assert told[0]["lines"] >= 2
    assert (told[0]["level"], told[0]["service"]) == ("warning", "bff")
    later = lines[lines.index(told[0]) + 1 :]
    heard = [line["path"] for line in later if line["event"] == "http.access"]
    assert heard[-2:] == ["/heard/1", "/heard/2"]
