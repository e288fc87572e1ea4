import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.tools.loadtest.wire import (
    BadReply,
    FrameReader,
    Opcode,
    accepts,
    client_frame,
    parse_head,
    request,
    upgrade_headers,
)

TEXT, PING, CONTINUATION = Opcode.TEXT, Opcode.PING, Opcode.CONTINUATION


def _server_frame(opcode: int, payload: bytes, *, head: int = 0x80) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes((size,))
    elif size < 65_536:
        length = bytes((126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((127,)) + size.to_bytes(8, "big")
    return bytes((head | opcode,)) + length + payload


class _Seen:
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.controls: list[tuple[Opcode, bytes]] = []
        self.reader = FrameReader(
            on_message=lambda data, start, stop: self.messages.append(bytes(data[start:stop])),
            on_control=lambda opcode, payload: self.controls.append((opcode, payload)),
        )

    def feed(self, data: bytes, *, cuts: tuple[int, ...] = ()) -> "_Seen":
        # As from a shared buffer, which holds something else afterwards.
        buffer = bytearray(len(data) + 7)
        for start, stop in zip((0, *cuts), (*cuts, len(data)), strict=True):
            buffer[: stop - start] = data[start:stop]
            self.reader.feed(buffer, stop - start)
            buffer[:] = bytes(len(buffer))
        return self


@given(st.data(), st.lists(st.binary(max_size=300), max_size=8))
def test_messages_are_found_however_the_network_cuts_them(
    data: st.DataObject, payloads: list[bytes]
) -> None:
    stream = b"".join(_server_frame(TEXT, payload) for payload in payloads)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    assert _Seen().feed(stream, cuts=tuple(cuts)).messages == payloads


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 300_000])
def test_lengths_of_all_three_forms_are_read_bit_by_bit(size: int) -> None:
    stream = _server_frame(TEXT, b"x" * size) + _server_frame(TEXT, b"next")
    assert _Seen().feed(stream, cuts=tuple(range(1, 12))).messages == [b"x" * size, b"next"]


def test_fragments_are_joined_with_a_ping_between_them() -> None:
    stream = (
        _server_frame(TEXT, b"one, ", head=0)
        + _server_frame(PING, b"there?")
        + _server_frame(CONTINUATION, b"two, ", head=0)
        + _server_frame(CONTINUATION, b"three")
        + _server_frame(Opcode.BINARY, b"four")
    )
    seen = _Seen().feed(stream)
    assert seen.messages == [b"one, two, three", b"four"]
    assert seen.controls == [(PING, b"there?")]


@pytest.mark.parametrize(
    "stream",
    [
        _server_frame(TEXT, b"x", head=0xC0),
        _server_frame(3, b"x"),
        b"\x81\x85mask",
        b"\x81\x7f" + (1 << 40).to_bytes(8, "big"),
    ],
    ids=["extension bit", "unknown kind", "masked", "too long"],
)
def test_what_no_server_may_send_is_refused(stream: bytes) -> None:
    with pytest.raises(BadReply):
        _Seen().feed(stream)


@given(st.binary(max_size=70_000), st.binary(min_size=4, max_size=4))
def test_what_a_client_sends_unmasks_to_its_payload(payload: bytes, mask: bytes) -> None:
    sent = client_frame(TEXT, payload, mask=mask)
    assert sent[0] == 0x81
    assert sent[1] & 0x80
    size = len(payload)
    assert sent[len(sent) - size - 4 : len(sent) - size] == mask
    masked = sent[len(sent) - size :]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)) == payload


def test_the_handshake_is_the_example_of_the_rfc() -> None:
    key = base64.b64decode("dGhlIHNhbXBsZSBub25jZQ==")
    assert upgrade_headers(key)["Sec-WebSocket-Key"] == "dGhlIHNhbXBsZSBub25jZQ=="
    reply = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"SEC-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x00"
    )
    head = parse_head(reply)
    assert head is not None
    assert accepts(head, key)
    assert not accepts(head, b"another key")
    assert reply[head.size :] == b"\x81\x00"


def test_a_head_is_waited_for() -> None:
    assert parse_head(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n") is None


@pytest.mark.parametrize("reply", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 two\r\n\r\n", b"x" * 40_000])
def test_something_else_than_http_is_refused(reply: bytes) -> None:
    with pytest.raises(BadReply):
        parse_head(reply)


def test_a_request_is_a_get_with_its_headers() -> None:
    assert request("/a?b=c", {"Host": "x:1"}) == b"GET /a?b=c HTTP/1.1\r\nHost: x:1\r\n\r\n"
    with pytest.raises(ValueError, match="line break"):
        request("/", {"Origin": "a\r\nX: y"})
