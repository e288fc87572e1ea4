"""One client of many runs, or of one: its commands are obeyed, what it watches goes out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Final, Protocol

import structlog
from aiohttp import WSMessage, WSMsgType, web
from msgspec import UNSET

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError, InvalidRequest, RateLimited
from hewston_bff.hub.control import cursor_command
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.subscriptions import SubscriptionLimits, Subscriptions
from hewston_bff.hub.ticker import contain
from hewston_bff.net.clients.client_writer import Outlet, OutletLimits, Wire
from hewston_bff.net.clients.ws_frames import PING_FRAME, WebSocketFraming, pong_frame, text_frame
from hewston_bff.net.clock import now_ms
from hewston_bff.net.limits.token_bucket import TokenBucket
from hewston_bff.ports import Framing
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode
from hewston_bff.protocol.commands import (
    ClientHeartbeat,
    Command,
    Ctrl,
    InvalidMessage,
    Ping,
    RequestId,
    Subscribe,
    Unsubscribe,
    decode_command,
    echo,
    request_id,
)
from hewston_bff.protocol.notices import (
    Bye,
    Err,
    Hb,
    Hello,
    Limits,
    Notice,
    Pong,
    Unsubscribed,
    encode,
)

logger = structlog.get_logger(__name__)

_MALFORMED_IN_A_ROW: Final = 3
_ABUSE_S: Final = 10
"""Seconds' worth of messages, by which a client that sends more than it may has to go."""


class Door(Enum):
    """Which address the client came by."""

    STREAM = auto()
    """Many runs on one socket."""
    RUN = auto()
    """One run, from the start."""
    BACKEND = auto()
    """The backend's own path, for a client that knows nothing of us."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one socket may do."""

    viewings: SubscriptionLimits = SubscriptionLimits()
    outlet: OutletLimits = OutletLimits()
    message_bytes: int = 65_536
    messages_per_s: int = 50
    subscribe_within_s: float = 10.0
    close_s: float = 2.0
    """How long the client is given to answer our close."""


class SessionWire(Wire, Protocol):
    """How a session's messages are put on its transport."""

    def message(self, notice: Notice) -> bytes:
        """A message as it is written."""

    def farewell(self, code: CloseCode, reason: str) -> bytes | None:
        """What says why it ends; None where a close frame does."""


class _WebSocketWire:
    framing: Framing = WebSocketFraming()

    def message(self, notice: Notice) -> bytes:
        return text_frame(encode(notice))

    def farewell(self, code: CloseCode, reason: str) -> bytes | None:  # noqa: ARG002 - the protocol's
        return None

    def heartbeat(self) -> bytes:
        return text_frame(encode(Hb(ts=now_ms())))

    def ping(self) -> bytes | None:
        return PING_FRAME


_WIRE = _WebSocketWire()


class Session:
    """One browser's socket, and its subscriptions' sink. `serve` waits; all else is synchronous."""

    def __init__(
        self,
        session_id: str,
        transport: asyncio.Transport,
        hub: Hub,
        *,
        door: Door,
        credentials: Credentials,
        limits: SessionLimits,
        jitter: float,
        wire: SessionWire = _WIRE,
        stream_id: str | None = None,
    ) -> None:
        self.session_id = session_id
        self._stream_id = stream_id
        self._wire = wire
        self.scheduled = -1
        self._hub = hub
        self._door = door
        self._limits = limits
        self.viewings = Subscriptions(hub, credentials, limits.viewings, refused=self.refused)
        self._bucket = TokenBucket.full(rate_per_s=limits.messages_per_s, now_s=hub.ticker.next_s)
        self._malformed = 0
        self._empty_since_s = hub.ticker.next_s
        self._ending: tuple[CloseCode, str] | None = None
        self._deadline: asyncio.Timeout | None = None
        self.outlet = Outlet(
            transport, hub, wire, limits=limits.outlet, jitter=jitter, end=self.end
        )
        self.outlet.is_mute = door is Door.BACKEND
        self.framing = self.outlet.framing
        # The hot path of every delivered message: no method of ours in between.
        self.can_take = self.outlet.can_take
        self.push = self.outlet.push
        self.offer = self.outlet.offer

    def notify(self, notice: Notice) -> None:
        """See `ports.Sink`."""
        if not self.outlet.is_mute:
            self.outlet.send_control(self._wire.message(notice))

    # -- life

    async def serve(self, ws: web.WebSocketResponse, *, begin: Callable[[], None]) -> None:
        """Read and obey until the client goes or has to; `begin` subscribes to what it came for."""
        self._greet()
        self._begin(begin, self.viewings.answer_all)
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._apply_ending()
                while self._receive(await ws.receive()):
                    pass
        except TimeoutError:
            if self._ending is None:
                raise
        if self._ending is not None:
            code, reason = self._ending
            async with asyncio.timeout(self._limits.close_s):
                await ws.close(code=code, message=reason.encode()[:120])

    async def serve_events(self, *, begin: Callable[[], None]) -> None:
        """Send until the client goes or has to. What it says comes by `take`.

        A cancellation, with the client's request, loses nothing: the caller closes.
        """
        # It cannot answer pings: that it takes what is sent is its sign of life.
        self.outlet.is_listened_to = False
        self._greet()
        self._begin(begin)
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._apply_ending()
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            if self._ending is None:
                raise

    def _begin(self, *steps: Callable[[], None]) -> None:
        """Subscribe to what the client came for: trouble with it ends the open connection."""
        try:
            for step in steps:
                step()
        except BffError as error:
            self._send_error(error)
            self.end(error.outcome.close or CloseCode.TOO_MANY, error.message)
        except Exception as exc:  # noqa: BLE001 - the last line before the socket
            contain(self, "session.crashed", exc, session_id=self.session_id)

    def _greet(self) -> None:
        self.outlet.start()
        self._hub.ticker.wake(self)
        if self._door is not Door.BACKEND:
            self.notify(self._hello())

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the socket with `code`, soon; nothing more is taken or sent."""
        if self._ending is not None:
            return
        self._ending = (code, reason)
        farewell = self._wire.farewell(code, reason)
        if farewell is not None:
            self.outlet.send_last(farewell)
        self.outlet.is_ended = True
        self._apply_ending()
        if code is not CloseCode.SERVICE_RESTART:
            logger.info("session.ended", session_id=self.session_id, code=int(code), reason=reason)

    def _apply_ending(self) -> None:
        if self._ending is not None and self._deadline is not None:
            self._deadline.reschedule(0)

    def bye(self, *, after_ms: int) -> None:
        """Say that we are going, and go."""
        if not self.outlet.is_mute:
            goodbye = Bye(code=CloseCode.SERVICE_RESTART, after_ms=after_ms)
            self.outlet.send_last(self._wire.message(goodbye))
        self.end(CloseCode.SERVICE_RESTART, "restarting: come back and resume")

    def crashed(self) -> None:
        """See `Ticked`."""
        self.end(CloseCode.INTERNAL, INTERNAL_REASON)

    def close(self) -> None:
        """Let go of everything; the socket is gone."""
        self.outlet.is_ended = True
        self.viewings.close()

    def tick(self, now_s: float) -> float:
        """Answer subscriptions that waited long enough; end a socket that watches nothing."""
        if self.outlet.is_ended:
            return inf
        self.viewings.answer_overdue(now_s)
        if self.viewings or self._door is not Door.STREAM:
            return self.viewings.overdue_s
        closes_s = self._empty_since_s + self._limits.subscribe_within_s
        if now_s >= closes_s:
            self.end(CloseCode.NOTHING_SUBSCRIBED, "nothing subscribed: subscribe to a run")
            return inf
        return closes_s

    def refused(self, error: BffError, *, sid: int | None, re: RequestId | None) -> None:
        """The backend does not allow a viewing (any more)."""
        self._look_again()
        self._send_error(error, sid=sid, re=re)
        close = error.outcome.close
        if self._door is not Door.STREAM and close is not None:
            self.end(close, error.message)

    # -- what comes in

    def _receive(self, message: WSMessage) -> bool:
        """Take one message; False when it was the last."""
        self.outlet.heard()
        match message.type:
            case WSMsgType.TEXT:
                self.take(message.data)
            case WSMsgType.BINARY:
                self._refuse_malformed(InvalidMessage("invalid JSON: send text, not binary"))
            case WSMsgType.PING:
                self.outlet.pong(pong_frame(bytes(message.data)))
            case WSMsgType.PONG:
                pass
            case _:
                return False
        return True

    def take(self, data: bytes) -> None:
        """Obey one message, whichever way it came; what is wrong with it is answered."""
        try:
            self._take(data)
        except Exception as exc:  # noqa: BLE001 - the last line before the socket
            contain(self, "session.crashed", exc, session_id=self.session_id)

    def _take(self, data: bytes) -> None:
        if self.outlet.is_mute:
            self.outlet.is_mute = False
            self.viewings.repeat_news()
        if not self._bucket.take(now_s=self._hub.ticker.next_s):
            self._refuse_excess(data)
            return
        try:
            command = decode_command(data)
        except InvalidMessage as invalid:
            self._refuse_malformed(invalid)
            return
        self._malformed = 0
        self.accept(command, data)

    def accept(self, command: Command, data: bytes = b"") -> None:
        """Obey a command; what is wrong with it is answered. `data`: its text, to be echoed."""
        try:
            self._obey(command, data)
        except BffError as error:
            sid = command.sid if isinstance(command, Ctrl | Unsubscribe) else None
            re = command.id if isinstance(command, Ctrl | Unsubscribe | Subscribe) else None
            self._send_error(error, sid=sid, re=re)

    def _obey(self, command: Command, data: bytes) -> None:  # noqa: C901 - a case a command
        match command:
            case Ctrl():
                subscription = self.viewings.find(command.sid)
                subscription.answer()
                if self._door is Door.BACKEND:
                    self.outlet.send_control(text_frame(echo(data)))
                mode = subscription.viewer.cursor.mode
                subscription.command(cursor_command(command, mode), command.id)
            case Subscribe():
                if self._door is not Door.STREAM:
                    raise InvalidRequest(
                        "this address watches one run: subscribe to others at /api/v1/stream"
                    )
                self.viewings.subscribe(command, self)
                self._hub.ticker.wake(self)
            case Unsubscribe():
                if self._door is not Door.STREAM:
                    raise InvalidRequest("this address watches one run: close the socket instead")
                sid = self.viewings.unsubscribe(command.sid)
                self._look_again()
                self.notify(Unsubscribed(re=UNSET if command.id is None else command.id, sid=sid))
            case Ping(ts):
                self.notify(Pong(ts=ts, srv=now_ms()))
            case ClientHeartbeat():
                pass

    def _look_again(self) -> None:
        """A subscription has gone, perhaps the last."""
        self._empty_since_s = self._hub.ticker.next_s
        self._hub.ticker.wake(self)

    def refuse(self, invalid: InvalidMessage) -> None:
        """Answer what means nothing."""
        self._send_error(InvalidRequest(invalid.reason), re=invalid.request_id)

    def _refuse_malformed(self, invalid: InvalidMessage) -> None:
        self.refuse(invalid)
        self._malformed += 1
        if self._malformed >= _MALFORMED_IN_A_ROW and self._door is not Door.BACKEND:
            self.end(CloseCode.MALFORMED, "malformed messages: " + invalid.reason)

    def _refuse_excess(self, data: bytes) -> None:
        rate, refused = self._limits.messages_per_s, self._bucket.refused
        re = request_id(data)
        if re is not None or refused % rate == 1 or rate == 1:
            self._send_error(RateLimited(f"more than {rate} messages a second: send fewer"), re=re)
        if refused > rate * _ABUSE_S and self._door is not Door.BACKEND:
            self.end(CloseCode.ABUSED, "far too many messages")

    def _send_error(
        self, error: BffError, *, sid: int | None = None, re: RequestId | None = None
    ) -> None:
        self.notify(
            Err(
                re=UNSET if re is None else re,
                sid=UNSET if sid is None else sid,
                code=error.code,
                msg=error.message,
                details=error.details or UNSET,
            )
        )

    def _hello(self) -> Hello:
        limits = self._limits
        return Hello(
            session=self.session_id,
            stream=UNSET if self._stream_id is None else self._stream_id,
            hb_ms=round(limits.outlet.heartbeat_s * 1e3),
            limits=Limits(
                subscriptions=limits.viewings.subscriptions,
                message_bytes=limits.message_bytes,
                messages_per_s=limits.messages_per_s,
            ),
        )
