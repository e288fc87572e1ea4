"""Large JSON bodies that are kept compressed: as gzip for who takes it, else as they were."""

import re

from aiohttp import hdrs, web

from hewston_bff.services.ready_body import ReadyBody

_NEVER = re.compile(r"q=0(\.0{0,3})?")


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
