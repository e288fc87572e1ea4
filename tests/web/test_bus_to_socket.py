"""The whole way: from streams in a real Redis to clients on real sockets."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hewston_bff.events.event import parse_entry_id
from tests.recordings import RECORDINGS, needs_recordings
from tests.redis_server import redis_server
from tests.support import Viewer, is_a, stack
from tests.topics.bus.independent import data_of, ts_of
from tests.topics.bus.support import Recorded, client, recorded, write

PATHS = sorted((RECORDINGS / "bus").glob("*.json.gz"))
STREAMS = "nautilus-streams,trader-*:stream,trader-*:stream:*"
HEARTBEAT = b"health:heartbeat"


@needs_recordings
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
async def test_a_recorded_bus_reaches_a_client_entry_by_entry(path: Path) -> None:
    entries = recorded(path)
    data = [entry for entry in entries if entry.fields["topic"] != HEARTBEAT]
    half = len(entries) // 2
    async with redis_server() as server, client(server.url) as redis:
        await write(redis, entries[:half])
        settings: dict[str, Any] = {"bff_bus_url": server.url, "bff_bus_streams": STREAMS}
        async with stack(**settings) as (bff, _, _), bff.viewer() as viewer:
            await viewer.say(t="subscribe", topic="bus:*", mode="all", **{"from": "start"})
            await viewer.until(is_a("state", status="live"))
            await write(redis, entries[half:])
            events = await events_of(viewer, len(data))
            assert not viewer.of("lag")
            check(events, data)
            # Streams that are found while others are read come when they are found.
            there = sum(entry.fields["topic"] != HEARTBEAT for entry in entries[:half])
            ids = [parse_entry_id(event["id"]) for event in events[:there]]
            assert all(a <= b for a, b in pairwise(ids) if a and b)
            async with bff.viewer() as late:
                # Who comes back continues after what it has, and is told that nothing is missing.
                last = events[len(events) // 3]
                resume = {"id": last["id"], "topic": last["topic"]}
                await late.say(t="subscribe", topic="bus:*", mode="all", resume=resume)
                assert (await late.until(is_a("subscribed")))["recovered"] is True
                rest = await events_of(late, len(data) - len(events) // 3 - 1)
                assert rest == events[len(events) // 3 + 1 :]
            async with bff.viewer() as newest:
                await newest.say(t="subscribe", topic="bus:data.quotes.*")
                quotes = {m["topic"]: m for m in events if m["topic"].startswith("bus:data.quotes")}
                found = await events_of(newest, len(quotes))
                assert {m["topic"]: m["id"] for m in found} == {
                    topic: message["id"] for topic, message in quotes.items()
                }


async def events_of(viewer: Viewer, count: int) -> list[dict[str, Any]]:
    """The first so many events, once they are there."""
    while len(viewer.of("event")) < count:
        assert await viewer.next()
    return [{k: v for k, v in message.items() if k != "sid"} for message in viewer.of("event")]


def check(events: list[dict[str, Any]], entries: list[Recorded]) -> None:
    """Each entry once, in order, as an independent decoder has it."""
    wanted = defaultdict(list)
    for entry in entries:
        wanted["bus:" + entry.fields["topic"].decode()].append(entry)
    came = defaultdict(list)
    for event in events:
        came[event["topic"]].append(event)
    assert came.keys() == wanted.keys()
    for topic, messages in came.items():
        assert [m["id"] for m in messages] == [str(entry.id) for entry in wanted[topic]]
        for message, entry in zip(messages, wanted[topic], strict=True):
            payload = entry.fields["payload"]
            is_state = topic.startswith("bus:events.system.")
            assert message["data"] == data_of(payload, is_state=is_state)
            assert message["ts"] == ts_of(payload, entry.id.ms)
            assert message["n"] == 1


async def test_a_redis_that_is_killed_and_comes_back_costs_its_viewers_nothing(
    tmp_path: Path,
) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    async with redis_server(*options) as server, client(server.url) as redis:
        async with stack(bff_bus_url=server.url) as (bff, _, _), bff.viewer() as viewer:
            await viewer.say(t="subscribe", topic="bus:*", mode="all")
            await viewer.until(is_a("state", status="live"))
            for number in range(3):
                await redis.xadd("nautilus-streams", {"topic": "a", "payload": str(number)})
            await events_of(viewer, 3)
            await server.kill()
            await viewer.until(is_a("source", status="retrying"))
            assert (await bff.get("/api/v1/status"))["status"] == "degraded"
            await server.start()
            await redis.connection_pool.disconnect()
            for number in range(3, 6):
                await redis.xadd("nautilus-streams", {"topic": "a", "payload": str(number)})
            await viewer.until(is_a("source", status="up"))
            events = await events_of(viewer, 6)
            assert [event["data"] for event in events] == list(range(6))
            assert not viewer.of("lag")
