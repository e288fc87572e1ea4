#!/usr/bin/env python3
# long: one tool, one file: its clients, its servers and its table
"""What it costs to deliver a message: this service against a floor in C and a naive aiohttp loop.

    scripts/bench_fanout.py                      1 000 live viewers of one run
    scripts/bench_fanout.py --case playback      the same, anywhere in a year at speed 60
    scripts/bench_fanout.py --rounds 2 --case speeds --case many-runs --case one-socket

The contenders take turns, round by round, so that what else the machine does hits all alike: the
ratios, formed within a round, say more than the µs. The figure is the CPU (user and system) of the
server's process per delivered message, over exactly the window. The latency is that from the
source's stamp to the client: ours includes the leg from the backend, where the others have none.

The floor and the clients are fanout.c beside this file, compiled into a temporary folder: gcc is
needed. Only the loopback interface is used, and everything that was started is ended.
"""

import argparse
import asyncio
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web
from rich.console import Console
from rich.table import Table
from yarl import URL

from hewston_bff.tools.loadtest.engine import LoadTest
from hewston_bff.tools.loadtest.plan import Plan, StreamEndpoint

ROOT = Path(__file__).resolve().parent.parent
FPS = 30
FRAME_BYTES = 300
READY_TIMEOUT_S = 60.0
WARM_TIMEOUT_S = 300.0
FLOOR = "floor in C"
LIVE_RUN = "bench-live"
YEAR_RUN = "demo-year"
MANY_RUNS = 100
SOCKET_RUNS = 20
STREAM = "/api/v1/stream"
# For a hundred runs to be read in a minute. What is measured comes after.
ENVIRONMENT = {"BFF_HUB_FLOODS": "16"}

TARGETS = {
    "live": "at most 1.5 × the floor",
    "playback": "at most 1.2 × live",
    "speeds": "at most 2 × live",
    "many-runs": "at most 1.3 × live",
    "one-socket": "at most 3 µs a message",
}


class Failed(Exception):
    """The benchmark can't go on: why, and what the program said that failed."""

    def __init__(self, problem: str, said: str = "") -> None:
        super().__init__(f"{problem}\n{said}".rstrip())


@dataclass(frozen=True)
class Sample:
    """One measurement. `p99_ms`: latency of stamped frames."""

    us: float
    messages_per_s: float
    p99_ms: float | None


@dataclass(frozen=True)
class Server:
    """A server process that is ready."""

    port: int
    pid: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured, and with which clients."""

    clients: int
    seconds: float
    warmup_s: float
    speed: float
    fanout: Path


Measure = Callable[[], Sample]


# Servers


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether connections are accepted there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether there is a 200 to be had."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def running(*command: str, port: int, ready: Callable[[], bool]) -> Iterator[Server]:
    """A server in a process of its own, ended with the block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT}
        )
        try:
            deadline_s = time.monotonic() + READY_TIMEOUT_S
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline_s:
                    log.seek(0)
                    said = log.read().decode("utf-8", "replace")[-2_000:]
                    raise Failed("this does not get ready: " + " ".join(command), said)
                time.sleep(0.05)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def floor(fanout: Path) -> AbstractContextManager[Server]:
    """The C server: one send(2) a message."""
    port = free_port()
    command = (str(fanout), "serve", f"{port}", f"{FRAME_BYTES}", f"{FPS}")
    return running(*command, port=port, ready=lambda: listens(port))


def role(name: str) -> AbstractContextManager[Server]:
    """One of the two servers at the end of this file."""
    port = free_port()
    command = (sys.executable, __file__, "--serve", name, "--port", f"{port}")
    return running(*command, port=port, ready=lambda: listens(port))


def simulator() -> AbstractContextManager[Server]:
    """The simulated backend, which does not keep one waiting for the first frame."""
    port = free_port()
    command = (sys.executable, "-m", "hewston_bff", "backend", "--port", f"{port}")
    url = f"http://127.0.0.1:{port}/healthz"
    return running(*command, "--silence", "0.1", port=port, ready=lambda: answers(url))


def service(backend: Server) -> AbstractContextManager[Server]:
    """This service, in front of a backend."""
    port = free_port()
    command = (sys.executable, "-m", "hewston_bff", "serve", "--port", f"{port}")
    upstream = ("--backend-url", f"http://127.0.0.1:{backend.port}")
    url = f"http://127.0.0.1:{port}/api/v1/health/ready"
    return running(*command, *upstream, port=port, ready=lambda: answers(url))


# Measuring


class Percentile(msgspec.Struct):
    """A part of what the clients print."""

    samples: int
    p99: float


class Cpu(msgspec.Struct):
    """Another."""

    cpu_us_per_msg: float


class Drained(msgspec.Struct):
    """What the clients print."""

    opened: int
    closed: int
    msgs_per_s: float
    lat_ms: Percentile
    server: Cpu


def drained(
    server: Server, scale: Scale, *, path: str, say: str = "", channels: int = 0
) -> Measure:
    """Clients that send `say` (%d: their number modulo `channels`) and take what comes."""
    command = [str(scale.fanout), "drain", f"{server.port}", path, f"{scale.clients}"]
    command += [f"{scale.warmup_s}", f"{scale.seconds}", f"{server.pid}", f"{channels}", say]

    def measure() -> Sample:
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)  # noqa: S603
        if not done.stdout:
            raise Failed("the clients measured nothing", done.stderr.decode())
        found = msgspec.json.decode(done.stdout, type=Drained)
        if found.opened < scale.clients or found.closed or not found.msgs_per_s:
            raise Failed("not all clients got in, remained, and were sent messages", f"{found}")
        p99_ms = found.lat_ms.p99 if found.lat_ms.samples else None
        return Sample(found.server.cpu_us_per_msg, found.msgs_per_s, p99_ms)

    return measure


def tested(server: Server, scale: Scale, *, runs: tuple[str, ...], subscriptions: int) -> Measure:
    """The load test's clients, which can have several runs each, and runs of any name."""
    plan = Plan(
        url=URL(f"http://127.0.0.1:{server.port}"),
        endpoint=StreamEndpoint.STREAM,
        runs=runs,
        clients=scale.clients // subscriptions,
        subscriptions=subscriptions,
        speed=scale.speed,
        seconds=scale.seconds,
        warmup_s=scale.warmup_s,
    )

    def measure() -> Sample:
        report = asyncio.run(LoadTest(plan, pids=(server.pid,)).run())
        us = report.server_cpu_us_per_message
        if not report.is_ok or us is None or report.breaks or report.errors:
            raise Failed("not all streams were as they should be", f"{report}")
        return Sample(us, report.messages_per_s, None)

    return measure


# Cases


def subscribe(**options: object) -> str:
    """A subscription as a client says it."""
    return msgspec.json.encode({"t": "subscribe", **options}).decode()


def live(server: Server, scale: Scale) -> Measure:
    """All follow one run that grows."""
    say = subscribe(run_id=LIVE_RUN, **{"from": "live"})
    return drained(server, scale, path=STREAM, say=say)


def playback(server: Server, scale: Scale) -> Measure:
    """All play a year at speed 60, each from a frame of its own: %d7 is 10 × its number + 7."""
    say = subscribe(run_id=YEAR_RUN, speed=60, **{"from": "@"}).replace('"@"', "%d7")
    return drained(server, scale, path=STREAM, say=say)


def speeds(server: Server, scale: Scale) -> Measure:
    """All play a year, at twenty speeds: 5, 15, 25, … 195."""
    say = subscribe(run_id=YEAR_RUN, speed="@").replace('"@"', "%d5")
    return drained(server, scale, path=STREAM, say=say, channels=20)


async def created(backend: Server, count: int) -> tuple[str, ...]:
    """New runs of a month each, in the simulated backend."""
    url = f"http://127.0.0.1:{backend.port}/backtests"
    month = {"dataset_id": "TSLA-2024-1m", "from": "2024-01-02", "to": "2024-02-02"}
    runs: list[str] = []
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            wish = {"strategy_id": "bench", "params": {"n": number}, "speed": 60, **month}
            async with session.post(url, data=msgspec.json.encode(wish)) as response:
                runs.append(msgspec.json.decode(await response.read())["run_id"])
    return tuple(runs)


async def warm(server: Server, runs: tuple[str, ...]) -> None:
    """See to it that the service holds these runs completely: it asks for all of them itself."""
    url = f"http://127.0.0.1:{server.port}{STREAM}"
    async with (
        asyncio.timeout(WARM_TIMEOUT_S),
        aiohttp.ClientSession() as session,
        session.ws_connect(url) as ws,
    ):
        left = dict(enumerate(runs, start=1))
        for sid, run_id in left.items():
            # Slower than the limit for control messages.
            await asyncio.sleep(0.03)
            await ws.send_str(subscribe(run_id=run_id, id=sid, speed=0.01))
        async for raw in ws:
            message = msgspec.json.decode(raw.data)
            is_whole = message.get("complete") or message.get("status") == "complete"
            whole = message.get("re") or message.get("run_id") or left.get(message.get("sid"))
            if is_whole:
                left = {sid: run for sid, run in left.items() if whole not in {sid, run}}
            if not left:
                return
        raise Failed("the service closed the connection while it was getting the runs")


Entries = dict[str, Measure]


def entries(case: str, scale: Scale, stack: ExitStack) -> Entries:
    """Who takes part in a case, by name, with servers that live as long as `stack`."""
    bottom = stack.enter_context(floor(scale.fanout))
    source = stack.enter_context(role("source"))
    ours_live = stack.enter_context(service(source))
    found = {
        FLOOR: drained(bottom, scale, path="/"),
        "live": live(ours_live, scale),
    }
    if case == "live":
        naive = stack.enter_context(role("naive"))
        return {**found, "naive aiohttp": drained(naive, scale, path="/ws")}
    backend = stack.enter_context(simulator())
    ours = stack.enter_context(service(backend))
    if case in {"playback", "speeds"}:
        asyncio.run(warm(ours, (YEAR_RUN,)))
        measure = playback if case == "playback" else speeds
        return {**found, case: measure(ours, scale)}
    count, subscriptions = (MANY_RUNS, 1) if case == "many-runs" else (SOCKET_RUNS, SOCKET_RUNS)
    runs = asyncio.run(created(backend, count))
    asyncio.run(warm(ours, runs))
    return {**found, case: tested(ours, scale, runs=runs, subscriptions=subscriptions)}


def bench(case: str, scale: Scale, *, rounds: int, console: Console) -> None:
    """Measure one case and print its table."""
    samples: dict[str, list[Sample]] = {}
    with ExitStack() as stack, console.status(f"{case}: starting the servers") as status:
        contenders = entries(case, scale, stack)
        for number in range(1, rounds + 1):
            for name, measure in contenders.items():
                status.update(f"{case}: round {number} of {rounds}, {name}")
                samples.setdefault(name, []).append(measure())
    console.print(table(case, samples, scale))


def table(case: str, samples: dict[str, list[Sample]], scale: Scale) -> Table:
    """Medians over the rounds, and ratios pair by pair."""
    rounds = len(next(iter(samples.values())))
    title = f"{case}: {scale.clients} streams, {rounds} rounds of {scale.seconds:g} s"
    found = Table(title=f"{title} (target: {TARGETS[case]})")
    for heading in ("", "µs/message", "× floor", "× live", "messages/s", "p99 ms"):
        found.add_column(heading, justify="right" if heading else "left")
    bottom, alive = samples[FLOOR], samples["live"]
    for name, taken in samples.items():
        latencies = [sample.p99_ms for sample in taken if sample.p99_ms is not None]
        found.add_row(
            name,
            f"{statistics.median(sample.us for sample in taken):.2f}",
            ratios(taken, bottom),
            ratios(taken, alive),
            f"{statistics.median(sample.messages_per_s for sample in taken):,.0f}",
            f"{statistics.median(latencies):.1f}" if latencies else "–",
        )
    return found


def ratios(taken: list[Sample], others: list[Sample]) -> str:
    """The median of the ratios within each round, and their range."""
    found = [one.us / other.us for one, other in zip(taken, others, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})"


# The servers that are started from here: a naive one, and a backend that stamps its frames.


def stamped_frame() -> str:
    """A frame as the backend sends it, of about FRAME_BYTES, with the time it was made."""
    frame = {
        "t": "frame",
        # Early, as the clients look for it in the first bytes only.
        "sent_ns": time.monotonic_ns(),
        "ts": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z",
        "ohlc": {"o": 187.15, "h": 187.41, "l": 187.02, "c": 187.33, "v": 48_211},
        "orders": [],
        "equity": {"ts": "2024-01-02T14:30:00Z", "value": 100_012.25},
        "dropped": 0,
    }
    text = msgspec.json.encode(frame).decode()
    return f'{text[:-1]},"pad":"{"x" * (FRAME_BYTES - len(text) - 9)}"}}'


async def naive(request: web.Request) -> web.WebSocketResponse:
    """Join the audience of the naive server."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    request.app[AUDIENCE].add(ws)
    try:
        async for _ in ws:
            pass
    finally:
        request.app[AUDIENCE].discard(ws)
    return ws


async def send_to_all(app: web.Application) -> None:
    """The naive loop: the same text to one after another, waiting for each."""
    audience = app[AUDIENCE]
    due_s = time.monotonic()
    while True:
        due_s += 1 / FPS
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        text = stamped_frame()
        for ws in list(audience):
            try:
                await ws.send_str(text)
            except ConnectionError:
                audience.discard(ws)


async def detail(request: web.Request) -> web.Response:
    """The source's only run, which never ends."""
    text = msgspec.json.encode({"run_id": request.match_info["run_id"], "status": "RUNNING"})
    return web.Response(body=text, content_type="application/json")


async def source(request: web.Request) -> web.WebSocketResponse:
    """Stream a run that grows by FPS frames a second, once `play` has come."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    await ws.receive()
    due_s = time.monotonic()
    while not ws.closed:
        await ws.send_str(stamped_frame())
        due_s += 1 / FPS
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
    return ws


AUDIENCE = web.AppKey("audience", set[web.WebSocketResponse])


async def serve(name: str, port: int) -> None:
    """Be one of the two servers until ended."""
    app = web.Application()
    app[AUDIENCE] = set()
    app.router.add_get("/ws", naive)
    app.router.add_get("/healthz", detail)
    app.router.add_get("/backtests/{run_id}", detail)
    app.router.add_get("/backtests/{run_id}/ws", source)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    if name == "naive":
        await send_to_all(app)
    await asyncio.Event().wait()


# The command


def compiled(into: Path) -> Path:
    """The floor and the clients as one program."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Failed("gcc is needed to compile the floor and the clients: install it first")
    command = (compiler, "-O2", "-o", str(into / "fanout"), str(ROOT / "scripts" / "fanout.c"))
    done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603
    if done.returncode:
        raise Failed("fanout.c does not compile", done.stderr)
    return into / "fanout"


def main() -> int:
    """The exit code: 0, or 1 if the benchmark could not be run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", choices=list(TARGETS), help="default: live")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=1_000, help="streams, on as many sockets")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a window")
    parser.add_argument("--warm-up", type=float, default=1.5, help="seconds before it")
    parser.add_argument(
        "--speed",
        type=float,
        default=10.0,
        help="of many-runs and one-socket, whose runs are a month: slow enough to outlast a window",
    )
    parser.add_argument("--serve", choices=("naive", "source"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if options.serve:
        asyncio.run(serve(options.serve, options.port))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 110)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fanout = compiled(Path(folder))
            scale = Scale(
                clients=options.clients,
                seconds=options.seconds,
                warmup_s=options.warm_up,
                speed=options.speed,
                fanout=fanout,
            )
            for case in options.case or ["live"]:
                bench(case, scale, rounds=options.rounds, console=console)
        except Failed as exc:
            Console(stderr=True).print(str(exc), markup=False)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
