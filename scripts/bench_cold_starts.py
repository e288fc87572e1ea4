#!/usr/bin/env python3
"""Ten runs that nobody has watched, all asked for at once, on a backend as deaf as the real one.

Says when the tenth run showed its first frame, and how long a page's list took meanwhile: asked
for again and again, one after another, until every run has come to its end. `--program` is another
`hewston-bff` to measure, such as that of an older state.

    scripts/bench_cold_starts.py
    scripts/bench_cold_starts.py --transport ws --share 0.25 --program ../old/.venv/bin/hewston-bff
"""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from time import monotonic

import aiohttp
import msgspec

from hewston_bff.tools.simulator import DEAF, Calendar, SimulatedBackend, generated_run

FRAMES = (98_280, 3_263, 45_000, 18_000, 132_469, 8_190, 60_000, 24_952, 12_000, 32_000)
"""434 154 in all."""
EVERY_S = 0.1
GIVE_UP_S = 240.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    program = Path(sys.executable).with_name("hewston-bff")
    parser.add_argument("--program", default=str(program), help="the hewston-bff to measure")
    parser.add_argument("--transport", default=None, help="BFF_UPSTREAM_TRANSPORT; default: unset")
    parser.add_argument("--share", type=float, default=1.0, help="share of the frames (and loads)")
    parser.add_argument("--no-events", action="store_true", help="a backend with WebSockets only")
    return parser.parse_args()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def _serving(program: str, backend_url: str, transport: str | None) -> AsyncIterator[str]:
    """The program in front of the backend, ready."""
    port = _free_port()
    environment = dict(os.environ, BFF_LOG_LEVEL="ERROR", BFF_RATE_PROXIED_PER_MINUTE="0")
    if transport is not None:
        environment["BFF_UPSTREAM_TRANSPORT"] = transport
    process = await asyncio.create_subprocess_exec(
        program,
        "serve",
        "--port",
        str(port),
        "--backend-url",
        backend_url,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while True:
                try:
                    async with session.get(f"{url}/api/v1/backtests?limit=1"):
                        break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _watch(
    session: aiohttp.ClientSession, url: str, run_id: str, frames: int, began_s: float
) -> tuple[float, float]:
    """Seconds to the first frame, and to the last."""
    first_s = None
    async with session.ws_connect(f"{url}/api/v1/stream") as ws:
        await ws.send_str(
            f'{{"t":"subscribe","run_id":"{run_id}","speed":100000,"updates":["frames"]}}'
        )
        async for received in ws:
            message = msgspec.json.decode(received.data)
            if message["t"] == "frame":
                first_s = first_s if first_s is not None else monotonic() - began_s
                if message["seq"] == frames - 1:
                    return first_s, monotonic() - began_s
    msg = f"{run_id} was closed before its last frame"
    raise RuntimeError(msg)


async def _poll(session: aiohttp.ClientSession, url: str, took_s: list[float]) -> None:
    while True:
        asked_s = monotonic()
        async with session.get(f"{url}/api/v1/backtests?limit=20") as response:
            await response.read()
            if response.status != 200:
                print(f"  the list was answered {response.status}")
        took_s.append(monotonic() - asked_s)
        await asyncio.sleep(EVERY_S)


async def main() -> None:
    """Measure once."""
    options = _arguments()
    runs = [
        generated_run(f"cold-{n}", frame_count=int(frames * options.share), seed=n)
        if frames < 98_281
        else generated_run(
            f"cold-{n}",
            frame_count=int(frames * options.share),
            seed=n,
            calendar=Calendar.ALL_MINUTES,
        )
        for n, frames in enumerate(FRAMES)
    ]
    for run in runs:
        _ = run.frames
    deaf = replace(
        DEAF,
        has_events=not options.no_events,
        play_silence_s=DEAF.play_silence_s * options.share,
    )
    backend = SimulatedBackend(runs, options=deaf)
    async with (
        backend.running() as running,
        _serving(options.program, running.url, options.transport) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        took_s: list[float] = []
        began_s = monotonic()
        async with asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as group:
            polling = group.create_task(_poll(session, url, took_s))
            watching = [
                group.create_task(_watch(session, url, run.run_id, run.frame_count, began_s))
                for run in runs
            ]
            await asyncio.wait(watching)
            polling.cancel()
    firsts = sorted(watched.result()[0] for watched in watching)
    lasts = sorted(watched.result()[1] for watched in watching)
    p95_ms = quantiles(took_s, n=20)[-1] * 1e3
    print(
        f"first frames of ten runs, s: {' '.join(f'{each:.1f}' for each in firsts)}\n"
        f"last frame of the last, s:   {lasts[-1]:.1f}\n"
        f"list, {len(took_s)} times:       p95 {p95_ms:.0f} ms, worst {max(took_s):.2f} s"
    )


if __name__ == "__main__":
    asyncio.run(main())
