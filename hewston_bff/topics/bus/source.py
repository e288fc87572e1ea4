"""The bus source: one XREAD loop over all streams, and what happens when Redis is not there.

Every entry is published once, or named by `lost`. A position moves when its entry is published,
so that a connection may break, or the task be cancelled, at any `await`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import random
from typing import Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from hewston_bff.backoff import full_jitter
from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import HistoryPage, SourceLink, SourceStats, SourceStatus
from hewston_bff.events.streams_setting import StreamRule
from hewston_bff.ports import EventIntake
from hewston_bff.protocol.topics import BUS
from hewston_bff.topics.bus.decode import DecodeRules, EntryDecoder, SignOfLife
from hewston_bff.topics.bus.heartbeats import Heartbeats
from hewston_bff.topics.bus.history import pages
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
from hewston_bff.topics.bus.stream import Stream
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


@dataclass(frozen=True, slots=True)
class BusTimes:
    """Seconds."""

    block_s: float = 0.5
    """How long a read waits for an entry; what Redis takes to answer comes on top."""
    discover_s: float = 2.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    knock_s: float = 5.0
    """How often a Redis that did not answer at all is tried during a longer wait."""
    unheard_s: float = 60.0
    """Without any entry for so long a bus that has no heartbeat counts as silent."""
    tell_silence_s: float = 5.0
    error_after: int = 10
    """After so many failures in a row the status says that this is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """What is read, and how."""

    streams: Sequence[StreamRule]
    rules: DecodeRules
    ring_bytes: int = 64 << 20
    times: BusTimes = BusTimes()


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
        self._heartbeats = Heartbeats()
        self._status: SourceStatus = "connecting"
        self._failures = 0
        self._has_begun = False
        self._skew_ms = 0
        self._heard_s = 0.0
        self._told_s = 0.0
        self._connected_s = 0.0
        self._is_deaf = False
        self._large_bytes = 1
        """The size of a large entry, of late."""

    # -- the connection

    async def run(self) -> None:
        """See `ports.EventSource`."""
        self._tell("connecting")
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(BusUnavailable),
            wait=self._wait_s,
            before_sleep=self._failed,
            sleep=self._sleep,
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
                self._connected()
                await self._follow(connection)
        finally:
            self.stats.reconnects += is_up
            # What was read and not published is read again.
            self._waiting = OrderedMerge()

    async def _measure(self, connection: BusConnection) -> None:
        before_ms = self._now_ms()
        redis_ms = await connection.time_ms()
        self._skew_ms = redis_ms - (before_ms + self._now_ms()) // 2

    def _connected(self) -> None:
        if self._failures:
            logger.warning("bus.up", failures=self._failures)
        self._failures = 0
        self.stats.error = None
        self.stats.has_failed = False
        self.stats.connected_at_ms = self._now_ms()
        self._heard_s = self._connected_s = asyncio.get_running_loop().time()
        self._tell("up")

    def _wait_s(self, _: RetryCallState) -> float:
        self._failures += 1
        times = self._options.times
        return full_jitter(
            self._failures,
            base_s=times.backoff_base_s,
            cap_s=times.backoff_cap_s,
            jitter=random(),  # noqa: S311 - no secret
        )

    def _failed(self, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        reason = str(error)
        if self._failures == 1:
            logger.warning("bus.down", error=reason)
        self.stats.has_failed = self._failures >= self._options.times.error_after
        if self._failures == self._options.times.error_after:
            logger.error("bus.error", error=reason, failures=self._failures)
        self._is_deaf = isinstance(error, BusUnavailable) and error.is_deaf
        self.stats.error = reason
        self._tell("retrying", retry_in_s=state.next_action.sleep if state.next_action else 0.0)

    async def _sleep(self, seconds: float) -> None:
        """Wait before the next attempt; less if Redis did not answer and now does."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while (left_s := until_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, self._options.times.knock_s))
            if self._is_deaf and loop.time() < until_s and await self._answers():
                return

    async def _answers(self) -> bool:
        try:
            async with self._server.connect():
                return True
        except BusUnavailable:
            return False

    # -- reading

    async def _catch_up(self, connection: BusConnection) -> None:
        """Begin, or find out what happened while there was no connection."""
        if self._has_begun:
            await self._look(connection, list(self._streams.by_key))
            return
        await self._look(connection, list(self._streams.by_key))
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
            self._mind_silence()
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
            except NoStream:
                await self._look(connection, [key for key, _ in positions])
                return False
        arrivals = self._waiting.add(batches, count=count)
        is_behind = bool(self._waiting) or any(len(one.entries) >= count for one in batches)
        if arrivals:
            behind_ms = self._now_ms() + self._skew_ms - arrivals[-1].entry.id.ms
            self.stats.behind_ms = max(0, behind_ms) if is_behind else 0
            self._heard_s = asyncio.get_running_loop().time()
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
        now = EntryId(self._now_ms() + self._skew_ms, 0)
        for stream, state in await look(connection, self._streams, wanted):
            lost = stream.look(state, now)
            if lost is not None:
                logger.warning("bus.lost", stream=stream.name, after=str(lost.after))
                self._intake.lost(lost, stream.carries)
            if isinstance(state, Missing):
                self._streams.forget(stream.key)

    # -- signs of life

    def _hear(self, stream: Stream, entry_id: EntryId) -> None:
        now_s = asyncio.get_running_loop().time()
        age_ms = 0
        if not self._has_begun:
            # Of what was in Redis before, the ids tell when it was written.
            age_ms = max(0, self._now_ms() + self._skew_ms - entry_id.ms)
        self._heartbeats.hear(stream.key, entry_id.ms, heard_s=now_s - age_ms / 1_000)
        heard_ms = self._now_ms() - age_ms
        self.stats.heartbeat_at_ms = max(heard_ms, self.stats.heartbeat_at_ms or 0)

    def _mind_silence(self) -> None:
        """Tell when the bus falls silent, from time to time that it still is, and when it ends."""
        now_s = asyncio.get_running_loop().time()
        times = self._options.times
        beat_s = self._heartbeats.heard_s
        if beat_s is None:
            is_silent = now_s - self._heard_s > times.unheard_s
        else:
            is_silent = now_s - max(beat_s, self._connected_s) > self._heartbeats.patience_s
        status: SourceStatus = "silent" if is_silent else "up"
        if status != self._status:
            logger.warning("bus.silent" if is_silent else "bus.heard")
            self._tell(status)
        elif is_silent and now_s - self._told_s >= times.tell_silence_s:
            self._tell(status)

    def _tell(self, status: SourceStatus, *, retry_in_s: float | None = None) -> None:
        self._status = status
        now_s = self._told_s = asyncio.get_running_loop().time()
        beat_s = self._heartbeats.heard_s
        self._intake.link(
            SourceLink(
                status,
                attempt=self._failures,
                retry_in_ms=None if retry_in_s is None else round(retry_in_s * 1_000),
                heartbeat_age_ms=None if beat_s is None else round((now_s - beat_s) * 1_000),
            )
        )

    # -- history

    async def history(
        self, after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncIterator[HistoryPage]:
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
