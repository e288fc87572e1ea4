"""Requests to the market-connectivity service: what a table names, each sent once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from types import SimpleNamespace
from typing import Final, NamedTuple

import aiohttp
import structlog
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from hewston_bff.net.backend.requests import CORRELATION_HEADER
from hewston_bff.net.sent_once import sent_once

_ANSWER_BYTES: Final = 8 << 20
_CONNECT_S: Final = 5.0


class McpAction(Enum):
    """What can be asked of the service; nothing else can be reached there."""

    LOGIN = auto()
    HOLDINGS = auto()
    POSITIONS = auto()
    ORDER = auto()


class McpRoute(NamedTuple):
    """Where the service takes an action."""

    method: str
    path: str
    takes_token: bool = True
    """Whether the session's token is its query parameter `token`."""


ROUTES: Final = {
    McpAction.LOGIN: McpRoute(hdrs.METH_POST, "/login", takes_token=False),
    McpAction.HOLDINGS: McpRoute(hdrs.METH_GET, "/holdings"),
    McpAction.POSITIONS: McpRoute(hdrs.METH_GET, "/positions"),
    McpAction.ORDER: McpRoute(hdrs.METH_POST, "/orders"),
}


class McpAnswer(NamedTuple):
    """An answer, read whole."""

    status: int
    body: bytes


class McpNoAnswer(Exception):
    """There was no whole answer; the text says why, and names no address."""

    def __init__(self, reason: str, *, was_sent: bool, is_late: bool) -> None:
        """`was_sent`: a connection was there, so that the request may have arrived."""
        super().__init__(reason)
        self.was_sent = was_sent
        self.is_late = is_late


class McpRequests:
    """Sends requests to one service. Redirects are not followed: the token stays there."""

    def __init__(self, url: str, *, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def send(
        self,
        action: McpAction,
        *,
        token: str | None = None,
        body: bytes | None = None,
        deadline_s: float,
    ) -> McpAnswer:
        """The answer, whatever its status. `body` is JSON.

        A cancellation drops the connection; what was sent by then may have arrived.

        Raises:
            McpNoAnswer: no connection, it was lost, or the answer is late, too long or unreadable.
        """
        route = ROUTES[action]
        url = URL(self._url + route.path, encoded=True)
        if route.takes_token:
            url = url.with_query({"token": token or ""})
        headers = CIMultiDict({hdrs.ACCEPT: "application/json"})
        if body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        correlation_id = structlog.contextvars.get_contextvars().get("request_id")
        if correlation_id is not None:
            headers[CORRELATION_HEADER] = correlation_id
        progress = SimpleNamespace(is_connected=False)
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._session.request(
                    route.method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    middlewares=(sent_once,),
                    trace_request_ctx=progress,
                ) as response,
            ):
                return McpAnswer(response.status, await _read(response))
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            # Neither its text nor its traceback goes on: both may have the URL, and so the token.
            reason, is_late = type(exc).__name__, isinstance(exc, TimeoutError)
        raise McpNoAnswer(reason, was_sent=progress.is_connected, is_late=is_late)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            raise ValueError
    return bytes(body)


@asynccontextmanager
async def mcp_requests(url: str) -> AsyncIterator[McpRequests]:
    """Requests to the service at `url`, each on a connection of its own.

    A pooled connection may be dead already, and what was sent on it then neither here nor there.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        trace_configs=[trace],
    ) as session:
        yield McpRequests(url, session=session)


async def _connected(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    context.trace_request_ctx.is_connected = True
