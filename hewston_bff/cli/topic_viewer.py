"""Topics in the terminal."""

import asyncio
from time import time_ns

from rich.console import Console, RenderableType

from hewston_bff.cli.viewing import OK, Ending, RunningViewer, WatchLimits
from hewston_bff.tools.viewer.feed import TopicFeed, TopicWish
from hewston_bff.tools.viewer.keys import Key
from hewston_bff.tools.viewer.topic_keys import topic_command
from hewston_bff.tools.viewer.topic_model import TopicsModel
from hewston_bff.tools.viewer.topic_view import topics_line, topics_panel


class TopicViewer(RunningViewer):
    """A table that updates and a list of events; without a terminal a line for each event."""

    def __init__(
        self, wish: TopicWish, *, limits: WatchLimits, console: Console, keyboard: int | None = None
    ) -> None:
        super().__init__(limits=limits, console=console, keyboard=keyboard)
        self._model = TopicsModel(wish.topic)
        self._feed = TopicFeed(wish, model=self._model, on_change=self._look)
        self._has_news = asyncio.Event()
        self._printed = 0

    @property
    def feed(self) -> TopicFeed:
        """The connection."""
        return self._feed

    def picture(self) -> RenderableType:
        """What a terminal shows now."""
        self._model.unprinted.clear()
        return topics_panel(
            self._model,
            now_s=self.loop.time(),
            wall_ns=time_ns(),
            height=self.console.height,
            has_keys=self.keyboard is not None,
        )

    def command(self, key: Key) -> bytes | None:
        """The message that a key comes to."""
        return topic_command(key, self._model)

    async def print_lines(self) -> None:
        """A line for each event, and for news."""
        try:
            while True:
                await self._has_news.wait()
                self._has_news.clear()
                self._print()
        finally:
            self._print()

    def _print(self) -> None:
        lines = []
        while self._model.unprinted and self._printed != self.limits.frames:
            note = self._model.unprinted.popleft()
            self._printed += not note.is_news
            lines.append(topics_line(note))
        if lines:
            self.write(lines)

    def _look(self) -> None:
        model, wanted = self._model, self.limits.frames
        # Drawn once the server has said yes, so that a refusal stays one line.
        if model.status != "–":
            self.is_in.set()
        self._has_news.set()
        if wanted is not None and model.messages >= wanted:
            self.end(Ending(OK))
