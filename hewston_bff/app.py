"""The wiring: the only module that knows all others."""

import signal
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import BffError
from hewston_bff.event_kinds import event_kinds
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.hub import Hub, HubOptions
from hewston_bff.hub.permits import PermitTimes
from hewston_bff.net.backend.breaker import Breaker
from hewston_bff.net.backend.connections import connections
from hewston_bff.net.backend.http_backend import BackendOptions, HttpBackend
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.cache import Cache, CacheCounters, MemoryCache, TieredCache
from hewston_bff.net.clock import now_ms, now_ns, today
from hewston_bff.net.files.api_keys import ApiKeys
from hewston_bff.net.files.artifacts import Artifacts
from hewston_bff.net.files.catalog import Catalog
from hewston_bff.net.files.feature_file import Features
from hewston_bff.net.http_probe import http_probes
from hewston_bff.net.limits.descriptors import Descriptors, room_for_streams
from hewston_bff.net.limits.rate_limits import RateLimits, RouteClass
from hewston_bff.net.mcp_requests import mcp_requests
from hewston_bff.net.redis.job_store import JobStore, JobStoreOptions, JobUpdateStream
from hewston_bff.net.redis.jobs_redis import jobs_redis
from hewston_bff.net.redis.redis_cache import RedisCache
from hewston_bff.net.redis.shared_redis import shared_redis
from hewston_bff.ports import EventKind
from hewston_bff.services.chart import Charts
from hewston_bff.services.cooperative_runner import CooperativeRunner
from hewston_bff.services.jobs import Jobs
from hewston_bff.services.mcp import Mcp, McpLogin
from hewston_bff.services.response_cache import ResponseCache
from hewston_bff.services.run_parts import PartSources
from hewston_bff.services.runs import Runs
from hewston_bff.setting_checks import open_without_keys
from hewston_bff.settings import Settings
from hewston_bff.tasks import running
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.descriptions import DescriptionTimes, RunDescriptions
from hewston_bff.topics.run.feed import FeedOptions
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.run.link import LinkTimes
from hewston_bff.topics.run.reading import FeedTimes
from hewston_bff.topics.run.replay_limiter import ReplayLimiter
from hewston_bff.topics.system.services import Services
from hewston_bff.web import keys
from hewston_bff.web.clients import Clients
from hewston_bff.web.console import CONSOLE, load_console
from hewston_bff.web.contract.documents import DOCUMENTS, Documents
from hewston_bff.web.cors import answer_options
from hewston_bff.web.endpoint import Endpoint
from hewston_bff.web.event_streams import EventStreams
from hewston_bff.web.metrics import (
    REGISTRY,
    CacheCollector,
    EventCollector,
    HubCollector,
    make_registry,
)
from hewston_bff.web.middleware import add_correlation_id, correlate, envelope, let_go
from hewston_bff.web.rate_limits import add_rate_limits
from hewston_bff.web.routes import ENDPOINTS, add_routes

SETTINGS = keys.SETTINGS
_REQUEST_LINE_BYTES = 1 << 16  # so that a parameter that is too long is refused by its name
CRASHED = web.AppKey("crashed", list[BaseException])
"""Bugs of its own that stopped the service."""

Refusal = Callable[[ApiCaller, Scope], BffError | None]
EventKindsOf = Callable[[Refusal], Iterable[EventKind]]
"""Kinds of topics, of what decides which caller may read what."""

_ACTIVITY = web.AppKey("activity", BackendActivity)
_DESCRIPTIONS = web.AppKey("descriptions", RunDescriptions)

logger = structlog.get_logger(__name__)


def create_app(settings: Settings, *, endpoints: Sequence[Endpoint] = ENDPOINTS) -> web.Application:
    """The application; it starts what it needs when it is run, and stops it in reverse."""
    app = web.Application(
        middlewares=[correlate, envelope, let_go, answer_options],
        handler_args={"max_line_size": _REQUEST_LINE_BYTES},
    )
    app[keys.SETTINGS] = settings
    room = room_for_streams()
    app[keys.DESCRIPTORS] = Descriptors()
    app[keys.CLIENTS] = Clients(
        max_sockets=settings.bff_ws_sockets if room is None else min(room, settings.bff_ws_sockets),
        max_per_address=settings.bff_ws_sockets_per_address,
    )
    app[keys.EVENT_STREAMS] = EventStreams()
    app[keys.FEATURES] = Features(
        {
            Feature.CHART_DATA: settings.bff_feature_chart_aggregation,
            Feature.RUN_DATA: settings.bff_feature_run_aggregation,
            Feature.WEBSOCKET_PROXY: settings.bff_feature_websocket_proxy,
        },
        file=settings.bff_features_file,
    )
    app[keys.API_KEYS] = ApiKeys(settings.bff_api_keys_file)
    if settings.hewston_catalog_path is not None:
        app[keys.CATALOG] = Catalog(settings.hewston_catalog_path)
    if settings.hewston_data_dir is not None:
        app[keys.ARTIFACTS] = Artifacts(settings.hewston_data_dir)
    app[CONSOLE] = load_console()
    app[DOCUMENTS] = Documents(endpoints)
    app[keys.COOPERATIVE_RUNNER] = CooperativeRunner()
    app[CRASHED] = []
    app[REGISTRY] = make_registry()
    app.on_response_prepare.extend([add_correlation_id, add_rate_limits])
    app.on_shutdown.append(_drain)
    app.cleanup_ctx.extend(
        [
            _descriptors,
            _features,
            _api_keys,
            _services,
            _mcp,
            _redis,
            _jobs,
            _backend,
            _responses,
            _hub,
            _runs,
        ]
    )
    add_routes(app, settings, endpoints)
    return app


async def _drain(app: web.Application) -> None:
    app[keys.CLIENTS].drain()


async def _descriptors(app: web.Application) -> AsyncIterator[None]:
    wanted, possible = app[keys.SETTINGS].bff_ws_sockets, app[keys.CLIENTS].max_sockets
    if possible < wanted:
        hint = "raise the limit of open files (ulimit -n), or lower BFF_WS_SOCKETS"
        logger.warning("descriptors.few", streams=possible, bff_ws_sockets=wanted, hint=hint)
    with app[keys.DESCRIPTORS].held():
        yield


async def _features(app: web.Application) -> AsyncIterator[None]:
    features = app[keys.FEATURES]
    features.look()
    async with running(features.run(), name="features", crashed=_stop_loudly(app)):
        yield


async def _api_keys(app: web.Application) -> AsyncIterator[None]:
    for hint in open_without_keys(app[keys.SETTINGS]):
        logger.warning("api_keys.none", hint=hint)
    watching = app[keys.API_KEYS].run()
    async with running(watching, name="API keys", crashed=_stop_loudly(app)):
        yield


async def _services(app: web.Application) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        probes = await stack.enter_async_context(http_probes(app[keys.SETTINGS].bff_services))
        services = app[keys.SERVICES] = Services(probes, now_ms=now_ms)
        if probes:
            crashed = _stop_loudly(app)
            await stack.enter_async_context(
                running(services.run(), name="services", crashed=crashed)
            )
        yield


async def _mcp(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    async with AsyncExitStack() as stack:
        if settings.bff_mcp_url is not None:
            mcp = app[keys.MCP] = Mcp(
                await stack.enter_async_context(mcp_requests(settings.bff_mcp_url)),
                account=mcp_account(settings),
                deadline_s=settings.bff_backend_timeout,
            )
            api_keys = app[keys.API_KEYS]
            api_keys.on_change(lambda: mcp.keep_only(api_keys.digests()))
        yield


async def _redis(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    async with AsyncExitStack() as stack:
        if settings.bff_redis_enabled:
            app[keys.REDIS] = await stack.enter_async_context(shared_redis(settings.redis_url))
        per_minute = {
            RouteClass.AGGREGATED: settings.bff_rate_aggregated_per_minute,
            RouteClass.PROXIED: settings.bff_rate_proxied_per_minute,
        }
        app[keys.RATE_LIMITS] = RateLimits(per_minute, redis=app.get(keys.REDIS))
        yield


async def _jobs(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    async with AsyncExitStack() as stack:
        if settings.bff_jobs_url is not None:
            redis = await stack.enter_async_context(jobs_redis(settings.bff_jobs_url))
            options = job_store_options(settings)
            app[keys.JOB_UPDATES] = JobUpdateStream(redis, options)
            app[keys.JOBS] = Jobs(
                JobStore(redis, options),
                types=settings.bff_jobs_types,
                payload_bytes=settings.bff_jobs_payload_bytes,
                now_ns=now_ns,
            )
        yield


async def _backend(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    options = BackendOptions(
        url=settings.hewston_backend_url,
        transport=settings.bff_upstream_transport,
        connect_s=settings.bff_hub_connect_seconds,
        message_bytes=settings.bff_hub_upstream_message_bytes,
    )
    breaker = Breaker(
        failures=settings.bff_backend_breaker_failures,
        cooldown_s=settings.bff_backend_breaker_seconds,
    )
    async with connections(connect_s=options.connect_s) as shared:
        activity = app[_ACTIVITY] = BackendActivity()
        requests = app[keys.REQUESTS] = BackendRequests(
            options.url, connections=shared, breaker=breaker, activity=activity
        )
        app[keys.BACKEND] = HttpBackend(
            options, connections=shared, requests=requests, activity=activity
        )
        yield


async def _responses(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    counters = CacheCounters()
    memory = MemoryCache(max_bytes=settings.bff_cache_bytes)
    redis = app.get(keys.REDIS)
    app[REGISTRY].register(CacheCollector(counters, memory, redis))
    cache: Cache = memory
    if redis is not None:
        cache = TieredCache(memory, RedisCache(redis, namespace=settings.hewston_backend_url))
    responses = app[keys.RESPONSE_CACHE] = ResponseCache(cache, counters=counters)
    app[keys.CHARTS] = Charts(
        app[keys.REQUESTS],
        responses,
        app[keys.COOPERATIVE_RUNNER],
        recent_s=settings.bff_redis_ttl_chart,
        deadline_s=settings.bff_backend_timeout,
        today=today,
    )
    async with running(responses.run(), name="response cache", crashed=_stop_loudly(app)):
        yield


async def _hub(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    times = DescriptionTimes(
        fresh_s=settings.bff_hub_access_fresh_seconds,
        running_s=settings.bff_redis_ttl_run,
        stale_s=settings.bff_hub_access_stale_seconds,
        patience_s=settings.bff_hub_admission_seconds,
        request_s=settings.bff_backend_timeout,
    )
    descriptions = app[_DESCRIPTIONS] = RunDescriptions(app[keys.BACKEND], times=times)
    runs = app[keys.RUN_KIND] = RunKind(
        app[keys.BACKEND],
        descriptions=descriptions,
        limiter=ReplayLimiter(settings.bff_hub_floods),
        activity=app[_ACTIVITY],
        options=feed_options(settings),
    )
    hub = app[keys.HUB] = Hub([runs], options=hub_options(settings))
    app[REGISTRY].register(HubCollector(hub, app[keys.CLIENTS]))
    app[REGISTRY].register(EventCollector(hub))
    updates = app.get(keys.JOB_UPDATES)
    for kind in event_kinds(settings, app[keys.API_KEYS], app[keys.SERVICES], updates):
        hub.events.register(kind)
    app[keys.API_KEYS].on_change(hub.events.check_callers)
    async with running(hub.run(), name="hub", crashed=_stop_loudly(app)):
        yield


def add_event_kinds(app: web.Application, make: EventKindsOf) -> None:
    """Have the hub serve these kinds too, except where a kind of that name is configured."""

    async def register(app: web.Application) -> AsyncIterator[None]:
        events = app[keys.HUB].events
        configured = {channel.kind.name for channel in events}
        for kind in make(app[keys.API_KEYS].refusal):
            if kind.name not in configured:
                events.register(kind)
        yield

    app.cleanup_ctx.append(register)


async def _runs(app: web.Application) -> AsyncIterator[None]:
    settings = app[keys.SETTINGS]
    sources = PartSources(
        app[keys.REQUESTS],
        app[keys.HUB],
        app[keys.RUN_KIND],
        app[keys.COOPERATIVE_RUNNER],
        app.get(keys.CATALOG),
        app.get(keys.ARTIFACTS),
    )
    app[keys.RUNS] = Runs(
        sources,
        app[keys.RESPONSE_CACHE],
        app[_DESCRIPTIONS],
        running_s=settings.bff_redis_ttl_run,
        deadline_s=settings.bff_backend_timeout,
    )
    yield


def _stop_loudly(app: web.Application) -> Callable[[BaseException], None]:
    def stop(error: BaseException) -> None:
        # Without what it is made of the service is a lie: better none, and a restart.
        logger.critical("service.crashed", exc_info=error)
        crashed.append(error)
        signal.raise_signal(signal.SIGTERM)

    crashed = app[CRASHED]
    return stop


def hub_options(settings: Settings) -> HubOptions:
    """The hub's part of the settings."""
    return HubOptions(
        log_bytes=settings.bff_hub_log_bytes,
        cache_bytes=settings.bff_hub_cache_bytes,
        linger_s=settings.bff_hub_linger_seconds,
        permits=PermitTimes(
            fresh_s=settings.bff_hub_access_fresh_seconds,
            stale_s=settings.bff_hub_access_stale_seconds,
            backoff_base_s=settings.bff_hub_backoff_base_seconds,
            backoff_cap_s=settings.bff_hub_backoff_cap_seconds,
        ),
    )


def mcp_account(settings: Settings) -> McpLogin | None:
    """The account of callers who give none, if it is whole."""
    username, password = settings.bff_mcp_username, settings.bff_mcp_password
    if username is None or password is None:
        return None
    return McpLogin(username, password.get_secret_value())


def job_store_options(settings: Settings) -> JobStoreOptions:
    """The job store's part of the settings."""
    return JobStoreOptions(
        queue=settings.bff_jobs_queue,
        record_prefix=settings.bff_jobs_hash_prefix,
        updates=settings.bff_jobs_updates,
        queue_limit=settings.bff_jobs_queue_limit,
        updates_kept=settings.bff_jobs_updates_kept,
        record_s=settings.bff_jobs_keep_seconds,
        key_s=min(settings.bff_jobs_key_seconds, settings.bff_jobs_keep_seconds),
    )


def feed_options(settings: Settings) -> FeedOptions:
    """The run feed's part of the settings."""
    token = settings.bff_backend_token
    return FeedOptions(
        service_token=None if token is None else token.get_secret_value(),
        link=LinkTimes(
            backoff_base_s=settings.bff_hub_backoff_base_seconds,
            backoff_cap_s=settings.bff_hub_backoff_cap_seconds,
            healthy_after_s=settings.bff_hub_healthy_after_seconds,
            load_s=settings.bff_hub_load_seconds,
        ),
        times=FeedTimes(
            silence_s=settings.bff_hub_silence_seconds, load_s=settings.bff_hub_load_seconds
        ),
    )
