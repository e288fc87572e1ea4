"""Invalid numbers in JSON: `NaN`, `Infinity`, and numbers too large for a float."""

import re
from math import isfinite

HUGE = re.compile(rb"[eE]\+?\d{3}|\d{300}")
"""Finds every number that may be too large for a float, and some that are not."""
_NOT_FINITE = re.compile(rb"nan|inf|[eE]\+?\d{3}|\d{300}", re.IGNORECASE)
_TOKENS = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[-+]?(?:nan|inf(?:inity)?)|-?\d[\d.eE+-]*',
    re.IGNORECASE | re.DOTALL,
)


def finite(text: bytes) -> bytes:
    """JSON in which `NaN`, `Infinity` and numbers too large for a float are null.

    Everything else keeps its text, strings that hold such words included.
    """
    return _TOKENS.sub(_finite, text) if _NOT_FINITE.search(text) else text


def _finite(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    try:
        return text if isfinite(float(text)) else b"null"
    except ValueError:
        # Not a number at all: the decoder will refuse it.
        return text
