"""The bus source: one XREAD loop over all streams, and what happens when Redis is not there.

Every entry is published once, or named by `lost`. A position moves when its entry is published,
so that a connection may break, or the task be cancelled, at any `await`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type

from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import HistoryPage, SourceStats
from hewston_bff.events.streams_setting import StreamRule
from hewston_bff.ports import EventIntake
from hewston_bff.protocol.topics import BUS
from hewston_bff.topics.bus.decode import DecodeRules, EntryDecoder, SignOfLife
from hewston_bff.topics.bus.history import pages
from hewston_bff.topics.bus.link import BusLink, BusTimes
from hewston_bff.topics.bus.load import load
from hewston_bff.topics.bus.merge import Arrival, OrderedMerge
from hewston_bff.topics.bus.ports import (
    Batch,
    BusConnection,
    BusServer,
    BusUnavailable,
    Missing,
    NoStream,
    StreamEntry,
)
from hewston_bff.topics.bus.stream import Stream, previous
from hewston_bff.topics.bus.streams import Discovery, Streams, look

logger = structlog.get_logger(__name__)

_SLICE: Final = 128
"""Entries published in one go: about two milliseconds, then others have their turn."""
_READ_ENTRIES: Final = 4_096
_MOST_OF_A_STREAM: Final = 512
_FEWEST_OF_A_STREAM: Final = 16
_PAGE_BYTES: Final = 8 << 20
_PACE_S: Final = 0.002
"""Reads are at least so far apart while there is something to read: a batch costs little more than
one entry, and a client waits a millisecond longer."""
_PACE_OF_A_STREAM_S: Final = 3e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """What is read, and how."""

    streams: Sequence[StreamRule]
    rules: DecodeRules
    ring_bytes: int = 64 << 20
    times: BusTimes = field(default_factory=BusTimes)


class BusSource:
    """See `ports.EventSource`."""

    def __init__(
        self,
        intake: EventIntake,
        server: BusServer,
        options: BusOptions,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the wall clock."""
        self._intake = intake
        self._server = server
        self._options = options
        self._now_ms = now_ms
        self.stats = SourceStats()
        self._decoder = EntryDecoder(options.rules, left_out=self.stats.left_out)
        self._streams = Streams(options.streams, refused_names=self.stats.refused)
        self._waiting = OrderedMerge()
        self._link = BusLink(server, self.stats, options.times, tell=intake.link, now_ms=now_ms)
        self._has_begun = False
        self._skew_ms = 0
        self._large_bytes = 1
        """The size of a large entry, of late."""

    # -- the connection

    async def run(self) -> None:
        """See `ports.EventSource`."""
        self._link.begin()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(BusUnavailable),
            wait=self._link.wait_s,
            before_sleep=self._link.failed,
            sleep=self._link.sleep,
        ):
            with attempt:
                await self._connection()

    async def _connection(self) -> None:
        """One connection, from its first command until it breaks."""
        is_up = False
        try:
            async with self._server.connect() as connection:
                await self._measure(connection)
                await self._streams.scan(connection)
                await self._catch_up(connection)
                is_up = True
                self._link.connected()
                await self._follow(connection)
        finally:
            self.stats.reconnects += is_up
            # What was read and not published is read again.
            self._waiting = OrderedMerge()

    async def _measure(self, connection: BusConnection) -> None:
        before_ms = self._now_ms()
        redis_ms = await connection.time_ms()
        self._skew_ms = redis_ms - (before_ms + self._now_ms()) // 2

    # -- reading

    async def _catch_up(self, connection: BusConnection) -> None:
        """Begin, or find out what happened while there was no connection."""
        await self._look(connection, list(self._streams.by_key))
        if self._has_begun:
            return
        streams = [s for k, s in self._streams.by_key.items() if k not in self._streams.refused]
        loaded = await load(connection, streams, self._take, max_bytes=self._options.ring_bytes)
        self._has_begun = True
        for events in (loaded.remembered, loaded.held):
            self._count(events)
        self._intake.begin(
            loaded.remembered, loaded.held, floor=loaded.floor, skew_ms=self._skew_ms
        )

    async def _follow(self, connection: BusConnection) -> None:
        """Read and publish until the connection breaks."""
        loop = asyncio.get_running_loop()
        discovery = Discovery(self._streams, every_s=self._options.times.discover_s)
        while True:
            looked_after = await discovery.step(connection, loop.time())
            if looked_after:
                await self._look(connection, looked_after)
            started_s = loop.time()
            has_read = await self._read(connection, is_patient=not discovery.is_scanning)
            self._link.mind_silence()
            pace_s = _PACE_S + len(self._streams.by_key) * _PACE_OF_A_STREAM_S
            left_s = started_s + pace_s - loop.time()
            if has_read and left_s > 0 and not self._waiting:
                await asyncio.sleep(left_s)

    async def _read(self, connection: BusConnection, *, is_patient: bool) -> bool:
        """Read once, and publish; whether there was anything."""
        block_s = self._options.times.block_s
        positions = [one for one in self._streams.positions() if one[0] not in self._waiting]
        if not positions and not self._waiting:
            await asyncio.sleep(block_s if is_patient else 0)
            return False
        count = self._entries_at_once(len(positions))
        block_ms = int(block_s * 1_000) if is_patient and not self._waiting else 0
        batches: list[Batch] = []
        if positions:
            try:
                batches = await connection.read(positions, count=count, block_ms=block_ms)
                if block_ms and len(batches) == 1 < len(positions):
                    # Who waited is told of the stream that had something first, and of no other;
                    # what was written to others before it would come too late.
                    batches = await connection.read(positions, count=count, block_ms=0)
            except NoStream:
                await self._look(connection, [key for key, _ in positions])
                return False
        arrivals = self._waiting.add(batches, count=count)
        is_behind = bool(self._waiting) or any(len(one.entries) >= count for one in batches)
        if arrivals:
            behind_ms = self._now_ms() + self._skew_ms - arrivals[-1].entry.id.ms
            self.stats.behind_ms = max(0, behind_ms) if is_behind else 0
            self._link.hear()
        await self._publish(arrivals)
        return bool(arrivals)

    def _entries_at_once(self, streams: int) -> int:
        """How many entries of each stream are read in one go, so that memory stays bounded."""
        share = _READ_ENTRIES // max(1, streams)
        count = max(_FEWEST_OF_A_STREAM, min(_MOST_OF_A_STREAM, share))
        return max(1, min(count, _PAGE_BYTES // self._large_bytes))

    async def _publish(self, arrivals: Sequence[Arrival]) -> None:
        """Publish in slices; between them others have their turn."""
        by_key = self._streams.by_key
        for start in range(0, len(arrivals), _SLICE):
            events: list[Event] = []
            for key, entry in arrivals[start : start + _SLICE]:
                stream = by_key[key]
                event = self._take(stream, entry)
                stream.take(entry.id)
                if event is not None:
                    events.append(event)
            sampled = sum(map(len, arrivals[start].entry.fields.values()))
            self._large_bytes = max(1, sampled, self._large_bytes * 7 // 8)
            if events:
                self._count(events)
                self._intake.publish(events)
            await asyncio.sleep(0)

    def _take(self, stream: Stream, entry: StreamEntry) -> Event | None:
        """The event of an entry, if it is one."""
        event = self._decoder.decode(stream.key, entry.id, entry.fields, stream.layout)
        if isinstance(event, Event):
            if not stream.is_mixed and event.topic != stream.topic:
                stream.note_topic(event.topic)
            return event
        if event is SignOfLife.HEARTBEAT:
            self._hear(stream, entry.id)
        return None

    def _count(self, events: Sequence[Event]) -> None:
        if events:
            self.stats.events += len(events)
            self.stats.bytes += sum([len(event.data) for event in events])
            self.stats.last_event_at_ms = self._now_ms()

    # -- what happened while nothing was read

    async def _look(self, connection: BusConnection, keys: Sequence[bytes]) -> None:
        """Find out what became of these streams, and name what is lost."""
        wanted = [key for key in keys if key not in self._waiting]
        # By the clock that makes the ids, and before the looking: what is written to a stream that
        # was not there gets a higher id, and must not be named as lost.
        before = previous(EntryId(await connection.time_ms(), 0))
        for stream, state in await look(connection, self._streams, wanted):
            lost = stream.look(state, before)
            # Before it begins nothing is lost: what is there is all there is.
            if lost is not None and self._has_begun:
                logger.warning("bus.lost", stream=stream.name, after=str(lost.after))
                self._intake.lost(lost, stream.carries)
            if isinstance(state, Missing):
                self._streams.forget(stream.key)

    def _hear(self, stream: Stream, entry_id: EntryId) -> None:
        age_ms = 0
        if not self._has_begun:
            # Of what was in Redis before, the ids tell when it was written.
            age_ms = max(0, self._now_ms() + self._skew_ms - entry_id.ms)
        self._link.hear_heartbeat(stream.key, entry_id.ms, age_ms=age_ms)

    # -- history

    async def history(
        self, after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncGenerator[HistoryPage, None]:
        """See `ports.EventSource`; on a connection of its own."""
        decoder = EntryDecoder(self._options.rules, left_out={})

        def decode(stream: Stream, entry: StreamEntry) -> Event | None:
            event = decoder.decode(stream.key, entry.id, entry.fields, stream.layout)
            if isinstance(event, Event) and wanted(event.topic.removeprefix(_PREFIX)):
                return event
            return None

        try:
            async with self._server.connect() as connection:
                if not self._has_begun:
                    await self._streams.scan(connection)
                streams = [s for s in self._streams.by_key.values() if s.may_carry(wanted)]
                found = pages(connection, streams, decode, after=after, before=before)
                async with aclosing(found):
                    async for page in found:
                        yield page
        except BusUnavailable as error:
            msg = f"the message bus cannot be asked now: {error}"
            raise SourceUnavailable(msg) from error


_PREFIX: Final = f"{BUS}:"
