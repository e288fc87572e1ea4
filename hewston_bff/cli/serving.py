"""Run an application until it is told to stop, with words for what commonly goes wrong."""

import asyncio
import errno
import gc
import sys
from importlib import import_module

import typer
from aiohttp import web
from rich.console import Console

from hewston_bff.app import CRASHED
from hewston_bff.log_setup import say
from hewston_bff.settings import Settings

err = Console(stderr=True)


def new_event_loop(settings: Settings) -> asyncio.AbstractEventLoop:
    """The loop that the settings name; they have looked whether it is installed."""
    if settings.bff_event_loop == "asyncio":
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
    return loop


def serve_app(app: web.Application, *, settings: Settings, banner: str | None = None) -> None:
    """Serve `app` until SIGTERM or SIGINT; then drain, and return.

    Raises:
        typer.Exit: with 1 if the address cannot be had, or the service stopped because of a bug.
    """

    def show(_: str) -> None:
        """Called once we listen, with words of aiohttp's own."""
        if banner is not None:
            console = Console(soft_wrap=True)
            with console.capture() as shown:
                console.print(banner)
            say(shown.get(), sys.stdout)

    settle_heap()
    host, port = settings.bff_host, settings.bff_port
    loop = new_event_loop(settings)
    try:
        web.run_app(
            app,
            host=host,
            port=port,
            handler_cancellation=True,
            shutdown_timeout=settings.bff_shutdown_seconds * 0.6,
            access_log=None,
            print=show,
            loop=loop,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} on {host} is taken: stop what uses it, or choose another --port"
        else:
            message = f"cannot listen on {host} port {port}: {error.strerror}"
        err.print(message, style="red")
        raise typer.Exit(1) from error
    if app.get(CRASHED):
        raise typer.Exit(1)


def settle_heap() -> None:
    """Exempt what was loaded so far from garbage collection.

    A full collection looks at all objects, and stops the loop for 10 to 40 ms if those of the
    libraries are among them.
    """
    gc.collect()
    gc.freeze()
