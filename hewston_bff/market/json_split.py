"""Splits a long JSON list of objects without parsing it, so that it can be decoded in parts.

A split in the wrong place, in a string or between nested objects, leaves a part that is not JSON:
then the body has to be decoded whole.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

_PART_BYTES = 1 << 16
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
# Members of simple values.
_MEMBERS = rb'\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*)*'


def list_opening(name: bytes) -> re.Pattern[bytes]:
    """Matches all that comes before the first object of the list `name` of an object."""
    return re.compile(rb"\s*" + _MEMBERS + rb'"' + name + rb'"\s*:\s*\[\s*(?=\{)')


def split_points(body: bytes, opening: re.Pattern[bytes]) -> list[int]:
    """Offsets of objects about 64 KiB apart, the list's first among them.

    Empty if `body` does not begin with `opening`.
    """
    begin = opening.match(body)
    if begin is None:
        return []
    found = [begin.end()]
    while (between := _BETWEEN.search(body, found[-1] + _PART_BYTES)) is not None:
        found.append(between.end())
    return found


def split_lists(body: bytes, points: list[int]) -> Iterator[bytes]:
    """The objects between each two points as a JSON list; what follows the last is not given."""
    for start, end in pairwise(points):
        yield b"[" + body[start:end].rstrip(b", \t\r\n") + b"]"
