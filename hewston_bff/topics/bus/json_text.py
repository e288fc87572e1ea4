"""JSON as text: changed only where it must be, so that everything else stays as it was written."""

import re
from typing import Final

import msgspec

MAX_EXACT: Final = 1 << 53
"""Integers beyond this one, either way, cannot all be told apart as floats."""

_DIGITS: Final = b"0" * 16
_KINDS: Final = bytes(
    ord("0") if byte in b"0123456789" else ord(":") if byte in b":,[-\t\n\r " else ord("x")
    for byte in range(256)
)
"""Each byte's kind: a digit, what may stand before a number, or anything else."""
_START: Final = b":" + _DIGITS
_FRACTION: Final = (b".", b"e", b"E")
_POWER: Final = (b"e", b"E")
_REST: Final = re.compile(rb"[0-9]+")
_TOKENS: Final = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![0-9.eE+-])-?[1-9][0-9]{15,}(?![0-9.eE])', re.DOTALL
)
_LINE_BREAKS: Final = b"\r\n"
_LEAST_CHARS: Final = 16


def on_one_line(text: bytes) -> bytes:
    """Valid JSON without line breaks: outside of strings they mean nothing, inside are none."""
    if b"\n" in text or b"\r" in text:
        return text.translate(None, _LINE_BREAKS)
    return text


def with_exact_integers(text: bytes) -> bytes:
    """Valid JSON in which integers beyond 2^53 are text; all else keeps its bytes.

    A number with a fraction or an exponent is no integer. Linear time; without a number that long
    two passes in C: regular expressions take twenty times as long.
    """
    kinds = text.translate(_KINDS)
    if _START not in kinds and not kinds.startswith(_DIGITS):
        return text
    if b"\\" in text or kinds.startswith(_DIGITS):
        return _TOKENS.sub(lambda token: _exact(token[0]), text)
    pieces: list[bytes] = []
    done = looked = 0
    is_inside = False
    at = kinds.find(_START) + 1
    while at:
        # Without escapes an odd number of quotes before it means that it is inside a string.
        is_inside ^= bool(text.count(b'"', looked, at) & 1)
        looked = at
        end = _REST.match(text, at).end()  # type: ignore[union-attr]  # a digit is there
        start = at - 1 if text[at - 1 : at] == b"-" else at
        if not (is_inside or text[end : end + 1] in _FRACTION or text[start - 1 : start] in _POWER):
            pieces += (text[done:start], _exact(text[start:end]))
            done = end
        at = kinds.find(_START, end) + 1
    return b"".join([*pieces, text[done:]])


def _exact(text: bytes) -> bytes:
    """A string as it is, an integer of 16 digits or more as text if it is beyond 2^53."""
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
