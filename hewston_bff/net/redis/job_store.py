"""Jobs in Redis: the queue, a record for each, the index that lists are made of, and the updates.

| key | what |
|---|---|
| `jobs:queue` | list of JSON texts `{"id","type","payload"}`, pushed on the right |
| `job:<id>` | hash: what the last accepted update says, and what the job is |
| `jobs:updates` | stream of updates |
| `jobs:queue:index` | sorted set of job ids, by a number that grows |
| `jobs:queue:key:<digest>` | text: the job of an idempotency key, and a digest of its body |
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from hewston_bff.events.event import FIRST_ID, EntryId, parse_entry_id
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.job_scripts import CANCEL, CREATE, KNOWN, LIST
from hewston_bff.net.redis.jobs_redis import BLOCK_MS, JobsRedis
from hewston_bff.topics.job.ports import Fields, StreamExtent, UpdateEntry
from hewston_bff.topics.job.record import RECORD_FIELDS, SUMMARY_FIELDS
from hewston_bff.topics.job.update import FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStoreOptions:
    """Names, and how much is kept for how long."""

    queue: str = "jobs:queue"
    record_prefix: str = "job:"
    updates: str = "jobs:updates"
    queue_limit: int = 1_000
    updates_kept: int = 100_000
    record_s: int = 7 * 86_400
    """How long a record is kept after the job's last sign of life."""
    key_s: int = 86_400
    """How long an idempotency key is remembered."""

    @property
    def index(self) -> str:
        """The key of the index."""
        return f"{self.queue}:index"

    def record(self, job_id: str) -> str:
        """The key of a job's record."""
        return self.record_prefix + job_id

    def idempotency(self, key: str) -> str:
        """The key that remembers an idempotency key."""
        return f"{self.queue}:key:{sha256(key.encode()).hexdigest()}"


class Pushed(NamedTuple):
    """What became of a job that was to be made."""

    what: Literal["new", "known", "conflict", "full"]
    job_id: str
    status: str


class CancelOutcome(NamedTuple):
    """What became of the wish to cancel a job."""

    what: Literal["unknown", "finished", "cancelled", "asked"]
    status: str


class Listed(NamedTuple):
    """A job in the index, and its record; empty if that is gone."""

    number: int
    job_id: str
    fields: Fields


class JobStore:
    """Jobs, as those who ask for them need it. All raise SourceUnavailable."""

    def __init__(self, redis: JobsRedis, options: JobStoreOptions) -> None:
        self._redis = redis
        self._options = options
        self._create = redis.client.register_script(CREATE)
        self._cancel = redis.client.register_script(CANCEL)
        self._list = redis.client.register_script(LIST)

    async def push(
        self, job_id: str, kind: str, entry: bytes, *, now: str, key: str | None, digest: str
    ) -> Pushed:
        """Make a job unless its idempotency key has one, or the queue is full; all or nothing.

        `entry`: its text in the queue. `digest`: of what was asked for. Cancelled, it may have
        happened.
        """
        options = self._options
        keys = [options.queue, options.record(job_id), options.updates, options.index]
        if key is not None:
            keys.append(options.idempotency(key))
        answer = await self._redis.ask(
            self._create(
                keys=keys,
                args=[
                    *(job_id, kind, entry, now, digest),
                    *(options.queue_limit, options.updates_kept),
                    *(options.record_s, options.key_s, options.record_prefix),
                ],
            )
        )
        return Pushed(*(part.decode() for part in answer))

    async def cancel(self, job_id: str, *, now: str) -> CancelOutcome:
        """Cancel a job that nobody has taken, or ask its worker to stop. It may be repeated."""
        options = self._options
        keys = [options.queue, options.record(job_id), options.updates]
        answer = await self._redis.ask(
            self._cancel(keys=keys, args=[job_id, now, options.updates_kept])
        )
        return CancelOutcome(*(part.decode() for part in answer))

    async def record(self, job_id: str) -> Fields:
        """A job's record; empty if there is none."""
        redis = self._redis
        key = self._options.record(job_id)
        return _fields(RECORD_FIELDS, await redis.ask(redis.client.hmget(key, RECORD_FIELDS)))

    async def newest(self, before: int | None, *, count: int) -> list[Listed]:
        """The newest jobs with a number below `before`, newest first, without results."""
        options = self._options
        top = "+inf" if before is None else f"({before}"
        found = await self._redis.ask(
            self._list(
                keys=[options.index], args=[top, count, options.record_prefix, *SUMMARY_FIELDS]
            )
        )
        return [
            Listed(int(number), job_id.decode(), _fields(SUMMARY_FIELDS, values))
            for job_id, number, values in found
        ]

    async def forget(self, job_ids: Collection[str]) -> None:
        """Take jobs whose records are gone out of the index."""
        await self._redis.ask(self._redis.client.zrem(self._options.index, *job_ids))


class JobUpdateStream:
    """Implements `JobUpdates`."""

    def __init__(self, redis: JobsRedis, options: JobStoreOptions) -> None:
        self._redis = redis
        self._options = options
        self._known = redis.client.register_script(KNOWN)

    async def extent(self) -> StreamExtent:
        """See `JobUpdates`."""
        client, updates = self._redis.client, self._options.updates
        pipe = client.pipeline(transaction=True)
        pipe.exists(updates)
        pipe.xinfo_stream(updates)
        exists, info = await self._redis.ask(pipe.execute(raise_on_error=False))
        if isinstance(info, Exception):
            if not exists:
                return StreamExtent(None, FIRST_ID, 0, 0)
            await self._redis.ask(_raised(info))
        first = info["first-entry"]
        return StreamExtent(
            None if first is None else _entry_id(first[0]),
            _entry_id(info["last-generated-id"]),
            # Redis below 7 does not count: there, nothing that was trimmed is noticed.
            info.get("entries-added", info["length"]),
            info["length"],
        )

    async def skew_ms(self) -> int:
        """See `JobUpdates`."""
        before_ms = now_ms()
        seconds, micros = await self._redis.ask(self._redis.client.time())
        return int(seconds) * 1_000 + int(micros) // 1_000 - (before_ms + now_ms()) // 2

    async def page(self, after: EntryId, *, count: int) -> Sequence[UpdateEntry]:
        """See `JobUpdates`."""
        found = await self._redis.ask(
            self._redis.client.xrange(self._options.updates, min=f"({after}", count=count)
        )
        return _entries(found)

    async def wait(self, after: EntryId, *, count: int) -> Sequence[UpdateEntry]:
        """See `JobUpdates`."""
        streams = {self._options.updates: str(after)}
        found = await self._redis.ask(
            self._redis.client.xread(streams, count=count, block=BLOCK_MS)
        )
        if isinstance(found, dict):
            # RESP3: a map of pages.
            return [entry for pages in found.values() for page in pages for entry in _entries(page)]
        return [entry for _, entries in found or () for entry in _entries(entries)]

    async def entry(self, entry_id: EntryId) -> UpdateEntry | None:
        """See `JobUpdates`."""
        found = await self._redis.ask(
            self._redis.client.xrange(self._options.updates, min=str(entry_id), max=str(entry_id))
        )
        return next(iter(_entries(found)), None)

    async def known(self, job_ids: Collection[str]) -> set[str]:
        """See `JobUpdates`."""
        keys = [self._options.record(job_id) for job_id in job_ids]
        found = await self._redis.ask(self._known(keys=keys))
        return {job_id for job_id, has in zip(job_ids, found, strict=True) if has}

    async def keep(self, job_ids: Collection[str], *, finished: Collection[str]) -> None:
        """See `JobUpdates`."""
        pipe = self._redis.client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.expire(self._options.record(job_id), self._options.record_s)
        for job_id in finished:
            pipe.hdel(self._options.record(job_id), "entry")
        await self._redis.ask(pipe.execute())

    async def restore(
        self, job_id: str, decide: Callable[[Fields], Mapping[str, str | bytes] | None]
    ) -> bool:
        """See `JobUpdates`. It begins again whenever somebody else writes the record meanwhile."""
        key = self._options.record(job_id)
        written = False

        async def write(pipe: Any) -> None:  # noqa: ANN401 - a type of the library
            nonlocal written
            values = await pipe.hmget(key, ("type", *FIELDS))
            fields = decide(_fields(FIELDS, values[1:])) if values[0] else None
            written = fields is not None
            pipe.multi()
            if fields is not None:
                pipe.hset(key, mapping=fields)

        await self._redis.ask(self._redis.client.transaction(write, key))
        return written


async def _raised(error: Exception) -> None:
    raise error


def _fields(names: Sequence[str], values: Sequence[bytes | None]) -> Fields:
    return {
        name.encode(): value for name, value in zip(names, values, strict=True) if value is not None
    }


def _entries(found: Sequence[tuple[bytes, Fields | None]]) -> list[UpdateEntry]:
    # An entry that was deleted while it was read has no fields.
    return [UpdateEntry(_entry_id(text), fields or {}) for text, fields in found]


def _entry_id(text: bytes) -> EntryId:
    found = parse_entry_id(text.decode())
    assert found is not None  # noqa: S101 - Redis says so
    return found
