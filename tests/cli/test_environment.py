"""The program where its surroundings fail: no place for its log, no descriptors left."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import aiohttp
import msgspec
import pytest

from hewston_bff.log_setup import LogSink
from hewston_bff.tools.simulator import SimulatedBackend, SimulatedRun, generated_run
from tests.program import ROOT, clean_environ, once_up
from tests.support import QUICK, Viewer, free_port


@asynccontextmanager
async def served(
    *prefix: str, output: IO[Any] | int, **environ: str
) -> AsyncIterator[tuple[str, SimulatedRun]]:
    """`serve` in front of a backend, both outputs there; its address and a run. It ends well."""
    run, port = generated_run("day"), free_port()
    async with SimulatedBackend([run], options=QUICK).running() as backend:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, sys.executable, "-m", "hewston_bff", "serve", "--port", str(port)),
            cwd=ROOT,
            env=clean_environ() | {"HEWSTON_BACKEND_URL": backend.url} | environ,
            stdout=output,
            stderr=output,
        )
        try:
            yield f"http://127.0.0.1:{port}", run
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def answers_as_ever(url: str) -> None:
    """Requests are answered, each of which has its line in the log, and a socket stays open."""
    async with aiohttp.ClientSession(url) as session:
        await once_up(session, "/api/v1/health/live")
        async with session.ws_connect("/api/v1/stream", autoping=False) as ws:
            viewer = Viewer(ws)
            assert (await viewer.subscribe("day"))["t"] == "subscribed"
            for path in ("/api/v1/health/live", "/api/v1/backtests/day", "/metrics"):
                async with session.get(path) as response:
                    assert response.status == 200, path
            async with session.get("/nowhere") as response:
                assert response.status == 404
            assert (await viewer.ctrl("seek", to=5))["re"]
            async with session.get("/metrics") as response:
                text = await response.text()
    dropped = [line for line in text.splitlines() if "log_lines_dropped_total " in line]
    assert float(dropped[-1].split()[-1]) > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_full_disk_under_the_log_fails_no_request() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with served(output=full) as (url, _):
            await answers_as_ever(url)
    finally:
        os.close(full)


async def test_a_closed_pipe_under_the_log_fails_no_request() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        async with served(output=writer) as (url, _):
            await answers_as_ever(url)
    finally:
        os.close(writer)


def test_lines_that_cannot_be_written_are_counted_and_told_once() -> None:
    room, written = [1000], bytearray()

    def write(data: bytes) -> int:
        taken = min(len(data), room[0])
        if not taken:
            raise OSError(28, "No space left on device")
        room[0] -= taken
        written.extend(data[:taken])
        return taken

    sink = LogSink(write, recovered=lambda dropped: f'{{"dropped":{dropped}}}\n')
    sink.write('{"n":1}\n')
    room[0] = 3
    for _ in range(3):  # the first of them breaks off
        sink.write('{"n":2}\n')
    room[0] = 1000
    sink.write('{"n":3}\n')
    sink.write('{"n":4}\n')
    lines = written.decode().splitlines()
    assert lines == ['{"n":1}', '{"n', '{"n":3}', '{"dropped":3}', '{"n":4}']
    assert msgspec.json.decode(lines[3]) == {"dropped": 3}
