"""JSON as text: changed only where it must be, so that everything else stays as it was written."""

import re
from typing import Final

import msgspec

MAX_EXACT: Final = 1 << 53
"""Integers beyond this one, either way, cannot all be told apart as floats."""

_LONG: Final = re.compile(rb"[:,\[\s-][1-9][0-9]{15}|\A[1-9][0-9]{15}")
_INTEGER: Final = rb"(?<![0-9.eE+-])-?[1-9][0-9]{15,}(?![0-9.eE])"
_LONG_INTEGERS: Final = re.compile(_INTEGER)
_TOKENS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|' + _INTEGER, re.DOTALL)
_LINE_BREAKS: Final = b"\r\n"
_LEAST_CHARS: Final = 16


def on_one_line(text: bytes) -> bytes:
    """Valid JSON without line breaks: outside of strings they mean nothing, inside are none."""
    if b"\n" in text or b"\r" in text:
        return text.translate(None, _LINE_BREAKS)
    return text


def with_exact_integers(text: bytes) -> bytes:
    """Valid JSON in which integers beyond 2^53 are text; all else keeps its bytes.

    A number with a fraction or an exponent is no integer. Linear time; if no number is that long,
    one search.
    """
    if _LONG.search(text) is None:
        return text
    if b"\\" in text:
        return _TOKENS.sub(_exact, text)
    pieces: list[bytes] = []
    done = looked = 0
    is_inside = False
    for found in _LONG_INTEGERS.finditer(text):
        # Without escapes an odd number of quotes before it means that it is inside a string.
        start = found.start()
        is_inside ^= bool(text.count(b'"', looked, start) & 1)
        looked = start
        if not is_inside:
            pieces += (text[done:start], _exact(found))
            done = found.end()
    return b"".join([*pieces, text[done:]])


def _exact(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    is_beyond = len(text) > _LEAST_CHARS + 1 or abs(int(text)) > MAX_EXACT
    return b'"%b"' % text if is_beyond else text


def without_member(text: bytes, name: str) -> bytes:
    """Valid JSON whose objects, at any depth, have no member of this name.

    Objects and arrays lose the blanks around their members; members that stay keep their text.

    Raises:
        msgspec.MsgspecError, RecursionError: it is no JSON, or too deep.
    """
    start = text.lstrip()[:1]
    if start == b"{":
        members = _MEMBERS.decode(text)
        kept = {
            key: msgspec.Raw(without_member(bytes(raw), name))
            for key, raw in members.items()
            if key != name
        }
        return _encode(kept)
    if start == b"[":
        return _encode(
            [msgspec.Raw(without_member(bytes(raw), name)) for raw in _ITEMS.decode(text)]
        )
    return text


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
