"""What a client says: read, limited, and obeyed or answered with what is wrong with it."""

from typing import Final, Protocol

from aiohttp import WSMessage, WSMsgType, web
from msgspec import UNSET

from hewston_bff.errors import BffError, InvalidRequest, RateLimited
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.subscriptions import Subscriptions
from hewston_bff.hub.ticker import Ticked, contain
from hewston_bff.net.clients.carriers import ClientCarrier
from hewston_bff.net.clients.client_writer import ClientWriter
from hewston_bff.net.clients.ws_frames import pong_frame
from hewston_bff.net.clock import now_ms
from hewston_bff.net.limits.token_bucket import TokenBucket
from hewston_bff.ports import Sink
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.commands import (
    ClientHeartbeat,
    Command,
    Ctrl,
    InvalidMessage,
    Ping,
    RequestId,
    Subscribe,
    SubscribeEvents,
    Unsubscribe,
    decode_command,
    echo,
    request_id,
)
from hewston_bff.protocol.dialects import Dialect
from hewston_bff.protocol.notices import Pong, Unsubscribed

_MALFORMED_IN_A_ROW: Final = 3
_ABUSE_S: Final = 10
"""Seconds' worth of messages, by which a client that sends more than it may has to go."""


class Speaker(Sink, Ticked, Protocol):
    """The session whose client speaks."""

    session_id: str
    subscriptions: Subscriptions
    writer: ClientWriter
    carrier: ClientCarrier

    def send_error(
        self, error: BffError, *, sid: int | None = None, re: RequestId | None = None
    ) -> None:
        """What went wrong."""

    def spoken_to(self) -> None:
        """The client has said something."""

    def subscription_gone(self) -> None:
        """A subscription has gone."""


class CommandReader:
    """Reads one client's messages. Synchronous, but for waiting for the next one."""

    def __init__(
        self, session: Speaker, hub: Hub, dialect: Dialect, *, messages_per_s: int
    ) -> None:
        self._session = session
        self._hub = hub
        self._dialect = dialect
        self._messages_per_s = messages_per_s
        self._bucket = TokenBucket.full(rate_per_s=messages_per_s, now_s=hub.ticker.next_s)
        self._malformed = 0

    async def read(self, ws: web.WebSocketResponse) -> None:
        """Obey what comes from a socket until it closes. A cancellation loses no message."""
        while self._receive(await ws.receive()):
            pass

    def _receive(self, message: WSMessage) -> bool:
        """Take one message; False when it was the last."""
        self._session.writer.heard()
        match message.type:
            case WSMsgType.TEXT:
                self.take(message.data)
            case WSMsgType.BINARY:
                self._refuse_malformed(InvalidMessage("invalid JSON: send text, not binary"))
            case WSMsgType.PING:
                self._session.writer.pong(pong_frame(bytes(message.data)))
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
            contain(self._session, "session.crashed", exc, session_id=self._session.session_id)

    def _take(self, data: bytes) -> None:
        self._session.spoken_to()
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
            re = (
                command.id
                if isinstance(command, Ctrl | Unsubscribe | Subscribe | SubscribeEvents)
                else None
            )
            self._session.send_error(error, sid=sid, re=re)

    def _obey(self, command: Command, data: bytes) -> None:
        session = self._session
        match command:
            case Ctrl():
                subscription = session.subscriptions.find(command.sid)
                subscription.answer()
                if self._dialect.echoes_ctrl:
                    session.writer.send_control(session.carrier.text("ctrl", echo(data)))
                subscription.obey(command)
            case Subscribe():
                self._require_many_runs("subscribe to others at /api/v1/stream")
                session.subscriptions.subscribe(command, session)
                self._hub.ticker.wake(session)
            case SubscribeEvents():
                self._require_many_runs("subscribe to others at /api/v1/stream")
                session.subscriptions.subscribe_events(command, session)
                self._hub.ticker.wake(session)
            case Unsubscribe():
                self._require_many_runs("close the socket instead")
                sid = session.subscriptions.unsubscribe(command.sid)
                session.subscription_gone()
                re = UNSET if command.id is None else command.id
                session.notify(Unsubscribed(re=re, sid=sid))
            case Ping(ts):
                session.notify(Pong(ts=ts, srv=now_ms()))
            case ClientHeartbeat():
                pass

    def _require_many_runs(self, instead: str) -> None:
        if self._dialect.is_of_one_topic:
            msg = f"this address watches one run: {instead}"
            raise InvalidRequest(msg)

    def refuse(self, invalid: InvalidMessage) -> None:
        """Answer what means nothing."""
        self._session.send_error(InvalidRequest(invalid.reason), re=invalid.request_id)

    def _refuse_malformed(self, invalid: InvalidMessage) -> None:
        self.refuse(invalid)
        self._malformed += 1
        if self._malformed >= _MALFORMED_IN_A_ROW and not self._dialect.is_forgiving:
            self._session.end(CloseCode.MALFORMED, "malformed messages: " + invalid.reason)

    def _refuse_excess(self, data: bytes) -> None:
        rate, refused = self._messages_per_s, self._bucket.refused
        re = request_id(data)
        if re is not None or refused % rate == 1 or rate == 1:
            error = RateLimited(f"more than {rate} messages a second: send fewer")
            self._session.send_error(error, re=re)
        if refused > rate * _ABUSE_S and not self._dialect.is_forgiving:
            self._session.end(CloseCode.ABUSED, "far too many messages")
