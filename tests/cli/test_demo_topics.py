"""The demo as a process: it shows topics without a Redis, and says that they are made up."""

import signal
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from redis.asyncio import Redis

from hewston_bff.tools.node import STREAM
from tests.program import once_up, program
from tests.redis_server import redis_server
from tests.support import free_port, is_a, viewer_of

KINDS = ["bus", "job", "system"]


async def test_the_demo_serves_topics_and_says_that_they_are_simulated() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with program("demo", "--port", str(port)) as process:
        async with aiohttp.ClientSession(url) as session:
            features = await once_up(session, "/api/v1/features")
            assert features["topics"] == features["simulated"] == KINDS
            topic = quote("bus:data.quotes.SIM.EUR/USD", safe="")
            async with session.get(f"/api/v1/topics/{topic}/last") as response:
                last = await response.json()
            assert last["data"]["instrument_id"] == "EUR/USD.SIM"
            async with session.get("/api/v1/topics?match=bus:data.bars.*-1-MINUTE-*") as response:
                assert (await response.json())["total"] == 40
        async with viewer_of(url + "/api/v1/stream") as viewer:
            for kind in KINDS:
                await viewer.say(t="subscribe", id=kind, topic=f"{kind}:*")
                await viewer.until(is_a("subscribed", re=kind))
                source = await viewer.until(is_a("source"))
                assert source == {"t": "source", "kind": kind, "status": "up", "simulated": True}
            await viewer.say(t="subscribe", id="old", topic="bus:events.*", **{"from": "start"})
            assert (await viewer.until(is_a("event", sid=4)))["type"] == "ComponentStateChanged"
            quoted = await viewer.until(is_a("event", sid=1, type="QuoteTick"))
            assert quoted["topic"].startswith("bus:data.quotes.")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_with_a_redis_the_bus_is_written_there_and_read_from_there() -> None:
    port = free_port()
    arguments = ("demo", "--port", str(port))
    async with (
        redis_server() as redis,
        program(*arguments, "--redis", redis.url) as process,
        Redis.from_url(redis.url) as client,
    ):
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            features = await once_up(session, "/api/v1/features")
            # What is read from a Redis is no simulation to the server.
            assert (features["topics"], features["simulated"]) == (KINDS, ["job", "system"])
        async with viewer_of(f"http://127.0.0.1:{port}/api/v1/stream") as viewer:
            await viewer.say(t="subscribe", topic="bus:*", mode="all", **{"from": "start"})
            while len(viewer.of("event")) < 300:
                await viewer.next()
            events = viewer.of("event")
        entries: Any = await client.xrange(STREAM, "-", events[-1]["id"])
        written = [
            (entry_id.decode(), f"bus:{fields[b'topic'].decode()}", fields[b"payload"])
            for entry_id, fields in entries
            if fields[b"topic"] != b"health:heartbeat"
        ]
        assert len(entries) > len(written)
        assert [(event["id"], event["topic"]) for event in events] == [
            (entry_id, topic) for entry_id, topic, _ in written
        ]
        assert [event["data"] for event in events if event["type"] == "QuoteTick"] == [
            msgspec.json.decode(payload) for _, _, payload in written if b"QuoteTick" in payload
        ]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
