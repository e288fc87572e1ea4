"""The table of routes."""

from aiohttp import web

from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.settings import Settings
from hewston_bff.web import chart, console, events, features, frames, health, metrics, runs, streams
from hewston_bff.web.contract import documents
from hewston_bff.web.cors import set_up_cors
from hewston_bff.web.proxy import proxy_routes
from hewston_bff.web.rate_limits import limited

_RUN = "{run_id}"

ROUTES = (
    ("/api/v1/stream", streams.stream),
    (f"/api/v1/runs/{_RUN}/stream", streams.run_stream),
    ("/api/v1/events", events.events),
    (f"/api/v1/runs/{_RUN}/events", events.run_events),
    (f"/backtests/{_RUN}/ws", streams.backend_stream),
    (f"/backtests/{_RUN}/stream", events.backend_events),
    ("/api/v1/chart-data", chart.chart_data),
    (f"/api/v1/runs/{_RUN}/complete", runs.complete),
    (f"/api/v1/runs/{_RUN}/status", runs.status),
    (f"/api/v1/runs/{_RUN}/frames", frames.frames),
    ("/api/v1/health", health.health),
    ("/api/v1/health/ready", health.ready),
    ("/api/v1/health/live", health.live),
    ("/api/v1/features", features.features),
    ("/api/v1/websocket/stats", health.websocket_stats),
    ("/api/v1/websocket/health", health.websocket_health),
    ("/metrics", metrics.metrics),
    ("/api/v1/openapi.json", documents.openapi_json),
    ("/api/v1/asyncapi.json", documents.asyncapi_json),
    ("/api/v1/docs", console.docs),
    ("/api/v1/docs/streams", console.docs_of_streams),
    ("/api/v1/docs/{name}", console.docs_file),
    ("/client/{name}", console.client_file),
)
_COMMANDS = (("/api/v1/events/{stream_id}", events.event_command),)
"""Those that take a `POST`."""
_CONSOLE_ROUTES = (
    ("/", console.page),
    ("/console/{path:.+}", console.console_file),
)

_AGGREGATED = {
    "/api/v1/chart-data",
    f"/api/v1/runs/{_RUN}/complete",
    f"/api/v1/runs/{_RUN}/status",
    f"/api/v1/runs/{_RUN}/frames",
}
"""Those that may cost the backend several requests each: limited on their own."""


def add_routes(app: web.Application, settings: Settings) -> None:
    """Add all routes, each with CORS for the configured origins."""
    cors = set_up_cors(app, settings)
    for path, handler in ROUTES:
        is_limited = path in _AGGREGATED
        serve = limited(handler, RouteClass.AGGREGATED) if is_limited else handler
        cors.add(app.router.add_get(path, serve))
    for path, handler in _COMMANDS:
        cors.add(app.router.add_post(path, handler))
    for proxied in proxy_routes():
        serve = limited(proxied.serve, RouteClass.PROXIED)
        resource = cors.add(app.router.add_resource(proxied.prefix + proxied.path))
        for method in proxied.methods:
            cors.add(resource.add_route(method, serve))
    if settings.bff_console_enabled:
        for path, handler in _CONSOLE_ROUTES:
            app.router.add_get(path, handler)
