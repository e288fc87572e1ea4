"""What proxies write of the way a request came, read and checked: addresses, scheme, host, prefix.

The headers are `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`. They have no standard; the
forms read here are those that common proxies and the clouds' balancers write.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Traefik names the one of the WebSocket."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?"
)
_PREFIX = re.compile(r"(/[A-Za-z0-9._~@+-]+)+")
_MOST_PREFIX = 256
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[0-9.]+))(?::[A-Za-z0-9._-]*)?")


@dataclass(frozen=True, slots=True)
class Way:
    """How a request came here, as far as it is known from whom it can be believed."""

    client: str
    """The first address on the way that no trusted proxy has."""
    is_proxied: bool = False
    """Whether a trusted proxy brought it; without one nothing below is known."""
    scheme: str | None = None
    host: str | None = None
    """With the port, if one was named."""
    prefix: str = ""
    """What was taken off the path on the way: empty, or `/…` without a slash at its end."""


def way_of(peer: str, lists: Mapping[str, Sequence[str]], trusted: Collection[Network]) -> Way:
    """The way of a request from `peer`; `lists`: the headers' values by name (`for`, `proto`, …).

    Only what trusted proxies wrote counts. Each appends itself at the end of a list, or writes the
    whole of it anew. So, of as many members as trusted proxies were passed, counted from the end,
    the first is that of the outermost one. Where `X-Forwarded-For` names fewer hops than a list
    has members it does not tell who wrote them, and the first is taken. What is not valid is
    ignored.
    """
    if not _is_in(parse_address(peer), trusted):
        return Way(peer)
    hops = _members(lists.get("for", ()))
    client, passed = peer, 1
    for hop in reversed(hops):
        address = parse_address(hop)
        if address is None:
            break
        client = str(address)
        if not _is_in(address, trusted):
            break
        passed += 1

    def first(name: str) -> str:
        members = _members(lists.get(name, ()))
        if not members:
            return ""
        is_told = len(hops) >= len(members)
        return members[max(0, len(members) - passed) if is_told else 0]

    return Way(
        client,
        is_proxied=True,
        scheme=_SCHEMES.get(first("proto").lower()),
        host=checked_host(first("host")),
        prefix=_checked_prefix(first("prefix")),
    )


def parse_address(text: str) -> Address | None:
    """An address as proxies write it: plain, with a port, in brackets; None if it is none."""
    match = _WITH_PORT.fullmatch(text)
    bare = text if match is None else match["v6"] or match["v4"] or ""
    try:
        # A zone (`fe80::1%eth0`) means something on one machine only.
        parsed = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped


def checked_host(text: str) -> str | None:
    """A host with or without a port, if it can be one."""
    match = _HOST.fullmatch(text)
    if match is None or int(match["port"] or 1) not in range(1, 65_536):
        return None
    name = match["name"]
    return None if name.startswith("[") and parse_address(name) is None else text


def same_origin(scheme: str, host: str) -> str:
    """The `Origin` that browsers send from a page there: lower case, no default port."""
    return f"{scheme}://{host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ':'))}"


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine by its name or address alone.

    Any other name may be made to lead here by who owns it.
    """
    match = _HOST.fullmatch(host)
    name = (host if match is None else match["name"]).lower().rstrip(".")
    address = parse_address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def is_loopback_address(text: str) -> bool:
    """Whether an address, as proxies write it, is this machine's own."""
    address = parse_address(text)
    return address is not None and address.is_loopback


def _checked_prefix(text: str) -> str:
    prefix = text.rstrip("/")
    is_path = len(prefix) <= _MOST_PREFIX and _PREFIX.fullmatch(prefix) is not None
    return prefix if is_path and not {".", ".."} & set(prefix.split("/")) else ""


def _members(values: Sequence[str]) -> list[str]:
    """The members of a header's lists, without the quotes that some put around them."""
    return [part.strip().strip('"').strip() for value in values for part in value.split(",")]


def _is_in(address: Address | None, networks: Collection[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
