"""Sockets of the stream protocol: from a request to a session."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import (
    BffError,
    Busy,
    Forbidden,
    InvalidRequest,
    LimitReached,
    RateLimited,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.control import start_of
from hewston_bff.net.clients.carriers import SocketCarrier
from hewston_bff.net.clients.session import Session
from hewston_bff.protocol import dialects
from hewston_bff.protocol.commands import Subscribe
from hewston_bff.protocol.dialects import SUBPROTOCOL, Dialect
from hewston_bff.protocol.ids import RunId
from hewston_bff.web.access import caller_of
from hewston_bff.web.addresses import client_address
from hewston_bff.web.credentials import credentials_of, without_token
from hewston_bff.web.endpoint import ApiAnswer, Endpoint, Tag
from hewston_bff.web.keys import CLIENTS, SETTINGS
from hewston_bff.web.stream_requests import (
    RunRequest,
    admitted,
    check_origin,
    open_session,
    subscription_asked,
    watch,
)

OPENING_ERRORS: tuple[type[BffError], ...] = (InvalidRequest, Forbidden, RateLimited, Busy)
"""What may go wrong before a stream of many runs begins."""
RUN_OPENING_ERRORS: tuple[type[BffError], ...] = (
    *(InvalidRequest, RunNotFound, Unauthorized, Forbidden, RateLimited, LimitReached, Busy),
)
"""The same of one run, which is asked for before."""
Reader = Callable[[web.WebSocketResponse], Awaitable[None]]
"""Reads a client's messages until its socket closes."""

_OPENED = ApiAnswer(
    101, "The socket is open. Its messages are in the AsyncAPI document.", None, None
)


def socket_endpoint(
    dialect: Dialect, *, name: str, path: str, description: str, feature: Feature | None = None
) -> Endpoint:
    """The endpoint at `path` that speaks a dialect over a WebSocket."""

    async def serve(request: web.Request) -> web.StreamResponse:
        check_handshake(request)
        if dialect.subscribes is None:
            return await serve_socket(request, dialect)
        asked = subscription_asked(request, dialect.subscribes, takes_query=dialect.takes_query)
        start = start_of(asked)
        async with admitted(request) as permit:
            wanted = RunRequest(RunId(permit.topic.name), asked, start)
            return await serve_socket(
                request, dialect, begin=lambda session: watch(session, wanted, dialect)
            )

    return Endpoint(
        name=name,
        path=path,
        handler=serve,
        tag=Tag.STREAMS,
        summary=dialect.title,
        description=f"A WebSocket: without an upgrade it answers 422. {description}",
        query=Subscribe if dialect.takes_query else None,
        answers=(_OPENED,),
        errors=RUN_OPENING_ERRORS if dialect.is_of_one_topic else OPENING_ERRORS,
        feature=feature,
        dialect=dialect,
        is_for_viewers=True,
    )


def check_handshake(request: web.Request) -> None:
    """Refuse what cannot become a stream for a page that may have one.

    Raises:
        Forbidden: it is of a foreign origin.
        InvalidRequest: no upgrade is asked for, or a header is no text.
    """
    check_origin(request)
    # Refused before the upgrade: afterwards there is no status to say it by.
    credentials_of(request)
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise InvalidRequest("this address speaks WebSocket: connect with a WebSocket client")


def _read_commands(session: Session) -> Reader:
    return session.commands.read


async def serve_socket(
    request: web.Request,
    dialect: Dialect,
    *,
    begin: Callable[[Session], None] = lambda _: None,
    caller: ApiCaller | None = None,
    reader: Callable[[Session], Reader] = _read_commands,
) -> web.StreamResponse:
    """Serve a socket until it closes; `begin` subscribes, `reader` hears what the client says.

    `caller`: who asks for topics of events, if that is not told by what a stream looks at.
    """
    settings = request.app[SETTINGS]
    with request.app[CLIENTS].slot(client_address(request)):
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
        if caller is None:
            caller = caller_of(request, bearer_counts=False)
        carrier = SocketCarrier(dialect)
        with open_session(request, transport, dialect, carrier, caller=caller) as session:
            read = reader(session)
            try:
                await session.serve(lambda: read(ws), begin=lambda: begin(session))
                if session.ending is not None:
                    code, reason = session.ending
                    async with asyncio.timeout(settings.bff_ws_close_seconds):
                        await ws.close(code=code, message=reason.encode()[:120])
            except TimeoutError:
                # The client did not answer our close in time.
                transport.abort()
        return ws


ENDPOINTS = (
    socket_endpoint(
        dialects.STREAM,
        name="open_stream",
        path="/api/v1/stream",
        description="Subscribe to runs once it is open.",
        feature=Feature.WEBSOCKET_PROXY,
    ),
    socket_endpoint(
        dialects.RUN_STREAM,
        name="open_run_stream",
        path="/api/v1/runs/{run_id}/stream",
        description="Subscribed from the start, as the parameters say.",
        feature=Feature.WEBSOCKET_PROXY,
    ),
    socket_endpoint(
        dialects.BACKEND_STREAM,
        name="open_backend_stream",
        path="/backtests/{run_id}/ws",
        description="Silent until spoken to, and paused until `play`.",
    ),
)
