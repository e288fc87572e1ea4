"""Reads events that are older than the log holds, at the pace of the client that wants them."""

import asyncio
from typing import Final, Protocol

from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import EntryId
from hewston_bff.events.source_state import HistoryPage
from hewston_bff.hub.event_channel import EventChannel

_AGAIN_S: Final = 1.0


class HistoryReader(Protocol):
    """A subscription that begins before the log does."""

    def wants(self, name: str) -> bool:
        """Whether it wants topics of this name."""

    def page(self, page: HistoryPage) -> None:
        """Take a page."""

    async def drained(self) -> None:
        """Wait until what was taken is sent. A cancellation loses nothing."""

    def history_read(self, until: EntryId) -> None:
        """All events up to this id were taken; the log has the others."""


async def read_history(reader: HistoryReader, channel: EventChannel, after: EntryId) -> None:
    """Give `reader` what follows `after`, until the log goes on. Cancelled: it has a part of it."""
    ring = channel.log.ring
    while after < ring.floor:
        floor = ring.floor
        before = EntryId(floor.ms, floor.seq + 1)
        try:
            async for page in channel.source.history(after, before, reader.wants):
                reader.page(page)
                if page.lost is not None:
                    after = max(after, page.lost.until)
                if page.events:
                    after = max(after, page.events[-1].id)
                await reader.drained()
        except SourceUnavailable:
            # What the source is waiting for is told by its link; here nothing is lost by waiting.
            await asyncio.sleep(_AGAIN_S)
        else:
            after = max(after, floor)
    reader.history_read(after)
