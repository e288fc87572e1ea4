"""Runs that are over without a frame: said at once, whichever way the backend streams."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from hewston_bff.tools.simulator import (
    Lifecycle,
    RunningBackend,
    SimulatedBackend,
    SimulatedRun,
    SimulatedStatus,
    generated_run,
)
from hewston_bff.tools.simulator.runs import RunProgress
from tests.support import QUICK, Bff, is_a, stack

TRANSPORTS = ["ws", "sse", "auto"]


def empty(final: SimulatedStatus) -> SimulatedRun:
    """A run that streams nothing but `hb`, or an end."""
    return generated_run("empty", lifecycle=Lifecycle(final=final, streams_nothing=True))


def serving(
    final: SimulatedStatus, transport: str
) -> AbstractAsyncContextManager[tuple[Bff, SimulatedBackend, RunningBackend]]:
    """The stack with this run, the longest load cut to what a test can wait for."""
    return stack(
        empty(final),
        options=replace(QUICK, hb_interval_s=0.2),
        bff_upstream_transport=transport,
        bff_hub_load_seconds=0.5,
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("final", [SimulatedStatus.DONE, SimulatedStatus.ERROR])
async def test_a_run_without_a_frame_ends_before_its_first(
    final: SimulatedStatus, transport: str
) -> None:
    async with serving(final, transport) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("empty", mode="all", speed=0)
        end = await viewer.until(is_a("end"))
        assert end["seq"] == -1
        assert not viewer.frames()
        assert viewer.of("upstream")[-1]["status"] == "complete"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_commands_to_a_run_without_a_frame_are_answered(transport: str) -> None:
    async with serving(SimulatedStatus.DONE, transport) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("empty")
        await viewer.until(is_a("end"))
        commands: list[tuple[str, dict[str, Any]]] = [
            ("seek", {"pos": 0}),
            ("seek", {"pos": 7}),
            ("seek", {"ts": "2024-03-01T14:30:00Z"}),
            ("step", {"val": 1}),
            ("step", {"val": -1}),
            ("live", {}),
        ]
        for cmd, values in commands:
            answer = await viewer.ctrl(cmd, **values)
            assert (answer["t"], answer["code"]) == ("err", "RANGE"), (cmd, values)
            assert "no frames" in answer["msg"]
        for cmd in ("pause", "play"):
            answer = await viewer.ctrl(cmd)
            assert (answer["t"], answer["seq"]) == ("state", -1), cmd
        assert not viewer.frames()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_events_of_a_run_without_a_frame_end(transport: str) -> None:
    async with serving(SimulatedStatus.DONE, transport) as (bff, _, _):
        async with bff.session.get(f"{bff.url}/api/v1/runs/empty/events") as response:
            text = await response.text()
        assert "event: frame" not in text
        assert "event: end" in text


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("final", [SimulatedStatus.DONE, SimulatedStatus.ERROR])
async def test_a_whole_run_without_a_frame_has_empty_parts(
    final: SimulatedStatus, transport: str
) -> None:
    async with serving(final, transport) as (bff, _, _):
        page: dict[str, Any] = await bff.get("/api/v1/runs/empty/complete")
        assert page["equity"] == []
        assert page["orders"] == []


class _Broken(Lifecycle):
    """A run that failed once it had made frames, which are streamed."""

    def at(self, elapsed_s: float, *, frame_count: int) -> RunProgress:
        return RunProgress(SimulatedStatus.CANCELLED, frame_count, is_streamable=True)


async def test_a_failed_run_whose_stream_still_loads_is_not_said_to_be_empty() -> None:
    run = generated_run("broken", frame_count=5, lifecycle=_Broken())
    options = replace(QUICK, hb_interval_s=0.2, play_silence_s=2.0)
    async with stack(run, options=options, bff_hub_load_seconds=3.0) as (bff, _, _):
        async with bff.viewer() as viewer:
            first = await bff.get("/api/v1/runs/broken/complete")
            assert first["metadata"]["partial_data"] is True
            assert first["metadata"]["failed_sources"] == ["stream"]
            await viewer.subscribe("broken", mode="all", speed=0)
            await viewer.until(is_a("end"))
        second = await bff.get("/api/v1/runs/broken/complete")
        assert len(second["equity"]) == 5
        assert second["metadata"]["partial_data"] is False
