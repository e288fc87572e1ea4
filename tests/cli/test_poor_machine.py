"""A machine that fails: what is written nowhere, and descriptors that are used up."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

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
                started(*SERVE, str(port), output=writer, **environ) as process,
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            ):
                await once_up(session, "/api/v1/health/live")
                os.close(reader)
                await _serves(session)
                reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
                for path in ("/heard/1", "/heard/2"):
                    async with session.get(path):
                        pass
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
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


async def test_streams_stay_below_the_limit_of_open_files() -> None:
    port = free_port()
    command = ("sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *SERVE, str(port))
    async with SimulatedBackend((DAY,), options=QUICK).running() as backend:
        environ = {"HEWSTON_BACKEND_URL": backend.url}
        async with (
            started(*command, output=PIPE, **environ) as process,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            AsyncExitStack() as open_sockets,
        ):
            await once_up(session, "/api/v1/health/ready")
            for _ in range(100 - 32):
                await open_sockets.enter_async_context(session.ws_connect("/api/v1/stream"))
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await open_sockets.enter_async_context(session.ws_connect("/api/v1/stream"))
            assert caught.value.status == 503
            assert caught.value.headers is not None
            assert caught.value.headers["Retry-After"] == "10"
            ready = await once_up(session, "/api/v1/health/ready")
            assert ready["reasons"] == ["over the connection limit"]
            async with session.get("/api/v1/backtests/day") as response:
                assert response.status == 200
            process.send_signal(signal.SIGTERM)
            _, stderr = await process.communicate()
    lines = list(map(msgspec.json.decode, stderr.splitlines()))
    (few,) = [line for line in lines if line["event"] == "descriptors.few"]
    assert (few["streams"], few["bff_ws_sockets"]) == (68, 10_000)
    assert [line["event"] for line in lines if line["level"] in {"error", "critical"}] == []


async def test_connections_without_a_descriptor_are_refused_in_a_few_lines() -> None:
    port = free_port()
    command = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *SERVE, str(port))
    async with (
        started(*command, output=PIPE) as process,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        await once_up(session, "/api/v1/health/live")
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(150)]
        # The last ones found no descriptor left; the words come before the end.
        refused = await connections[-1][0].read()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 10" in refused
        ready = await once_up(session, "/api/v1/health/ready")
        assert ready["reasons"] == ["out of descriptors"]
        for _, writer in connections:
            writer.close()
        assert (await once_up(session, "/api/v1/health/live"))["status"] == "alive"
        process.send_signal(signal.SIGTERM)
        _, stderr = await process.communicate()
        assert process.returncode == 0
    events = [msgspec.json.decode(line) for line in stderr.splitlines()]
    errors = [line for line in events if line["level"] == "error"]
    assert [line["event"] for line in errors] == ["descriptors.exhausted"]
    assert errors[0]["refused"] >= 1
