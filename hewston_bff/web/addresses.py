"""Who a request is from and under which address it came, behind the proxies that are trusted."""

from aiohttp import web

from hewston_bff.web.forwarded_headers import Way, is_loopback, same_origin, way_of
from hewston_bff.web.keys import SETTINGS

FORWARDED_FOR = "X-Forwarded-For"
_HEADERS = {
    "for": FORWARDED_FOR,
    "proto": "X-Forwarded-Proto",
    "host": "X-Forwarded-Host",
    "prefix": "X-Forwarded-Prefix",
}


def way(request: web.Request) -> Way:
    """The way of this request; only what proxies in `BFF_TRUSTED_PROXIES` wrote is believed."""
    peer = request.remote or ""
    trusted = request.app[SETTINGS].bff_trusted_proxies
    if not trusted:
        return Way(peer)
    headers = request.headers
    return way_of(peer, {key: headers.getall(name, []) for key, name in _HEADERS.items()}, trusted)


def client_address(request: web.Request) -> str:
    """The address of the client: the last one that no trusted proxy has."""
    return way(request).client


def public_origin(request: web.Request) -> tuple[str, str]:
    """Scheme and host, the port with it, under which the client asked, as far as it is known."""
    came = way(request)
    host = came.host or request.host
    return came.scheme or request.scheme, host if host.isascii() else ""


def is_allowed_origin(request: web.Request, origin: str) -> bool:
    """Whether a page of `origin` may read what we answer: a configured one, or our own page.

    Our own is what has the scheme, host and port under which this very request came. Where we
    listen on loopback alone, and no trusted proxy names the host, that holds for loopback names and
    addresses only: a page whose name was made to lead to this machine must not read what is here
    (DNS rebinding).
    """
    settings = request.app[SETTINGS]
    if origin in settings.allowed_origins:
        return True
    scheme, host = public_origin(request)
    if origin.lower() != same_origin(scheme, host):
        return False
    # No page can make a browser's handshake say what a proxy says here.
    is_vouched_for = way(request).host is not None
    return is_vouched_for or is_loopback(host) or not is_loopback(settings.bff_host)
