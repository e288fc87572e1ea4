"""`hewston-bff backend`: the simulated backend alone."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hewston_bff.cli.options import err, load_settings
from hewston_bff.cli.serving import serve_app
from hewston_bff.log_setup import configure_logging
from hewston_bff.tools.simulator import (
    DEAF,
    SimulatedBackend,
    SimulatorOptions,
    default_runs,
    load_recording,
    parse_plan,
)


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
