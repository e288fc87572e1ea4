"""Server-Sent Events as bytes: no sockets in here. Source: WHATWG HTML 9.2, RFC 9112 7.1."""

from collections.abc import Callable
from typing import NamedTuple

from hewston_bff.tools.loadtest.wire import MAX_PAYLOAD_BYTES, BadReply

_MAX_SIZE_LINE = 1_024


class StreamEvent(NamedTuple):
    """One event; `data` is its lines joined by line feeds."""

    name: str
    data: bytes


class ChunkReader:
    """Takes the chunks of a response body apart; `is_over` when the last one was read."""

    def __init__(self) -> None:
        self.is_over = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What of the body can be read now.

        Raises:
            BadReply: it is not chunked as it should be.
        """
        data = self._rest + data
        parts: list[bytes] = []
        at = 0
        while True:
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if len(data) - at > _MAX_SIZE_LINE:
                    raise BadReply("a chunk without a size")
                break
            size = _chunk_size(data[at:line_end])
            stop = line_end + 2 + size
            if len(data) < stop + 2:
                break
            parts.append(data[line_end + 2 : stop])
            self.is_over = self.is_over or size == 0
            at = stop + 2
        self._rest = data[at:]
        return b"".join(parts)


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.partition(b";")[0], 16)
    except ValueError as exc:
        raise BadReply("a chunk whose size is no number") from exc
    if not 0 <= size <= MAX_PAYLOAD_BYTES:
        raise BadReply("a chunk longer than any message may be")
    return size


class EventReader:
    """Takes an event stream apart; `on_event` gets each event that has data."""

    def __init__(self, *, on_event: Callable[[StreamEvent], None]) -> None:
        self._on_event = on_event
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next part of the stream, cut anywhere."""
        data = self._rest + data
        if b"\r" in data:
            # A line end cut in two waits with its event: nothing ends between them.
            data = data.replace(b"\r\n", b"\n")
        *blocks, self._rest = data.split(b"\n\n")
        for block in blocks:
            event = _event(block)
            if event.data:
                self._on_event(event)


def _event(block: bytes) -> StreamEvent:
    name = "message"
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return StreamEvent(name, b"\n".join(lines))
