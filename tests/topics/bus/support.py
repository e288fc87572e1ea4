"""A bus source on a real Redis, and an intake that notes what it is given."""

import asyncio
import gzip
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from hewston_bff.event_kinds import bus_options
from hewston_bff.events.event import FIRST_ID, EntryId, Event, parse_entry_id
from hewston_bff.events.source_state import Lost, SourceLink
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.bus_streams import RedisBus
from hewston_bff.settings import Settings
from hewston_bff.tasks import running
from hewston_bff.topics.bus.link import BusTimes
from hewston_bff.topics.bus.source import BusOptions, BusSource
from tests.waiting import eventually

QUICK = BusTimes(block_s=0.05, discover_s=0.1, backoff_base_s=0.02, backoff_cap_s=0.1, knock_s=0.05)
"""For tests that cannot wait."""


@dataclass
class Intake:
    """Implements `EventIntake`; keeps everything."""

    remembered: list[Event] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)
    gaps: list[tuple[Lost, Callable[[str], bool] | None]] = field(default_factory=list)
    links: list[SourceLink] = field(default_factory=list)
    floor: EntryId | None = None
    skew_ms: int | None = None

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        assert self.floor is None, "begun twice"
        self.remembered, self.held = list(remembered), list(held)
        self.floor, self.skew_ms = floor, skew_ms

    def publish(self, events: Sequence[Event]) -> None:
        assert self.floor is not None, "published before it began"
        assert events
        self.published += events

    def lost(self, lost: Lost, topics: Callable[[str], bool] | None = None) -> None:
        assert lost.until > lost.after
        self.gaps.append((lost, topics))

    def link(self, link: SourceLink) -> None:
        self.links.append(link)

    @property
    def events(self) -> list[Event]:
        """All, in order of arrival."""
        return self.remembered + self.held + self.published

    @property
    def status(self) -> str:
        return self.links[-1].status

    def is_named(self, topic: str, entry_id: EntryId) -> bool:
        """Whether an event of this topic and id was named as lost."""
        return any(
            lost.after < entry_id <= lost.until and (topics is None or topics(topic))
            for lost, topics in self.gaps
        )


def options(times: BusTimes = QUICK, **settings: Any) -> BusOptions:
    """Options as the settings make them, but for the times."""
    return replace(bus_options(Settings(**settings)), times=times)


@asynccontextmanager
async def bus(
    url: str, *, times: BusTimes = QUICK, answer_s: float = 3.0, **settings: Any
) -> AsyncIterator[tuple[BusSource, Intake]]:
    """A running source; it has begun, if Redis is there."""
    intake = Intake()
    server = RedisBus(url, answer_s=answer_s)
    source = BusSource(intake, server, options(times, **settings), now_ms=now_ms)
    crashed: list[BaseException] = []
    async with running(source.run(), name="bus", crashed=crashed.append):
        yield source, intake
    assert not crashed


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Any]:
    """A plain client, to write with."""
    redis = Redis.from_url(url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def up(intake: Intake) -> None:
    """Wait until the source is connected."""
    await eventually(lambda: intake.links and intake.status == "up", "up")


async def arrived(intake: Intake, count: int) -> None:
    """Wait until so many events are there."""
    await eventually(lambda: len(intake.events) >= count, f"{count} events")


# -- recordings


class Recorded(NamedTuple):
    """An entry of a recording."""

    key: str
    id: EntryId
    fields: dict[str, bytes]


def recorded(path: Path) -> list[Recorded]:
    """The entries of a recording, in the order of their ids."""
    with gzip.open(path) as file:
        streams: dict[str, Any] = json.load(file)["streams"]
    return sorted(_entries(streams), key=lambda entry: entry.id)


def _entries(streams: dict[str, Any]) -> Iterator[Recorded]:
    for key, stream in streams.items():
        for entry in stream["entries"]:
            entry_id = parse_entry_id(entry["id"])
            assert entry_id is not None
            fields = {one["name"]: b64decode(one["value_b64"]) for one in entry["fields"]}
            yield Recorded(key, entry_id, fields)


async def write(redis: Any, entries: Sequence[Recorded]) -> None:
    """Write entries as they were recorded, ids included."""
    async with redis.pipeline(transaction=False) as pipeline:
        for entry in entries:
            pipeline.xadd(entry.key, entry.fields, id=str(entry.id))
        await pipeline.execute()


async def pages_of(
    source: BusSource,
    *,
    after: EntryId = FIRST_ID,
    before: EntryId = EntryId(1 << 60, 0),  # noqa: B008 - a value
    wanted: Callable[[str], bool] = lambda _: True,
) -> tuple[list[Event], list[Lost]]:
    """All pages of the history."""
    events: list[Event] = []
    gaps: list[Lost] = []
    async for page in source.history(after, before, wanted):
        events += page.events
        if page.lost is not None:
            gaps.append(page.lost)
    return events, gaps


async def settled() -> None:
    """Let other tasks run once."""
    await asyncio.sleep(0)
