"""The kinds of topics that carry events, as the settings have them."""

from collections.abc import Iterator

from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import BffError
from hewston_bff.events.pattern import any_of
from hewston_bff.events.streams_setting import parse_streams
from hewston_bff.net.clock import now_ms
from hewston_bff.net.files.api_keys import ApiKeys
from hewston_bff.net.redis.bus_streams import RedisBus
from hewston_bff.ports import EventKind
from hewston_bff.settings import Settings
from hewston_bff.topics.bus.decode import DecodeRules
from hewston_bff.topics.bus.kind import bus_kind
from hewston_bff.topics.bus.source import BusOptions
from hewston_bff.topics.job.kind import job_kind
from hewston_bff.topics.job.ports import JobUpdates
from hewston_bff.topics.system.kind import system_kind
from hewston_bff.topics.system.services import Services


def event_kinds(
    settings: Settings, api_keys: ApiKeys, services: Services, job_updates: JobUpdates | None
) -> Iterator[EventKind]:
    """Those that are configured."""

    def bus_refusal(caller: ApiCaller) -> BffError | None:
        return api_keys.refusal(caller, Scope.BUS)

    def job_refusal(caller: ApiCaller) -> BffError | None:
        return api_keys.refusal(caller, Scope.JOBS)

    def system_refusal(caller: ApiCaller) -> BffError | None:
        # Without keys anybody is told how the services are, as over REST.
        return bus_refusal(caller) if api_keys.has_file else None

    if job_updates is not None:
        yield job_kind(job_updates, refusal=job_refusal, now_ms=now_ms)
    if settings.bff_services:
        yield system_kind(services, refusal=system_refusal, now_ms=now_ms)
    if settings.bus_url is not None:
        yield bus_kind(
            RedisBus(settings.bus_url),
            bus_options(settings),
            latest=settings.bff_bus_latest,
            broad=settings.bff_bus_matches,
            refusal=bus_refusal,
            now_ms=now_ms,
        )


def bus_options(settings: Settings) -> BusOptions:
    """The bus source's part of the settings."""
    heartbeat = [settings.bff_bus_heartbeat] if settings.bff_bus_heartbeat else []
    return BusOptions(
        streams=parse_streams(
            settings.bff_bus_streams, has_prefix_topic=settings.bff_bus_prefix_topic
        ),
        rules=DecodeRules(
            is_denied=any_of(settings.bff_bus_deny),
            is_heartbeat=any_of(heartbeat),
            payload_bytes=settings.bff_bus_payload_bytes,
        ),
        ring_bytes=settings.bff_bus_ring_bytes,
    )
