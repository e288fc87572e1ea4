"""Requests to the backend: what is retried, what counts, and what is left behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web
from multidict import CIMultiDict

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    BffError,
    Busy,
    InvalidRequest,
)
from hewston_bff.net.backend.breaker import Breaker
from hewston_bff.net.backend.connections import connections
from hewston_bff.net.backend.requests import BackendRequests
from tests.waiting import PATIENCE_S, eventually

NOBODY = Credentials()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def asking(
    handler: Handler, *, failures: int = 5, cooldown_s: float = 60.0
) -> AsyncIterator[BackendRequests]:
    """Requests to a backend that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with to_port(
            runner.addresses[0][1], failures=failures, cooldown_s=cooldown_s
        ) as requests:
            yield requests
    finally:
        await runner.cleanup()


@asynccontextmanager
async def to_port(
    port: int, *, failures: int = 5, cooldown_s: float = 60.0
) -> AsyncIterator[BackendRequests]:
    """Requests to whatever listens there."""
    breaker = Breaker(failures=failures, cooldown_s=cooldown_s)
    async with connections(connect_s=5.0) as shared:
        yield BackendRequests(f"http://127.0.0.1:{port}", connections=shared, breaker=breaker)


class Script:
    """Answers with each status in turn, the last one for ever; 0 drops the connection."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.seen: list[web.Request] = []
        self.connections: list[object] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.connections.append(request.protocol)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 200, text=f"answer {len(self.seen)}")


async def _get(
    requests: BackendRequests, *, deadline_s: float = 5.0, is_retried: bool = True
) -> tuple[int, bytes]:
    answer = await requests.get(
        "/x", credentials=NOBODY, deadline_s=deadline_s, is_retried=is_retried
    )
    return answer.status, answer.body


@pytest.mark.parametrize("trouble", [0, 502, 503, 504])
async def test_a_get_is_retried_at_most_twice(trouble: int) -> None:
    backend = Script(trouble, trouble, 200)
    async with asking(backend.answer) as requests:
        assert await _get(requests) == (200, b"answer 3")
    backend = Script(trouble)
    async with asking(backend.answer) as requests:
        if trouble:
            assert await _get(requests) == (trouble, b"answer 3")
        else:
            with pytest.raises(BackendUnavailable):
                await _get(requests)
    assert len(backend.seen) == 3


@pytest.mark.parametrize("trouble", [0, 502, 503, 504])
async def test_whoever_asks_again_by_themselves_asks_once_and_past_the_breaker(
    trouble: int,
) -> None:
    backend = Script(trouble)
    async with asking(backend.answer, failures=1) as requests:
        for n in (1, 2, 3):
            if trouble:
                assert await _get(requests, is_retried=False) == (trouble, b"answer %d" % n)
            else:
                with pytest.raises(BackendUnavailable):
                    await _get(requests, is_retried=False)
    assert len(backend.seen) == 3


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_any_other_status_is_an_answer(status: int) -> None:
    backend = Script(status)
    async with asking(backend.answer) as requests:
        assert await _get(requests) == (status, b"answer 1")


@pytest.mark.parametrize("trouble", [0, 502, 503, 504])
async def test_a_post_is_sent_exactly_once(trouble: int) -> None:
    backend = Script(trouble, 200)
    async with asking(backend.answer) as requests:
        try:
            async with requests.open(
                "POST", "/x", headers=CIMultiDict(), deadline_s=5.0
            ) as response:
                assert response.status == trouble
        except BackendUnavailable:
            assert not trouble
    assert len(backend.seen) == 1


async def test_a_post_never_takes_a_connection_that_was_used_before() -> None:
    backend = Script(200)
    async with asking(backend.answer) as requests:
        for _ in range(2):
            await _get(requests)
        async with requests.open("POST", "/x", headers=CIMultiDict(), deadline_s=5.0):
            pass
    first, second, posted = backend.connections
    assert first is second
    assert posted is not first


async def test_a_get_survives_the_connections_that_the_backend_dropped_silently() -> None:
    doomed: set[object] = set()

    async def backend(request: web.Request) -> web.Response:
        if request.protocol in doomed and request.transport is not None:
            request.transport.abort()
        doomed.add(request.protocol)
        return web.Response(status=500)

    async with asking(backend, failures=1) as requests:
        for _ in range(5):
            assert (await _get(requests))[0] == 500


async def test_slowness_is_a_timeout_and_opens_no_breaker() -> None:
    is_slow = True

    async def backend(request: web.Request) -> web.Response:
        if is_slow:
            await asyncio.Event().wait()
        return web.Response(text="well")

    async with asking(backend, failures=1) as requests:
        for _ in range(3):
            with pytest.raises(BackendTimeout):
                await _get(requests, deadline_s=0.05)
        is_slow = False
        assert await _get(requests) == (200, b"well")


async def test_error_statuses_of_a_live_backend_open_no_breaker() -> None:
    async with asking(Script(500).answer, failures=1) as requests:
        for _ in range(3):
            assert (await _get(requests))[0] == 500


async def test_the_breaker_opens_after_lost_connections_and_one_request_tries_again(
    unused_tcp_port: int,
) -> None:
    async with to_port(unused_tcp_port, failures=2, cooldown_s=3.0) as requests:
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                await _get(requests)
        with pytest.raises(Busy) as caught:
            await _get(requests)
        assert caught.value.retry_after_s == 3
        app = web.Application()
        app.router.add_get("/x", Script(200).answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()

            async def is_asked_again() -> bool:
                try:
                    return await _get(requests) == (200, b"answer 1")
                except Busy:
                    return False

            await eventually(is_asked_again)
        finally:
            await runner.cleanup()


async def test_an_error_of_the_bodys_source_is_raised_as_it_is_and_counts_for_nothing() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"some"
        raise InvalidRequest("enough")

    async def backend(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with asking(backend, failures=1) as requests:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="enough"):
                async with requests.open(
                    "POST", "/x", headers=CIMultiDict(), body=source(), deadline_s=5.0
                ):
                    pass


async def test_leaving_a_response_early_ends_the_request() -> None:
    is_over = asyncio.Event()

    async def backend(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        finally:
            is_over.set()

    async with asking(backend) as requests:
        async with requests.open("GET", "/x", headers=CIMultiDict(), deadline_s=5.0) as response:
            assert await response.content.readany()
        async with asyncio.timeout(PATIENCE_S):
            await is_over.wait()


async def test_a_cancellation_ends_the_request_and_counts_for_nothing() -> None:
    begun, is_over = asyncio.Event(), asyncio.Event()

    async def backend(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
            return web.Response()
        finally:
            is_over.set()

    async def ask(requests: BackendRequests) -> None:
        await _get(requests, deadline_s=60.0)

    async with asking(backend, failures=1) as requests:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            task = group.create_task(ask(requests))
            await begun.wait()
            task.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await is_over.wait()
        with pytest.raises(BackendTimeout):
            await _get(requests, deadline_s=0.05)


async def test_a_body_over_the_limit_is_refused_while_it_comes() -> None:
    async def backend(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 10_000)

    async with asking(backend) as requests:
        with pytest.raises(BackendUnavailable, match="9999"):
            await requests.get("/x", credentials=NOBODY, deadline_s=5.0, max_bytes=9_999)
        answer = await requests.get("/x", credentials=NOBODY, deadline_s=5.0, max_bytes=10_000)
        assert len(answer.body) == 10_000


async def test_credentials_parameters_and_the_correlation_id_go_along() -> None:
    backend = Script(200)
    async with asking(backend.answer) as requests:
        with structlog.contextvars.bound_contextvars(request_id="of-this-request"):
            await requests.get(
                "/bars/daily",
                params={"symbol": "BRK/B^=x&y"},
                credentials=Credentials(authorization="Bearer t", cookie="a=1; b=2"),
                deadline_s=5.0,
            )
    (seen,) = backend.seen
    assert seen.query == {"symbol": "BRK/B^=x&y"}
    assert seen.headers["Authorization"] == "Bearer t"
    assert seen.headers["Cookie"] == "a=1; b=2"
    assert seen.headers["X-Correlation-ID"] == "of-this-request"


async def test_what_is_no_http_is_unavailable(unused_tcp_port: int) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-babble\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", unused_tcp_port)
    async with server, to_port(unused_tcp_port) as requests:
        with pytest.raises(BffError) as caught:
            await _get(requests)
    assert isinstance(caught.value, BackendUnavailable)
