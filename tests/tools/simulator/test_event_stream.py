"""The SSE stream of a run."""

import asyncio
import math
from dataclasses import replace

import aiohttp
import pytest

from hewston_bff.tools.simulator import (
    Close,
    CutAt,
    Diverge,
    FaultPlan,
    Garbage,
    HalfOpen,
    Lifecycle,
    Refuse,
    SimulatedBackend,
    generated_run,
    load_recording,
)
from tests.recordings import RECORDINGS, needs_recordings
from tests.tools.simulator.conftest import Serve
from tests.tools.simulator.support import QUICK
from tests.waiting import PATIENCE_S

_SSE = "/backtests/r/stream"
_RUN = generated_run("r", frame_count=300)


def _events(frames: list[bytes]) -> bytes:
    return b"".join(b"event: frame\ndata: " + frame + b"\n\n" for frame in frames)


async def test_every_frame_comes_and_then_an_end(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=QUICK)
    _, session = await serve(backend)
    async with session.get(_SSE, params={"speed": "60"}) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert await answer.read() == _events([*_RUN.frames]) + b"event: end\ndata: {}\n\n"
    assert backend.stats().connections[0].transport == "sse"


@needs_recordings
async def test_a_recorded_run_streams_as_it_was_recorded(serve: Serve) -> None:
    name = "2d5e4d11831541a38b9af277c23fbf85"
    run = load_recording(RECORDINGS / "ws" / f"{name}.jsonl")
    _, session = await serve(SimulatedBackend([run], options=QUICK))
    async with session.get(f"/backtests/{name}/stream") as answer:
        assert await answer.read() == (RECORDINGS / "sse" / f"{name}.txt").read_bytes()


@pytest.mark.parametrize("run_id", ["nope", "waiting"])
async def test_a_run_that_cannot_stream_is_an_error_event(serve: Serve, run_id: str) -> None:
    waiting = generated_run("waiting", lifecycle=Lifecycle(queued_s=math.inf))
    _, session = await serve(SimulatedBackend([waiting], options=QUICK))
    async with session.get(f"/backtests/{run_id}/stream") as answer:
        assert answer.status == 200
        assert (await answer.read()).startswith(b"event: error\ndata: {")


async def test_other_requests_are_served_while_it_streams(serve: Serve) -> None:
    options = replace(QUICK, sse_frames_per_s=200, deaf_while_flooding=True)
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    async with session.get(_SSE) as stream:
        await stream.content.readline()
        async with asyncio.timeout(PATIENCE_S), session.get("/healthz") as answer:
            assert answer.status == 200


async def test_a_cut_breaks_the_stream_after_the_frames_before_it(serve: Serve) -> None:
    options = replace(QUICK, faults=FaultPlan(default=(CutAt(frame=150),)))
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    expected = _events([*_RUN.frames[:150]])
    async with session.get(_SSE) as answer:
        assert await answer.content.readexactly(len(expected)) == expected
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()


async def test_a_close_ends_the_stream_without_an_end_event(serve: Serve) -> None:
    options = replace(QUICK, faults=FaultPlan(default=(Close(frame=3),)))
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    async with session.get(_SSE) as answer:
        assert await answer.read() == _events([*_RUN.frames[:3]])


async def test_a_half_open_stream_stays_silent(serve: Serve) -> None:
    options = replace(QUICK, faults=FaultPlan(default=(HalfOpen(frame=1),)))
    backend = SimulatedBackend([_RUN], options=options)
    _, session = await serve(backend)
    async with session.get(_SSE) as answer:
        expected = _events([_RUN.frames[0]])
        assert await answer.content.readexactly(len(expected)) == expected
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await answer.content.read(1)
        assert backend.stats().open_now("r") == 1


async def test_garbage_divergence_and_refusals_work_here_too(serve: Serve) -> None:
    scripts = [(Garbage(frame=1), Diverge(frame=2)), (Refuse(status=503),)]
    options = replace(QUICK, faults=FaultPlan(connections={"r": scripts}))
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    async with session.get(_SSE) as answer:
        data = [line for line in (await answer.read()).splitlines() if line.startswith(b"data: ")]
    assert data[:3] == [b"data: " + told for told in (_RUN.frames[0], b"{", _RUN.frames[1])]
    assert data[3] != b"data: " + _RUN.frames[2]
    async with session.get(_SSE) as answer:
        assert answer.status == 503
