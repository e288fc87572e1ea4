"""What the program loads: `serve` the service and nothing of the tools."""

import sys
from pathlib import Path

import aiohttp
import pytest
import typer

from hewston_bff.cli.main import COMMANDS
from tests.program import once_up, started
from tests.support import free_port

TOOLS = "hewston_bff.tools"
# Loaded where somebody asks for what they do: Redis is enabled, a document is asked for.
LATER = (
    "redis",
    "matplotlib",
    "pyarrow",
    "tsdownsample",
    "hewston_bff.web.contract.openapi",
)


def loaded(log: str) -> set[str]:
    """The modules that `python -X importtime` tells of: a line each, its name after the last bar."""
    lines = [line for line in log.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def below(modules: set[str], outer: str) -> set[str]:
    """Those that are `outer` or in it."""
    return {name for name in modules if name == outer or name.startswith(f"{outer}.")}


async def loaded_by(tmp_path: Path, command: str, *paths: str) -> set[str]:
    """What a command that serves has loaded once it has answered at each of these paths."""
    port = free_port()
    arguments = [command, "--port", str(port)]
    if command == "serve":
        arguments += ["--backend-url", "http://127.0.0.1:1"]
    with (tmp_path / "log").open("wb") as log:
        python = (sys.executable, "-X", "importtime", "-m", "hewston_bff", *arguments)
        async with started(*python, output=log.fileno()), aiohttp.ClientSession() as session:
            for path in ("/api/v1/health/live", *paths):
                await once_up(session, f"http://127.0.0.1:{port}{path}")
    return loaded((tmp_path / "log").read_text("utf-8", "replace"))


async def test_serve_loads_no_tools_and_no_more_than_it_needs(tmp_path: Path) -> None:
    modules = await loaded_by(tmp_path, "serve")
    assert "hewston_bff.web.routes" in modules
    assert below(modules, TOOLS) == set()
    assert {outer for outer in LATER if below(modules, outer)} == set()


async def test_serve_loads_what_makes_a_document_with_the_first_that_is_asked_for(
    tmp_path: Path,
) -> None:
    modules = await loaded_by(tmp_path, "serve", "/api/v1/openapi.json")
    assert "hewston_bff.web.contract.openapi" in modules
    assert below(modules, TOOLS) == set()


async def test_a_command_that_needs_the_tools_loads_them(tmp_path: Path) -> None:
    """So that the check above is known to see them."""
    assert "hewston_bff.tools.simulator" in await loaded_by(tmp_path, "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_there_under_its_name(command: str) -> None:
    loaded = COMMANDS[command]()
    if isinstance(loaded, typer.Typer):
        assert loaded.info.name == command
        assert loaded.registered_callback is not None
        return
    assert loaded.__name__.replace("_", "-") == command
    assert loaded.__doc__
