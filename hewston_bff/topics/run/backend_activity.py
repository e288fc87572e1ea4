"""Requests to the backend that are under way, so that streams can let pages go first."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from random import random

SPREAD_S = 0.25
"""Everything that waited for the backend tries again within this time, not all at once."""


class BackendActivity:
    """Requests of pages under way, and whether the backend can be reached.

    The backend answers nothing while it loads a run or streams one at full speed. Requests of pages
    are short and somebody waits for them, so streams let them go first, within limits.
    """

    def __init__(self) -> None:
        self._asking = 0
        self._clear = asyncio.Event()
        self._clear.set()
        self._is_lost = False
        self._back = asyncio.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Counts a page's request, until its answer begins."""
        self._asking += 1
        self._clear.clear()
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._clear.set()

    async def clear(self, *, within_s: float) -> None:
        """Wait until no page waits for an answer, at most `within_s`."""
        if self._asking:
            try:
                async with asyncio.timeout(within_s):
                    await self._clear.wait()
            except TimeoutError:
                return

    def lost(self) -> None:
        """The backend cannot be connected to."""
        self._is_lost = True

    def alive(self) -> None:
        """The backend answered: wake everything that waits for it."""
        if self._is_lost:
            self._is_lost = False
            back, self._back = self._back, asyncio.Event()
            back.set()

    async def wait(self, for_s: float) -> None:
        """Wait for `for_s`; less if the backend could not be reached and answers again."""
        back = self._back
        try:
            async with asyncio.timeout(for_s):
                await back.wait()
        except TimeoutError:
            return
        await asyncio.sleep(SPREAD_S * random())  # noqa: S311 - spread, not secrecy
