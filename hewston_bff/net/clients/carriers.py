"""How messages travel to a client: as text frames of a WebSocket, or as Server-Sent Events."""

from collections.abc import Callable
from typing import Final, Protocol

from hewston_bff.errors import ErrorCode
from hewston_bff.events.encoding import event_text
from hewston_bff.events.event import Event
from hewston_bff.net.clients.ws_frames import PING_FRAME, WebSocketFraming, text_frame
from hewston_bff.ports import Framing
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.dialects import Dialect, EventStyle
from hewston_bff.protocol.event_stream import event as as_event
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Bye, Closed, Err, Hb, Notice, encode

RETRY_MS: Final = 2_000

Pack = Callable[[bytes], bytes]
"""How a part of a body goes over the connection."""


class ClientCarrier(Protocol):
    """The way of one client's messages: bytes for its transport, nothing is sent here.

    Where a dialect has no such message, or the carrier no such thing, the bytes are none: b"".
    """

    framing: Framing
    """For `frame` messages. One object for all clients of a kind: frames are shared by it."""
    hears_client: bool
    """Whether the client can speak here, so that its silence means something."""
    ping: bytes
    """What asks whether the client lives."""

    def text(self, name: str, text: bytes) -> bytes:
        """A message of this `t` as it is written, whether the dialect has it or not."""

    def message(self, notice: Notice) -> bytes:
        """A notice as it is written."""

    def heartbeat(self, now_ms: int) -> bytes:
        """What says that we are here."""

    def goodbye(self, bye: Bye) -> bytes:
        """What says when to come back."""

    def farewell(self, code: CloseCode, reason: str) -> bytes:
        """What says why it ends."""


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def as_it_is(data: bytes) -> bytes:
    """`data` as a part of an HTTP/1.0 body, which ends with the connection."""
    return data


def retry(after_ms: int) -> bytes:
    """What tells an `EventSource` how long to wait before it comes back."""
    return b"retry: %d\n\n" % after_ms


_SOCKET_FRAMINGS: Final = {style: WebSocketFraming(style) for style in EventStyle}
"""One of each for all clients: framed messages are shared by their framing."""


class SocketCarrier:
    """Text messages in WebSocket frames; a close frame says why it ends."""

    hears_client = True
    ping = PING_FRAME

    def __init__(self, dialect: Dialect) -> None:
        self._sent = frozenset(dialect.sent)
        self.framing: Framing = _SOCKET_FRAMINGS[dialect.event_style]

    def text(self, name: str, text: bytes) -> bytes:  # noqa: ARG002 - it is in the text
        """See `Carrier`."""
        return text_frame(text)

    def message(self, notice: Notice) -> bytes:
        """See `Carrier`."""
        return text_frame(encode(notice)) if type(notice) in self._sent else b""

    def heartbeat(self, now_ms: int) -> bytes:
        """See `Carrier`."""
        return self.message(Hb(ts=now_ms))

    def goodbye(self, bye: Bye) -> bytes:
        """See `Carrier`."""
        return self.message(bye)

    def farewell(self, code: CloseCode, reason: str) -> bytes:  # noqa: ARG002 - the protocol's
        """See `Carrier`."""
        return b""


class EventFraming:
    """How `frame` messages go over an event stream.

    Of one run they have an id, which `Last-Event-ID` brings back. Of many they have none: one id
    cannot say where several runs stood, and one that names them all would have to be written for
    each client. Who comes back there subscribes with `resume`.
    """

    def __init__(self, pack: Pack, *, has_ids: bool) -> None:
        self._pack = pack
        self._has_ids = has_ids

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """See `ports.Framing`."""
        return self._pack(
            as_event("frame", text, event_id=f"{epoch}:{seq}" if self._has_ids else None)
        )

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:
        """See `ports.Framing`."""
        event_id = str(event.id) if self._has_ids else None
        return self._pack(as_event("event", event_text(event, n, sid), event_id=event_id))


_FRAMINGS: Final[dict[tuple[Pack, bool], EventFraming]] = {
    (pack, has_ids): EventFraming(pack, has_ids=has_ids)
    for pack in (chunk, as_it_is)
    for has_ids in (False, True)
}
"""One of each for all clients: encoded frames are shared by their framing."""


class EventCarrier:
    """Server-Sent Events, each named as its message's `t`.

    A client cannot pong: that it takes what is sent is its sign of life.
    """

    hears_client = False
    ping = b""

    def __init__(self, dialect: Dialect, pack: Pack = chunk) -> None:
        self._sent = frozenset(dialect.sent)
        self._pack = pack
        self.framing: Framing = _FRAMINGS[pack, dialect.is_of_one_topic]

    def text(self, name: str, text: bytes) -> bytes:
        """See `Carrier`."""
        return self._pack(as_event(name, text))

    def message(self, notice: Notice) -> bytes:
        """See `Carrier`."""
        text = self._event(notice)
        return self._pack(text) if text else b""

    def _event(self, notice: Notice) -> bytes:
        if type(notice) not in self._sent:
            return b""
        return as_event(str(notice.__struct_config__.tag), encode(notice))

    def heartbeat(self, now_ms: int) -> bytes:
        """See `Carrier`: an event if there is one, for a page's watchdog sees no comments."""
        return self.message(Hb(ts=now_ms)) or self._pack(b": hb\n\n")

    def goodbye(self, bye: Bye) -> bytes:
        """See `Carrier`."""
        return self._pack(retry(bye.after_ms) + self._event(bye))

    def farewell(self, code: CloseCode, reason: str) -> bytes:
        """See `Carrier`: without `closed`, only our own fault is told."""
        closed = self.message(Closed(code=code, reason=reason))
        if closed or code is not CloseCode.INTERNAL:
            return closed
        return self.message(Err(code=ErrorCode.INTERNAL, msg=reason))
