"""The connections to the backend, shared by all who talk to it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp.connector import AddrInfoType

_STREAM_BUFFER_BYTES = 1 << 16
"""What the kernel reads ahead of a stream: more would hide from the backend that we pause."""


class AbortableWebSocket(aiohttp.ClientWebSocketResponse[Literal[False]]):
    """A client WebSocket that can be aborted without a close handshake.

    After a polite close in mid-flood the backend goes on to the end; an aborted one it drops.
    """

    def abort(self) -> None:
        """Drop the connection, and whatever is being sent on it."""
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()


@dataclass(frozen=True, slots=True)
class Connections:
    """`pooled` keeps connections for short requests; `fresh` makes one for each, as `streams` does.

    None counts them: a pool that is full waits silently.
    """

    pooled: aiohttp.ClientSession
    fresh: aiohttp.ClientSession
    streams: aiohttp.ClientSession


@asynccontextmanager
async def connections(*, connect_s: float) -> AsyncIterator[Connections]:
    """All of them, closed on leaving."""
    # The backend closes idle connections after 5 s.
    pooling = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    renewing = aiohttp.TCPConnector(limit=0, force_close=True)
    streaming = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_stream_socket)
    no_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
    jar = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(connector=pooling, cookie_jar=jar, timeout=no_timeout) as pooled,
        aiohttp.ClientSession(connector=renewing, cookie_jar=jar, timeout=no_timeout) as fresh,
        aiohttp.ClientSession(
            connector=streaming,
            cookie_jar=jar,
            timeout=no_timeout,
            ws_response_class=AbortableWebSocket,  # type: ignore[arg-type]  # decode_text is per call
            read_bufsize=1 << 16,
        ) as streams,
    ):
        yield Connections(pooled, fresh, streams)


def is_unreachable(error: BaseException) -> bool:
    """Whether nothing listens there. A timeout says nothing: a busy backend is silent for long."""
    return isinstance(error, aiohttp.ClientConnectorError | ConnectionError)


def _stream_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STREAM_BUFFER_BYTES)
    return made
