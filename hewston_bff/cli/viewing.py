"""What viewers in the terminal share: keys, redrawing or lines, and how they end."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.live import Live

from hewston_bff.tools.viewer import keys as watch_keys
from hewston_bff.tools.viewer.feed import Feed, ViewerRefused
from hewston_bff.tools.viewer.keys import Key

OK, FAILED = 0, 1
REDRAW_S = 0.1


class WatchLimits(NamedTuple):
    """When to end by oneself; None: never."""

    seconds: float | None = None
    frames: int | None = None
    """Frame messages, or messages with an event."""


class Ending(NamedTuple):
    """How it ended: the exit code, and what there is to say about it."""

    code: int
    message: str = ""


class RunningViewer:
    """A running viewer. What it watches, and how that looks, is for the classes below.

    `keyboard` is a terminal's descriptor, None if nobody presses keys.
    """

    def __init__(
        self, *, limits: WatchLimits, console: Console, keyboard: int | None = None
    ) -> None:
        self.limits = limits
        self.console = console
        self.keyboard = keyboard
        self.loop = asyncio.get_running_loop()
        self.is_in = asyncio.Event()
        self._ending: asyncio.Future[Ending] = self.loop.create_future()

    @property
    def feed(self) -> Feed:
        """The connection."""
        raise NotImplementedError

    def picture(self) -> RenderableType:
        """What a terminal shows now."""
        raise NotImplementedError

    def command(self, key: Key) -> bytes | None:
        """The message that a key comes to."""
        raise NotImplementedError

    async def print_lines(self) -> None:
        """Print until cancelled, where there is no terminal."""
        raise NotImplementedError

    async def ask(self) -> None:
        """Ask the server what it does not say by itself, until cancelled."""

    async def run(self) -> Ending:
        """Watch until a limit, a key, the server or (no terminal) what it watches ends it."""
        show = self._draw if self.console.is_terminal else self.print_lines
        with self._keys():
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._follow(), name="feed"),
                    group.create_task(show(), name="show"),
                    group.create_task(self.ask(), name="ask"),
                ]
                if self.limits.seconds is not None:
                    self.loop.call_later(self.limits.seconds, self.end, Ending(OK))
                ending = await self._ending
                for task in tasks:
                    task.cancel()
        return ending

    def end(self, ending: Ending) -> None:
        """End; the first to call decides how."""
        if not self._ending.done():
            self._ending.set_result(ending)

    def write(self, lines: Sequence[str]) -> None:
        """Print lines."""
        try:
            self.console.file.write("".join(f"{line}\n" for line in lines))
            self.console.file.flush()
        except BrokenPipeError:
            # Who read it has seen enough. Python would complain again at exit, into nowhere then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.console.file.fileno())
            self.end(Ending(OK))

    async def _follow(self) -> None:
        try:
            await self.feed.follow()
        except ViewerRefused as exc:
            self.end(Ending(FAILED, str(exc)))
        else:
            self.end(Ending(OK, "the server has ended the connection"))

    async def _draw(self) -> None:
        # A refusal is one line on stderr: nothing is drawn before the server has let us in.
        await self.is_in.wait()
        with Live(console=self.console, auto_refresh=False, transient=False) as live:
            try:
                while True:
                    live.update(self.picture(), refresh=True)
                    await asyncio.sleep(REDRAW_S)
            finally:
                live.update(self.picture(), refresh=True)

    @contextlib.contextmanager
    def _keys(self) -> Iterator[None]:
        if self.keyboard is None:
            yield
            return
        with watch_keys.key_by_key(self.keyboard):
            self.loop.add_reader(self.keyboard, self._on_keys, self.keyboard)
            try:
                yield
            finally:
                self.loop.remove_reader(self.keyboard)

    def _on_keys(self, keyboard: int) -> None:
        for key in watch_keys.read(keyboard):
            if key is Key.QUIT:
                self.end(Ending(OK))
                return
            command = self.command(key)
            if command is not None:
                self.feed.send(command)
