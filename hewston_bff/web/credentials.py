"""What clients prove themselves with: headers, or a token offered as a subprotocol."""

from aiohttp import hdrs, web

from hewston_bff.credentials import Credentials
from hewston_bff.errors import InvalidRequest
from hewston_bff.protocol.dialects import SUBPROTOCOL
from hewston_bff.web.proxy_headers import is_text

_BEARER = "bearer."
_API_KEY = "apikey."
_SECRETS = (_BEARER, _API_KEY)


def credentials_of(request: web.Request) -> Credentials:
    """What the client proves itself with: headers, or a token offered as a subprotocol.

    Raises:
        InvalidRequest: a header that is not UTF-8, which can't be sent on as it is.
    """
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    for offer in _offers(request):
        if offer.startswith(_BEARER) and authorization is None:
            authorization = "Bearer " + offer.removeprefix(_BEARER)
    cookie = request.headers.get(hdrs.COOKIE)
    for name, value in ((hdrs.AUTHORIZATION, authorization), (hdrs.COOKIE, cookie)):
        if value is not None and not is_text(value):
            msg = f"{name}: must be UTF-8"
            raise InvalidRequest(msg)
    return Credentials(authorization=authorization, cookie=cookie)


def offered_api_key(request: web.Request) -> str | None:
    """The API key that is offered as a subprotocol: browsers can send a socket's no other way."""
    for offer in _offers(request):
        if offer.startswith(_API_KEY):
            return offer.removeprefix(_API_KEY)
    return None


def without_token(request: web.Request) -> web.Request:
    """The request without what it offers of tokens: aiohttp logs subprotocols it does not know."""
    offers = _offers(request)
    kept = [offer for offer in offers if not offer.startswith(_SECRETS)]
    if len(kept) == len(offers):
        return request
    headers = request.headers.copy()
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if SUBPROTOCOL in kept:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = SUBPROTOCOL
    return request.clone(headers=headers)


def _offers(request: web.Request) -> list[str]:
    headers = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [offer.strip() for header in headers for offer in header.split(",")]
