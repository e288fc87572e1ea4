"""Who a request is from and under which address it came, behind the proxies that are trusted."""

from aiohttp import hdrs, web

from hewston_bff.web.forwarded_headers import (
    Way,
    is_loopback,
    is_loopback_address,
    same_origin,
    way_of,
)
from hewston_bff.web.keys import SETTINGS

FORWARDED_FOR = "X-Forwarded-For"
_HEADERS = {
    "for": FORWARDED_FOR,
    "proto": "X-Forwarded-Proto",
    "host": "X-Forwarded-Host",
    "prefix": "X-Forwarded-Prefix",
}
_OF_PROXIES = (FORWARDED_FOR, hdrs.FORWARDED, hdrs.VIA, "X-Real-IP", "X-Forwarded-Host")
_FETCH_SITE = "Sec-Fetch-Site"


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
    if origin in request.app[SETTINGS].allowed_origins:
        return True
    scheme, host = public_origin(request)
    return origin.lower() == same_origin(scheme, host) and _is_host_of_ours(request, host)


def _is_host_of_ours(request: web.Request, host: str) -> bool:
    """Whether `host`, under which the request came, can be no name that others made to lead here.

    See `is_allowed_origin`.
    """
    # No page can make a browser's handshake say what a proxy says here.
    is_vouched_for = way(request).host is not None
    return is_vouched_for or is_loopback(host) or not is_loopback(request.app[SETTINGS].bff_host)


def is_trusted(request: web.Request) -> bool:
    """Whether it is of a page that may read what we answer, or of a program on this machine.

    A program sends no `Origin`. Nor does a page with a plain GET: new browsers then say in
    `Sec-Fetch-Site` whose it is (Fetch Metadata, 2.1), old ones nothing, so that it counts as a
    program; it cannot read the answer, and under a name that was made to lead here it is refused.
    A proxy on this machine that is not in `BFF_TRUSTED_PROXIES` is not this machine: others are
    behind it.
    """
    _, host = public_origin(request)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        return is_allowed_origin(request, origin)
    if not _is_host_of_ours(request, host):
        return False
    match request.headers.get(_FETCH_SITE):
        case "same-origin":
            return True
        case None | "none":
            return _is_of_this_machine(request)
        case _:
            return False


def _is_of_this_machine(request: web.Request) -> bool:
    """Whether the client is on this machine, and no proxy here that keeps quiet of whom it is."""
    came = way(request)
    is_told = came.is_proxied and FORWARDED_FOR in request.headers
    is_passed_on = any(name in request.headers for name in _OF_PROXIES)
    return is_loopback_address(came.client) and (is_told or not is_passed_on)
