"""`hewston-bff key`: API keys for `BFF_API_KEYS_FILE`."""

from secrets import token_urlsafe
from typing import Annotated

import typer

from hewston_bff.api_keys import BadApiKeys, key_line, parse_scopes
from hewston_bff.cli.options import err, out

key = typer.Typer(
    name="key", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@key.callback()
def _group() -> None:
    """Make API keys for the file that BFF_API_KEYS_FILE names."""


@key.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose it is; the log says it.")],
    scope: Annotated[
        str, typer.Option(help="What it is good for: some of bus, jobs, orders, stats, by commas.")
    ],
) -> None:
    """Print a new key, this once, and the line to add to the file. Nothing is stored."""
    made = token_urlsafe(32)
    try:
        scopes = sorted(parse_scopes(scope.replace(" ", "")))
        line = key_line(made, scopes, name.strip())
    except BadApiKeys as error:
        err.print(f"no such key: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    for told in (
        *("The key, shown this once; send it as X-API-Key:", "", f"  {made}", ""),
        *("The line for the file, which does not hold the key:", "", f"  {line}"),
    ):
        out.print(told, markup=False, highlight=False, soft_wrap=True)
