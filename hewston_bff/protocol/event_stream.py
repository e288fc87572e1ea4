"""Parses and writes Server-Sent Events. Source: WHATWG HTML, section 9.2."""

from collections.abc import Iterator
from typing import Final

OVERSIZED: Final = "oversized"
"""The name reported for an event longer than the limit; its data is dropped."""
_HALF_AN_END = 3
"""Bytes to keep, as they may begin an event's end: all of it but the last line feed."""


class EventParser:
    """Bytes in, events out; buffers the unfinished one."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._is_skipping = False

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that `data` completes, each as (name, data); comments are ignored."""
        text = (self._rest + data).replace(b"\r\n", b"\n")
        *blocks, self._rest = text.split(b"\n\n")
        for block in blocks:
            if self._is_skipping:
                self._is_skipping = False
            elif len(block) > self._max_bytes:
                yield OVERSIZED, b""
            else:
                yield from _parse(block)
        if len(self._rest) > self._max_bytes:
            if not self._is_skipping:
                yield OVERSIZED, b""
            self._is_skipping = True
            self._rest = self._rest[-_HALF_AN_END:]


def _parse(block: bytes) -> Iterator[tuple[str, bytes]]:
    name, lines = "message", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    if lines or name != "message":
        yield name, b"\n".join(lines)


def event(name: str, data: bytes, *, event_id: str | None = None) -> bytes:
    """One event as text; `data` must hold no line break."""
    head = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"%bevent: %b\ndata: %b\n\n" % (head, name.encode(), data)
