"""A backend that answers `/bars/*` with what the test says, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

PAGE = (
    '{"symbol":"AAPL","bars":[{"t":"2024-01-02T14:30:00Z","o":1.5,"h":2,"l":1,"c":1.75,"v":10},'
    '{"t":"2024-01-02T14:31:00Z","o":1.75,"h":3,"l":1.25,"c":2.5,"v":20}]}'
)


@dataclass
class BarsBackend:
    """`status` and `body` of every answer; it waits for `gate` before it gives one.

    With `only_symbol`, other symbols are 404.
    """

    status: int = 200
    body: str | bytes = PAGE
    only_symbol: str | None = None
    asked: list[web.Request] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    has_come: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.has_come.set()
        await self.gate.wait()
        if self.only_symbol not in {None, request.query["symbol"]}:
            return web.json_response({"detail": "No data for symbol/year range"}, status=404)
        body = self.body.encode() if isinstance(self.body, str) else self.body
        return web.Response(status=self.status, body=body, content_type="application/json")


@asynccontextmanager
async def bars_backend() -> AsyncIterator[BarsBackend]:
    """It, running, with its gate open."""
    backend = BarsBackend()
    backend.gate.set()
    app = web.Application()
    app.router.add_get("/bars/{name}", backend.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield backend
    finally:
        backend.gate.set()
        await runner.cleanup()
