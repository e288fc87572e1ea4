"""Which headers pass the proxy, each way, and what it adds. Hop-by-hop headers never pass."""

from contextlib import suppress

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from hewston_bff.errors import InvalidRequest
from hewston_bff.net.backend.requests import CORRELATION_HEADER
from hewston_bff.web.addresses import FORWARDED_FOR, public_origin, way
from hewston_bff.web.keys import CORRELATION_ID

_TO_BACKEND = (
    hdrs.AUTHORIZATION,
    hdrs.COOKIE,
    hdrs.CONTENT_TYPE,
    hdrs.ACCEPT,
    hdrs.ACCEPT_ENCODING,
    hdrs.ACCEPT_LANGUAGE,
    hdrs.IF_NONE_MATCH,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.USER_AGENT,
    "Idempotency-Key",
    "X-Idempotency-Key",
)
_TO_CLIENT = (
    hdrs.CONTENT_TYPE,
    hdrs.CONTENT_ENCODING,
    hdrs.CACHE_CONTROL,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
    hdrs.LOCATION,
    hdrs.RETRY_AFTER,
    hdrs.SET_COOKIE,
    hdrs.VARY,
    hdrs.WWW_AUTHENTICATE,
)


def headers_to_backend(request: web.Request) -> CIMultiDict[str]:
    """What the backend hears of the client, and of the way the request came.

    Raises:
        InvalidRequest: a header that is not UTF-8, which can't be sent on as it is.
    """
    headers = _passed(request.headers, _TO_BACKEND)
    for name, value in headers.items():
        if not is_text(value):
            msg = f"{name}: must be UTF-8"
            raise InvalidRequest(msg)
    hops = [request.remote or "unknown"]
    if way(request).is_proxied:
        hops = [hop for hop in request.headers.getall(FORWARDED_FOR, []) if is_text(hop)] + hops
    scheme, host = public_origin(request)
    headers[CORRELATION_HEADER] = request[CORRELATION_ID]
    headers[FORWARDED_FOR] = ", ".join(hops)
    headers["X-Forwarded-Proto"] = scheme
    headers["X-Forwarded-Host"] = host
    headers["X-Forwarded-By"] = "hewston-bff"
    return headers


def headers_to_client(
    request: web.Request, answer: ClientResponse, *, backend: URL, prefix: str
) -> CIMultiDict[str]:
    """What the client hears of the backend's answer; a `Location` there becomes one here."""
    headers = _passed(answer.headers, _TO_CLIENT)
    if hdrs.LOCATION in headers:
        with suppress(ValueError):
            target = answer.url.join(URL(headers[hdrs.LOCATION], encoded=True))
            if target.origin() == backend.origin():
                headers[hdrs.LOCATION] = _location(request, target, backend=backend, prefix=prefix)
    return headers


def _location(request: web.Request, target: URL, *, backend: URL, prefix: str) -> str:
    """An address of the backend as ours, under the caller's prefix and that of the way here."""
    scheme, host = public_origin(request)
    path = target.raw_path_qs.removeprefix(backend.raw_path.rstrip("/"))
    fragment = f"#{target.raw_fragment}" if target.raw_fragment else ""
    return f"{scheme}://{host}{way(request).prefix}{prefix}{path}{fragment}"


def _passed(headers: CIMultiDictProxy[str], names: tuple[str, ...]) -> CIMultiDict[str]:
    """Those of `names`, but for what `Connection` says is for this hop alone."""
    options = ",".join(headers.getall(hdrs.CONNECTION, ())).lower().split(",")
    of_hop = {option.strip() for option in options}
    return CIMultiDict(
        (name, value)
        for name in names
        if name.lower() not in of_hop
        for value in headers.getall(name, ())
    )


def is_text(value: str) -> bool:
    """Whether its bytes were UTF-8: other bytes come as surrogates and can't go out again."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
