"""Clients that leave while they are answered: no fault of ours."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web
from structlog.typing import EventDict

from hewston_bff.app import create_app
from hewston_bff.settings import Settings
from hewston_bff.tools.simulator import SimulatedBackend, generated_run
from hewston_bff.web import middleware
from tests.support import QUICK, stack

DAY = generated_run("day")
HANDSHAKE = (
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
ENDPOINTS = [
    ("/api/v1/stream", HANDSHAKE),
    ("/backtests/day/ws", HANDSHAKE),
    ("/api/v1/events", ""),
    ("/backtests/day/stream", ""),
    ("/api/v1/runs/day/frames", ""),
    ("/api/v1/backtests/day", ""),
    ("/api/v1/features", ""),
    ("/nothing", ""),
]


async def _lose(request: web.Request, _: web.StreamResponse) -> None:
    """The state in which a reset leaves a connection until the loop's next turn."""
    assert request.transport is not None
    request.transport.abort()


@pytest.fixture(name="lines")
def _lines(monkeypatch: pytest.MonkeyPatch) -> list[EventDict]:
    """What is logged of requests, at every level."""
    capture = structlog.testing.LogCapture()
    monkeypatch.setattr(
        middleware, "logger", structlog.wrap_logger(None, [capture], structlog.BoundLogger)
    )
    return capture.entries


@asynccontextmanager
async def _losing() -> AsyncIterator[int]:
    """The port of a server that loses each client just before the head of its answer."""
    async with SimulatedBackend((DAY,), options=QUICK).running() as backend:
        app = create_app(Settings(hewston_backend_url=backend.url))
        app.on_response_prepare.append(_lose)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


@pytest.mark.parametrize(("path", "headers"), ENDPOINTS)
async def test_a_reset_before_the_head_of_an_answer_is_told_as_499(
    path: str, headers: str, lines: list[EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    async with _losing() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        assert await reader.read() == b""
        writer.close()
    (access,) = lines
    assert (access["event"], access["path"]) == ("http.access", path)
    assert (access["status"], access["log_level"]) == (499, "info")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_clients_that_reset_at_once_leave_no_error(
    lines: list[EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    async with stack(DAY) as (bff, *_):
        for path, headers in ENDPOINTS * 4:
            with socket.create_connection(("127.0.0.1", bff.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
                await bff.get("/api/v1/health/live")
    assert {line["log_level"] for line in lines} == {"info"}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
