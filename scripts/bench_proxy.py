#!/usr/bin/env python3
"""What the proxy adds to a request: latency against direct calls, CPU against a bare aiohttp proxy.

    scripts/bench_proxy.py                        2 000 turns of each, then 5 rounds of CPU
    scripts/bench_proxy.py --bytes 200000         with larger answers

A backend with a fixed answer, this service and a bare proxy (one handler, one `ClientSession`, the
body streamed) run as processes of their own. Calls take turns within one run, so that what else
the machine does hits all alike: the added latency is ours less the direct call beside it. CPU is
user and system time of the server's process per request, over windows that take turns too.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from rich.console import Console
from rich.table import Table

from hewston_bff.tools.loadtest.cpu import cpu_s

SCRIPT = Path(__file__).resolve()
ROOT = SCRIPT.parent.parent
PATH = "/backtests/bench-run"
READY_S = 20.0
P50_MS, P99_MS, CPU_RATIO = 2.0, 10.0, 1.3
DIRECT, OURS, BARE = "direct", "hewston-bff", "bare aiohttp proxy"


@dataclass(frozen=True)
class Server:
    """A process to ask."""

    name: str
    url: str
    pid: int


def main() -> int:
    """Run it; the status is 1 if a target was missed."""
    options = _options()
    if options.serve:
        _serve(options)
        return 0
    latencies_ms, cpu_us = asyncio.run(_measure(options))
    return _report(latencies_ms, cpu_us)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=2_000, help="calls of each, one at a time")
    parser.add_argument("--rounds", type=int, default=5, help="windows of CPU for each")
    parser.add_argument("--requests", type=int, default=3_000, help="requests in a window")
    parser.add_argument("--clients", type=int, default=8, help="at a time, in a window")
    parser.add_argument("--bytes", type=int, default=1_000, help="of the backend's answer")
    parser.add_argument("--serve", choices=("backend", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--backend", help=argparse.SUPPRESS)
    return parser.parse_args()


# -- the processes


def _serve(options: argparse.Namespace) -> None:
    app = web.Application()
    if options.serve == "backend":
        body = b'{"a":"' + b"x" * options.bytes + b'"}'

        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json")

        app.router.add_get("/{path:.*}", answer)
    else:
        app.cleanup_ctx.append(_session)
        app.router.add_get("/{path:.*}", _pass_on(options.backend))
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None)


SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app[SESSION] = session
        yield


def _pass_on(backend: str) -> Handler:
    async def pass_on(request: web.Request) -> web.StreamResponse:
        async with request.app[SESSION].get(backend + request.path_qs) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            response.content_length = answer.content_length
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    return pass_on


@contextmanager
def _process(name: str, arguments: list[str], port: int, **environ: str) -> Iterator[Server]:
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Server(name, f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@asynccontextmanager
async def _servers(options: argparse.Namespace) -> AsyncIterator[tuple[Server, Server, Server]]:
    ports = [_free_port() for _ in range(3)]
    backend_url = f"http://127.0.0.1:{ports[0]}"
    async with AsyncExitStack() as stack:
        servers = (
            stack.enter_context(
                _process(
                    DIRECT,
                    [
                        str(SCRIPT),
                        "--serve=backend",
                        f"--port={ports[0]}",
                        f"--bytes={options.bytes}",
                    ],
                    ports[0],
                )
            ),
            stack.enter_context(
                _process(
                    OURS,
                    ["-m", "hewston_bff", "serve"],
                    ports[1],
                    HEWSTON_BACKEND_URL=backend_url,
                    BFF_PORT=str(ports[1]),
                    BFF_RATE_PROXIED_PER_MINUTE="1000000",
                )
            ),
            stack.enter_context(
                _process(
                    BARE,
                    [str(SCRIPT), "--serve=bare", f"--port={ports[2]}", f"--backend={backend_url}"],
                    ports[2],
                )
            ),
        )
        for server in servers:
            await _ready(server)
        yield servers


def _pin(servers: tuple[Server, ...]) -> None:
    """Everything on one processor.

    Sending to a process that sleeps on another one costs the sender more than the whole request:
    which proxy meets a sleeping neighbour more often is chance, and no work of its own.
    """
    processor = min(os.sched_getaffinity(0))
    for pid in (0, *(server.pid for server in servers)):
        os.sched_setaffinity(pid, {processor})


async def _ready(server: Server) -> None:
    async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(server.url + PATH) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- the measurements


async def _measure(
    options: argparse.Namespace,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    async with _servers(options) as servers, aiohttp.ClientSession() as session:
        latencies_ms: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(-200, options.turns):  # the first ones only warm up
            for server in servers:
                took_ms = await _call(session, server)
                if turn >= 0:
                    latencies_ms[server.name].append(took_ms)
        _pin(servers)
        cpu_us: dict[str, list[float]] = {server.name: [] for server in servers[1:]}
        for _ in range(options.rounds):
            for server in servers[1:]:
                cpu_us[server.name].append(await _window(session, server, options))
        return latencies_ms, cpu_us


async def _call(session: aiohttp.ClientSession, server: Server) -> float:
    began_s = time.perf_counter()
    async with session.get(server.url + PATH) as response:
        await response.read()
    if response.status != 200:
        msg = f"{server.name} answered {response.status}"
        raise RuntimeError(msg)
    return (time.perf_counter() - began_s) * 1e3


async def _window(
    session: aiohttp.ClientSession, server: Server, options: argparse.Namespace
) -> float:
    """CPU of the server's process, µs a request."""
    each = options.requests // options.clients

    async def ask() -> None:
        for _ in range(each):
            await _call(session, server)

    before_s = cpu_s([server.pid])
    async with asyncio.TaskGroup() as group:
        for _ in range(options.clients):
            group.create_task(ask())
    used_s = cpu_s([server.pid]) - before_s
    count: int = each * options.clients
    return used_s / count * 1e6


# -- the result


def _report(latencies_ms: dict[str, list[float]], cpu_us: dict[str, list[float]]) -> int:
    console = Console()
    table = Table("", "p50 ms", "p99 ms", "CPU µs a request")
    for name, samples in latencies_ms.items():
        cpu = f"{statistics.median(cpu_us[name]):.0f}" if name in cpu_us else ""
        table.add_row(name, f"{_at(samples, 50):.2f}", f"{_at(samples, 99):.2f}", cpu)
    console.print(table)
    for name, samples in cpu_us.items():
        rounds = ", ".join(f"{sample:.0f}" for sample in samples)
        console.print(f"CPU of {name}, µs by round: {rounds}")
    pairs = zip(latencies_ms[OURS], latencies_ms[DIRECT], strict=True)
    added = [ours - direct for ours, direct in pairs]
    ratio = statistics.median(
        ours / bare for ours, bare in zip(cpu_us[OURS], cpu_us[BARE], strict=True)
    )
    results = (
        ("added latency, p50 ms", _at(added, 50), P50_MS),
        ("added latency, p99 ms", _at(added, 99), P99_MS),
        ("CPU against the bare proxy, ×", ratio, CPU_RATIO),
    )
    for name, value, target in results:
        verdict = "ok" if value <= target else "MISSED"
        console.print(f"{name}: {value:.2f} (target {target:g}): {verdict}")
    return any(value > target for _, value, target in results)


def _at(samples: list[float], percentile: int) -> float:
    return statistics.quantiles(samples, n=100)[percentile - 1]


if __name__ == "__main__":
    sys.exit(main())
