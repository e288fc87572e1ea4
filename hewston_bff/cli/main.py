"""`hewston-bff`: serve, demo, backend, watch, loadtest, check-config."""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web
from rich.console import Console

from hewston_bff.app import SETTINGS, create_app
from hewston_bff.cli.loadtest import loadtest
from hewston_bff.cli.serving import serve_app
from hewston_bff.cli.watch import watch
from hewston_bff.log_setup import configure_logging, say
from hewston_bff.settings import Settings, SettingsError, unknown_variables
from hewston_bff.tools.simulator import (
    DEAF,
    RunningBackend,
    SimulatedBackend,
    SimulatorOptions,
    default_runs,
    load_recording,
    parse_plan,
)

cli = typer.Typer(
    name="hewston-bff",
    help="Watch backtest runs play back as if live: one upstream per run, many viewers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Host = Annotated[str | None, typer.Option(help="Address to listen on (BFF_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (BFF_PORT).", min=0, max=65_535)]


def load_settings(**overrides: object) -> Settings:
    """The settings, or an explanation and exit status 2."""
    try:
        return Settings.from_env(**overrides)
    except SettingsError as error:
        err.print("[red]Invalid settings:[/red]")
        err.print(str(error), markup=False, highlight=False)
        raise typer.Exit(2) from error


def warn(settings: Settings) -> None:
    """Say what is odd about the settings, although they hold."""
    warnings = [f"unknown setting {name} (ignored)" for name in unknown_variables()]
    for text in [*warnings, *settings.missing_paths()]:
        with err.capture() as shown:
            err.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
        say(shown.get(), sys.stderr)


@cli.command()
def serve(
    host: Host = None,
    port: Port = None,
    backend_url: Annotated[
        str | None, typer.Option(help="The platform's backend (HEWSTON_BACKEND_URL).")
    ] = None,
) -> None:
    """Serve browsers in front of the platform's backend. Settings: environment, .env, options."""
    settings = load_settings(bff_host=host, bff_port=port, hewston_backend_url=backend_url)
    configure_logging(level=settings.bff_log_level, fmt=settings.bff_log_format)
    warn(settings)
    serve_app(create_app(settings), settings=settings)


@cli.command()
def demo(
    host: Host = None,
    port: Port = None,
    backend_port: Annotated[
        int, typer.Option(help="Port of the simulated backend; 0: any free one.", min=0)
    ] = 0,
) -> None:
    """Serve a simulated backend and this server in front of it: all that a look around needs."""
    settings = load_settings(bff_host=host, bff_port=port, hewston_backend_url="http://127.0.0.1:1")
    configure_logging(level="WARNING", fmt="console")
    # The real one says nothing for two seconds and more; a look around need not wait that long.
    # Its `/equity` spares the player the wait for the end of the stream, which takes ten seconds.
    options = SimulatorOptions(play_silence_s=1.0, has_parts=True)
    backend = SimulatedBackend(default_runs(queued_s=60.0), options=options)
    app = _in_front_of(backend.running(port=backend_port), settings)
    url = f"http://{settings.bff_host}:{settings.bff_port}"
    serve_app(app, settings=settings, banner=_demo_banner(url, at_default=port is None))


def _in_front_of(backend: RunningBackend, settings: Settings) -> web.Application:
    """The application with a simulated backend, which it starts first and stops last."""

    async def simulate(app: web.Application) -> AsyncIterator[None]:
        async with backend:
            app[SETTINGS] = settings.model_copy(update={"hewston_backend_url": backend.url})
            yield

    app = create_app(settings)
    app.cleanup_ctx.insert(0, simulate)
    return app


def _demo_banner(url: str, *, at_default: bool) -> str:
    option = "" if at_default else f" --url {url}"
    started = Path(sys.argv[0])
    program = "python -m hewston_bff" if started.name == "__main__.py" else str(started)
    return f"""
  A simulated backend with some runs, and hewston-bff in front of it.

  Open in a browser:                [bold]{url}[/bold]
  Watch a year of minutes in 55 s:  [bold]{program} watch demo-year{option}[/bold]
  See what the hub is doing:        [bold]curl {url}/api/v1/websocket/stats[/bold]
  Read a run as events:             [bold]curl -N {url}/api/v1/runs/demo-day/events[/bold]
  Two hundred viewers for 20 s:     [bold]{program} loadtest --url {url} \\
                                      --runs demo-year --clients 200 --seconds 20[/bold]

  Runs: demo-two-frames, demo-day, demo-month, demo-quarter, demo-year, demo-sparse,
  demo-growing (live), demo-queued (starts after a minute), demo-error. Stop with Ctrl-C.
"""


@cli.command()
def backend(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65_535)] = 8000,
    recording: Annotated[
        list[Path] | None,
        typer.Option(help="A recorded stream (.jsonl or .jsonl.gz) to serve as one more run."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What goes wrong, as RUN=SCRIPT, e.g. demo-day=cut@100,ok or *=slow:500."
        ),
    ] = None,
    growing_fps: Annotated[
        float, typer.Option(help="Frames a second by which demo-growing grows.", min=0.1)
    ] = 5.0,
    silence: Annotated[
        float | None, typer.Option(help="Seconds between `play` and the first frame.", min=0)
    ] = None,
    deaf: Annotated[  # noqa: FBT002 - an option's default
        bool,
        typer.Option(
            "--deaf", help="As slow as the real one, which answers nothing while a run pours."
        ),
    ] = False,
    events: Annotated[  # noqa: FBT002 - an option's default
        bool, typer.Option(help="Stream runs as Server-Sent Events too.")
    ] = True,
) -> None:
    """Serve the simulated backend alone."""
    try:
        plan = parse_plan(fault or ())
        recorded = tuple(load_recording(path) for path in recording or ())
    except (ValueError, OSError) as error:
        err.print(f"cannot serve this: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    configure_logging(level="WARNING", fmt="console")
    options = replace(DEAF if deaf else SimulatorOptions(), faults=plan, has_events=events)
    if silence is not None:
        options = replace(options, play_silence_s=silence)
    runs = (*recorded, *default_runs(growing_fps=growing_fps))
    app = SimulatedBackend(runs, options=options).build_app()
    settings = load_settings(bff_host=host, bff_port=port)
    banner = f"simulated backend on http://{host}:{port} with {len(runs)} runs; stop with Ctrl-C"
    serve_app(app, settings=settings, banner=banner)


@cli.command("check-config")
def check_config() -> None:
    """Say which settings hold, or which are invalid (exit status 2): what `serve` would refuse."""
    settings = load_settings()
    for name, value in settings.model_dump().items():
        out.print(f"{name.upper()}={value}", markup=False, highlight=False)
    warn(settings)


cli.command()(watch)
cli.command()(loadtest)


def main() -> None:
    """The program."""
    cli()
