#!/usr/bin/env python3
"""What a chart costs: a year of minute bars to 10 000 points, cold, kept, and beside playback.

    scripts/bench_chart.py
    scripts/bench_chart.py --viewers 100 --rounds 10

The service runs in a process of its own, in front of a simulated backend in this one, which also
holds the clients. A probe in the service wakes every millisecond: how late it is, and how much CPU
the loop's thread used between two wakes, say how long the loop was blocked; the ticker's own
record says how late the ticks of playback were. Lateness by the clock includes whatever else the
machine does; compare it with that of the same time without charts. Only the loopback interface is
used, and what was started is ended.
"""

import argparse
import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.table import Table

from hewston_bff.app import create_app
from hewston_bff.cli.serving import settle_heap
from hewston_bff.log_setup import configure_logging
from hewston_bff.settings import Settings
from hewston_bff.tasks import running
from hewston_bff.tools.simulator import SimulatedBackend, default_runs
from hewston_bff.web.keys import HUB

RUN_ID = "demo-year"
CHART = "/api/v1/chart-data?symbol=AAPL&timeframe=1M&from=2024-01-01&to=2024-12-31"
GZIP, IDENTITY = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
TARGET = 10_000


# -- the service, in its own process


@dataclass
class Reading:
    """Since the last reading: CPU of the process; worst lateness and blocking, ms."""

    cpu_ms: float = 0.0
    late_ms: float = 0.0
    blocked_ms: float = 0.0
    tick_late_ms: float = 0.0


class Probe:
    """Wakes every millisecond and keeps the worst it sees."""

    def __init__(self) -> None:
        self._reading = Reading()
        self._cpu_s = time.process_time()

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            due_s = time.monotonic() + 0.001
            used_s = time.thread_time()
            await asyncio.sleep(0.001)
            late_ms = (time.monotonic() - due_s) * 1e3
            blocked_ms = (time.thread_time() - used_s) * 1e3
            self._reading.late_ms = max(self._reading.late_ms, late_ms)
            self._reading.blocked_ms = max(self._reading.blocked_ms, blocked_ms)

    async def read(self, request: web.Request) -> web.Response:
        """`GET /probe`: the reading, and a new beginning."""
        lags_s = request.app[HUB].ticker.lags_s
        reading, self._reading = self._reading, Reading()
        before_s, self._cpu_s = self._cpu_s, time.process_time()
        reading.cpu_ms = (self._cpu_s - before_s) * 1e3
        reading.tick_late_ms = max(lags_s, default=0.0) * 1e3
        lags_s.clear()
        return web.json_response(asdict(reading))


async def serve(backend_url: str) -> None:
    """Serve until ended, having printed the address."""
    probe = Probe()

    async def probing(_: web.Application) -> AsyncIterator[None]:
        async with running(probe.run(), name="probe", crashed=lambda _: None):
            yield

    app = create_app(Settings(hewston_backend_url=backend_url, bff_rate_aggregated_per_minute=0))
    app.router.add_get("/probe", probe.read)
    app.cleanup_ctx.append(probing)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    settle_heap()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().create_future()


# -- the clients


class Bench:
    """The client of one service."""

    def __init__(self, url: str, session: aiohttp.ClientSession, backend: SimulatedBackend) -> None:
        self._url = url
        self._session = session
        self._backend = backend
        self._targets = iter(range(TARGET, 100, -1))

    async def reading(self) -> Reading:
        """The probe's, and a new beginning for it."""
        async with self._session.get(self._url + "/probe") as response:
            return Reading(**await response.json())

    async def chart(self, target: int, headers: dict[str, str]) -> float:
        """Get it; ms until all was there."""
        began_s = time.perf_counter()
        url = f"{self._url}{CHART}&target_points={target}"
        async with self._session.get(url, headers=headers) as response:
            response.raise_for_status()
            await response.read()
        return (time.perf_counter() - began_s) * 1e3

    async def cold(self) -> Reading:
        """A chart that is not kept yet: each asks for another number of points."""
        await self.reading()
        await self.chart(next(self._targets), GZIP)
        return await self.reading()

    async def kept(self, count: int, headers: dict[str, str]) -> tuple[float, float, float]:
        """Median and worst latency, and CPU of the service a request, ms."""
        await self.reading()
        times_ms = [await self.chart(TARGET, headers) for _ in range(count)]
        cpu_ms = (await self.reading()).cpu_ms
        return statistics.median(times_ms), max(times_ms), cpu_ms / count

    async def calls_of_a_hundred(self) -> int:
        """How often the backend was asked for 100 equal charts at once."""
        before = self._calls()
        target = next(self._targets)
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(self.chart(target, GZIP))
        return self._calls() - before

    def _calls(self) -> int:
        counts = self._backend.stats().requests_by_route
        return sum(count for route, count in counts.items() if "/bars/minute" in route)

    async def quiet(self, seconds: float) -> Reading:
        """The same time without charts."""
        await self.reading()
        await asyncio.sleep(seconds)
        return await self.reading()

    @asynccontextmanager
    async def playback(self, viewers: int) -> AsyncIterator[None]:
        """So many viewers in the middle of a year, at speed 60; the log is complete."""
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            tasks = []
            for _ in range(viewers):
                url = f"{self._url}/api/v1/runs/{RUN_ID}/stream?speed=60"
                ws = await stack.enter_async_context(self._session.ws_connect(url))
                tasks.append(group.create_task(_drain(ws)))
            while not await self._is_complete():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.2)
            yield
            for task in tasks:
                task.cancel()

    async def _is_complete(self) -> bool:
        async with self._session.get(self._url + "/api/v1/websocket/stats") as response:
            rows = (await response.json())["runs"]
        return any(row["run_id"] == RUN_ID and row["complete"] for row in rows)


async def _drain(ws: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in ws:
        pass


@asynccontextmanager
async def service(backend_url: str) -> AsyncIterator[str]:
    """The address of a service in front of this backend."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", backend_url, stdout=PIPE
    )
    try:
        if process.stdout is not None:
            yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def several(count: int, measure: Callable[[], Awaitable[Reading]]) -> list[Reading]:
    """One after the other."""
    return [await measure() for _ in range(count)]


async def measured(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Names and figures."""
    backend = SimulatedBackend(default_runs())
    async with (
        backend.running() as simulated,
        service(simulated.url) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        bench = Bench(url, session, backend)
        first = await bench.cold()
        cold = await several(options.rounds, bench.cold)
        await bench.chart(TARGET, GZIP)
        gzip, plain = await bench.kept(200, GZIP), await bench.kept(200, IDENTITY)
        calls = await bench.calls_of_a_hundred()
        async with bench.playback(options.viewers):
            quiet = await several(options.rounds, lambda: bench.quiet(0.5))
            beside = await several(options.rounds, bench.cold)
    return [
        ("cold, the first: CPU", f"{first.cpu_ms:.0f} ms"),
        ("cold: CPU, median and worst; goal under 250 ms", _pair(cold, "cpu_ms")),
        (
            "cold: loop blocked by own work, worst of each; goal under 10 ms",
            _pair(cold, "blocked_ms"),
        ),
        ("cold: loop late by the clock, worst of each", _pair(cold, "late_ms")),
        ("kept, gzip: latency median, worst; CPU each; goal under 5 ms", _three(gzip)),
        ("kept, identity: latency median, worst; CPU each", _three(plain)),
        ("100 equal at once: calls to the backend; goal 1", str(calls)),
        (
            f"{options.viewers} viewers, no chart: tick late, worst of each",
            _pair(quiet, "tick_late_ms"),
        ),
        (
            f"{options.viewers} viewers, cold: tick late, worst of each",
            _pair(beside, "tick_late_ms"),
        ),
        (f"{options.viewers} viewers, cold: loop blocked by own work", _pair(beside, "blocked_ms")),
    ]


def _pair(readings: list[Reading], name: str) -> str:
    values = [getattr(reading, name) for reading in readings]
    return f"{statistics.median(values):.1f}, {max(values):.1f} ms"


def _three(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " ms"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=50, help="of the playback beside it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    configure_logging(level="WARNING", fmt="console")
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return 0
    found = Table(title="a year of minutes to 10 000 points", show_header=False)
    found.add_column()
    found.add_column(justify="right")
    for row in asyncio.run(measured(options)):
        found.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 110).print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
