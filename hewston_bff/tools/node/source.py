"""Publishes what a script writes, at the time at which it is due."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from time import time_ns
from typing import Final, Protocol

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import HistoryPage, Lost, SourceLink, SourceStats
from hewston_bff.protocol.times import format_time
from hewston_bff.tools.node.timeline import SECOND_NS, NodeEntry, Timeline

_PERIOD_S: Final = 0.05
"""Between two looks at what is due, at least: few enough to cost little."""
_JUMP_NS: Final = 10 * SECOND_NS
"""The machine slept: what was due meanwhile is not made up for."""
_MS_NS: Final = 1_000_000
_MINUTE_NS: Final = 60 * SECOND_NS

Script = Callable[[int], Timeline]
"""What happens from this time on, ns since 1970."""


class NodeIntake(Protocol):
    """The hub, as this source needs it. See `ports.EventIntake`."""

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        """Begin with what there was before."""

    def publish(self, events: Sequence[Event]) -> None:
        """Take new events."""

    def link(self, link: SourceLink) -> None:
        """The state of the connection changed."""


class NodeClock:
    """The wall clock, except that it does not go back: then it goes on from where it was."""

    def __init__(self, wall_ns: Callable[[], int] = time_ns) -> None:
        self._wall_ns = wall_ns
        self._ahead_ns = 0
        self._last_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since 1970, never less than before."""
        now_ns = self._wall_ns() + self._ahead_ns
        if now_ns < self._last_ns:
            self._ahead_ns += self._last_ns - now_ns
            now_ns = self._last_ns
        self._last_ns = now_ns
        return now_ns


class SimulatedSource:
    """A node's topics of one kind, made up. Implements `ports.EventSource`.

    It begins with the minutes before it was started, and keeps nothing by itself: what the hub
    does not hold any more is lost.
    """

    def __init__(
        self, intake: NodeIntake, kind: str, script: Script, *, clock: NodeClock | None = None
    ) -> None:
        self.stats = SourceStats()
        self._intake = intake
        self._kind = kind
        self._script = script
        self._clock = NodeClock() if clock is None else clock
        self._last = FIRST_ID
        self._second = (-1, "")

    async def run(self) -> None:
        """Publish until cancelled."""
        now_ns = self._clock.now_ns()
        self.stats.connected_at_ms = now_ns // _MS_NS
        # At least one whole minute, so that bars of a minute are there.
        start_ns = now_ns - now_ns % _MINUTE_NS - _MINUTE_NS
        timeline = self._script(start_ns)
        floor = self._last = EntryId(start_ns // _MS_NS, 0)
        held = [self._event(entry, entry.ns) for entry in timeline.advance(now_ns)]
        self._intake.begin((), held, floor=floor, skew_ms=0)
        self._intake.link(SourceLink("up"))
        while True:
            wait_s = max(_PERIOD_S, (timeline.next_ns - now_ns) / SECOND_NS)
            due_ns = now_ns + round(wait_s * SECOND_NS)
            await asyncio.sleep(wait_s)
            now_ns = self._clock.now_ns()
            if now_ns - due_ns > _JUMP_NS:
                timeline = self._script(now_ns)
            entries = timeline.advance(now_ns)
            if entries:
                self._intake.publish([self._event(entry, now_ns) for entry in entries])

    async def history(
        self,
        after: EntryId,
        before: EntryId,
        wanted: Callable[[str], bool],  # noqa: ARG002 - all of it is lost
    ) -> AsyncGenerator[HistoryPage, None]:
        """See `ports.EventSource`: what was before the hub's events is lost.

        Asked for from the start, that is from what is held, nothing is missing.
        """
        if after != FIRST_ID:
            yield HistoryPage((), Lost(after, _preceding(before)))

    def _event(self, entry: NodeEntry, written_ns: int) -> Event:
        ms = written_ns // _MS_NS
        last = self._last
        self._last = EntryId(ms, 0) if ms > last.ms else EntryId(last.ms, last.seq + 1)
        stats = self.stats
        stats.events += 1
        stats.bytes += len(entry.payload)
        stats.last_event_at_ms = self._last.ms
        topic = f"{self._kind}:{entry.topic}"
        return Event(topic, self._last, self._ts(entry.ns), entry.type, entry.payload)

    def _ts(self, ns: int) -> str:
        """A time with nanoseconds. Hundreds a second are of the same second."""
        seconds, fraction_ns = divmod(ns, SECOND_NS)
        if seconds != self._second[0]:
            self._second = (seconds, format_time(seconds * SECOND_NS)[:-1])
        return f"{self._second[1]}.{fraction_ns:09}Z"


def _preceding(entry_id: EntryId) -> EntryId:
    """The highest id below this one."""
    ms, seq = entry_id
    return EntryId(ms, seq - 1) if seq else EntryId(max(ms - 1, 0), (1 << 64) - 1)
