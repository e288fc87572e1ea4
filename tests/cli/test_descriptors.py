"""What happens when a process has used up the files it may open."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import SimulatedBackend, generated_run
from tests.program import once_up, started
from tests.support import QUICK, free_port

DAY = generated_run("day")
SERVE = (sys.executable, "-m", "hewston_bff", "serve", "--port")


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
