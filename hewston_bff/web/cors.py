"""CORS for the configured origins: the library, and what it leaves out."""

import aiohttp_cors
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from hewston_bff.settings import Settings
from hewston_bff.web.addresses import is_allowed_origin
from hewston_bff.web.keys import SETTINGS
from hewston_bff.web.proxy_headers import is_text

_EXPOSED = (
    "X-Correlation-ID",
    "ETag",
    "Location",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
)


def set_up_cors(app: web.Application, settings: Settings) -> aiohttp_cors.CorsConfig:
    """What routes are added to, to be open to the configured origins."""
    options = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]  # the library has no types
        allow_credentials=True, expose_headers=_EXPOSED, allow_headers="*", max_age=600
    )
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(settings.bff_cors_origins, options))
    # After the library's own: it insists on being first.
    app.on_response_prepare.append(_complete)
    return cors


async def _complete(request: web.Request, response: web.StreamResponse) -> None:
    """`Vary` for caches, and headers on answers that no route gave, which a page must read too."""
    headers = response.headers
    varies = {part.strip().lower() for part in ",".join(headers.getall(hdrs.VARY, ())).split(",")}
    if not varies & {"origin", "*"}:
        headers.add(hdrs.VARY, hdrs.ORIGIN)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
        return
    if is_allowed_origin(request, origin):
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ",".join(_EXPOSED)


@web.middleware
async def answer_options(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An `OPTIONS` that is no preflight is told the methods; the library would refuse it.

    It would refuse a preflight of our own page too, of which it has no list.
    """
    resource = request.match_info.route.resource
    if request.method != hdrs.METH_OPTIONS or resource is None:
        return await handler(request)
    methods = ", ".join(sorted({route.method for route in resource}))
    if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
        return web.Response(status=204, headers={hdrs.ALLOW: methods})
    origin = request.headers.get(hdrs.ORIGIN, "")
    if origin in request.app[SETTINGS].bff_cors_origins or not is_allowed_origin(request, origin):
        return await handler(request)
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    headers = {hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods}
    if asked is not None and is_text(asked):
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    return web.Response(status=200, headers=headers)
