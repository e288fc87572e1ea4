"""The addresses of a trading dashboard's own backend, for its frontend as it is."""

from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec
from aiohttp import web

from hewston_bff.events.source_state import SourceLink, SourceStats
from hewston_bff.feature_flags import Feature
from hewston_bff.protocol.topics import BUS
from hewston_bff.topics.system.statuses import moment
from hewston_bff.web.endpoint import JSON, ApiAnswer, Endpoint, Tag
from hewston_bff.web.health import unready_reasons
from hewston_bff.web.keys import API_KEYS, FEATURES, HUB, SERVICES, SETTINGS

_API_VERSION: Final = "1.0.0"
"""Of the dashboard's API, which these addresses follow."""
_FAILURES_UNTIL_ERROR: Final = 10

ConnectionState = Literal["disconnected", "connecting", "connected", "reconnecting", "error"]


class SourceReport(NamedTuple):
    """How a source of events is."""

    link: SourceLink
    stats: SourceStats


class DashboardHealth(msgspec.Struct, frozen=True):
    """`GET /health`."""

    environment: str
    debug: bool
    status: Literal["healthy"] = "healthy"


class DashboardFeatures(msgspec.Struct, frozen=True):
    """What can be used here."""

    websocket: bool
    messagebus: bool
    """Whether a message bus is configured."""
    authentication: bool
    """Whether API keys are asked for."""
    market_data: bool
    """Bars over REST, or what is on the bus."""
    trading: bool
    """Whether orders are passed on."""
    portfolio: bool
    """Whether holdings and positions are passed on."""


class DashboardStatus(msgspec.Struct, frozen=True):
    """`GET /api/v1/status`. Told from what is known: nobody is asked for it."""

    status: Literal["operational", "degraded"]
    """`degraded`: new clients should go elsewhere, a service is not ok, or the bus is not up."""
    trading_mode: Literal["disabled", "live"]
    """`live` if orders are passed on: whether their account is one for practice we do not know."""
    features: DashboardFeatures
    api_version: str = _API_VERSION


class MessageBusStatus(msgspec.Struct, frozen=True):
    """`GET /api/v1/messagebus/status`."""

    connection_state: ConnectionState
    """`error`: ten failures in a row; it is tried again all the same."""
    connected_at: datetime | None = None
    last_message_at: datetime | None = None
    reconnect_attempts: int = 0
    """Failures in a row."""
    error_message: str | None = None
    messages_received: int = 0


def bus_status(report: SourceReport | None) -> MessageBusStatus:
    """The dashboard's words for how the bus is; None: there is none."""
    if report is None:
        return MessageBusStatus("disconnected")
    link, stats = report
    return MessageBusStatus(
        _connection_state(link, stats),
        connected_at=_time(stats.connected_at_ms),
        last_message_at=_time(stats.last_event_at_ms),
        reconnect_attempts=link.attempt,
        error_message=_error_message(link, stats),
        messages_received=stats.events,
    )


def _connection_state(link: SourceLink, stats: SourceStats) -> ConnectionState:
    if link.status in {"up", "silent"}:
        return "connected"
    if link.attempt >= _FAILURES_UNTIL_ERROR:
        return "error"
    return "connecting" if stats.connected_at_ms is None else "reconnecting"


def _error_message(link: SourceLink, stats: SourceStats) -> str | None:
    if link.status == "silent":
        return "connected, but the trading node has missed its heartbeats: restart the node"
    return None if link.status == "up" else stats.error


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)


async def health(request: web.Request) -> web.Response:
    """`GET /health`: the process answers."""
    settings = request.app[SETTINGS]
    return _json(DashboardHealth(settings.bff_environment, settings.bff_debug))


async def status(request: web.Request) -> web.Response:
    """`GET /api/v1/status`: what can be used here, and whether it works."""
    app = request.app
    settings, switches = app[SETTINGS], app[FEATURES]
    bus = _bus(app)
    services = app[SERVICES].known().services
    is_well = (
        not unready_reasons(app)
        and all(row.status == "ok" for row in services)
        and (bus is None or bus.link.status == "up")
    )
    has_orders = settings.bff_mcp_url is not None and settings.bff_mcp_orders
    return _json(
        DashboardStatus(
            "operational" if is_well else "degraded",
            "live" if has_orders else "disabled",
            DashboardFeatures(
                websocket=switches.is_on(Feature.WEBSOCKET_PROXY),
                messagebus=bus is not None,
                authentication=app[API_KEYS].has_file,
                market_data=bus is not None or switches.is_on(Feature.CHART_DATA),
                trading=has_orders,
                portfolio=settings.bff_mcp_url is not None,
            ),
        )
    )


async def messagebus_status(request: web.Request) -> web.Response:
    """`GET /api/v1/messagebus/status`: the connection to the trading node's bus."""
    return _json(bus_status(_bus(request.app)))


def _bus(app: web.Application) -> SourceReport | None:
    for channel in app[HUB].events:
        if channel.kind.name == BUS:
            return SourceReport(channel.link_state, channel.source.stats)
    return None


def _json(answer: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON)


ENDPOINTS = (
    Endpoint(
        name="get_dashboard_health",
        path="/health",
        handler=health,
        tag=Tag.DASHBOARD,
        summary="Whether the process answers",
        answers=(ApiAnswer(200, "It does.", DashboardHealth),),
    ),
    Endpoint(
        name="get_dashboard_status",
        path="/api/v1/status",
        handler=status,
        tag=Tag.DASHBOARD,
        summary="What can be used here, and whether it works",
        answers=(ApiAnswer(200, "As it is configured.", DashboardStatus),),
    ),
    Endpoint(
        name="get_messagebus_status",
        path="/api/v1/messagebus/status",
        handler=messagebus_status,
        tag=Tag.DASHBOARD,
        summary="The connection to the trading node's message bus",
        answers=(ApiAnswer(200, "`disconnected` if none is configured.", MessageBusStatus),),
    ),
)
