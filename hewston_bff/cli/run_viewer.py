"""A run in the terminal."""

import asyncio

from rich.console import Console, RenderableType

from hewston_bff.cli.viewing import OK, Ending, RunningViewer, WatchLimits
from hewston_bff.tools.viewer import keys as watch_keys
from hewston_bff.tools.viewer.feed import RunFeed, Wish
from hewston_bff.tools.viewer.keys import Key
from hewston_bff.tools.viewer.model import WatchModel
from hewston_bff.tools.viewer.view import line, panel

LINE_S = 1.0
ASK_S = 1.0


class TerminalViewer(RunningViewer):
    """A panel that updates; without a terminal a line a second, until the end of the run."""

    def __init__(
        self, wish: Wish, *, limits: WatchLimits, console: Console, keyboard: int | None = None
    ) -> None:
        super().__init__(limits=limits, console=console, keyboard=keyboard)
        self._model = WatchModel(wish.run_id, speed=60.0 if wish.speed is None else wish.speed)
        self._feed = RunFeed(wish, model=self._model, on_change=self._look)

    @property
    def feed(self) -> RunFeed:
        """The connection."""
        return self._feed

    def picture(self) -> RenderableType:
        """What a terminal shows now."""
        has_keys = self.keyboard is not None
        return panel(self._model, now_s=self.loop.time(), has_keys=has_keys)

    def command(self, key: Key) -> bytes | None:
        """The message that a key comes to."""
        return watch_keys.command(key, self._model)

    async def print_lines(self) -> None:
        """A line a second."""
        await self.is_in.wait()
        try:
            while True:
                await asyncio.sleep(LINE_S)
                self._print_line()
        finally:
            self._print_line()

    async def ask(self) -> None:
        """Ask for the newest frame there is."""
        await self.is_in.wait()
        while True:
            await asyncio.sleep(ASK_S)
            command = watch_keys.ask(self._model)
            if command is not None:
                self.feed.send(command)

    def _print_line(self) -> None:
        self.write([line(self._model, now_s=self.loop.time())])

    def _look(self) -> None:
        """See whether what has just come is the last that was asked for."""
        model, wanted = self._model, self.limits.frames
        self.is_in.set()
        has_enough = wanted is not None and model.frames >= wanted
        if has_enough or (model.status == "ended" and not self.console.is_terminal):
            self.end(Ending(OK))
