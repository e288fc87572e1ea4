"""One Server-Sent-Events stream of the backend: gentler than its WebSocket, and with an end."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from hewston_bff.credentials import Credentials
from hewston_bff.net.backend.connections import is_unreachable
from hewston_bff.protocol.event_stream import OVERSIZED, EventParser
from hewston_bff.topics.run.ports import LinkLost, LinkRefused
from hewston_bff.topics.run.skips import Skip
from hewston_bff.topics.run.wire import End, Fault, Message, ProtocolViolation, decode

_EVENT_STREAM = "text/event-stream"
_ABSENT = frozenset({404, 405, 406, 410, 501})


class NoEventStream(LinkLost):
    """The backend has no such address, or something else answers there; `status` says what."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _EventUpstream:
    is_deafening = False

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
    """A stream of one run over the backend's events.

    Raises as `ports.Backend.open_stream`, and:
        NoEventStream: there are no events to be had at this address.
    """
    headers = credentials.headers() | {"Accept": _EVENT_STREAM}
    try:
        async with asyncio.timeout(connect_s):
            response = await session.get(url, headers=headers, allow_redirects=False)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        msg = f"cannot connect: {type(exc).__name__}"
        raise LinkLost(msg, is_unreachable=is_unreachable(exc)) from exc
    try:
        if response.status in {401, 403}:
            raise LinkRefused(response.status)
        if response.status in _ABSENT or (
            response.status == 200 and response.content_type != _EVENT_STREAM
        ):
            msg = f"no events: {response.status} {response.content_type}"
            raise NoEventStream(response.status, msg[:200])
        if response.status != 200:
            msg = f"answered {response.status}"
            raise LinkLost(msg)
        yield _EventUpstream(response, message_bytes)
    finally:
        response.close()
