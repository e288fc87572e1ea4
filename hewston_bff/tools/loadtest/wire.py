"""WebSocket and HTTP as bytes, the client's side: no sockets in here. Source: RFC 6455, 9112."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import NamedTuple

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEAD_BYTES = 32_768
MAX_PAYLOAD_BYTES = 16 << 20


class Opcode(IntEnum):
    """Kinds of WebSocket frames."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class BadReply(Exception):
    """Bytes that no server may send."""


class Head(NamedTuple):
    """An HTTP response up to its body. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    size: int
    """Bytes it took, the empty line included."""


def request(path: str, headers: Mapping[str, str]) -> bytes:
    """A GET request.

    Raises:
        ValueError: a header with a line break, which would end it early.
    """
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header may not hold a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upgrade_headers(key: bytes) -> dict[str, str]:
    """What turns a GET into a WebSocket handshake; `key` is 16 random bytes."""
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(key).decode(),
    }


def accepts(head: Head, key: bytes) -> bool:
    """Whether the response agrees to the handshake made with `key`. Source: RFC 6455, 4.2.2."""
    digest = hashlib.sha1(base64.b64encode(key) + _GUID, usedforsecurity=False).digest()
    accept = head.headers.get("sec-websocket-accept")
    return head.status == 101 and accept == base64.b64encode(digest).decode()


def parse_head(data: bytes) -> Head | None:
    """The response head that `data` starts with; None while it is not all there.

    Raises:
        BadReply: it is no HTTP, or longer than any sane head.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > _MAX_HEAD_BYTES:
            raise BadReply("a response head without an end")
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise BadReply("not an HTTP response")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(int(parts[1]), headers, end + 4)


def client_frame(opcode: Opcode, payload: bytes, *, mask: bytes) -> bytes:
    """A whole frame from client to server, masked with four random bytes."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    key = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + masked.to_bytes(size, "big")


class FrameReader:
    """Finds the messages in what a server sends, however the network cut it up.

    `on_message(data, start, stop)` gets the bounds of a text message's payload: nothing is copied
    where it lies whole in what was fed. The bytes are valid during the call only.
    `on_control(opcode, payload)` gets pings, pongs and closes.
    """

    def __init__(
        self,
        *,
        on_message: Callable[[bytes | bytearray, int, int], None],
        on_control: Callable[[Opcode, bytes], None],
    ) -> None:
        self._on_message = on_message
        self._on_control = on_control
        self._rest = b""
        self._parts: list[bytes] = []

    def feed(self, data: bytes | bytearray, size: int) -> None:
        """Take `data[:size]`.

        Raises:
            BadReply: it breaks the rules for frames.
        """
        if self._rest:
            data = self._rest + data[:size]
            size = len(data)
        on_message = self._on_message
        at = 0
        while size - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length == 126:
                start = at + 4
                length = data[at + 2] << 8 | data[at + 3] if size >= start else 0
            elif length > 126:
                start = at + 10
                length = _long_length(data, at, size)
            stop = start + length
            if stop > size:
                break
            if data[at] == 0x81:
                on_message(data, start, stop)
            else:
                self._unusual(data[at], bytes(data[start:stop]))
            at = stop
        self._rest = bytes(data[at:size])

    def _unusual(self, head: int, payload: bytes) -> None:
        if head & 0x70:
            raise BadReply("a frame with bits of an extension that was not asked for")
        try:
            opcode = Opcode(head & 0x0F)
        except ValueError as exc:
            raise BadReply("a frame of an unknown kind") from exc
        if opcode >= Opcode.CLOSE:
            self._on_control(opcode, payload)
            return
        self._parts.append(payload)
        if head & 0x80:
            message = b"".join(self._parts)
            self._parts.clear()
            self._on_message(message, 0, len(message))


def _long_length(data: bytes | bytearray, at: int, size: int) -> int:
    """The length of a frame that does not fit 16 bits; 0 while it is not all there."""
    if data[at + 1] != 127:
        raise BadReply("a masked frame from a server")
    length = int.from_bytes(data[at + 2 : at + 10], "big") if size >= at + 10 else 0
    if length > MAX_PAYLOAD_BYTES:
        raise BadReply("a frame longer than any message may be")
    return length
