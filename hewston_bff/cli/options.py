"""What commands share: settings from the environment and options, and where they are told of."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from hewston_bff.log_setup import say
from hewston_bff.setting_checks import missing_paths, open_without_keys
from hewston_bff.settings import Settings, SettingsError, unknown_variables

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
    for text in [*warnings, *missing_paths(settings), *open_without_keys(settings)]:
        with err.capture() as shown:
            err.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
        say(shown.get(), sys.stderr)
