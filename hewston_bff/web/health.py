"""How we are: for people, load balancers and monitoring."""

from datetime import UTC, datetime
from typing import Literal

from aiohttp import web
from pydantic import BaseModel

import hewston_bff
from hewston_bff.credentials import Scope
from hewston_bff.events.source_state import SourceStatus
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.stats import HubStats
from hewston_bff.topics.system.statuses import moment
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, require
from hewston_bff.web.dependencies import DependencyState, dependency_states
from hewston_bff.web.endpoint import ApiAnswer, Endpoint, Tag
from hewston_bff.web.keys import (
    CLIENTS,
    DESCRIPTORS,
    FEATURES,
    HUB,
    RESPONSE_CACHE,
    SETTINGS,
)

_TICKER_LATE_S = 1.0


class BuildInfo(BaseModel):
    """What runs here."""

    version: str
    environment: str
    feature_flags: dict[str, bool]


class Health(BaseModel):
    """`GET /api/v1/health`."""

    status: Literal["ok", "degraded", "down"]
    service: str = "hewston-bff"
    version: str
    timestamp: datetime
    dependencies: dict[str, DependencyState]
    build_info: BuildInfo


class Readiness(BaseModel):
    """`GET /api/v1/health/ready`."""

    status: Literal["ready", "unready"]
    reasons: list[str] = []


class Liveness(BaseModel):
    """`GET /api/v1/health/live`."""

    status: Literal["alive"] = "alive"


class TickLag(BaseModel):
    """How late ticks were in the last minute, ms."""

    p50: float
    p99: float


class SocketStats(BaseModel):
    """Totals over all runs and clients."""

    active_connections: int
    run_subscriptions: int
    backend_connections: int
    total_subscribers: int
    frames_in: int
    frames_out: int
    bytes_out: int
    merged: int
    dropped: int
    skipped: int
    skipped_by_reason: dict[str, int]
    reconnects: int
    tick_lag_ms: TickLag
    dedup_factor: float
    encode_share: float
    log_bytes: int
    cache_bytes: int


class RunRow(BaseModel):
    """One run that the hub knows."""

    run_id: str
    state: str
    attempt: int
    subscribers: int
    frames: int
    first_seq: int
    next_seq: int
    complete: bool
    bytes: int
    last_frame_age_ms: int | None


class SourceRow(BaseModel):
    """The source of one kind of topics that carry events; `left_out` counts entries by reason."""

    kind: str
    status: SourceStatus
    attempt: int
    error: str | None
    events: int
    bytes: int
    reconnects: int
    left_out: dict[str, int]
    topics: int
    topics_forgotten: int
    subscriptions: int
    ring_bytes: int
    connected_at: datetime | None
    last_event_at: datetime | None


class AnswerCache(BaseModel):
    """Answers over REST that were kept (`stale`: expired ones of them), or had to be made."""

    hits: int
    stale: int
    misses: int


class StatsPage(BaseModel):
    """`GET /api/v1/websocket/stats`."""

    websocket_stats: SocketStats
    answer_cache: AnswerCache
    runs: list[RunRow]
    sources: list[SourceRow]
    timestamp: datetime


class SocketHealth(BaseModel):
    """`GET /api/v1/websocket/health`."""

    status: Literal["healthy", "degraded", "unhealthy"]
    service: str = "websocket"
    active_connections: int
    backend_connections: int
    timestamp: datetime


async def health(request: web.Request) -> web.Response:
    """`GET /api/v1/health`: always 200; what we depend on, by name."""
    app = request.app
    settings = app[SETTINGS]
    dependencies = await dependency_states(app)
    is_well = all(state in {"ok", "disabled"} for state in dependencies.values())
    return _json(
        Health(
            status="down" if unready_reasons(app) else "ok" if is_well else "degraded",
            version=hewston_bff.__version__,
            timestamp=datetime.now(UTC),
            dependencies=dependencies,
            build_info=BuildInfo(
                version=hewston_bff.__version__,
                environment=settings.bff_environment,
                feature_flags=app[FEATURES].by_name(),
            ),
        )
    )


async def ready(request: web.Request) -> web.Response:
    """`GET /api/v1/health/ready`: whether new clients should come here."""
    reasons = unready_reasons(request.app)
    readiness = Readiness(status="unready" if reasons else "ready", reasons=reasons)
    return _json(readiness, status=503 if reasons else 200)


async def live(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler's signature
    """`GET /api/v1/health/live`: the process answers."""
    return _json(Liveness())


async def websocket_stats(request: web.Request) -> web.Response:
    """`GET /api/v1/websocket/stats`: the hub in numbers."""
    require(request, Scope.STATS)
    stats = request.app[HUB].stats()
    return _json(
        StatsPage(
            websocket_stats=_totals(stats, len(request.app[CLIENTS].open)),
            answer_cache=AnswerCache.model_validate(
                request.app[RESPONSE_CACHE].counters, from_attributes=True
            ),
            runs=[RunRow.model_validate(run, from_attributes=True) for run in stats.runs],
            sources=[_source(channel) for channel in request.app[HUB].events],
            timestamp=datetime.now(UTC),
        )
    )


async def websocket_health(request: web.Request) -> web.Response:
    """`GET /api/v1/websocket/health`: the hub in a word."""
    app = request.app
    stats = app[HUB].stats()
    is_retrying = any(run.state in {"retrying", "failed"} and run.subscribers for run in stats.runs)
    return _json(
        SocketHealth(
            status="unhealthy"
            if unready_reasons(app)
            else "degraded"
            if is_retrying
            else "healthy",
            active_connections=len(app[CLIENTS].open),
            backend_connections=stats.backend_connections,
            timestamp=datetime.now(UTC),
        )
    )


def unready_reasons(app: web.Application) -> list[str]:
    """Why new clients should go elsewhere; empty if they need not."""
    clients, ticker = app[CLIENTS], app[HUB].ticker
    reasons = []
    if clients.is_draining:
        reasons.append("draining")
    if clients.is_full:
        reasons.append("over the connection limit")
    if app[DESCRIPTORS].is_short():
        reasons.append("out of descriptors")
    if ticker.late_s() > _TICKER_LATE_S:
        reasons.append("ticker late")
    return reasons


def _source(channel: EventChannel) -> SourceRow:
    link, stats, log = channel.link_state, channel.source.stats, channel.log
    connected_ms, event_ms = stats.connected_at_ms, stats.last_event_at_ms
    return SourceRow(
        kind=channel.kind.name,
        status=link.status,
        attempt=link.attempt,
        error=stats.error,
        events=stats.events,
        bytes=stats.bytes,
        reconnects=stats.reconnects,
        left_out=dict(sorted(stats.left_out.items())),
        topics=len(log.table),
        topics_forgotten=log.table.forgotten,
        subscriptions=len(channel.listeners),
        ring_bytes=log.ring.size_bytes,
        connected_at=None if connected_ms is None else moment(connected_ms),
        last_event_at=None if event_ms is None else moment(event_ms),
    )


def _totals(stats: HubStats, connections: int) -> SocketStats:
    counters = stats.counters
    return SocketStats(
        active_connections=connections,
        run_subscriptions=stats.run_subscriptions,
        backend_connections=stats.backend_connections,
        total_subscribers=stats.total_subscribers,
        frames_in=counters.frames_in,
        frames_out=counters.frames_out,
        bytes_out=counters.bytes_out,
        merged=counters.merged,
        dropped=counters.dropped,
        skipped=counters.skipped.total(),
        skipped_by_reason=dict(sorted(counters.skipped.items())),
        reconnects=counters.reconnects,
        tick_lag_ms=TickLag(p50=stats.tick_lag_p50_ms, p99=stats.tick_lag_p99_ms),
        dedup_factor=stats.dedup_factor,
        encode_share=stats.encode_share,
        log_bytes=stats.log_bytes,
        cache_bytes=stats.cache_bytes,
    )


def _json(model: BaseModel, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=model.model_dump_json().encode(), content_type="application/json"
    )


ENDPOINTS = (
    Endpoint(
        name="get_health",
        path="/api/v1/health",
        handler=health,
        tag=Tag.OPERATIONS,
        summary="How we are, and what we depend on",
        answers=(ApiAnswer(200, "Always, however we are.", Health),),
    ),
    Endpoint(
        name="get_readiness",
        path="/api/v1/health/ready",
        handler=ready,
        tag=Tag.OPERATIONS,
        summary="Whether new clients should come here",
        answers=(
            ApiAnswer(200, "They should.", Readiness),
            ApiAnswer(503, "They should not, for these reasons.", Readiness),
        ),
    ),
    Endpoint(
        name="get_liveness",
        path="/api/v1/health/live",
        handler=live,
        tag=Tag.OPERATIONS,
        summary="Whether the process answers",
        answers=(ApiAnswer(200, "It does.", Liveness),),
    ),
    Endpoint(
        name="get_websocket_stats",
        path="/api/v1/websocket/stats",
        handler=websocket_stats,
        tag=Tag.OPERATIONS,
        summary="Streaming in numbers",
        headers=(API_KEY_HEADER,),
        answers=(ApiAnswer(200, "The numbers.", StatsPage),),
        errors=API_KEY_ERRORS,
    ),
    Endpoint(
        name="get_websocket_health",
        path="/api/v1/websocket/health",
        handler=websocket_health,
        tag=Tag.OPERATIONS,
        summary="Streaming in a word",
        answers=(ApiAnswer(200, "The word.", SocketHealth),),
    ),
)
