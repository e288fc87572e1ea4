"""`hewston-bff watch RUN` or `watch TOPIC`: in the terminal."""

import asyncio
import sys
from collections.abc import Callable
from typing import Annotated, Literal

import typer
from rich.console import Console

from hewston_bff.cli.run_viewer import TerminalViewer
from hewston_bff.cli.topic_viewer import TopicViewer
from hewston_bff.cli.viewing import Ending, RunningViewer, WatchLimits
from hewston_bff.protocol.topics import EVENT_KINDS
from hewston_bff.tools.loadtest.plan import BadPlan, address
from hewston_bff.tools.viewer import keys as watch_keys
from hewston_bff.tools.viewer.feed import TopicWish, Wish

MISUSED, INTERRUPTED = 2, 130

_WhatArgument = Annotated[
    str,
    typer.Argument(metavar="RUN|TOPIC", help="A run's id, or topics such as 'bus:data.quotes.*'."),
]
_UrlOption = Annotated[str, typer.Option("--url", help="The server: http://host:port.")]
_SpeedOption = Annotated[
    float | None,
    typer.Option(min=0.01, max=100_000, help="30 × speed frames a second.", show_default="60"),
]
_FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Of a run: start, live, a frame index or a time. Of topics: last, live, start or the "
        "id of an event.",
        show_default="start; of topics last, or live with --mode all",
    ),
]
_FpsOption = Annotated[
    float | None,
    typer.Option(
        "--fps",
        "--max-fps",
        min=0.1,
        max=60,
        help="Messages a second, of each topic.",
        show_default="30; of topics 10",
    ),
]
_ModeOption = Annotated[
    Literal["latest", "all"] | None,
    typer.Option(help="Of topics: merge events that replace each other, or get all."),
]
_TokenOption = Annotated[str | None, typer.Option(help="Bearer token.")]
_KeyOption = Annotated[str | None, typer.Option("--api-key", help="API key, for topics.")]
_SecondsOption = Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")]
_FramesOption = Annotated[
    int | None,
    typer.Option("--frames", "--events", min=1, help="End after so many frame or event messages."),
]


def watch(
    what: _WhatArgument,
    *,
    url: _UrlOption = "http://127.0.0.1:8001",
    speed: _SpeedOption = None,
    mode: _ModeOption = None,
    start: _FromOption = None,
    max_fps: _FpsOption = None,
    token: _TokenOption = None,
    api_key: _KeyOption = None,
    seconds: _SecondsOption = None,
    frames: _FramesOption = None,
) -> None:
    """Watch a run or topics in the terminal, with keys to play, pause and more.

    Where the output is no terminal, a run is a line a second until its end, and topics are a line
    for each event.

    Exit code 1: there is no such run or no server, or it does not let you in. 2: misused.
    """
    try:
        server = address(url)
    except BadPlan as exc:
        raise _misused(str(exc)) from exc
    for secret in (token, api_key):
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise _misused("a token or a key is made of printable ASCII characters")
    limits = WatchLimits(seconds, frames)
    kind, colon, _ = what.partition(":")
    if colon and kind not in EVENT_KINDS:
        kinds = ", ".join(sorted(EVENT_KINDS))
        problem = f"topics are of the kinds {kinds}, not {kind!r}"
        raise _misused(problem)
    if colon:
        if speed is not None:
            raise _misused("--speed is for runs: topics come as they happen")
        topics = TopicWish(
            topic=what,
            url=server,
            mode=mode,
            start=start,
            max_fps=max_fps,
            token=token,
            api_key=api_key,
        )
        _view(
            lambda console, keys: TopicViewer(topics, limits=limits, console=console, keyboard=keys)
        )
        return
    if mode is not None or (max_fps is not None and max_fps < 1):
        raise _misused("--mode, and less than one message a second, are for topics")
    run = Wish(run_id=what, url=server, speed=speed, start=start, max_fps=max_fps, token=token)
    _view(lambda console, keys: TerminalViewer(run, limits=limits, console=console, keyboard=keys))


def _view(make: Callable[[Console, int | None], RunningViewer]) -> None:
    """Watch, and exit.

    Raises:
        typer.Exit: always.
    """
    try:
        ending = asyncio.run(_watch(make))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if ending.message:
        typer.echo(ending.message, err=True)
    raise typer.Exit(ending.code)


def _misused(problem: str) -> typer.Exit:
    typer.echo(problem, err=True)
    return typer.Exit(MISUSED)


async def _watch(make: Callable[[Console, int | None], RunningViewer]) -> Ending:
    console = Console(file=sys.stdout)
    keyboard = watch_keys.keyboard() if console.is_terminal else None
    return await make(console, keyboard).run()
