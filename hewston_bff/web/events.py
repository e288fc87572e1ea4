"""Server-Sent Events: one run, or many with commands by POST."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from secrets import token_urlsafe

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from pydantic import Field

from hewston_bff.credentials import NOBODY, ApiCaller
from hewston_bff.errors import Forbidden, InvalidRequest, NotFound, PayloadTooLarge
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.control import start_of
from hewston_bff.log.log import AnyLog
from hewston_bff.net.clients.carriers import (
    RETRY_MS,
    EventCarrier,
    Pack,
    as_it_is,
    chunk,
    retry,
)
from hewston_bff.net.clients.session import Session
from hewston_bff.protocol import dialects
from hewston_bff.protocol.commands import (
    ClientHeartbeat,
    Command,
    Ctrl,
    InvalidMessage,
    Ping,
    Subscribe,
    SubscribeEvents,
    Unsubscribe,
    decode_command,
)
from hewston_bff.protocol.dialects import Dialect
from hewston_bff.protocol.ids import RunId, parse_run_id
from hewston_bff.protocol.positions import Resumed, SeekTarget
from hewston_bff.web.access import caller_of
from hewston_bff.web.addresses import client_address
from hewston_bff.web.credentials import credentials_of
from hewston_bff.web.endpoint import ApiAnswer, DocumentedModel, Endpoint, Header, Tag
from hewston_bff.web.keys import CLIENTS, EVENT_STREAMS, HUB, SETTINGS
from hewston_bff.web.stream_requests import (
    RunRequest,
    admitted,
    check_origin,
    open_session,
    resume_point,
    subscription_asked,
    watch,
)
from hewston_bff.web.streams import OPENING_ERRORS, RUN_OPENING_ERRORS

EVENT_STREAM = "text/event-stream"
_NO_RUN = "subscribe: must be a run id, or one JSON object with a `run_id` or a `topic`"
_LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "Where to go on: the id of the last event received, `<epoch>:<seq>`. Wins over `from`.",
    r"^([^:]{1,64}:[0-9]{1,15})?$",
)
_ANSWERS = (
    ApiAnswer(
        200,
        "Each message an event of its name. The messages are in the AsyncAPI document.",
        None,
        EVENT_STREAM,
    ),
)
_RUN_ANSWERS = (
    ApiAnswer(
        200,
        "Events `frame`, `end` and `err` until the end of the run. The messages in them are in the "
        "AsyncAPI document.",
        None,
        EVENT_STREAM,
    ),
    ApiAnswer(204, "`Last-Event-ID` is the end of the run: nothing will follow.", None, None),
)


class EventsParameters(DocumentedModel):
    """`GET /api/v1/events`."""

    subscribe: list[str] = Field(
        default=[],
        description=(
            "A run's id, or the members of a `subscribe` message as JSON; once for each run"
        ),
    )


def events_endpoint(
    dialect: Dialect, *, name: str, path: str, description: str = "", feature: Feature | None = None
) -> Endpoint:
    """The endpoint at `path` that speaks a dialect in Server-Sent Events."""

    async def serve(request: web.Request) -> web.StreamResponse:
        check_origin(request)
        if dialect.subscribes is None:
            return await _serve_many(request, dialect)
        return await _serve_one(request, dialect, dialect.subscribes)

    is_one = dialect.is_of_one_topic
    parameters = Subscribe if dialect.takes_query else None
    return Endpoint(
        name=name,
        path=path,
        handler=serve,
        tag=Tag.STREAMS,
        summary=dialect.title,
        description=description,
        query=parameters if is_one else EventsParameters,
        headers=(_LAST_EVENT_ID,) if is_one else (),
        answers=_RUN_ANSWERS if is_one else _ANSWERS,
        errors=RUN_OPENING_ERRORS if is_one else OPENING_ERRORS,
        feature=feature,
        dialect=dialect,
        is_for_viewers=True,
    )


# -- one run


async def _serve_one(
    request: web.Request, dialect: Dialect, otherwise: Subscribe
) -> web.StreamResponse:
    asked = subscription_asked(request, otherwise, takes_query=dialect.takes_query)
    last_id = request.headers.get("Last-Event-ID")
    if last_id:
        asked = msgspec.structs.replace(asked, resume=resume_point(last_id))
    start = start_of(asked)
    async with admitted(request) as permit:
        log = request.app[HUB].audience(permit.topic).channel.log
        if permit.is_granted and log.is_complete and _is_last(start, log):
            return web.Response(status=204)
        with request.app[CLIENTS].slot(client_address(request)):
            wanted = RunRequest(RunId(permit.topic.name), asked, start)
            return await send_events(
                request, dialect, lambda session: watch(session, wanted, dialect)
            )


def _is_last(start: SeekTarget | None, log: AnyLog) -> bool:
    return isinstance(start, Resumed) and start.epoch == log.epoch and start.seq >= log.next_seq - 1


# -- many runs


async def _serve_many(request: web.Request, dialect: Dialect) -> web.StreamResponse:
    wanted = [_subscribe_of(text) for text in request.query.getall("subscribe", ())]
    with request.app[CLIENTS].slot(client_address(request)):
        return await send_events(
            request,
            dialect,
            lambda session: _subscribe(session, wanted),
            caller=caller_of(request, bearer_counts=False),
        )


def _subscribe_of(text: str) -> Command | InvalidMessage:
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
        named = members.get("run_id", members.get("topic", b""))
        if not bytes(named).startswith(b'"'):
            raise InvalidRequest(_NO_RUN)
        members["t"] = msgspec.Raw(b'"subscribe"')
        return decode_command(msgspec.json.encode(members))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidRequest(_NO_RUN) from exc
    except InvalidMessage as exc:
        return exc


async def event_command(request: web.Request) -> web.Response:
    """`POST /api/v1/events/{stream_id}`: one message to an open event stream, answered there.

    Raises:
        NotFound: no such stream, or it has ended.
        Forbidden: other credentials than the stream was opened with.
        PayloadTooLarge: more than one message may have.
    """
    check_origin(request)
    streams = request.app[EVENT_STREAMS]
    stream_id, credentials = request.match_info["stream_id"], credentials_of(request)
    streams.find(stream_id, credentials)
    message = await _message(request)
    # It may have ended while the body was on its way.
    streams.find(stream_id, credentials).commands.take(message)
    return web.Response(status=202)


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


async def send_events(
    request: web.Request,
    dialect: Dialect,
    begin: Callable[[Session], None],
    *,
    caller: ApiCaller = NOBODY,
) -> web.StreamResponse:
    """Serve an event stream until its client goes or has to go; `begin` subscribes."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: EVENT_STREAM,
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    # Only a write of aiohttp's own makes it send the headers; after it the transport is ours.
    await response.write(retry(RETRY_MS))
    transport = request.transport
    if transport is None:
        return response
    stream_id = None if dialect.is_of_one_topic else token_urlsafe(24)
    carrier = EventCarrier(dialect, _pack(request))
    streams, credentials = request.app[EVENT_STREAMS], credentials_of(request)
    with (
        open_session(
            request, transport, dialect, carrier, caller=caller, stream_id=stream_id
        ) as session,
        nullcontext() if stream_id is None else streams.joined(stream_id, session, credentials),
    ):
        await session.serve(_forever, begin=partial(begin, session))
        await _finish(response, transport, within_s=request.app[SETTINGS].bff_ws_close_seconds)
    return response


def _subscribe(session: Session, wanted: Sequence[Command | InvalidMessage]) -> None:
    """Subscribe to what the request asked for."""
    for command in wanted:
        if isinstance(command, InvalidMessage):
            session.commands.refuse(command)
        else:
            session.commands.accept(command)


async def _forever() -> None:
    """Nothing is heard of the client here: its commands come by other requests, if at all."""
    await asyncio.get_running_loop().create_future()


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


ENDPOINTS = (
    events_endpoint(
        dialects.EVENTS,
        name="open_events",
        path="/api/v1/events",
        description=(
            "For where WebSockets do not pass. The first event, `hello`, names the `stream` that "
            "takes commands. A client that comes back opens another, and goes on by `resume`."
        ),
        feature=Feature.WEBSOCKET_PROXY,
    ),
    Endpoint(
        name="command_events",
        path="/api/v1/events/{stream_id}",
        methods=(hdrs.METH_POST,),
        handler=event_command,
        tag=Tag.STREAMS,
        summary="One message to an open event stream",
        description="With the credentials that opened it. Answered on the stream, by `re`.",
        body=(Subscribe, SubscribeEvents, Unsubscribe, Ctrl, Ping, ClientHeartbeat),
        answers=(ApiAnswer(202, "Taken.", None, None),),
        errors=(InvalidRequest, NotFound, Forbidden, PayloadTooLarge),
        feature=Feature.WEBSOCKET_PROXY,
        dialect=dialects.EVENT_COMMANDS,
        is_for_viewers=True,
    ),
    events_endpoint(
        dialects.RUN_EVENTS,
        name="get_events",
        path="/api/v1/runs/{run_id}/events",
        feature=Feature.WEBSOCKET_PROXY,
    ),
    events_endpoint(
        dialects.BACKEND_EVENTS,
        name="get_backend_events",
        path="/backtests/{run_id}/stream",
    ),
)
