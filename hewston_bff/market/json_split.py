"""Splits a long JSON list of objects, so that it can be decoded piece by piece.

A split in the wrong place, in a string or between nested objects, leaves a piece that is not JSON:
then the body has to be decoded whole.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

_PIECE_BYTES = 1 << 16
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
# Members of simple values.
_MEMBERS = rb'\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*)*'


def head(name: bytes) -> re.Pattern[bytes]:
    """A pattern for everything before the first object of the list `name` of an object."""
    return re.compile(rb"\s*" + _MEMBERS + rb'"' + name + rb'"\s*:\s*\[\s*(?=\{)')


def cuts(body: bytes, before: re.Pattern[bytes]) -> list[int]:
    """Where pieces begin, at objects; empty if the body does not begin with `before`."""
    begin = before.match(body)
    if begin is None:
        return []
    found = [begin.end()]
    while (between := _BETWEEN.search(body, found[-1] + _PIECE_BYTES)) is not None:
        found.append(between.end())
    return found


def pieces(body: bytes, at: list[int]) -> Iterator[bytes]:
    """All pieces but the last, each as a JSON list."""
    for start, end in pairwise(at):
        yield b"[" + body[start:end].rstrip(b", \t\r\n") + b"]"
