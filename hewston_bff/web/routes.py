"""All endpoints, and their routes."""

from collections.abc import Sequence

from aiohttp import hdrs, web

from hewston_bff.settings import Settings
from hewston_bff.web import (
    backend_endpoints,
    chart,
    console,
    dashboard_status,
    dashboards,
    events,
    features,
    frames,
    health,
    jobs,
    mcp,
    metrics,
    runs,
    services,
    streams,
    topics,
)
from hewston_bff.web.contract import documents
from hewston_bff.web.cors import set_up_cors
from hewston_bff.web.endpoint import Endpoint, RequestHandler
from hewston_bff.web.features import switched
from hewston_bff.web.rate_limits import limited

ENDPOINTS: tuple[Endpoint, ...] = (
    *chart.ENDPOINTS,
    *runs.ENDPOINTS,
    *frames.ENDPOINTS,
    *streams.ENDPOINTS,
    *events.ENDPOINTS,
    *topics.ENDPOINTS,
    *dashboards.ENDPOINTS,
    *jobs.ENDPOINTS,
    *health.ENDPOINTS,
    *services.ENDPOINTS,
    *dashboard_status.ENDPOINTS,
    *mcp.ENDPOINTS,
    *features.ENDPOINTS,
    *metrics.ENDPOINTS,
    *backend_endpoints.ENDPOINTS,
    *documents.ENDPOINTS,
    *console.ENDPOINTS,
)
"""In the order of the documents, and of the search for a route."""


def add_routes(app: web.Application, settings: Settings, endpoints: Sequence[Endpoint]) -> None:
    """Add a route for each endpoint, with CORS for the configured origins."""
    cors = set_up_cors(app, settings)
    resources: dict[str, web.Resource] = {}
    for endpoint in endpoints:
        if endpoint.is_of_console and not settings.bff_console_enabled:
            continue
        for path in endpoint.paths:
            if path not in resources:
                resources[path] = app.router.add_resource(path)
            routes = _routes(resources[path], endpoint)
            for route in () if endpoint.is_of_console else routes:
                cors.add(route)


def _routes(resource: web.Resource, endpoint: Endpoint) -> list[web.AbstractRoute]:
    """Routes for the endpoint's methods, as they were added; without the `HEAD` of a `GET`."""
    serve = served(endpoint)
    if hdrs.METH_GET in endpoint.methods and hdrs.METH_HEAD not in endpoint.methods:
        resource.add_route(hdrs.METH_HEAD, serve)
    return [resource.add_route(method, serve) for method in endpoint.methods]


def served(endpoint: Endpoint) -> RequestHandler:
    """The endpoint's handler, behind its limit and its switch."""
    handler = endpoint.handler
    if endpoint.feature is not None:
        handler = switched(handler, endpoint.feature)
    if endpoint.limit is not None:
        handler = limited(handler, endpoint.limit)
    return handler
