"""One Server-Sent-Events stream of the backend: gentler than its WebSocket, and with an end."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from hewston_bff.core.backend_wire import End, Fault, Message, ProtocolViolation, decode
from hewston_bff.core.event_stream import OVERSIZED, EventParser
from hewston_bff.core.skips import Skip
from hewston_bff.hub.ports import Credentials, LinkLost, LinkRefused


class _EventUpstream:
    def __init__(self, response: aiohttp.ClientResponse, message_bytes: int) -> None:
        self._response = response
        self._parser = EventParser(max_bytes=message_bytes)
        self._events: deque[tuple[str, bytes]] = deque()

    async def receive(self) -> Message:
        """See `ports.Upstream`."""
        while not self._events:
            try:
                data = await self._response.content.readany()
                self._events.extend(self._parser.feed(data))
            except (aiohttp.ClientError, OSError) as exc:
                msg = f"stream broken: {type(exc).__name__}"
                raise LinkLost(msg) from exc
            if not data:
                raise LinkLost("stream closed before its end")
        name, data = self._events.popleft()
        if name == "end":
            return End()
        if name == OVERSIZED:
            raise ProtocolViolation(Skip.TOO_LARGE, "an event over the limit for messages")
        if name == "error":
            return Fault(code="STREAM_ERROR")
        return decode(data)


@asynccontextmanager
async def open_sse(
    session: aiohttp.ClientSession,
    url: str,
    credentials: Credentials,
    connect_s: float,
    message_bytes: int,
) -> AsyncIterator[_EventUpstream]:
    """A stream of one run over the backend's events. Raises as `ports.Backend.open_stream`."""
    headers = credentials.headers() | {"Accept": "text/event-stream"}
    try:
        async with asyncio.timeout(connect_s):
            response = await session.get(url, headers=headers, allow_redirects=False)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        msg = f"cannot connect: {type(exc).__name__}"
        raise LinkLost(msg) from exc
    try:
        if response.status in {401, 403, 404}:
            raise LinkRefused(response.status)
        if response.status != 200:
            msg = f"answered {response.status}"
            raise LinkLost(msg)
        yield _EventUpstream(response, message_bytes)
    finally:
        response.close()
