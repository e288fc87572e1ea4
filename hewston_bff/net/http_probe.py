"""One question to a service over HTTP: how it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

import aiohttp
import msgspec
from aiohttp import hdrs

from hewston_bff.net.own_resolver import OwnResolver
from hewston_bff.net.sent_once import sent_once
from hewston_bff.topics.system.statuses import ProbeFailure, ProbeOutcome

_BODY_BYTES = 1 << 16
# The first that fits. None of these errors is shown: their texts name the address.
_FAILURES: tuple[tuple[type[BaseException], ProbeFailure], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "unknown_host"),
    (aiohttp.ClientConnectorCertificateError, "certificate"),
    (aiohttp.ClientConnectorSSLError, "certificate"),
    (aiohttp.ClientConnectorError, "unreachable"),
    (aiohttp.ClientConnectionError, "cut"),
    (aiohttp.ClientPayloadError, "cut"),
    (OSError, "cut"),
)


class _Said(msgspec.Struct):
    """What is read of a health endpoint's body."""

    status: str


class HttpProbe:
    """Asks a service with a GET of its health address. Redirects are not followed."""

    def __init__(self, name: str, url: str, *, session: aiohttp.ClientSession) -> None:
        """`url` may have a user and a password; nothing of it is in an outcome."""
        self.name = name
        self._url = url
        self._session = session

    async def ask(self, *, within_s: float) -> ProbeOutcome:
        """What came of it; whatever goes wrong is an outcome. A cancellation ends the request."""
        began_s = perf_counter()
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.get(
                    self._url, allow_redirects=False, middlewares=(sent_once,)
                ) as response,
            ):
                said = await _said(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            found = (failure for kind, failure in _FAILURES if isinstance(error, kind))
            return ProbeOutcome(failure=next(found, "unreadable"))
        latency_ms = round((perf_counter() - began_s) * 1e3, 1)
        return ProbeOutcome(response.status, said, latency_ms=latency_ms)


async def _said(response: aiohttp.ClientResponse) -> str | None:
    """The `status` of a JSON body; None if it has none, or is long."""
    if response.status >= 300 or "json" not in response.content_type:
        return None
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BODY_BYTES:
            return None
    try:
        return msgspec.json.decode(body, type=_Said).status
    except msgspec.DecodeError:
        return None


@asynccontextmanager
async def http_probes(services: Sequence[tuple[str, str]]) -> AsyncIterator[list[HttpProbe]]:
    """Probes of services (name, URL). Each probe makes a connection: whether it can is the point.

    They share nothing with requests of clients but the event loop.
    """
    resolver = OwnResolver(threads=max(1, len(services)))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, resolver=resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={hdrs.ACCEPT: "application/json, */*;q=0.5"},
    ) as session:
        try:
            yield [HttpProbe(name, url, session=session) for name, url in services]
        finally:
            await resolver.close()
