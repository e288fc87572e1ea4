"""`hewston-bff watch RUN`: a run in the terminal."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.live import Live

from hewston_bff.tools.loadtest.plan import BadPlan, address
from hewston_bff.tools.viewer import keys as watch_keys
from hewston_bff.tools.viewer.feed import Feed, ViewerRefused, Wish
from hewston_bff.tools.viewer.keys import Key
from hewston_bff.tools.viewer.model import WatchModel
from hewston_bff.tools.viewer.view import line, panel

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
REDRAW_S = 0.1
LINE_S = 1.0
ASK_S = 1.0


class WatchLimits(NamedTuple):
    """When to end by oneself; None: never."""

    seconds: float | None = None
    frames: int | None = None


class Ending(NamedTuple):
    """How it ended: the exit code, and what there is to say about it."""

    code: int
    message: str = ""


class TerminalViewer:
    """A running viewer. `keyboard` is a terminal's descriptor, None if nobody presses keys."""

    def __init__(
        self, wish: Wish, *, limits: WatchLimits, console: Console, keyboard: int | None = None
    ) -> None:
        self._limits = limits
        self._console = console
        self._keyboard = keyboard
        self._model = WatchModel(wish.run_id, speed=60.0 if wish.speed is None else wish.speed)
        self._feed = Feed(wish, model=self._model, on_change=self._look)
        self._loop = asyncio.get_running_loop()
        self._is_in = asyncio.Event()
        self._ending: asyncio.Future[Ending] = self._loop.create_future()

    async def run(self) -> Ending:
        """Watch until a limit, a key, the server or (no terminal) the end of the run ends it."""
        show = self._draw if self._console.is_terminal else self._print
        with self._keys():
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._follow(), name="feed"),
                    group.create_task(show(), name="show"),
                    group.create_task(self._ask(), name="ask"),
                ]
                if self._limits.seconds is not None:
                    self._loop.call_later(self._limits.seconds, self._end, Ending(OK))
                ending = await self._ending
                for task in tasks:
                    task.cancel()
        return ending

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    def _look(self) -> None:
        """See whether what has just come is the last that was asked for."""
        model, limits = self._model, self._limits
        self._is_in.set()
        has_enough = limits.frames is not None and model.frames >= limits.frames
        if has_enough or (model.status == "ended" and not self._console.is_terminal):
            self._end(Ending(OK))

    async def _follow(self) -> None:
        try:
            await self._feed.follow()
        except ViewerRefused as exc:
            self._end(Ending(FAILED, str(exc)))
        else:
            self._end(Ending(OK, "the server has ended the connection"))

    async def _ask(self) -> None:
        await self._is_in.wait()
        while True:
            await asyncio.sleep(ASK_S)
            command = watch_keys.ask(self._model)
            if command is not None:
                self._feed.send(command)

    async def _draw(self) -> None:
        # A refusal is one line on stderr: nothing is drawn before the server has let us in.
        await self._is_in.wait()
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            try:
                while True:
                    self._redraw(live)
                    await asyncio.sleep(REDRAW_S)
            finally:
                self._redraw(live)

    def _redraw(self, live: Live) -> None:
        has_keys = self._keyboard is not None
        live.update(panel(self._model, now_s=self._loop.time(), has_keys=has_keys), refresh=True)

    async def _print(self) -> None:
        await self._is_in.wait()
        try:
            while True:
                await asyncio.sleep(LINE_S)
                self._print_line()
        finally:
            self._print_line()

    def _print_line(self) -> None:
        try:
            self._console.file.write(line(self._model, now_s=self._loop.time()) + "\n")
            self._console.file.flush()
        except BrokenPipeError:
            # Who read it has seen enough. Python would complain again at exit, into nowhere then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._console.file.fileno())
            self._end(Ending(OK))

    @contextlib.contextmanager
    def _keys(self) -> Iterator[None]:
        if self._keyboard is None:
            yield
            return
        with watch_keys.key_by_key(self._keyboard):
            self._loop.add_reader(self._keyboard, self._on_keys, self._keyboard)
            try:
                yield
            finally:
                self._loop.remove_reader(self._keyboard)

    def _on_keys(self, keyboard: int) -> None:
        for key in watch_keys.read(keyboard):
            if key is Key.QUIT:
                self._end(Ending(OK))
                return
            command = watch_keys.command(key, self._model)
            if command is not None:
                self._feed.send(command)


_RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
_UrlOption = Annotated[str, typer.Option("--url", help="The server: http://host:port.")]
_SpeedOption = Annotated[
    float | None,
    typer.Option(min=0.01, max=100_000, help="30 × speed frames a second.", show_default="60"),
]
_FromOption = Annotated[
    str | None,
    typer.Option("--from", help="start, live, a frame index or a time.", show_default="start"),
]
_FpsOption = Annotated[
    float | None, typer.Option(min=1, max=60, help="Messages a second.", show_default="30")
]
_TokenOption = Annotated[str | None, typer.Option(help="Bearer token.")]
_SecondsOption = Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")]
_FramesOption = Annotated[int | None, typer.Option(min=1, help="End after so many frame messages.")]


def watch(
    run: _RunArgument,
    *,
    url: _UrlOption = "http://127.0.0.1:8001",
    speed: _SpeedOption = None,
    start: _FromOption = None,
    max_fps: _FpsOption = None,
    token: _TokenOption = None,
    seconds: _SecondsOption = None,
    frames: _FramesOption = None,
) -> None:
    """Watch a run in the terminal, with keys to play, pause, seek and change speed.

    Where the output is no terminal it prints a line a second, and ends with the run.

    Exit code 1: there is no such run or no server, or it does not let you in. 2: misused.
    """
    try:
        server = address(url)
    except BadPlan as exc:
        raise _misused(str(exc)) from exc
    if token is not None and not (token.isascii() and token.isprintable()):
        raise _misused("a token is made of printable ASCII characters")
    wish = Wish(run_id=run, url=server, speed=speed, start=start, max_fps=max_fps, token=token)
    limits = WatchLimits(seconds, frames)
    try:
        ending = asyncio.run(_watch(wish, limits=limits))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if ending.message:
        typer.echo(ending.message, err=True)
    raise typer.Exit(ending.code)


def _misused(problem: str) -> typer.Exit:
    typer.echo(problem, err=True)
    return typer.Exit(MISUSED)


async def _watch(wish: Wish, *, limits: WatchLimits) -> Ending:
    console = Console(file=sys.stdout)
    keyboard = watch_keys.keyboard() if console.is_terminal else None
    return await TerminalViewer(wish, limits=limits, console=console, keyboard=keyboard).run()
