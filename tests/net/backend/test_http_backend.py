"""What the backend says of a run, in whatever shape it comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendUnavailable,
    BffError,
    Forbidden,
    RateLimited,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.net.backend.breaker import Breaker
from hewston_bff.net.backend.connections import Connections, connections
from hewston_bff.net.backend.http_backend import BackendOptions, HttpBackend
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import RunDescription

RUN = RunId("day")


def backend_at(url: str, shared: Connections) -> HttpBackend:
    breaker = Breaker(failures=5, cooldown_s=2.0)
    requests = BackendRequests(url, connections=shared, breaker=breaker)
    return HttpBackend(BackendOptions(url), connections=shared, requests=requests)


async def describe(backend: HttpBackend) -> RunDescription:
    return await backend.describe(RUN, Credentials(), deadline_s=5.0, is_retried=False)


@asynccontextmanager
async def answering(*pieces: bytes, status: int = 200) -> AsyncIterator[HttpBackend]:
    """A backend that answers everything with these pieces, each in a packet of its own."""
    loop = asyncio.get_running_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = sum(map(len, pieces))
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, size))
        for n, piece in enumerate(pieces):
            loop.call_later(0.01 * n, writer.write, piece)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, connections(connect_s=5.0) as shared:
        yield backend_at(f"http://{host}:{port}", shared)


async def test_an_answer_in_several_packets_is_read_to_its_end() -> None:
    async with answering(b'{"status":', b'"DONE","progress"', b":50.0}") as backend:
        assert await describe(backend) == RunDescription("DONE", 50.0)


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"status":1}',
        b'{"status":"\xff"}',
        b'{"params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"params":"' + b"x" * (1 << 20) + b'"}',
    ],
    ids=["text", "list", "number", "not utf-8", "deep", "large"],
)
async def test_an_answer_that_makes_no_sense_is_none(body: bytes) -> None:
    async with answering(body) as backend:
        with pytest.raises(BackendUnavailable):
            await describe(backend)


async def test_a_silent_backend_is_not_down_for_it_may_be_deaf() -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with connections(connect_s=5.0) as shared:
        backend = backend_at(f"http://{host}:{port}", shared)
        async with server:
            assert await backend.state(within_s=0.05) == "degraded"
        assert await backend.state(within_s=5.0) == "down"
    async with answering() as backend:
        assert await backend.state(within_s=5.0) == "ok"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, RunNotFound),
        (429, RateLimited),
        *((status, BackendUnavailable) for status in (204, 307, 400, 422, 500, 503)),
    ],
)
async def test_each_status_of_the_backend_is_one_error(status: int, error: type[BffError]) -> None:
    async with answering(b"{}", status=status) as backend:
        with pytest.raises(error) as info:
            await describe(backend)
    assert type(info.value) is error
