"""Who a request is from, behind the proxies that the operator trusts."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from hewston_bff.web.keys import SETTINGS

FORWARDED_FOR = "X-Forwarded-For"

Network = IPv4Network | IPv6Network


def client_address(request: web.Request) -> str:
    """The address of the client: the last one that no trusted proxy has.

    Only what trusted proxies added to `X-Forwarded-For` is believed; anyone can write the rest.
    """
    peer = request.remote or ""
    trusted = request.app[SETTINGS].bff_trusted_proxies
    if not trusted:
        return peer
    address = peer
    for hop in reversed(_hops(request)):
        if not _is_in(address, trusted) or _parse(hop) is None:
            break
        address = hop
    return address


def is_from_proxy(request: web.Request) -> bool:
    """Whether a trusted proxy sent this request, so that its `X-Forwarded-…` can be believed."""
    trusted = request.app[SETTINGS].bff_trusted_proxies
    return bool(trusted) and _is_in(request.remote or "", trusted)


def _hops(request: web.Request) -> list[str]:
    lists = request.headers.getall(FORWARDED_FOR, [])
    return [hop.strip() for text in lists for hop in text.split(",")]


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped
