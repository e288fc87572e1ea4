"""Requests that the HTTP library must not send again on its own."""

import aiohttp


class _ConnectionLost(aiohttp.ClientConnectionError):
    """A connection lost before the answer, in a form that aiohttp does not retry on its own."""


async def sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware: the request is sent once, whatever becomes of its connection."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise _ConnectionLost(str(exc)) from exc
