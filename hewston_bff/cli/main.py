"""`hewston-bff`: serve, demo, backend, check-config, key, watch, loadtest.

Each command is imported when it is called, or listed: `serve` loads none of the tools.
"""

from collections.abc import Callable
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

Command = Callable[..., None]


# ruff: noqa: PLC0415 - see the top of this module


def _serve() -> Command:
    from hewston_bff.cli.serve import serve

    return serve


def _demo() -> Command:
    from hewston_bff.cli.demo import demo

    return demo


def _backend() -> Command:
    from hewston_bff.cli.backend import backend

    return backend


def _check_config() -> Command:
    from hewston_bff.cli.check_config import check_config

    return check_config


def _key() -> typer.Typer:
    from hewston_bff.cli.key import key

    return key


def _watch() -> Command:
    from hewston_bff.cli.watch import watch

    return watch


def _loadtest() -> Command:
    from hewston_bff.cli.loadtest import loadtest

    return loadtest


COMMANDS: dict[str, Callable[[], Command | typer.Typer]] = {
    "serve": _serve,
    "demo": _demo,
    "backend": _backend,
    "check-config": _check_config,
    "key": _key,
    "watch": _watch,
    "loadtest": _loadtest,
}
"""In the order of the help."""


class LazyCommands(TyperGroup):
    """The commands by their names."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's, of a private type
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ANN401, ARG002
        """The command of this name, or the group of commands, imported now."""
        load = COMMANDS.get(cmd_name)
        if load is None:
            return None
        loaded = load()
        if isinstance(loaded, typer.Typer):
            return cast("TyperCommand", get_command(loaded))
        program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        program.command(cmd_name)(loaded)
        return cast("TyperCommand", get_command(program))


cli = typer.Typer(
    name="hewston-bff",
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.callback()
def program() -> None:
    """Watch backtest runs play back as if live: one upstream per run, many viewers."""


def main() -> None:
    """The program."""
    cli()
