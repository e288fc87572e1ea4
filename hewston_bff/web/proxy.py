"""The backend's own REST addresses, passed through byte for byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import aiohttp
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from hewston_bff.errors import InvalidRequest, PayloadTooLarge
from hewston_bff.protocol.ids import is_symbol
from hewston_bff.web.bodies import accepts_gzip
from hewston_bff.web.keys import REQUESTS, SETTINGS
from hewston_bff.web.parameters import SYMBOL_RULE, run_id_of
from hewston_bff.web.proxy_headers import headers_to_backend, headers_to_client

logger = structlog.get_logger(__name__)

PREFIX = "/api/v1"
"""Under it are the backend's addresses, as well as at their own."""
_SMALL_BYTES = 1 << 16
_TEXTS = frozenset({"application/json", "text/plain", "text/html"})
_QUERY = re.compile(r"[\x21-\x7e]*")


async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass the request on and the answer back, both as they come."""
    settings = request.app[SETTINGS]
    patience_s = settings.bff_backend_timeout
    prefix, path = _address(request)
    headers = headers_to_backend(request)
    body = None
    if request.method == hdrs.METH_POST and request.body_exists:
        body = _body(request, max_bytes=settings.bff_request_bytes)
        if request.content_length is not None and hdrs.CONTENT_ENCODING not in request.headers:
            headers[hdrs.CONTENT_LENGTH] = str(request.content_length)
    async with request.app[REQUESTS].open(
        request.method, path, headers=headers, body=body, deadline_s=patience_s
    ) as answer:
        passed = headers_to_client(
            request,
            answer,
            backend=URL(settings.hewston_backend_url),
            prefix=prefix,
        )
        return await _respond(request, answer, passed, patience_s=patience_s)


def _address(request: web.Request) -> tuple[str, str]:
    """Our prefix, and the backend's path behind it with the query.

    Raises:
        InvalidRequest: see `backend_path`.
    """
    resource = request.match_info.route.resource
    assert resource is not None  # noqa: S101 - only routes of resources are passed on
    prefix = PREFIX if resource.canonical.startswith(f"{PREFIX}/") else ""
    return prefix, backend_path(resource.canonical.removeprefix(prefix), request)


def backend_path(path: str, request: web.Request) -> str:
    """The backend's path with the client's query, character for character.

    Raises:
        InvalidRequest: the run id or a symbol can't be one, or the query is no part of a URL.
    """
    if "run_id" in request.match_info:
        path = path.format(run_id=run_id_of(request))
    query = request.rel_url.raw_query_string
    if not query:
        return path
    if _QUERY.fullmatch(query) is None:
        raise InvalidRequest("query: must be percent-encoded")
    for name, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        if name == "symbol" and not is_symbol(value):
            msg = f"symbol: {SYMBOL_RULE}"
            raise InvalidRequest(msg)
    return f"{path}?{query}"


async def _respond(
    request: web.Request,
    answer: aiohttp.ClientResponse,
    headers: CIMultiDict[str],
    *,
    patience_s: float,
) -> web.StreamResponse:
    """The answer, streamed; a small one in one piece, which is one write instead of two."""
    length = answer.content_length
    is_whole = answer.content.is_eof() and length is not None and length <= _SMALL_BYTES
    if is_whole and request.method != hdrs.METH_HEAD and answer.status != 304:
        return web.Response(status=answer.status, headers=headers, body=await answer.read())
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = length
    if _is_to_be_compressed(request, answer):
        _compress(response)
    await response.prepare(request)
    try:
        await _relay(answer, response, patience_s=patience_s)
    except (aiohttp.ClientError, OSError) as exc:
        # Half an answer must not look like a whole one.
        logger.warning("proxy.cut_off", error=type(exc).__name__)
        if request.transport is not None:
            request.transport.abort()
    return response


def _is_to_be_compressed(request: web.Request, answer: aiohttp.ClientResponse) -> bool:
    """Whether the client takes gzip of a large text that the backend sends as it is.

    A body of unknown length may come in bits that somebody waits for, which packing would hold up.
    """
    return (
        request.method != hdrs.METH_HEAD
        and answer.status == 200
        and (answer.content_length or 0) > _SMALL_BYTES
        and hdrs.CONTENT_ENCODING not in answer.headers
        and answer.content_type in _TEXTS
        and accepts_gzip(request)
    )


def _compress(response: web.StreamResponse) -> None:
    """Have the body compressed as it goes, in a thread."""
    response.enable_compression(web.ContentCoding.gzip)
    varies = [response.headers[hdrs.VARY]] if hdrs.VARY in response.headers else []
    response.headers[hdrs.VARY] = ", ".join([*varies, hdrs.ACCEPT_ENCODING])
    tag = response.headers.get(hdrs.ETAG, "")
    if tag.startswith('"'):
        # The same data in other bytes.
        response.headers[hdrs.ETAG] = f"W/{tag}"


async def _relay(
    answer: aiohttp.ClientResponse, response: web.StreamResponse, *, patience_s: float
) -> None:
    """The body as it comes; neither side is waited for longer than `patience_s`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(patience_s) as patience:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
            patience.reschedule(loop.time() + patience_s)
        await response.write_eof()


def _body(request: web.Request, *, max_bytes: int) -> AsyncIterator[bytes]:
    """The request's body as it comes.

    Raises:
        PayloadTooLarge: now, if it says so itself; else from the iterator.
        InvalidRequest: from the iterator; the body broke off, or is not encoded as it says.
    """
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes)
    return _chunks(request, max_bytes=max_bytes)


async def _chunks(request: web.Request, *, max_bytes: int) -> AsyncIterator[bytes]:
    sent_bytes = 0
    try:
        async for chunk in request.content.iter_any():
            sent_bytes += len(chunk)
            if sent_bytes > max_bytes:
                raise _too_large(max_bytes)
            yield chunk
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as exc:
        raise InvalidRequest("body: broke off, or is not encoded as its headers say") from exc


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body may have {max_bytes} bytes: send less")
