"""Writes what a node's bus carries to a Redis, as a node does: one stream, and a heartbeat."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from hewston_bff.protocol.times import format_time
from hewston_bff.tools.node.scripts import bus_script
from hewston_bff.tools.node.source import NodeClock
from hewston_bff.tools.node.text import TRADER_ID
from hewston_bff.tools.node.timeline import SECOND_NS, NodeEntry

# ruff: noqa: PLC0415 - a tenth of a second and some MiB, spared where there is no Redis

STREAM: Final = f"trader-{TRADER_ID}:stream"
"""The key of the stream: a name of its own, whatever else that Redis holds."""
HEARTBEAT_TOPIC: Final = "health:heartbeat"
_MAX_ENTRIES: Final = 100_000
"""About five minutes; Redis may keep a few more."""
_PERIOD_S: Final = 0.02
_HEARTBEAT_NS: Final = SECOND_NS
_AGAIN_S: Final = 1.0


class NodeWriter:
    """Writes from now on. What happens while Redis is away is lost, as with a real node."""

    def __init__(self, url: str, *, clock: NodeClock | None = None) -> None:
        """`url` may hold a password: it is in no message."""
        self._url = url
        self._clock = NodeClock() if clock is None else clock
        self.written = 0

    async def run(self) -> None:
        """Write until cancelled, whatever becomes of Redis."""
        from redis.asyncio import Redis
        from redis.exceptions import RedisError

        async with Redis.from_url(self._url) as redis:
            while True:
                try:
                    await self._write(redis)
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(_AGAIN_S)

    async def _write(self, redis: Any) -> None:  # noqa: ANN401 - imported late
        """Write until Redis fails."""
        now_ns = self._clock.now_ns()
        timeline = bus_script(now_ns)
        beat_ns = now_ns
        while True:
            await asyncio.sleep(_PERIOD_S)
            now_ns = self._clock.now_ns()
            entries = timeline.advance(now_ns)
            if now_ns >= beat_ns:
                beat_ns = now_ns + _HEARTBEAT_NS
                beat = format_time(now_ns).encode()
                entries.append(NodeEntry(now_ns, HEARTBEAT_TOPIC, "", beat))
            await self._add(redis, entries)

    async def _add(self, redis: Any, entries: Iterable[NodeEntry]) -> None:  # noqa: ANN401 - imported late
        pipeline = redis.pipeline(transaction=False)
        for entry in entries:
            fields = {
                "topic": entry.topic,
                "type": entry.type,
                "payload": entry.payload,
                "encoding": "Json",
            }
            pipeline.xadd(STREAM, fields, maxlen=_MAX_ENTRIES, approximate=True)
        self.written += len(await pipeline.execute())
