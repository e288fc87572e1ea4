"""One WebSocket to the backend: `play` exactly once, patience, and an abrupt end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from hewston_bff.credentials import Credentials
from hewston_bff.net.backend.connections import AbortableWebSocket, is_unreachable
from hewston_bff.topics.run.ports import LinkLost, LinkRefused
from hewston_bff.topics.run.skips import Skip
from hewston_bff.topics.run.wire import Message, ProtocolViolation, decode

_PLAY: Final = '{"t":"ctrl","cmd":"play"}'
_HARD_LIMIT = 64
"""Times the message limit: larger than this breaks the connection instead of being skipped."""


class _WebSocketUpstream:
    is_deafening = True

    def __init__(self, ws: AbortableWebSocket, message_bytes: int) -> None:
        self._ws = ws
        self._message_bytes = message_bytes

    async def receive(self) -> Message:
        """See `ports.Upstream`."""
        message = await self._ws.receive()
        data = message.data
        if message.type is aiohttp.WSMsgType.TEXT:
            if len(data) > self._message_bytes:
                msg = f"a message of {len(data)} bytes"
                raise ProtocolViolation(Skip.TOO_LARGE, msg)
            return decode(data)
        if message.type is aiohttp.WSMsgType.BINARY:
            raise ProtocolViolation(Skip.BINARY, "a binary message")
        msg = f"closed ({self._ws.close_code or message.type.name.lower()})"
        raise LinkLost(msg)


@asynccontextmanager
async def open_ws(
    session: aiohttp.ClientSession,
    url: str,
    credentials: Credentials,
    connect_s: float,
    message_bytes: int,
) -> AsyncIterator[_WebSocketUpstream]:
    """A stream of one run over the backend's WebSocket. Raises as `ports.Backend.open_stream`."""
    try:
        async with asyncio.timeout(connect_s):
            ws = await session.ws_connect(
                url,
                headers=credentials.headers(),
                max_msg_size=message_bytes * _HARD_LIMIT,
                autoclose=False,
                compress=0,
                decode_text=False,
            )
    except aiohttp.WSServerHandshakeError as exc:
        if exc.status in {401, 403, 404}:
            raise LinkRefused(exc.status) from exc
        msg = f"handshake answered {exc.status}"
        raise LinkLost(msg) from exc
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        msg = f"cannot connect: {type(exc).__name__}"
        raise LinkLost(msg, is_unreachable=is_unreachable(exc)) from exc
    assert isinstance(ws, AbortableWebSocket)  # noqa: S101 - the session was made with this class
    try:
        try:
            await ws.send_str(_PLAY)
        except (aiohttp.ClientError, OSError) as exc:
            raise LinkLost("lost while sending play") from exc
        yield _WebSocketUpstream(ws, message_bytes)
    finally:
        ws.abort()
