"""A reader that is told to end does, whatever it is doing."""

import asyncio

from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.bus_streams import RedisBus
from hewston_bff.topics.bus.source import BusSource
from tests.redis_server import redis_server
from tests.topics.bus.support import Intake, client, options
from tests.waiting import eventually


async def test_a_cancellation_is_never_lost_between_two_commands() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(200):
                pipeline.xadd("nautilus-streams", {"topic": "x", "payload": str(number)})
            await pipeline.execute()
        for turns in range(1, 90):
            source = BusSource(Intake(), RedisBus(server.url), options(), now_ms=now_ms)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(source.run())
                # Each time it is somewhere else.
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await eventually(task.done, f"the end after {turns} turns")
            assert task.cancelled()
