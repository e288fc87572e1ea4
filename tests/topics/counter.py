"""A second kind of topics: counters. All that it takes is in this file."""

import asyncio
from array import array
from typing import NamedTuple

from hewston_bff.credentials import Credentials
from hewston_bff.log.changes import Append, LinkChange, Status
from hewston_bff.log.log import Log
from hewston_bff.ports import Delivery, Intake
from hewston_bff.protocol.topics import Topic
from hewston_bff.protocol.updates import Updates


class Count(NamedTuple):
    ts_ns: int
    tail: bytes


class CountBlock:
    def __init__(self, first: int) -> None:
        self.first = first
        self.times = array("q")
        self.tails: list[bytes] = []

    @property
    def raw(self) -> bytes:
        return b"".join(self.tails)

    def append(self, record: Count) -> None:
        self.times.append(record.ts_ns)
        self.tails.append(record.tail)

    def tail(self, i: int) -> bytes:
        return self.tails[i]

    def head(self, count: int) -> "CountBlock":
        block = CountBlock(self.first)
        block.times, block.tails = self.times[:count], self.tails[:count]
        return block

    def after(self) -> "CountBlock":
        return CountBlock(self.first + len(self.tails))

    def seal(self) -> None:
        pass

    def size_bytes(self) -> int:
        return 100 * len(self.tails)


class CountCodec:
    tag = b"event"

    def __init__(self, log: Log[CountBlock]) -> None:
        self._log = log

    def encode(self, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
        n, value = stop - start, self._log.tail(stop - 1)
        return b'"from":%d,"seq":%d,"n":%d,"value":%b}' % (start, stop - 1, n, value)

    def snapshot(self, stop: int, *, sid: int | None) -> None:
        return None

    def figures(self, seq: int, *, sid: int | None) -> None:
        return None


class CounterSource:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._end = asyncio.Event()

    def count(self, *values: int) -> None:
        seq = self._intake.log.next_seq
        records = [Count(seq + n, b"%d" % value) for n, value in enumerate(values)]
        self._intake.apply(Append(seq, records))

    def lose(self) -> None:
        self._intake.apply(LinkChange(state="retrying", status="retrying", attempt=1))

    async def feed(self) -> None:
        self._intake.apply(Status(None, is_growing=True))
        await self._end.wait()

    async def permit(self, credentials: Credentials) -> None:
        pass

    def permitted_at_s(self, credentials: Credentials) -> None:
        return None

    async def wait(self, seconds: float) -> None:
        await asyncio.wait_for(self._end.wait(), seconds)

    def close(self) -> None:
        self._end.set()


class CounterKind:
    def __init__(self, name: str, delivery: Delivery) -> None:
        self.name = name
        self.delivery = delivery
        self.sources: dict[str, CounterSource] = {}

    def has(self, name: str) -> bool:
        return name.isalpha()

    def new_log(self, topic: Topic) -> Log[CountBlock]:
        return Log(topic.name, CountBlock)

    def codec(self, log: Log[CountBlock]) -> CountCodec:
        return CountCodec(log)

    def open(self, topic: Topic, intake: Intake) -> CounterSource:
        source = self.sources[topic.name] = CounterSource(intake)
        return source

    def news(self, topic: Topic, status: Status, skipped: object) -> None:
        return None

    def link_news(self, topic: Topic, link: LinkChange) -> None:
        return None
