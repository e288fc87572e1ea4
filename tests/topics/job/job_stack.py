"""A real Redis with jobs in it, a worker's hand, and a source with an intake that remembers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import Lost, SourceLink
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.job_store import JobStore, JobStoreOptions, JobUpdateStream
from hewston_bff.net.redis.jobs_redis import jobs_redis
from hewston_bff.tasks import running
from hewston_bff.topics.job.source import JobSource, JobSourceTimes
from tests.waiting import eventually

NOW = "2026-11-25T03:49:59Z"
QUICK = JobSourceTimes(backoff_base_s=0.02, backoff_cap_s=0.1)


@dataclass
class RecordingIntake:
    """Implements `EventIntake`."""

    begun: int = 0
    remembered: list[Event] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)
    gaps: list[Lost] = field(default_factory=list)
    links: list[SourceLink] = field(default_factory=list)
    floor: EntryId | None = None
    skew_ms: int = 0

    def begin(
        self,
        remembered: Sequence[Event],
        held: Sequence[Event],
        *,
        floor: EntryId,
        skew_ms: int,
    ) -> None:
        assert not self.published
        self.begun += 1
        self.remembered, self.held = list(remembered), list(held)
        self.floor, self.skew_ms = floor, skew_ms

    def publish(self, events: Sequence[Event]) -> None:
        assert self.begun == 1
        self.published += events

    def lost(self, lost: Lost, topics: Callable[[str], bool] | None = None) -> None:
        self.gaps.append(lost)

    def link(self, link: SourceLink) -> None:
        self.links.append(link)

    @property
    def events(self) -> list[Event]:
        """All that it was given, in order."""
        return [*self.held, *self.published]

    def told(self, job_id: str) -> list[dict[str, Any]]:
        """What it was told of one job."""
        topic = f"job:{job_id}"
        return [msgspec.json.decode(one.data) for one in self.events if one.topic == topic]

    def states(self, job_id: str) -> list[str]:
        """The states that it was told of one job."""
        return [one["status"] for one in self.told(job_id)]

    async def until(self, job_id: str, status: str) -> None:
        """Wait until it is told so."""
        await eventually(lambda: status in self.states(job_id), f"{job_id} {status}")

    async def until_up(self, times: int = 1) -> None:
        """Wait until the source was up so often."""
        await eventually(lambda: [one.status for one in self.links].count("up") >= times, "up")


@dataclass
class JobStack:
    """What tests of jobs have in their hands."""

    redis: Any  # its answers are typed as bytes or text
    store: JobStore
    updates: JobUpdateStream
    options: JobStoreOptions

    async def made(self) -> str:
        """A new job."""
        job_id = uuid4().hex
        await self.store.push(job_id, "backtest", b"{}", now=NOW, key=None, digest="x")
        return job_id

    async def write(self, job_id: str, status: str, **fields: str) -> None:
        """An update as a worker writes it: into the record and the stream at once."""
        names = ("progress", "result", "error", "ts")
        update = {"status": status, **{name: fields.get(name, "") for name in names}}
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.options.record(job_id), mapping=update)
            pipe.xadd(self.options.updates, {"id": job_id, **update})
            await pipe.execute()

    async def record(self, job_id: str) -> dict[str, str]:
        """What the record says, without empty fields."""
        found = await self.redis.hgetall(self.options.record(job_id))
        fields = {text(name): text(value) for name, value in found.items()}
        return {name: value for name, value in fields.items() if value}


def text(value: bytes | str) -> str:
    """What Redis answered."""
    return value.decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def job_stack(url: str, **options: Any) -> AsyncIterator[JobStack]:
    """The jobs in the Redis at `url`."""
    wanted = JobStoreOptions(**options)
    async with jobs_redis(url) as redis, Redis.from_url(url) as other:
        yield JobStack(other, JobStore(redis, wanted), JobUpdateStream(redis, wanted), wanted)


@asynccontextmanager
async def following(
    updates: JobUpdateStream, times: JobSourceTimes = QUICK
) -> AsyncIterator[tuple[JobSource, RecordingIntake]]:
    """A source that runs."""
    intake = RecordingIntake()
    source = JobSource(intake, updates, now_ms=now_ms, times=times)
    crashes: list[BaseException] = []
    async with running(source.run(), name="jobs", crashed=crashes.append):
        yield source, intake
        # A crash is told by a callback of the loop.
        await asyncio.sleep(0)
    assert crashes == []
