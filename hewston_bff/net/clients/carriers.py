"""How messages travel to a client: as text frames of a WebSocket, or as Server-Sent Events."""

from collections.abc import Callable
from typing import Final, Protocol

from hewston_bff.errors import ErrorCode
from hewston_bff.net.clients.ws_frames import PING_FRAME, WebSocketFraming, text_frame
from hewston_bff.ports import Framing
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.dialects import Dialect
from hewston_bff.protocol.event_stream import event
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Bye, Closed, Err, Hb, Notice, encode

RETRY_MS: Final = 2_000

Pack = Callable[[bytes], bytes]
"""How a part of a body goes over the connection."""


class Carrier(Protocol):
    """The way of one client's messages: bytes for its transport, nothing is sent here."""

    framing: Framing
    """For `frame` messages. One object for all clients of a kind: frames are shared by it."""
    hears_client: bool
    """Whether the client can speak here, so that its silence means something."""
    ping: bytes | None
    """What asks whether the client lives; None where there is no such thing."""

    def text(self, name: str, text: bytes) -> bytes:
        """A message of this `t` as it is written."""

    def heartbeat(self, now_ms: int) -> bytes:
        """What says that we are here."""

    def goodbye(self, bye: Bye) -> bytes:
        """What says when to come back; empty if the client is told of nothing."""

    def farewell(self, code: CloseCode, reason: str) -> bytes:
        """What says why it ends; empty where something else does, or nothing."""


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def as_it_is(data: bytes) -> bytes:
    """`data` as a part of an HTTP/1.0 body, which ends with the connection."""
    return data


def retry(after_ms: int) -> bytes:
    """What tells an `EventSource` how long to wait before it comes back."""
    return b"retry: %d\n\n" % after_ms


class SocketCarrier:
    """Text messages in WebSocket frames; a close frame says why it ends."""

    framing: Framing = WebSocketFraming()
    hears_client = True
    ping: bytes | None = PING_FRAME

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def text(self, name: str, text: bytes) -> bytes:  # noqa: ARG002 - it is in the text
        """See `Carrier`."""
        return text_frame(text)

    def heartbeat(self, now_ms: int) -> bytes:
        """See `Carrier`."""
        return text_frame(encode(Hb(ts=now_ms)))

    def goodbye(self, bye: Bye) -> bytes:
        """See `Carrier`."""
        return text_frame(encode(bye)) if Bye in self._dialect.sent else b""

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
            event("frame", text, event_id=f"{epoch}:{seq}" if self._has_ids else None)
        )


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
    ping: bytes | None = None

    def __init__(self, dialect: Dialect, pack: Pack = chunk) -> None:
        self._dialect = dialect
        self._pack = pack
        self.framing: Framing = _FRAMINGS[pack, dialect.is_of_one_run]

    def text(self, name: str, text: bytes) -> bytes:
        """See `Carrier`."""
        return self._pack(event(name, text))

    def heartbeat(self, now_ms: int) -> bytes:
        """See `Carrier`: an event if there is one, for a page's watchdog sees no comments."""
        return self._message(Hb(ts=now_ms)) or self._pack(b": hb\n\n")

    def goodbye(self, bye: Bye) -> bytes:
        """See `Carrier`."""
        text = event("bye", encode(bye)) if Bye in self._dialect.sent else b""
        return self._pack(retry(bye.after_ms) + text)

    def farewell(self, code: CloseCode, reason: str) -> bytes:
        """See `Carrier`."""
        if Closed in self._dialect.sent:
            return self._message(Closed(code=code, reason=reason))
        # Else the client comes back by itself, and only our own fault has to be told.
        is_ours = code is CloseCode.INTERNAL
        return self._message(Err(code=ErrorCode.INTERNAL, msg=reason)) if is_ours else b""

    def _message(self, notice: Notice) -> bytes:
        if type(notice) not in self._dialect.sent:
            return b""
        return self.text(str(notice.__struct_config__.tag), encode(notice))
