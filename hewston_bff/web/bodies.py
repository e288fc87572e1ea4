"""Bodies: small ones read whole; large JSON that is kept compressed, for who takes it so."""

import asyncio
import re

from aiohttp import hdrs, web

from hewston_bff.errors import InvalidRequest, PayloadTooLarge
from hewston_bff.services.ready_body import ReadyBody

_NEVER = re.compile(r"q=0(\.0{0,3})?")


async def read_body(request: web.Request, *, max_bytes: int, within_s: float) -> bytes:
    """The whole body of a request.

    Raises:
        PayloadTooLarge: it is larger than `max_bytes`, or says so.
        InvalidRequest: it broke off, or was not there in time.
    """
    too_large = PayloadTooLarge(f"the body may have {max_bytes} bytes: send less")
    if request.content_length is not None and request.content_length > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for part in request.content.iter_any():
                body += part
                if len(body) > max_bytes:
                    raise too_large
    except (web.RequestPayloadError, ConnectionError, TimeoutError) as exc:
        raise InvalidRequest("body: broke off, or did not come in time") from exc
    return bytes(body)


async def put_body(
    request: web.Request, response: web.Response, body: ReadyBody, *, end: bytes
) -> None:
    """Make `body` and its `end` what `response` consists of."""
    if accepts_gzip(request):
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        response.body = body.gzipped(end)
    else:
        response.body = await body.plain(end)


def private_json() -> web.Response:
    """An empty answer, for these credentials and this encoding alone."""
    response = web.Response(content_type="application/json")
    response.headers[hdrs.VARY] = "Accept-Encoding"
    # It may be for these credentials only, and is cheap to ask for again.
    response.headers[hdrs.CACHE_CONTROL] = "private, no-cache"
    return response


def accepts_gzip(request: web.Request) -> bool:
    """Whether the client takes a body as gzip (RFC 9110, 12.5.3)."""
    offers = request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().replace(" ", "").split(",")
    takes = {
        coding: _NEVER.fullmatch(weight) is None
        for coding, _, weight in (offer.partition(";") for offer in offers)
    }
    return takes.get("gzip", takes.get("*", False))
