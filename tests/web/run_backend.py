"""A backend of one run whose addresses do as they are told, one by one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

RUN = "run-1"
DETAIL = {
    "run_id": RUN,
    "dataset_id": "TSLA-2024-1m",
    "strategy_id": "sma",
    "params": {"fast": 20},
    "status": "DONE",
    "created_at": "2024-02-01T00:00:00Z",
    "duration_ms": 12,
    "artifacts": {"equity_path": f"data/backtests/{RUN}/equity.parquet"},
}
METRICS = {
    "total_return": 0.123456789012,
    "cagr": 0.25,
    "max_drawdown": 0.0,
    "sharpe": 1.5,
    "sortino": 2,
    "hit_rate": 0.5,
    "theirs": None,
}
EQUITY = [
    {"timestamp": "2024-01-02T14:30:00Z", "equity": 100.0},
    {"timestamp": "2024-01-02T14:31:00Z", "equity": 110.0},
    {"timestamp": "2024-01-02T14:32:00Z", "equity": 88.0},
]
ORDERS = [
    {"ts_utc": "2024-01-02T14:30:00Z", "side": "BUY", "qty": 10, "price": 1.25, "order_id": "a"},
    {"ts_utc": "2024-01-02T14:32:00Z", "side": "SELL", "qty": 10, "price": 1.5, "order_id": "b"},
]

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(body: object, *, status: int = 200) -> Behaviour:
    """An answer: bytes as they are, all else as JSON."""

    async def answer(_: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(status=status, body=raw, content_type="application/json")

    return answer


async def hangs(_: web.Request) -> web.StreamResponse:
    """Nothing, until the caller leaves."""
    forever: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await forever


async def trickles(request: web.Request) -> web.StreamResponse:
    """A head and the beginning of a body that never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"[")
    return await hangs(request)


async def drops(request: web.Request) -> web.StreamResponse:
    """The connection is gone before the answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """The connection is gone within the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"[")
    return await drops(request)


NOT_FOUND = says({"detail": "Not Found"}, status=404)


@dataclass
class RunBackend:
    """Its addresses are `run`, `metrics`, `equity`, `orders`; all else is not there."""

    url: str = ""
    does: dict[str, Behaviour] = field(
        default_factory=lambda: {
            "run": says(DETAIL),
            "metrics": says(METRICS),
            "equity": says(EQUITY),
            "orders": says({"orders": ORDERS}),
        }
    )
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """What was asked for, and with what credentials."""

    def is_now(self, **members: Any) -> None:
        """Change what it says of the run."""
        self.does["run"] = says(DETAIL | members)

    def calls(self, part: str) -> int:
        """How often a part was asked for."""
        return sum(asked == part for asked, _ in self.asked)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Handle any request."""
        part = request.match_info.get("part", "run")
        self.asked.append((part, request.headers.get("Authorization")))
        return await self.does.get(part, NOT_FOUND)(request)


@asynccontextmanager
async def run_backend() -> AsyncIterator[RunBackend]:
    """It, running."""
    backend = RunBackend()
    app = web.Application()
    app.router.add_get(f"/backtests/{RUN}", backend.answer)
    app.router.add_get(f"/backtests/{RUN}/{{part}}", backend.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield backend
    finally:
        await runner.cleanup()
