"""`hewston-bff loadtest` as people call it: its output and its exit codes."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from hewston_bff.cli.loadtest import loadtest
from hewston_bff.tools.loadtest import plot
from hewston_bff.tools.loadtest.report import Report
from tests.tools.loadtest.conftest import Start
from tests.tools.loadtest.server import Behaviour

SHORT = ("--seconds", "0.2", "--ramp-up", "0", "--warm-up", "0.05", "--clients", "2")
RUNS = [{"run_id": "a", "status": "DONE"}]


async def _call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(loadtest)
    # In a thread, as the command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, app, [*SHORT, *arguments])


async def test_the_table_tells_what_the_clients_got(start: Start) -> None:
    _, url = await start(Behaviour(runs=RUNS))
    result = await _call("--url", str(url), "--pid", str(os.getpid()))
    assert result.exit_code == 0, result.output
    for line in ("connected", "2 of 2", "continuity breaks", "µs a message", "load generator"):
        assert line in result.stdout


async def test_json_is_the_whole_report_and_nothing_else(start: Start) -> None:
    _, url = await start(Behaviour(runs=RUNS))
    result = await _call("--url", str(url), "--json")
    report = msgspec.json.decode(result.stdout, type=Report)
    assert report.connected == 2
    assert report.endpoint == "stream"


async def test_runs_can_be_named(start: Start) -> None:
    server, url = await start(Behaviour())
    result = await _call("--url", str(url), "--endpoint", "run", "--runs", "x,y")
    assert result.exit_code == 0, result.output
    assert {request.path for request in server.requests} == {
        "/api/v1/runs/x/stream",
        "/api/v1/runs/y/stream",
    }


async def test_no_runs_to_be_found_says_to_name_some(start: Start) -> None:
    _, url = await start(Behaviour(list_status=404))
    result = await _call("--url", str(url))
    assert result.exit_code == 1
    assert "--runs" in result.stderr


@pytest.mark.parametrize("refuse", [[503, 0], [503, 503]])
async def test_a_client_that_is_refused_is_a_failure(start: Start, refuse: list[int]) -> None:
    _, url = await start(Behaviour(refuse=list(refuse)))
    result = await _call("--url", str(url), "--endpoint", "run", "--runs", "a")
    assert result.exit_code == 1
    assert "HTTP 503" in result.stdout


async def test_no_frame_at_all_is_a_failure(start: Start) -> None:
    _, url = await start(Behaviour(stop_after=0))
    result = await _call("--url", str(url), "--runs", "a")
    assert result.exit_code == 1
    assert "2 of 2 streams got no frame" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "localhost", "--runs", "a"),
        ("--endpoint", "run", "--subscriptions", "2", "--runs", "a"),
        ("--door", "window"),
        ("--endpoint", "window"),
        ("--clients", "0"),
        ("--runs", "a", "--pid", str(2**22 + 1)),
    ],
    ids=" ".join,
)
async def test_a_misuse_is_told_with_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = await _call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()
    assert "Traceback" not in result.output


async def test_the_gaps_are_drawn(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    _, url = await start(Behaviour(runs=RUNS))
    picture = tmp_path / "gaps.svg"
    result = await _call("--url", str(url), "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "<svg" in picture.read_text("utf-8")


async def test_a_picture_that_cannot_be_written_is_told_after_the_report(
    start: Start, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    _, url = await start(Behaviour(runs=RUNS))
    result = await _call("--url", str(url), "--plot", str(tmp_path / "no" / "gaps.png"))
    assert result.exit_code == 2
    assert "connected" in result.stdout


def test_without_matplotlib_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is what an import finds of a package that is not installed.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(plot.NoPicture, match="pip install"):
        plot.check()
