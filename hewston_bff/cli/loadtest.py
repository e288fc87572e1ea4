"""`hewston-bff loadtest`: clients × runs × seconds against any address."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from yarl import URL

from hewston_bff.tools.loadtest import plot as picture
from hewston_bff.tools.loadtest.cpu import NoSuchProcess
from hewston_bff.tools.loadtest.engine import LoadProgress, LoadTest
from hewston_bff.tools.loadtest.plan import BadPlan, Mode, Plan, StreamEndpoint, address
from hewston_bff.tools.loadtest.report import Report
from hewston_bff.tools.loadtest.runs import NoRuns, finished_runs
from hewston_bff.tools.loadtest.table import remarks, table, title

FAILED = 1
MISUSED = 2

_UrlOption = Annotated[str, typer.Option("--url", help="The server: http://host:port.")]
_EndpointOption = Annotated[
    StreamEndpoint,
    typer.Option(
        "--endpoint",
        "--door",
        help="Where clients come in: stream (/api/v1/stream), run (/api/v1/runs/ID/stream), "
        "backend (/backtests/ID/ws), sse (/api/v1/runs/ID/events).",
    ),
]
_RunsOption = Annotated[
    str | None,
    typer.Option(
        "--runs",
        help="Runs, separated by commas.",
        show_default="all that are DONE; none with --topics",
    ),
]
_TopicsOption = Annotated[
    str | None,
    typer.Option(
        "--topics",
        help="Topics such as 'bus:*', separated by commas; each client subscribes to all.",
    ),
]
_ClientsOption = Annotated[int, typer.Option(min=1, help="Sockets.")]
_SubscriptionsOption = Annotated[
    int, typer.Option(min=1, help="Runs on each socket, at the endpoint stream.")
]
_SecondsOption = Annotated[float, typer.Option(min=0.1, help="Length of the measuring window.")]
_RampUpOption = Annotated[
    float, typer.Option(min=0, help="Seconds over which the clients arrive, come what may.")
]
_WarmUpOption = Annotated[
    float, typer.Option(min=0, help="Seconds from the last arrival to the window.")
]
_SpeedOption = Annotated[
    float | None, typer.Option(min=0, help="Playback speed.", show_default="60")
]
_FpsOption = Annotated[
    float | None,
    typer.Option(
        "--max-fps",
        "--fps",
        min=1,
        max=60,
        help="Messages a second, of each topic.",
        show_default="30; of topics 10",
    ),
]
_ModeOption = Annotated[
    Mode | None,
    typer.Option(
        help="Merge frames (merge) or events that replace each other (latest), or send all.",
        show_default="merge; of topics as the server has it",
    ),
]
_FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="start, live, a frame index or a time; of topics last, live, start or an id.",
        show_default="start; of topics as the mode has it",
    ),
]
_ExpectOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Messages a second that each stream is due, to weigh stalls by.",
        show_default="worked out",
    ),
]
_OriginOption = Annotated[str | None, typer.Option(help="Origin header, as a browser's page.")]
_TokenOption = Annotated[str | None, typer.Option(help="Bearer token.")]
_KeyOption = Annotated[str | None, typer.Option("--api-key", help="API key, for topics.")]
_PidOption = Annotated[
    list[int] | None,
    typer.Option("--pid", help="The server's process, for its CPU; several times for several."),
]
_JsonOption = Annotated[bool, typer.Option("--json", help="The report as JSON instead of a table.")]
_PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", help="Write the distribution of gaps to this picture (extra: plot)."),
]


def loadtest(
    *,
    url: _UrlOption = "http://127.0.0.1:8001",
    endpoint: _EndpointOption = StreamEndpoint.STREAM,
    runs: _RunsOption = None,
    topics: _TopicsOption = None,
    clients: _ClientsOption = 10,
    subscriptions: _SubscriptionsOption = 1,
    seconds: _SecondsOption = 10.0,
    ramp_up: _RampUpOption = 1.0,
    warm_up: _WarmUpOption = 1.0,
    speed: _SpeedOption = None,
    max_fps: _FpsOption = None,
    mode: _ModeOption = None,
    start: _FromOption = None,
    expect_fps: _ExpectOption = None,
    origin: _OriginOption = None,
    token: _TokenOption = None,
    api_key: _KeyOption = None,
    pid: _PidOption = None,
    as_json: _JsonOption = False,
    plot: _PlotOption = None,
) -> None:
    """Let many clients watch runs, topics or both; tell what they got and what it cost.

    Exit code 1: a client could not get in, or no frame or event came. 2: misused.

    Gaps are told twice: as they came, and with every stall weighed for all the frames that were due
    in it, as viewers live through it. With --topics, --fps, --mode and --from are about them, and
    runs play as by default. Ctrl-C ends the window early.
    """
    try:
        if plot is not None:
            picture.check()
        server = address(url)
        plan = Plan(
            url=server,
            endpoint=endpoint,
            runs=_runs_of(server, runs, topics, token),
            topics=_names(topics),
            clients=clients,
            subscriptions=subscriptions,
            seconds=seconds,
            ramp_up_s=ramp_up,
            warmup_s=warm_up,
            speed=speed,
            max_fps=max_fps,
            mode=mode,
            start=start,
            expect_fps=expect_fps,
            origin=origin,
            token=token,
            api_key=api_key,
        )
        is_ok = _carry_out(plan, pids=tuple(pid or ()), as_json=as_json, plot=plot)
    except NoRuns as exc:
        raise _quit(str(exc), code=FAILED, hint=": name runs with --runs a,b,c") from exc
    except (BadPlan, NoSuchProcess, picture.NoPicture) as exc:
        raise _quit(str(exc), code=MISUSED) from exc
    raise typer.Exit(0 if is_ok else FAILED)


def _runs_of(
    server: URL, runs: str | None, topics: str | None, token: str | None
) -> tuple[str, ...]:
    """The runs that are named; where nothing is, all that there are."""
    if runs or topics:
        return _names(runs)
    return asyncio.run(finished_runs(server, token=token))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


def _quit(message: str, *, code: int, hint: str = "") -> typer.Exit:
    typer.echo(message + hint, err=True)
    return typer.Exit(code)


def _carry_out(plan: Plan, *, pids: tuple[int, ...], as_json: bool, plot: Path | None) -> bool:
    """Test and tell; whether it went well."""
    with _progress_bar() as (bar, task):

        def show(now: LoadProgress) -> None:
            bar.update(
                task,
                total=now.total_s,
                completed=now.elapsed_s,
                text=f"{now.connected} in, {now.failed} failed, {now.messages:,} messages",
            )

        test = LoadTest(plan, pids=pids, on_progress=show)
        report = asyncio.run(_run(test))
    _show(report, as_json=as_json)
    if plot is not None:
        picture.draw(plot, gaps=test.gaps, expected_ms=report.expected_gap_ms)
    return report.is_ok


async def _run(test: LoadTest) -> Report:
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()

        def stop() -> None:
            # A second Ctrl-C does what it always does.
            loop.remove_signal_handler(signal.SIGINT)
            test.stop()

        loop.add_signal_handler(signal.SIGINT, stop)
    return await test.run()


@contextmanager
def _progress_bar() -> Iterator[tuple[Progress, TaskID]]:
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[text]}"))
    # On stderr: what is on stdout can go into a file.
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task("", total=None, text="")


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report)))
        return
    console = Console()
    console.print(title(report), table(report))
    for remark in remarks(report):
        console.print(remark)
