"""The program as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]


@asynccontextmanager
async def program(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program running, its output piped; killed if the test leaves it behind."""
    command = (sys.executable, "-m", "hewston_bff", *arguments)
    async with started(*command, output=asyncio.subprocess.PIPE, **environ) as process:
        yield process


@asynccontextmanager
async def started(
    *command: str, output: int, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs the program, with both its outputs there; killed if it is left behind."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=clean_environ() | {"COLUMNS": "200"} | environ,
        stdout=output,
        stderr=output,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def clean_environ() -> dict[str, str]:
    """Our environment without settings of the program's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BFF_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


async def printed(process: asyncio.subprocess.Process, words: str) -> str:
    """What it prints, up to the line with `words`."""
    assert process.stdout is not None
    seen = ""
    while words not in seen:
        line = await process.stdout.readline()
        assert line, f"it ended after: {seen}"
        seen += line.decode()
    return seen


async def once_up(session: aiohttp.ClientSession, path: str) -> dict[str, object]:
    """The JSON of an address, as soon as somebody listens there."""
    body: dict[str, object] = {}

    async def is_up() -> bool:
        try:
            async with session.get(path) as response:
                body.update(await response.json())
                return True
        except aiohttp.ClientConnectorError:
            return False

    await eventually(is_up)
    return body
