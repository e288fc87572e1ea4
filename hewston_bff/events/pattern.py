"""Patterns of topics: `*` is any characters, `?` any one, after a backslash each is itself."""

import re
from collections.abc import Callable, Iterable
from typing import Final

MAX_PATTERN: Final = 512
"""Characters of a pattern, at most."""


class InvalidPattern(ValueError):
    """The text is no pattern; the message says why."""


class Pattern:
    """A pattern, compiled once. Equal texts are equal patterns."""

    def __init__(self, text: str) -> None:
        """Compile `text`.

        Raises:
            InvalidPattern: it is empty, too long, or ends in a lone backslash.
        """
        if not text:
            raise InvalidPattern("a topic must have a name after its kind")
        if len(text) > MAX_PATTERN:
            msg = f"a topic must have at most {MAX_PATTERN} characters"
            raise InvalidPattern(msg)
        self.text = text
        segments, literal = _segments(text)
        self.literal = literal
        """The only name that it matches; None if it has a wildcard."""
        self._find = re.compile(_regex(segments), re.DOTALL).fullmatch

    def matches(self, name: str) -> bool:
        """Whether it matches the whole name."""
        if self.literal is not None:
            return name == self.literal
        return self._find(name) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def _segments(text: str) -> tuple[list[str], str | None]:
    """The regular expressions between the stars; and the only match, if there is no wildcard."""
    segments = [""]
    literal: list[str] = []
    has_wildcard = False
    symbols = iter(text)
    for symbol in symbols:
        match symbol:
            case "*":
                has_wildcard = True
                segments.append("")
            case "?":
                has_wildcard = True
                segments[-1] += "."
            case "\\":
                taken = next(symbols, None)
                if taken is None:
                    raise InvalidPattern("a topic must not end in a lone backslash")
                segments[-1] += re.escape(taken)
                literal.append(taken)
            case _:
                segments[-1] += re.escape(symbol)
                literal.append(symbol)
    return segments, None if has_wildcard else "".join(literal)


def _regex(segments: list[str]) -> str:
    """One expression of the segments with anything between them, in quadratic time at worst.

    Each segment is taken where it is found first, once and for all (an atomic group): with plain
    `.*` a pattern of many stars would try every way to spread them over a name.
    """
    first, *others = segments
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>.*?{each})" for each in middle if each) + ".*" + last


def any_of(texts: Iterable[str]) -> Callable[[str], bool]:
    """Whether one of several patterns matches a name.

    Raises:
        InvalidPattern: one of them is none.
    """
    patterns = [Pattern(text) for text in texts]
    return lambda name: any(pattern.matches(name) for pattern in patterns)
