"""`GET /metrics`: the numbers of hub and cache as Prometheus text.

Everything is read where it is counted when it is asked for: counting twice would be a second truth.
"""

from collections.abc import Iterator
from typing import get_args

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hewston_bff.credentials import Scope
from hewston_bff.events.source_state import SourceStatus
from hewston_bff.hub.hub import Hub
from hewston_bff.log_setup import Lines
from hewston_bff.net.cache import CacheCounters, MemoryCache
from hewston_bff.net.redis.shared_redis import SharedRedis
from hewston_bff.topics.run.link import LinkState
from hewston_bff.topics.run.skips import Skip
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, require
from hewston_bff.web.clients import Clients
from hewston_bff.web.endpoint import ApiAnswer, Endpoint, Tag

REGISTRY = web.AppKey("registry", CollectorRegistry)

_Family = CounterMetricFamily | GaugeMetricFamily


class HubCollector(Collector):
    """The hub as metric families."""

    def __init__(self, hub: Hub, clients: Clients) -> None:
        self._hub = hub
        self._clients = clients

    def collect(self) -> Iterator[_Family]:
        """All families, as they are now."""
        stats = self._hub.stats()
        counters = stats.counters
        totals: tuple[tuple[str, str, float], ...] = (
            ("frames_in", "Source frames appended to logs", counters.frames_in),
            ("bytes_in", "Bytes of source frames", counters.bytes_in),
            ("frames_out", "Frame messages given to clients", counters.frames_out),
            ("bytes_out", "Bytes of frame messages", counters.bytes_out),
            ("merged", "Source frames merged into a message with others", counters.merged),
            ("dropped", "Source frames that clients lost by eviction", counters.dropped),
            ("reconnects", "Connections to the backend lost", counters.reconnects),
            ("log_lines_dropped", "Lines of the log that could not be written", Lines.dropped),
        )
        for name, text, value in totals:
            yield CounterMetricFamily(f"hewston_bff_{name}", text, value=value)
        skipped = CounterMetricFamily(
            "hewston_bff_skipped",
            "Messages and frames of the backend that were left out or could not be read whole",
            labels=["reason"],
        )
        for reason in Skip:
            skipped.add_metric([reason], counters.skipped[reason])
        yield skipped
        gauges: tuple[tuple[str, str, float], ...] = (
            ("clients", "Open client streams", len(self._clients.open)),
            ("subscriptions", "Subscriptions of all clients", stats.total_subscribers),
            ("upstreams", "Open streams from the backend", stats.backend_connections),
            ("log_bytes", "Bytes held by frame logs", stats.log_bytes),
            ("span_cache_bytes", "Bytes held by the span cache", stats.cache_bytes),
            ("tick_lag_p50_seconds", "Median lateness of ticks", stats.tick_lag_p50_ms / 1e3),
            (
                "tick_lag_p99_seconds",
                "99th percentile lateness of ticks",
                stats.tick_lag_p99_ms / 1e3,
            ),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"hewston_bff_{name}", text, value=value)
        runs = GaugeMetricFamily(
            "hewston_bff_runs", "Runs by state of their link", labels=["state"]
        )
        for state in LinkState:
            name = state.name.lower()
            runs.add_metric([name], sum(run.state == name for run in stats.runs))
        yield runs


class EventCollector(Collector):
    """The sources of topics that carry events as metric families; nothing is told by topic."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[_Family]:
        """All families, as they are now."""
        counters = self._hub.counters
        for name, text, value in (
            ("events_in", "Events taken from sources", counters.events_in),
            ("events_out", "Event messages given to clients", counters.events_out),
            ("event_bytes_out", "Bytes of event messages", counters.event_bytes_out),
            ("events_merged", "Events merged into a message with others", counters.events_merged),
        ):
            yield CounterMetricFamily(f"hewston_bff_{name}", text, value=value)
        families = {
            name: GaugeMetricFamily(f"hewston_bff_source_{name}", text, labels=["kind"])
            for name, text in _SOURCE_GAUGES.items()
        }
        state = GaugeMetricFamily(
            "hewston_bff_source_state", "1 for the state it is in", labels=["kind", "state"]
        )
        left_out = CounterMetricFamily(
            "hewston_bff_source_left_out",
            "Entries that were not delivered, or not as they are",
            labels=["kind", "reason"],
        )
        for channel in self._hub.events:
            kind, stats, log = channel.kind.name, channel.source.stats, channel.log
            values: dict[str, float | None] = {
                "events": stats.events,
                "bytes": stats.bytes,
                "reconnects": stats.reconnects,
                "behind_seconds": None if stats.behind_ms is None else stats.behind_ms / 1e3,
                "ring_bytes": log.ring.size_bytes,
                "topics": len(log.table),
                "topics_forgotten": log.table.forgotten,
                "subscriptions": len(channel.listeners),
            }
            for name, measured in values.items():
                if measured is not None:
                    families[name].add_metric([kind], measured)
            for status in get_args(SourceStatus):
                state.add_metric([kind, status], channel.link_state.status == status)
            for reason, count in stats.left_out.items():
                left_out.add_metric([kind, reason], count)
        yield from families.values()
        yield state
        yield left_out


_SOURCE_GAUGES = {
    "events": "Events read since the start",
    "bytes": "Bytes of their payloads",
    "reconnects": "Connections lost and tried again since the start",
    "behind_seconds": "How far behind the newest entry in Redis what was read last was",
    "ring_bytes": "Bytes of the events that are held",
    "topics": "Topics that are known",
    "topics_forgotten": "Topics that were forgotten because there are too many",
    "subscriptions": "Subscriptions of all clients",
}


class CacheCollector(Collector):
    """The kept answers as metric families."""

    def __init__(
        self, counters: CacheCounters, memory: MemoryCache, redis: SharedRedis | None
    ) -> None:
        self._counters = counters
        self._memory = memory
        self._redis = redis

    def collect(self) -> Iterator[_Family]:
        """All families, as they are now."""
        counters = self._counters
        for name, text, value in (
            ("hits", "Answers that were kept", counters.hits),
            ("stale", "Answers that were kept and had expired", counters.stale),
            ("misses", "Answers that had to be made", counters.misses),
        ):
            yield CounterMetricFamily(f"hewston_bff_cache_{name}", text, value=value)
        errors = 0 if self._redis is None else self._redis.errors
        yield CounterMetricFamily("hewston_bff_redis_errors", "Failures of Redis", value=errors)
        text = "Bytes of answers kept in memory"
        yield GaugeMetricFamily("hewston_bff_cache_bytes", text, value=self._memory.used_bytes)


def make_registry() -> CollectorRegistry:
    """A registry of this application's own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


async def metrics(request: web.Request) -> web.Response:
    """`GET /metrics`."""
    require(request, Scope.STATS)
    body = generate_latest(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


ENDPOINTS = (
    Endpoint(
        name="get_metrics",
        path="/metrics",
        handler=metrics,
        tag=Tag.OPERATIONS,
        summary="Numbers for Prometheus",
        headers=(API_KEY_HEADER,),
        answers=(ApiAnswer(200, "Prometheus text.", None, "text/plain"),),
        errors=API_KEY_ERRORS,
    ),
)
