"""The table of routes."""

import aiohttp_cors
from aiohttp import web

from hewston_bff.settings import Settings
from hewston_bff.web import health, metrics, streams

_RUN = "{run_id}"

ROUTES = (
    ("/api/v1/stream", streams.stream),
    (f"/api/v1/runs/{_RUN}/stream", streams.run_stream),
    (f"/api/v1/runs/{_RUN}/events", streams.events),
    (f"/backtests/{_RUN}/ws", streams.backend_stream),
    (f"/backtests/{_RUN}/stream", streams.backend_events),
    ("/api/v1/health", health.health),
    ("/api/v1/health/ready", health.ready),
    ("/api/v1/health/live", health.live),
    ("/api/v1/features", health.features),
    ("/api/v1/websocket/stats", health.websocket_stats),
    ("/api/v1/websocket/health", health.websocket_health),
    ("/metrics", metrics.metrics),
)


def add_routes(app: web.Application, settings: Settings) -> None:
    """Add all routes, each with CORS for the configured origins."""
    options = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]  # the library has no types
        allow_credentials=True, expose_headers=["X-Correlation-ID"], allow_headers="*", max_age=600
    )
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(settings.bff_cors_origins, options))
    for path, handler in ROUTES:
        cors.add(app.router.add_get(path, handler))
