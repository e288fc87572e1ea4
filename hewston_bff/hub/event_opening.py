"""Where a subscription to events begins, and the older events that it gets first."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from time import time_ns
from typing import Final

import structlog

from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.cursor import EventCursor, LostEvents
from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.merging import Merged, merged
from hewston_bff.events.source_state import HistoryPage, Lost
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.event_control import Begin

logger = structlog.get_logger(__name__)

_AGAIN_S: Final = 1.0
_AHEAD_MS: Final = 10_000
"""So far a client may be ahead of us: another process, or a clock that is a little off."""
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
        self.sent_id = FIRST_ID
        """While older events are read: all up to this id were sent."""
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
                self._go_after(EntryId(at_ms - 1, _LAST_SEQ))
                cursor.skip_until = FIRST_ID
            case "live":
                cursor.go_live(log)
            case _:
                self._go_after(self._begin.entry_id)

    def _go_after(self, entry_id: EntryId) -> None:
        cursor, log = self._cursor, self._channel.log
        now_ms = self._since_ms + self._channel.skew_ms
        if entry_id.ms > max(log.ring.last_id.ms, now_ms) + _AHEAD_MS:
            # No entry of this source has such an id, and waiting for it would be for ever.
            cursor.go_live(log)
            self._set_recovered(is_exact=False)
            return
        if entry_id > log.ring.floor or log.ring.floor == FIRST_ID:
            cursor.resume(entry_id, log, self._begin.topic)
            self._set_recovered(is_exact=not cursor.has_gap_ahead(log))
            return
        # Several streams may have given this id: from before it, so that none of them is lost.
        cursor.go_to(log.ring.first, log, last_id=_preceding(entry_id))
        self.sent_id = entry_id
        self._reading = self._spawn(self._read(), f"history {self._channel.kind.name}")

    def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def sent(self) -> None:
        """All that was read was sent: read on."""
        self.sent_id = max(self.sent_id, self._cursor.last_id)
        self._drained.set()

    async def _read(self) -> None:
        """Read what follows the cursor, as fast as it is sent, until the log goes on."""
        cursor, log = self._cursor, self._channel.log
        while cursor.last_id < log.ring.floor:
            floor = log.ring.floor
            try:
                await self._read_before(EntryId(floor.ms, floor.seq + 1))
            except SourceUnavailable:
                # What the source waits for is told by its link; nothing is lost by waiting.
                await asyncio.sleep(_AGAIN_S)
            except Exception:
                # A bug in one reading must not end the service; what was read is not read again.
                logger.exception("history.crashed", kind=self._channel.kind.name)
                await asyncio.sleep(_AGAIN_S)
            else:
                cursor.last_id = max(cursor.last_id, floor)
        self._reading = None
        cursor.go_to(log.ring.first, log, last_id=cursor.last_id)
        cursor.skip_until = cursor.last_id
        self._set_recovered(is_exact=not cursor.has_gap_ahead(log))
        self._wake()

    async def _read_before(self, before: EntryId) -> None:
        """Read from where the cursor stands, which moves with each page."""
        cursor = self._cursor
        pages = self._channel.source.history(cursor.last_id, before, cursor.pattern.matches)
        async with aclosing(pages):
            async for page in pages:
                self._take(page)
                while cursor.owed:
                    self._drained.clear()
                    await self._drained.wait()

    def _take(self, page: HistoryPage) -> None:
        cursor, log = self._cursor, self._channel.log
        lost = page.lost
        if lost is not None and lost.until <= self._begin.entry_id:
            lost = None
        self._set_recovered(is_exact=lost is None and not cursor.has_gap_ahead(log))
        if lost is not None:
            cursor.last_id = max(cursor.last_id, lost.until)
            if self._begin.place != "start":
                after = max(lost.after, self._begin.entry_id)
                self._lag(LostEvents(Lost(after, lost.until), "trimmed"))
        found = self._not_had(page.events)
        if found:
            cursor.last_id = max(cursor.last_id, found[-1].id)
        events = [(event, log.is_mergeable(event)) for event in found]
        is_all = cursor.mode == "all"
        taken = [Merged(event, 1) for event, _ in events] if is_all else merged(events)
        cursor.owed.extend(taken)
        self._wake()

    def _not_had(self, events: Sequence[Event]) -> Sequence[Event]:
        """Without what the client had last: of its topic, if that is known, else the first."""
        begin = self._begin
        for index, event in enumerate(events):
            if event.id > begin.entry_id:
                break
            if begin.topic in {None, event.topic}:
                # It is better to repeat an event than to lose one.
                return events[index + 1 :]
        return events

    def _set_recovered(self, *, is_exact: bool) -> None:
        if self._begin.is_resume and self.recovered is None:
            self.recovered = is_exact


def _preceding(entry_id: EntryId) -> EntryId:
    """The highest id below; of the first one itself."""
    ms, seq = entry_id
    if seq:
        return EntryId(ms, seq - 1)
    return EntryId(ms - 1, _LAST_SEQ) if ms else entry_id
