"""Where a subscription to events begins, and the older events that it gets first."""

import asyncio
from collections.abc import Callable, Coroutine
from time import time_ns
from typing import Final

from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.cursor import EventCursor, LostEvents
from hewston_bff.events.event import FIRST_ID, EntryId
from hewston_bff.events.merging import Merged, merged
from hewston_bff.events.source_state import HistoryPage
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.event_control import Begin

_AGAIN_S: Final = 1.0
_LAST_SEQ: Final = (1 << 64) - 1

Spawn = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]


class EventOpening:
    """Takes a cursor to its first position, through what the source has and the log has not."""

    def __init__(
        self,
        channel: EventChannel,
        cursor: EventCursor,
        begin: Begin,
        *,
        spawn: Spawn,
        wake: Callable[[], None],
        lag: Callable[[LostEvents], None],
    ) -> None:
        """`wake`: there is something to send; `lag`: something will not come."""
        self._channel = channel
        self._cursor = cursor
        self._begin = begin
        self._spawn = spawn
        self._wake = wake
        self._lag = lag
        self._since_ms = time_ns() // 1_000_000
        self._reading: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()
        self.has_begun = False
        """Whether the cursor has a position: the source was reached."""
        self.recovered: bool | None = None
        """Whether nothing is missing after a resume; None without one, or while it is unknown."""

    @property
    def is_reading(self) -> bool:
        """Whether older events are still being read."""
        return self._reading is not None

    def begin(self, *, is_early: bool) -> None:
        """Take the first position; `is_early`: it was asked for before the source was reached."""
        self.has_begun = True
        cursor, log = self._cursor, self._channel.log
        match self._begin.place:
            case "last":
                cursor.go_to_newest(log)
            case "live" if is_early:
                at_ms = max(self._since_ms + self._channel.skew_ms, 1)
                cursor.resume(EntryId(at_ms - 1, _LAST_SEQ), log)
                cursor.skip_until = FIRST_ID
            case "live":
                cursor.go_live(log)
            case _:
                self._go_after(self._begin.entry_id)

    def _go_after(self, entry_id: EntryId) -> None:
        cursor, log = self._cursor, self._channel.log
        if entry_id >= log.ring.floor:
            cursor.resume(entry_id, log, self._begin.topic)
            self._set_recovered(is_exact=not cursor.has_gap_ahead(log))
            return
        cursor.last_id = entry_id
        self._reading = self._spawn(self._read(entry_id), f"history {self._channel.kind.name}")

    def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def sent(self) -> None:
        """All that was read was sent: read on."""
        self._drained.set()

    async def _read(self, after: EntryId) -> None:
        """Read what follows `after`, as fast as it is sent, until the log goes on."""
        ring = self._channel.log.ring
        while after < ring.floor:
            floor = ring.floor
            try:
                after = await self._read_between(after, EntryId(floor.ms, floor.seq + 1))
            except SourceUnavailable:
                # What the source waits for is told by its link; nothing is lost by waiting.
                await asyncio.sleep(_AGAIN_S)
            else:
                after = max(after, floor)
        self._reading = None
        self._set_recovered(is_exact=True)
        self._cursor.go_to(ring.first, self._channel.log, last_id=after)
        self._cursor.skip_until = after
        self._wake()

    async def _read_between(self, after: EntryId, before: EntryId) -> EntryId:
        cursor, source = self._cursor, self._channel.source
        async for page in source.history(after, before, cursor.pattern.matches):
            self._take(page)
            if page.lost is not None:
                after = max(after, page.lost.until)
            if page.events:
                after = max(after, page.events[-1].id)
            while cursor.owed:
                self._drained.clear()
                await self._drained.wait()
        return after

    def _take(self, page: HistoryPage) -> None:
        self._set_recovered(is_exact=page.lost is None)
        if page.lost is not None and self._begin.place != "start":
            self._lag(LostEvents(page.lost, "trimmed"))
        log = self._channel.log
        events = [(event, log.is_mergeable(event)) for event in page.events]
        is_all = self._cursor.mode == "all"
        taken = [Merged(event, 1) for event, _ in events] if is_all else merged(events)
        self._cursor.owed.extend(taken)
        self._wake()

    def _set_recovered(self, *, is_exact: bool) -> None:
        if self._begin.is_resume and self.recovered is None:
            self.recovered = is_exact
