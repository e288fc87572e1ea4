"""Server-Sent Events: one run, or many with commands by POST."""

import asyncio
import re
from random import random
from secrets import token_urlsafe
from uuid import uuid4

import msgspec
import structlog
from aiohttp import HttpVersion11, hdrs, web
from pydantic import BaseModel, Field

from hewston_bff.errors import InvalidRequest, PayloadTooLarge
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.control import start_of
from hewston_bff.hub.subscriptions import Subscriptions
from hewston_bff.log.log import AnyLog
from hewston_bff.net.clients.event_session import (
    MANY_EVENT_WIRES,
    RETRY_MS,
    EventSession,
    Pack,
    as_it_is,
    chunk,
    retry,
)
from hewston_bff.net.clients.session import Door, Session
from hewston_bff.net.clients.ws_frames import prepare_transport
from hewston_bff.protocol.commands import InvalidMessage, ResumePoint, Subscribe, decode_command
from hewston_bff.protocol.ids import RunId, parse_run_id
from hewston_bff.protocol.positions import Resumed, SeekTarget
from hewston_bff.web.addresses import client_address
from hewston_bff.web.features import require_feature
from hewston_bff.web.keys import CLIENTS, EVENT_STREAMS, HUB, SETTINGS
from hewston_bff.web.streams import (
    Wanted,
    admitted,
    check_origin,
    credentials_of,
    from_query,
    session_limits,
)


class EventsParameters(BaseModel):
    """`GET /api/v1/events`."""

    subscribe: list[str] = Field(
        default=[],
        description=(
            "A run's id, or the members of a `subscribe` message as JSON; once for each run"
        ),
    )


_NO_RUN = "subscribe: must be a run id, or one JSON object with a `run_id`"
_RESUME_INDEX = re.compile(r"[0-9]{1,15}")


async def run_events(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/runs/{id}/events`: one run as Server-Sent Events."""
    require_feature(request, Feature.WEBSOCKET_PROXY)
    return await _serve_run(request)


async def backend_events(request: web.Request) -> web.StreamResponse:
    """`GET /backtests/{id}/stream`: the backend's own path for Server-Sent Events."""
    return await _serve_run(request)


async def events(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/events?subscribe=…`: many runs as Server-Sent Events.

    Raises:
        InvalidRequest: a `subscribe` that is neither a run id nor a JSON object of that message.
    """
    require_feature(request, Feature.WEBSOCKET_PROXY)
    check_origin(request)
    wanted = [_subscribe_of(text) for text in request.query.getall("subscribe", ())]
    with request.app[CLIENTS].place(client_address(request)):
        return await _send_many(request, wanted)


async def event_command(request: web.Request) -> web.Response:
    """`POST /api/v1/events/{stream_id}`: one message to an open event stream, answered there.

    Raises:
        NotFound: no such stream, or it has ended.
        Forbidden: other credentials than the stream was opened with.
        PayloadTooLarge: more than one message may have.
    """
    require_feature(request, Feature.WEBSOCKET_PROXY)
    check_origin(request)
    streams = request.app[EVENT_STREAMS]
    stream_id, credentials = request.match_info["stream_id"], credentials_of(request)
    streams.find(stream_id, credentials)
    message = await _message(request)
    # It may have ended while the body was on its way.
    streams.find(stream_id, credentials).take(message)
    return web.Response(status=202)


# -- one run


async def _serve_run(request: web.Request) -> web.StreamResponse:
    check_origin(request)
    wanted = from_query(request)
    last_id = request.headers.get("Last-Event-ID")
    if last_id:
        wanted = msgspec.structs.replace(wanted, resume=_resume_of(last_id))
    start = start_of(wanted)
    async with admitted(request) as permit:
        log = request.app[HUB].audience(permit.topic).channel.log
        if permit.is_granted and log.is_complete and _is_last(start, log):
            return web.Response(status=204)
        with request.app[CLIENTS].place(client_address(request)):
            return await _send_run(request, Wanted(RunId(permit.topic.name), wanted, start))


async def _send_run(request: web.Request, wanted: Wanted) -> web.StreamResponse:
    response, transport = await _begin(request)
    if transport is None:
        return response
    hub = request.app[HUB]
    limits = session_limits(request.app[SETTINGS])
    session = EventSession(
        transport,
        hub,
        limits=limits.outlet,
        jitter=random(),  # noqa: S311 - spread, not secrecy
        pack=_pack(request),
    )
    credentials = credentials_of(request)
    viewings = Subscriptions(hub, credentials, limits.viewings, refused=session.refused)
    with request.app[CLIENTS].joined(session):
        try:
            viewings.watch_one(
                wanted.run_id,
                session,
                request=wanted.request,
                start=wanted.start,
                is_native=True,
            )
            viewings.answer_all()
            await session.serve()
            await _finish(response, transport, within_s=limits.close_s)
        finally:
            session.outlet.is_ended = True
            viewings.close()
    return response


def _is_last(start: SeekTarget | None, log: AnyLog) -> bool:
    return isinstance(start, Resumed) and start.epoch == log.epoch and start.seq >= log.next_seq - 1


def _resume_of(last_event_id: str) -> ResumePoint:
    epoch, _, seq = last_event_id.partition(":")
    if _RESUME_INDEX.fullmatch(seq) is None or not epoch or len(epoch) > 64:
        raise InvalidRequest("`Last-Event-ID` must be <epoch>:<seq>, as the ids of our events are")
    return ResumePoint(epoch=epoch, seq=int(seq))


# -- many runs


async def _send_many(
    request: web.Request, wanted: list[Subscribe | InvalidMessage]
) -> web.StreamResponse:
    response, transport = await _begin(request)
    if transport is None:
        return response
    limits = session_limits(request.app[SETTINGS])
    credentials = credentials_of(request)
    stream_id = token_urlsafe(24)
    session = Session(
        uuid4().hex[:8],
        transport,
        request.app[HUB],
        door=Door.STREAM,
        credentials=credentials,
        limits=limits,
        jitter=random(),  # noqa: S311 - spread, not secrecy
        wire=MANY_EVENT_WIRES[_pack(request)],
        stream_id=stream_id,
    )

    def begin() -> None:
        for command in wanted:
            if isinstance(command, InvalidMessage):
                session.refuse(command)
            else:
                session.accept(command)

    streams = request.app[EVENT_STREAMS]
    context = structlog.contextvars.bound_contextvars(session_id=session.session_id)
    with (
        context,
        request.app[CLIENTS].joined(session),
        streams.joined(stream_id, session, credentials),
    ):
        try:
            await session.serve_events(begin=begin)
            await _finish(response, transport, within_s=limits.close_s)
        finally:
            session.close()
    return response


def _subscribe_of(text: str) -> Subscribe | InvalidMessage:
    """What one `subscribe` of the query asks for: a run id, or the message's members as JSON.

    A message that means nothing is answered on the stream: the other runs go on.

    Raises:
        InvalidRequest: it is neither a run id nor an object that names a run.
    """
    if not text.lstrip().startswith("{"):
        if parse_run_id(text) is None:
            raise InvalidRequest(_NO_RUN)
        return Subscribe(run_id=text)
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        if not bytes(members.get("run_id", b"")).startswith(b'"'):
            raise InvalidRequest(_NO_RUN)
        members["t"] = msgspec.Raw(b'"subscribe"')
        command = decode_command(msgspec.json.encode(members))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequest(_NO_RUN) from exc
    except InvalidMessage as exc:
        return exc
    assert isinstance(command, Subscribe)  # noqa: S101 - its tag was set above
    return command


async def _message(request: web.Request) -> bytes:
    """The body, of at most as many bytes as one message may have."""
    settings = request.app[SETTINGS]
    most_bytes = settings.bff_ws_message_bytes
    too_large = PayloadTooLarge(f"a message may have {most_bytes} bytes: send less")
    if request.content_length is not None and request.content_length > most_bytes:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(settings.bff_backend_timeout):
            async for part in request.content.iter_any():
                size += len(part)
                if size > most_bytes:
                    raise too_large
                parts.append(part)
    except (web.RequestPayloadError, ConnectionError, TimeoutError) as exc:
        raise InvalidRequest("body: broke off, or did not come in time") from exc
    return b"".join(parts)


# -- what both share


async def _begin(
    request: web.Request,
) -> tuple[web.StreamResponse, asyncio.Transport | None]:
    """The head of an event stream, sent, and what its body is written to: None if there is none."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response, None
    # Only a write of aiohttp's own makes it send the headers; after it the transport is ours.
    await response.write(retry(RETRY_MS))
    transport = request.transport
    if transport is not None:
        limits = session_limits(request.app[SETTINGS])
        prepare_transport(transport, high_water_bytes=limits.outlet.high_water_bytes)
    return response, transport


def _pack(request: web.Request) -> Pack:
    """HTTP/1.0, as a plain nginx speaks to us, knows no chunks: the body ends as it closes."""
    return chunk if request.version >= HttpVersion11 else as_it_is


async def _finish(
    response: web.StreamResponse, transport: asyncio.Transport, *, within_s: float
) -> None:
    """End the body; a client that does not take what is left of it is cut off."""
    try:
        async with asyncio.timeout(within_s):
            await response.write_eof()
    except TimeoutError:
        transport.abort()
