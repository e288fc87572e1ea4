"""The connections to the backend, shared by all who talk to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from hewston_bff.net.upstream_ws import AbortableWebSocket


@dataclass(frozen=True, slots=True)
class Connections:
    """`pooled` keeps connections for short requests; `fresh` makes one for each, or each stream.

    Neither counts them: a pool that is full waits silently.
    """

    pooled: aiohttp.ClientSession
    fresh: aiohttp.ClientSession


@asynccontextmanager
async def connections(*, connect_s: float) -> AsyncIterator[Connections]:
    """Both, closed on leaving."""
    # The backend closes idle connections after 5 s.
    pooling = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    renewing = aiohttp.TCPConnector(limit=0, force_close=True)
    no_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
    jar = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(connector=pooling, cookie_jar=jar, timeout=no_timeout) as pooled,
        aiohttp.ClientSession(
            connector=renewing,
            cookie_jar=jar,
            timeout=no_timeout,
            ws_response_class=AbortableWebSocket,  # type: ignore[arg-type]  # decode_text is per call
            read_bufsize=1 << 16,
        ) as fresh,
    ):
        yield Connections(pooled, fresh)
