"""A kind of topics that carries events, fed by a test: `published` is the truth to compare with."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError, SourceUnavailable
from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink, SourceStats
from hewston_bff.ports import EventIntake, EventKind
from hewston_bff.protocol.commands import EventMode

PAGE = 3


class TapeSource:
    """Everything that was ever published, and the intake that it goes to."""

    def __init__(self, intake: EventIntake) -> None:
        self.intake = intake
        self.stats = SourceStats()
        self.published: list[Event] = []
        self.trimmed_to = FIRST_ID
        self.is_reachable = True
        self.crashes = 0
        self.runs = 0
        self._ms = 1_000

    def open(self, *, held: int | None = None, skew_ms: int = 0) -> None:
        """Be reached: the last `held` events go to the log, of older topics the newest alone."""
        first = 0 if held is None else len(self.published) - held
        older, newer = self.published[:first], self.published[first:]
        inside = {event.topic for event in newer}
        newest = {event.topic: event for event in older if event.topic not in inside}
        floor = older[-1].id if older else FIRST_ID
        self.intake.link(SourceLink("up"))
        self.intake.begin(list(newest.values()), newer, floor=floor, skew_ms=skew_ms)

    def write(self, topic: str, value: object = 0, *, kind: str = "bus") -> Event:
        """An event that Redis has, and we have not read."""
        self._ms += 1
        data = b'{"value":%d}' % value if isinstance(value, int) else str(value).encode()
        entry_id = EntryId(self._ms, 0)
        event = Event(f"{kind}:{topic}", entry_id, "2026-01-02T03:04:05.000000006Z", "Tick", data)
        self.published.append(event)
        return event

    def publish(self, *topics: str) -> None:
        """New events, one of each topic, with the number of all before as their value."""
        count = len(self.published)
        self.intake.publish([self.write(each, count + i) for i, each in enumerate(topics)])

    def trim(self, count: int) -> None:
        """Redis drops its oldest events."""
        self.trimmed_to = self.published[count - 1].id

    async def run(self) -> None:
        """Wait; raise as often as a test has planted it."""
        self.runs += 1
        if self.crashes:
            self.crashes -= 1
            raise ZeroDivisionError("planted")
        await asyncio.Event().wait()

    async def history(
        self, after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncGenerator[HistoryPage, None]:
        if not self.is_reachable:
            raise SourceUnavailable("not now")
        lost = Lost(after, self.trimmed_to) if after < self.trimmed_to else None
        begin = max(after, self.trimmed_to)
        found = [
            event
            for event in self.published
            if begin < event.id < before and wanted(event.topic.partition(":")[2])
        ]
        yield HistoryPage(found[:PAGE], lost)
        for start in range(PAGE, len(found), PAGE):
            yield HistoryPage(found[start : start + PAGE])


def tape_kind(
    sources: list[TapeSource],
    *,
    name: str = "bus",
    mode: EventMode = "latest",
    ring_bytes: int = 1 << 20,
    refusal: Callable[[ApiCaller], BffError | None] = lambda _: None,
    mergeable: Iterable[str] = ("quotes",),
) -> EventKind:
    """A kind whose sources are put into `sources`; topics that begin with a word are mergeable."""

    def open_source(intake: EventIntake) -> TapeSource:
        sources.append(TapeSource(intake))
        return sources[-1]

    words = tuple(mergeable)
    return EventKind(
        name=name,
        is_mergeable=lambda topic: topic.startswith(words),
        default_mode=mode,
        refusal=refusal,
        open=open_source,
        ring_bytes=ring_bytes,
        broad=5,
    )
