"""What handlers find in the application."""

from aiohttp import web

from hewston_bff.hub.hub import Hub
from hewston_bff.net.backend.http_backend import HttpBackend
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.files.api_keys import ApiKeys
from hewston_bff.net.files.artifacts import Artifacts
from hewston_bff.net.files.catalog import Catalog
from hewston_bff.net.files.feature_file import Features
from hewston_bff.net.limits.descriptors import Descriptors
from hewston_bff.net.limits.rate_limits import RateLimits
from hewston_bff.net.redis.job_store import JobUpdateStream
from hewston_bff.net.redis.shared_redis import SharedRedis
from hewston_bff.services.chart import Charts
from hewston_bff.services.cooperative_runner import CooperativeRunner
from hewston_bff.services.jobs import Jobs
from hewston_bff.services.mcp import Mcp
from hewston_bff.services.response_cache import ResponseCache
from hewston_bff.services.runs import Runs
from hewston_bff.settings import Settings
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.system.services import Services
from hewston_bff.web.clients import Clients
from hewston_bff.web.event_streams import EventStreams

SETTINGS = web.AppKey("settings", Settings)
BACKEND = web.AppKey("backend", HttpBackend)
REDIS = web.AppKey("redis", SharedRedis)
"""There only if it is enabled."""
CATALOG = web.AppKey("catalog", Catalog)
ARTIFACTS = web.AppKey("artifacts", Artifacts)
"""Each there only if it is configured."""
RESPONSE_CACHE = web.AppKey("response_cache", ResponseCache)
COOPERATIVE_RUNNER = web.AppKey("cooperative_runner", CooperativeRunner)
CHARTS = web.AppKey("charts", Charts)
RUNS = web.AppKey("runs", Runs)
REQUESTS = web.AppKey("requests", BackendRequests)
RUN_KIND = web.AppKey("run_kind", RunKind)
HUB = web.AppKey("hub", Hub)
JOBS = web.AppKey("jobs", Jobs)
JOB_UPDATES = web.AppKey("job_updates", JobUpdateStream)
"""Both there only if jobs are configured."""
RATE_LIMITS = web.AppKey("rate_limits", RateLimits)
FEATURES = web.AppKey("features", Features)
API_KEYS = web.AppKey("api_keys", ApiKeys)
SERVICES = web.AppKey("services", Services)
"""Those of the settings; there may be none."""
MCP = web.AppKey("mcp", Mcp)
"""There only if it is configured."""
DESCRIPTORS = web.AppKey("descriptors", Descriptors)
CLIENTS = web.AppKey("clients", Clients)
EVENT_STREAMS = web.AppKey("event_streams", EventStreams)
CORRELATION_ID = web.RequestKey("correlation_id", str)
