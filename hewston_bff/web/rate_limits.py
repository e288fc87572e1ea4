"""The limit on how often an address may ask, around handlers and in headers."""

from aiohttp import web
from aiohttp.typedefs import Handler

from hewston_bff.errors import RateLimited
from hewston_bff.net.limits.rate_limits import RateVerdict, RouteClass
from hewston_bff.web.addresses import client_address
from hewston_bff.web.keys import RATE_LIMITS

_VERDICT = web.RequestKey("verdict", RateVerdict)


def limited(handler: Handler, route: RouteClass) -> Handler:
    """`handler`, for as often as an address may ask for routes of this class."""

    async def serve(request: web.Request) -> web.StreamResponse:
        verdict = await request.app[RATE_LIMITS].hit(route, client_address(request))
        if verdict is not None:
            request[_VERDICT] = verdict
            if not verdict.is_allowed:
                msg = f"more than {verdict.limit} requests a minute: wait {verdict.reset_s} s"
                raise RateLimited(msg, retry_after_s=verdict.reset_s)
        return await handler(request)

    return serve


async def add_rate_limits(request: web.Request, response: web.StreamResponse) -> None:
    """How the address stands, on every limited answer (`on_response_prepare`)."""
    verdict = request.get(_VERDICT)
    if verdict is not None:
        response.headers["RateLimit-Limit"] = str(verdict.limit)
        response.headers["RateLimit-Remaining"] = str(verdict.remaining)
        response.headers["RateLimit-Reset"] = str(verdict.reset_s)
