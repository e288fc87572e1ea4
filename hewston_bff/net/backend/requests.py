"""REST requests to the backend: the one way there, for what is passed on and for what is read."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp
import structlog
from aiohttp import hdrs
from multidict import CIMultiDict
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)
from yarl import URL

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendTimeout, BackendUnavailable, BffError
from hewston_bff.net.backend.breaker import Breaker, is_connection_trouble
from hewston_bff.net.backend.connections import Connections, is_unreachable
from hewston_bff.net.sent_once import sent_once
from hewston_bff.topics.run.backend_activity import BackendActivity

CORRELATION_HEADER = "X-Correlation-ID"

_BODY_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 18
_IDEMPOTENT = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_RETRIES = 2
_RETRIED_STATUSES = frozenset({502, 503, 504})
# What aiohttp adds of its own accord: the backend hears what the client said, and no more.
_NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class BackendResponse(NamedTuple):
    """A response read whole; `content_type` is the header as it came, "" if there was none."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: URL
    headers: CIMultiDict[str]
    body: AsyncIterable[bytes] | None = None
    skip_auto_headers: tuple[str, ...] = ()
    auto_decompress: bool = True
    is_retried: bool = True


class BackendRequests:
    """Sends requests to one backend, through its breaker.

    A GET is retried after lost connections and 502, 503, 504: at most twice, each time on a new
    connection. Anything else is sent exactly once, on a new connection, for the backend drops
    pooled ones without saying so. Redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: Connections,
        breaker: Breaker,
        activity: BackendActivity | None = None,
    ) -> None:
        self._url = url
        self._pooled = connections.pooled
        self._fresh = connections.fresh
        self._breaker = breaker
        self._activity = activity or BackendActivity()

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        headers: CIMultiDict[str],
        body: AsyncIterable[bytes] | None = None,
        deadline_s: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response to pass on: its head is there, its body comes as it is on the wire.

        `path`, with its query, goes out verbatim and must be ASCII. The deadline is for the head:
        the body's reader has one of their own. Leaving before the body's end, or a cancellation,
        drops the connection, which ends the request.

        Raises:
            BackendTimeout: no answer by the deadline.
            BackendUnavailable: no connection, or it was lost.
            Busy: the breaker is open; nothing was sent.
            BffError: whatever `body` raised.
        """
        url = URL(self._url + path, encoded=True)
        request = _Request(method, url, headers, body, _NOT_ADDED, auto_decompress=False)
        opened: list[aiohttp.ClientResponse] = []
        try:
            with _service_errors():
                async with asyncio.timeout(deadline_s):
                    response = await self._send(request, opened)
            yield response
        finally:
            _release(opened)

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        credentials: Credentials,
        deadline_s: float,
        max_bytes: int = _BODY_BYTES,
        is_retried: bool = True,
    ) -> BackendResponse:
        """Whatever `GET path` answers, read whole and decompressed; any status is an answer.

        Asked with the viewer's credentials and the correlation id of the request being served.
        Not `is_retried`, it is sent once and past the breaker: for a caller who will ask again.
        Cancelled, it drops the connection.

        Raises:
            BackendTimeout: not all there by the deadline.
            BackendUnavailable: no connection, it was lost, or the body is over `max_bytes`.
            Busy: the breaker is open; nothing was sent.
        """
        headers = CIMultiDict(credentials.headers())
        correlation_id = structlog.contextvars.get_contextvars().get("request_id")
        if correlation_id is not None:
            headers[CORRELATION_HEADER] = correlation_id
        url = URL(self._url + path).with_query(params)
        request = _Request(hdrs.METH_GET, url, headers, is_retried=is_retried)
        opened: list[aiohttp.ClientResponse] = []
        try:
            with _service_errors():
                async with asyncio.timeout(deadline_s):
                    response = await self._send(request, opened)
                    body = await _read(response, max_bytes=max_bytes)
        finally:
            _release(opened)
        return BackendResponse(response.status, response.headers.get(hdrs.CONTENT_TYPE, ""), body)

    async def _send(
        self, request: _Request, opened: list[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        """The last attempt's response, also in `opened`, where no cancellation can lose it."""
        try:
            with self._activity.asking():
                if request.is_retried:
                    response = await self._breaker.call(lambda: self._attempts(request, opened))
                else:
                    response = await _request(self._pooled, request)
                    opened.append(response)
        except (aiohttp.ClientError, OSError) as exc:
            if is_unreachable(exc):
                self._activity.lost()
            raise
        self._activity.alive()
        return response

    async def _attempts(
        self, request: _Request, opened: list[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        async def attempt(session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
            _release(opened)
            opened.append(await _request(session, request))
            return opened[-1]

        if request.method not in _IDEMPOTENT:
            return await attempt(self._fresh)
        try:
            response = await attempt(self._pooled)
        except aiohttp.ClientConnectionError as exc:
            if not is_connection_trouble(exc):
                raise
        else:
            if not _is_unwell(response):
                return response
        # Only here, at once: nearly all requests do without what retrying costs.
        retrying = AsyncRetrying(
            stop=stop_after_attempt(_RETRIES),
            wait=wait_random_exponential(multiplier=0.2, max=1.0),
            retry=retry_if_exception(is_connection_trouble) | retry_if_result(_is_unwell),
            retry_error_callback=_last_outcome,
        )
        return await retrying(attempt, self._fresh)


async def _request(session: aiohttp.ClientSession, request: _Request) -> aiohttp.ClientResponse:
    try:
        return await session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            skip_auto_headers=request.skip_auto_headers,
            auto_decompress=request.auto_decompress,
            middlewares=(sent_once,),
        )
    except aiohttp.ClientConnectionError as exc:
        # aiohttp takes an error of the body's source for one of the connection.
        if isinstance(exc.__cause__, BffError):
            raise exc.__cause__ from None
        raise


def _is_unwell(response: aiohttp.ClientResponse) -> bool:
    return response.status in _RETRIED_STATUSES


def _last_outcome(state: RetryCallState) -> aiohttp.ClientResponse:
    """The last response, or the last error raised."""
    if state.outcome is None:
        raise BackendUnavailable("the backend was not asked")
    response: aiohttp.ClientResponse = state.outcome.result()
    return response


def _release(opened: list[aiohttp.ClientResponse]) -> None:
    """Release the connections; those with an unread body are closed."""
    while opened:
        opened.pop().release()


async def _read(response: aiohttp.ClientResponse, *, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            msg = f"the backend's answer is over {max_bytes} bytes: ask for less"
            raise BackendUnavailable(msg)
    return bytes(body)


@contextmanager
def _service_errors() -> Iterator[None]:
    """Turns the library's errors into those of the service."""
    try:
        yield
    except TimeoutError as exc:
        raise BackendTimeout("the backend did not answer in time: try again, or ask less") from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise BackendUnavailable("the backend can't be reached: try again in a moment") from exc
