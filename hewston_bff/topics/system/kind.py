"""The kind `system`: one topic, `system:status`, with an event for each change of a service."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import msgspec

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError
from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink, SourceStats
from hewston_bff.ports import EventIntake, EventKind
from hewston_bff.protocol.times import format_time
from hewston_bff.protocol.topics import SYSTEM, Topic
from hewston_bff.topics.system.ports import ServiceReport
from hewston_bff.topics.system.statuses import ServiceRows

STATUS: Final = Topic(SYSTEM, "status")
EVENT_TYPE: Final = "SystemStatus"
_LAST_SEQ: Final = (1 << 64) - 1


def system_kind(
    services: ServiceReport,
    *,
    refusal: Callable[[ApiCaller], BffError | None],
    now_ms: Callable[[], int],
    is_simulated: bool = False,
) -> EventKind:
    """The kind, for the hub. `now_ms`: the wall clock that its ids are made of."""
    return EventKind(
        name=SYSTEM,
        # Each event has all services, so the newest says everything.
        is_mergeable=lambda _: True,
        default_mode="latest",
        refusal=refusal,
        open=lambda intake: SystemSource(intake, services, now_ms=now_ms),
        is_simulated=is_simulated,
    )


class SystemSource:
    """Publishes all services each time the status of one has changed. See `EventSource`."""

    def __init__(
        self, intake: EventIntake, services: ServiceReport, *, now_ms: Callable[[], int]
    ) -> None:
        self.stats = SourceStats()
        self._intake = intake
        self._services = services
        self._now_ms = now_ms
        self._last = FIRST_ID

    async def run(self) -> None:
        """Publish until cancelled: what is known now, if all were checked, and each change."""
        # Everything before was told by another process, if by any.
        floor = self._last = EntryId(self._now_ms(), 0)
        self.stats.connected_at_ms = floor.ms
        self._intake.begin((), tuple(self._events()), floor=floor, skew_ms=0)
        self._intake.link(SourceLink("up"))
        with self._services.listening(self._publish):
            await asyncio.Event().wait()

    async def history(
        self,
        after: EntryId,
        before: EntryId,
        wanted: Callable[[str], bool],
    ) -> AsyncGenerator[HistoryPage, None]:
        """Nothing is kept here: what the hub has no longer is lost.

        Asked for from the start, that is from what is held, nothing is missing.
        """
        if after != FIRST_ID and wanted(STATUS.name):
            yield HistoryPage((), Lost(after, _preceding(before)))

    def _publish(self) -> None:
        self._intake.publish(self._events())

    def _events(self) -> list[Event]:
        """The event of how the services are now; none while that is not known."""
        rows = self._services.rows()
        if rows is None:
            return []
        self._last = following(self._last, self._now_ms())
        event = status_event(rows, self._last)
        self.stats.events += 1
        self.stats.bytes += len(event.data)
        self.stats.last_event_at_ms = self._last.ms
        return [event]


def status_event(rows: ServiceRows, entry_id: EntryId) -> Event:
    """The event of `system:status`."""
    ts = format_time(entry_id.ms * 1_000_000)
    return Event(str(STATUS), entry_id, ts, EVENT_TYPE, msgspec.json.encode(rows))


def following(last: EntryId, now_ms: int) -> EntryId:
    """An id above `last`, of this time unless the clock was set back."""
    return EntryId(now_ms, 0) if now_ms > last.ms else EntryId(last.ms, last.seq + 1)


def _preceding(entry_id: EntryId) -> EntryId:
    """The highest id below `entry_id`."""
    ms, seq = entry_id
    return EntryId(ms, seq - 1) if seq else EntryId(max(0, ms - 1), _LAST_SEQ)
