"""`hewston-bff demo`: a simulated backend and the service in front of it, in one process."""

import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from hewston_bff.app import CRASHED, SETTINGS, add_event_kinds, create_app
from hewston_bff.cli.demo_topics import demo_kinds
from hewston_bff.cli.options import Host, Port, load_settings
from hewston_bff.cli.serving import serve_app
from hewston_bff.log_setup import configure_logging
from hewston_bff.settings import Settings
from hewston_bff.tasks import running
from hewston_bff.tools.node import STREAM, NodeWriter
from hewston_bff.tools.simulator import (
    RunningBackend,
    SimulatedBackend,
    SimulatorOptions,
    default_runs,
)


def demo(
    host: Host = None,
    port: Port = None,
    backend_port: Annotated[
        int, typer.Option(help="Port of the simulated backend; 0: any free one.", min=0)
    ] = 0,
    redis: Annotated[
        str | None,
        typer.Option(
            help="A Redis (redis://host:port) to write the simulated node's bus to, and to read it "
            "from."
        ),
    ] = None,
) -> None:
    """Serve a simulated backend and this server in front of it: all that a look around needs."""
    bus = {} if redis is None else {"bff_bus_url": redis, "bff_bus_streams": STREAM}
    settings = load_settings(
        bff_host=host, bff_port=port, hewston_backend_url="http://127.0.0.1:1", **bus
    )
    configure_logging(level="WARNING", fmt="console")
    # The real one says nothing for two seconds and more; a look around need not wait that long.
    # Its `/equity` spares the player the wait for the end of the stream, which takes ten seconds.
    options = SimulatorOptions(play_silence_s=1.0, has_parts=True)
    backend = SimulatedBackend(default_runs(queued_s=60.0), options=options)
    app = _in_front_of(backend.running(port=backend_port), settings)
    if redis is not None:
        app.cleanup_ctx.append(_writing_to(redis))
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
    add_event_kinds(app, demo_kinds)
    return app


def _writing_to(redis: str) -> Callable[[web.Application], AsyncIterator[None]]:
    """A simulated node that writes to this Redis as long as the application runs."""

    async def write(app: web.Application) -> AsyncIterator[None]:
        def crashed(error: BaseException) -> None:
            app[CRASHED].append(error)
            signal.raise_signal(signal.SIGTERM)

        async with running(NodeWriter(redis).run(), name="simulated node", crashed=crashed):
            yield

    return write


def _demo_banner(url: str, *, at_default: bool) -> str:
    option = "" if at_default else f" --url {url}"
    started = Path(sys.argv[0])
    program = "python -m hewston_bff" if started.name == "__main__.py" else str(started)
    return f"""
  A simulated backend with some runs, a simulated trading node, and hewston-bff in front of them.

  Open in a browser:                [bold]{url}[/bold]
  Watch a year of minutes in 55 s:  [bold]{program} watch demo-year{option}[/bold]
  Watch quotes of a node's bus:     [bold]{program} watch 'bus:data.quotes.*'{option}[/bold]
  See what the hub is doing:        [bold]curl {url}/api/v1/websocket/stats[/bold]
  Read a run as events:             [bold]curl -N {url}/api/v1/runs/demo-day/events[/bold]
  Two hundred viewers for 20 s:     [bold]{program} loadtest --url {url} \\
                                      --runs demo-year --clients 200 --seconds 20[/bold]

  Runs: demo-two-frames, demo-day, demo-month, demo-quarter, demo-year, demo-sparse,
  demo-growing (live), demo-queued (starts after a minute), demo-error. Stop with Ctrl-C.
"""
