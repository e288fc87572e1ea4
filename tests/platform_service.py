"""A service of the platform on a real socket, that misbehaves as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Misbehaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PlatformService:
    """Answers every request as `answer` does, and remembers what it was asked."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.answer: Misbehaviour = says({"status": "ok"})
        self.requests: list[str] = []
        """Method, path with query, headers and body of each, as text."""
        self.most_at_once = 0
        self._open = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen: on the port of before, if there was one."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no longer."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.requests.append(f"{request.method} {request.raw_path} {dict(request.headers)} {body}")
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            return await self.answer(request)
        finally:
            self._open -= 1


@asynccontextmanager
async def platform_service() -> AsyncIterator[PlatformService]:
    """One that listens, and says that it is well."""
    service = PlatformService()
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def says(body: object, *, status: int = 200) -> Misbehaviour:
    """Answers JSON."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


def answers(
    text: str, *, status: int = 200, content_type: str = "text/plain", location: str = ""
) -> Misbehaviour:
    """Answers any text."""
    headers = {"Content-Type": content_type} | ({"Location": location} if location else {})

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers)

    return answer


async def is_silent(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """Closes the connection when it has the whole request."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def raves(request: web.Request) -> web.StreamResponse:
    """Answers what is no HTTP."""
    assert request.transport is not None
    request.transport.write(b"\x00\x01 no protocol at all\r\n\r\n")
    request.transport.close()
    return web.Response()


async def stops_in_its_body(request: web.Request) -> web.StreamResponse:
    """Begins a JSON body and never ends it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"status": "ok"')
    return await is_silent(request)


async def pours(request: web.Request) -> web.StreamResponse:
    """A body without an end, as fast as it is taken."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)
