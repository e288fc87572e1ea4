"""The simulated node and a real Redis."""

import asyncio

import msgspec
from redis.asyncio import Redis

from hewston_bff.tasks import running
from hewston_bff.tools.node import STREAM, NodeWriter
from tests.redis_server import redis_server
from tests.waiting import eventually


def _crashed(error: BaseException) -> None:
    raise error


async def test_entries_have_a_nodes_fields_and_a_heartbeat_each_second() -> None:
    async with redis_server() as redis, Redis.from_url(redis.url) as client:
        writer = NodeWriter(redis.url)
        async with running(writer.run(), name="node", crashed=_crashed):
            await eventually(lambda: writer.written > 700)
        entries = await client.xrange(STREAM)
    assert entries is not None
    fields = [dict(one) for _, one in entries if one is not None]
    assert {frozenset(each) for each in fields} == {
        frozenset({b"topic", b"type", b"payload", b"encoding"})
    }
    topics = [each[b"topic"] for each in fields]
    assert topics.count(b"health:heartbeat") >= 2
    assert b"data.quotes.SIM.EUR/USD" in topics
    quotes = [each[b"payload"] for each in fields if each[b"type"] == b"QuoteTick"]
    assert {msgspec.json.decode(each)["type"] for each in quotes} == {"QuoteTick"}


async def test_it_goes_on_when_redis_comes_back() -> None:
    async with redis_server() as redis:
        writer = NodeWriter(redis.url)
        async with running(writer.run(), name="node", crashed=_crashed):
            await eventually(lambda: writer.written > 0)
            await redis.kill()
            await asyncio.sleep(0)
            before = writer.written
            await redis.start()
            await eventually(lambda: writer.written > before)
