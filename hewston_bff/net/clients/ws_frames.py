"""Ready WebSocket frames, written straight to the transport.

A frame built once can go to a thousand sockets; aiohttp's own sender builds its header and passes
three coroutines for each of them. It is safe beside aiohttp's sender because both write whole
frames in one call, without compression (never negotiated) and without fragments.
Source: RFC 6455, 5.2.
"""

import asyncio
import socket
from typing import Final

from hewston_bff.events.encoding import TEXTS
from hewston_bff.events.event import Event
from hewston_bff.protocol.dialects import EventStyle
from hewston_bff.protocol.ids import Epoch

_TEXT: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A
NOTSENT_LOWAT_BYTES: Final = 16_384
"""What the kernel may hold unsent: the rest stays with us, where it can still be merged."""

PING_FRAME: Final = bytes((_PING, 0))


def text_frame(payload: bytes) -> bytes:
    """An unmasked text message in one frame."""
    return _header(_TEXT, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping; `payload` of at most 125 bytes."""
    return _header(_PONG, len(payload)) + payload


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2)
    return bytes((first, 127)) + size.to_bytes(8)


class WebSocketFraming:
    """How frames and events go over a WebSocket: as text messages."""

    def __init__(self, style: EventStyle = EventStyle.STREAM) -> None:
        self._text = TEXTS[style]

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:  # noqa: ARG002 - the port's
        """See `ports.Framing`."""
        return text_frame(text)

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:
        """See `ports.Framing`."""
        return text_frame(self._text(event, n, sid))


def prepare_transport(transport: asyncio.Transport, *, high_water_bytes: int) -> None:
    """Make slowness visible: little in the kernel, and a known bound in our own buffer."""
    transport.set_write_buffer_limits(high=high_water_bytes)
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
