"""Sockets of the stream protocol: from a request to a session, and what event streams share."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import random
from uuid import uuid4

import msgspec
import structlog
from aiohttp import hdrs, web

from hewston_bff.credentials import Credentials
from hewston_bff.errors import Forbidden, InvalidRequest
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.control import start_of
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.subscriptions import SubscriptionLimits
from hewston_bff.net.clients.client_writer import OutletLimits
from hewston_bff.net.clients.session import Door, Session, SessionLimits
from hewston_bff.net.clients.ws_frames import prepare_transport
from hewston_bff.protocol.commands import Subscribe, speed_error, unquoted
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.positions import SeekTarget
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.settings import Settings
from hewston_bff.web.addresses import client_address, is_allowed_origin, public_origin
from hewston_bff.web.features import require_feature
from hewston_bff.web.keys import CLIENTS, HUB, SETTINGS
from hewston_bff.web.parameters import run_id_of, single_values
from hewston_bff.web.proxy_headers import is_text

logger = structlog.get_logger(__name__)

SUBPROTOCOL = "hewston.bff.v1"
QUERY = ("speed", "max_fps", "mode", "paused", "from", "updates")
"""The members of `subscribe` that the per-run doors take from the query."""
_INDEX = re.compile(r"[0-9]{1,15}")
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_BEARER = "bearer."
_NATIVE_FPS = 30.0
_NATIVE_REQUEST = Subscribe(run_id="", paused=True, speed=60.0, max_fps=_NATIVE_FPS)


async def stream(request: web.Request) -> web.StreamResponse:
    """`WS /api/v1/stream`: many runs on one socket."""
    require_feature(request, Feature.WEBSOCKET_PROXY)
    _check_handshake(request)
    return await _serve_socket(request, Door.STREAM)


async def run_stream(request: web.Request) -> web.StreamResponse:
    """`WS /api/v1/runs/{id}/stream`: one run, subscribed on connect."""
    require_feature(request, Feature.WEBSOCKET_PROXY)
    _check_handshake(request)
    wanted = from_query(request)
    start = start_of(wanted)
    async with admitted(request) as permit:
        viewing = Wanted(RunId(permit.topic.name), wanted, start)
        return await _serve_socket(request, Door.RUN, viewing)


async def backend_stream(request: web.Request) -> web.StreamResponse:
    """`WS /backtests/{id}/ws`: the backend's own path, for an unmodified frontend."""
    _check_handshake(request)
    async with admitted(request) as permit:
        viewing = Wanted(RunId(permit.topic.name), _NATIVE_REQUEST, None)
        return await _serve_socket(request, Door.BACKEND, viewing)


# -- WebSocket


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a per-run address subscribes to."""

    run_id: RunId
    request: Subscribe
    start: SeekTarget | None


async def _serve_socket(
    request: web.Request, door: Door, wanted: Wanted | None = None
) -> web.StreamResponse:
    app = request.app
    settings, clients = app[SETTINGS], app[CLIENTS]
    credentials = credentials_of(request)
    with clients.place(client_address(request)):
        ws = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            max_msg_size=settings.bff_ws_message_bytes,
            protocols=(SUBPROTOCOL,),
            decode_text=False,
            timeout=settings.bff_ws_close_seconds,
        )
        try:
            await ws.prepare(without_token(request))
        except web.HTTPBadRequest as exc:
            raise InvalidRequest("not a WebSocket handshake of version 13 with its key") from exc
        transport = request.transport
        if transport is None:
            return ws
        limits = session_limits(settings)
        prepare_transport(transport, high_water_bytes=limits.outlet.high_water_bytes)
        session = Session(
            uuid4().hex[:8],
            transport,
            app[HUB],
            door=door,
            credentials=credentials,
            limits=limits,
            jitter=random(),  # noqa: S311 - spread, not secrecy
        )

        def begin() -> None:
            if wanted is not None:
                session.viewings.watch_one(
                    wanted.run_id,
                    session,
                    request=wanted.request,
                    start=wanted.start,
                    is_native=door is Door.BACKEND,
                )

        context = structlog.contextvars.bound_contextvars(session_id=session.session_id)
        with context, clients.joined(session):
            try:
                await session.serve(ws, begin=begin)
            except TimeoutError:
                # The client did not answer our close in time.
                transport.abort()
            finally:
                session.close()
        return ws


# -- what all doors share


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


def _check_handshake(request: web.Request) -> None:
    check_origin(request)
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise InvalidRequest("this address speaks WebSocket: connect with a WebSocket client")


def check_origin(request: web.Request) -> None:
    """A page of a foreign site must not read a stream with its visitor's cookies."""
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


def from_query(request: web.Request) -> Subscribe:
    """The subscription that a query asks for; what it does not name has its default.

    Raises:
        InvalidRequest: a parameter twice, of a wrong kind or out of its range.
    """
    query = single_values(request, QUERY)
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
        wanted = msgspec.convert(
            {"run_id": "-", "t": "subscribe", **asked}, Subscribe, strict=False
        )
    except msgspec.ValidationError as exc:
        raise InvalidRequest(unquoted(str(exc)).replace("$.", "")) from exc
    reason = speed_error(wanted.speed, mode=wanted.mode)
    if reason is not None:
        raise InvalidRequest(reason)
    return wanted


def credentials_of(request: web.Request) -> Credentials:
    """What the client proves itself with: headers, or a token offered as a subprotocol.

    Raises:
        InvalidRequest: a header that is not UTF-8, which can't be sent on as it is.
    """
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    for offer in _offers(request):
        if offer.startswith(_BEARER) and authorization is None:
            authorization = "Bearer " + offer.removeprefix(_BEARER)
    cookie = request.headers.get(hdrs.COOKIE)
    for name, value in ((hdrs.AUTHORIZATION, authorization), (hdrs.COOKIE, cookie)):
        if value is not None and not is_text(value):
            msg = f"{name}: must be UTF-8"
            raise InvalidRequest(msg)
    return Credentials(authorization=authorization, cookie=cookie)


def without_token(request: web.Request) -> web.Request:
    """The request without an offered token: aiohttp logs the subprotocols that it does not know."""
    offers = _offers(request)
    kept = [offer for offer in offers if not offer.startswith(_BEARER)]
    if len(kept) == len(offers):
        return request
    headers = request.headers.copy()
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if SUBPROTOCOL in kept:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = SUBPROTOCOL
    return request.clone(headers=headers)


def _offers(request: web.Request) -> list[str]:
    headers = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [offer.strip() for header in headers for offer in header.split(",")]


def session_limits(settings: Settings) -> SessionLimits:
    """The limits of one client, from the settings."""
    return SessionLimits(
        viewings=SubscriptionLimits(
            subscriptions=settings.bff_ws_subscriptions,
            admission_s=settings.bff_hub_admission_seconds,
        ),
        outlet=OutletLimits(
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
