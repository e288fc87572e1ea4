"""What a request to a stream asks for, whether it may, and the session that it gets."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from random import random
from uuid import uuid4

import msgspec
import structlog
from aiohttp import hdrs, web

from hewston_bff.credentials import NOBODY, ApiCaller
from hewston_bff.errors import Forbidden, InvalidRequest
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.subscriptions import SubscriptionLimits
from hewston_bff.net.clients.carriers import ClientCarrier
from hewston_bff.net.clients.client_writer import WriterLimits
from hewston_bff.net.clients.session import Session, SessionLimits
from hewston_bff.net.clients.ws_frames import prepare_transport
from hewston_bff.protocol.commands import ResumePoint, Subscribe, speed_error, unquoted
from hewston_bff.protocol.dialects import QUERY_MEMBERS, Dialect
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.positions import SeekTarget
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.settings import Settings
from hewston_bff.web.addresses import is_allowed_origin, public_origin
from hewston_bff.web.credentials import credentials_of
from hewston_bff.web.keys import CLIENTS, HUB, SETTINGS
from hewston_bff.web.parameters import run_id_of, single_values

logger = structlog.get_logger(__name__)

_INDEX = re.compile(r"[0-9]{1,15}")
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What an endpoint of one run subscribes to on connect."""

    run_id: RunId
    request: Subscribe
    start: SeekTarget | None


@asynccontextmanager
async def admitted(request: web.Request) -> AsyncIterator[Permit]:
    """The run of this request, once the backend allows it, or does not say for a while.

    Raises:
        InvalidRequest: the run id can't be one.
        RunNotFound, Unauthorized, Forbidden: the backend's clear no.
        LimitReached: no memory for another run.
    """
    run_id = run_id_of(request)
    hub = request.app[HUB]
    permit = hub.acquire(Topic(RUN, run_id), credentials_of(request))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(request.app[SETTINGS].bff_hub_admission_seconds):
                await permit.decided.wait()
        if permit.refusal is not None:
            raise permit.refusal
        yield permit
    finally:
        hub.release(permit)


def check_origin(request: web.Request) -> None:
    """A page of a foreign site must not read a stream with its visitor's cookies.

    Raises:
        Forbidden: it is from one.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not is_allowed_origin(request, origin):
        scheme, host = public_origin(request)
        logger.warning(
            "origin.refused",
            origin=ascii(origin)[1:-1],
            came_to=ascii(f"{scheme}://{host}")[1:-1],
            hint="a page of ours: name its origin in BFF_PUBLIC_ORIGINS, or the proxy in "
            "BFF_TRUSTED_PROXIES; another page: BFF_CORS_ORIGINS",
        )
        raise Forbidden("this origin may not connect: it must be named in BFF_CORS_ORIGINS")


def subscription_asked(
    request: web.Request, otherwise: Subscribe, *, takes_query: bool
) -> Subscribe:
    """The subscription of an endpoint of one run: `otherwise`, as far as the query says nothing.

    Raises:
        InvalidRequest: a parameter twice, of a wrong kind or out of its range.
    """
    if not takes_query:
        return otherwise
    query = single_values(request, QUERY_MEMBERS)
    asked: dict[str, object] = dict(query)
    if "from" in query:
        begin = query["from"]
        if _INTEGER.fullmatch(begin) and not _INDEX.fullmatch(begin):
            # In a query a whole number is an index, never a time.
            raise InvalidRequest("`from` must be a frame index or an ISO 8601 UTC time")
        asked["from"] = int(begin) if _INDEX.fullmatch(begin) else begin
    if "updates" in query:
        asked["updates"] = query["updates"].split(",")
    try:
        wanted = msgspec.convert(msgspec.to_builtins(otherwise) | asked, Subscribe, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(unquoted(str(exc)).replace("$.", "")) from exc
    reason = speed_error(wanted.speed, mode=wanted.mode)
    if reason is not None:
        raise InvalidRequest(reason)
    return wanted


def resume_point(last_event_id: str) -> ResumePoint:
    """Where the id of an event says that a client stands.

    Raises:
        InvalidRequest: no event of ours has this id.
    """
    epoch, _, seq = last_event_id.partition(":")
    if _INDEX.fullmatch(seq) is None or not epoch or len(epoch) > 64:
        raise InvalidRequest("`Last-Event-ID` must be <epoch>:<seq>, as the ids of our events are")
    return ResumePoint(epoch=epoch, seq=int(seq))


@contextmanager
def open_session(
    request: web.Request,
    transport: asyncio.Transport,
    dialect: Dialect,
    carrier: ClientCarrier,
    *,
    caller: ApiCaller = NOBODY,
    stream_id: str | None = None,
) -> Iterator[Session]:
    """A session that writes to `transport`, counted among the clients while the block lasts."""
    limits = session_limits(request.app[SETTINGS])
    prepare_transport(transport, high_water_bytes=limits.writer.high_water_bytes)
    session = Session(
        uuid4().hex[:8],
        transport,
        request.app[HUB],
        dialect=dialect,
        carrier=carrier,
        credentials=credentials_of(request),
        caller=caller,
        limits=limits,
        jitter=random(),  # noqa: S311 - spread, not secrecy
        stream_id=stream_id,
    )
    context = structlog.contextvars.bound_contextvars(session_id=session.session_id)
    with context, request.app[CLIENTS].joined(session):
        try:
            yield session
        finally:
            session.close()


def watch(session: Session, wanted: RunRequest, dialect: Dialect) -> None:
    """Subscribe a session to the one run of its address.

    Raises:
        LimitReached: no memory for another run.
    """
    session.subscriptions.watch_one(
        wanted.run_id,
        session,
        request=wanted.request,
        start=wanted.start,
        is_native=not dialect.introduces_itself,
    )


def session_limits(settings: Settings) -> SessionLimits:
    """The limits of one client, from the settings."""
    return SessionLimits(
        subscriptions=SubscriptionLimits(
            subscriptions=settings.bff_ws_subscriptions,
            admission_s=settings.bff_hub_admission_seconds,
        ),
        writer=WriterLimits(
            high_water_bytes=settings.bff_ws_buffer_bytes,
            control_lane=settings.bff_ws_control_lane_messages,
            heartbeat_s=settings.bff_ws_heartbeat_seconds,
            ping_s=settings.bff_ws_ping_seconds,
            dead_after_s=settings.bff_ws_dead_after_seconds,
            stalled_after_s=settings.bff_ws_stalled_after_seconds,
        ),
        message_bytes=settings.bff_ws_message_bytes,
        messages_per_s=settings.bff_ws_messages_per_second,
        subscribe_within_s=settings.bff_ws_subscribe_within_seconds,
        close_s=settings.bff_ws_close_seconds,
    )
