"""`hewston-bff serve`: the service."""

from typing import Annotated

import typer

from hewston_bff.app import create_app
from hewston_bff.cli.options import Host, Port, load_settings, warn
from hewston_bff.cli.serving import serve_app
from hewston_bff.log_setup import configure_logging


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
