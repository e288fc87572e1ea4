"""The text of the file of API keys: which keys there are, and what each is good for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from hewston_bff.credentials import Scope

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_MAX_NAME: Final = 100
_SCOPES: Final = ", ".join(Scope)


class BadApiKeys(ValueError):
    """A line of the file that makes no sense. The text has its number and why, never the line."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One line of the file. It holds no key: who has the file can't use it."""

    digest: bytes = field(repr=False)
    """SHA-256 of the key: 32 bytes. A key is 256 random bits, so a slow hash would add nothing."""
    scopes: frozenset[Scope]
    name: str
    """Whose it is, for people: the log says it."""


def digest_of(key: str) -> bytes:
    """What the file has instead of the key."""
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def key_line(key: str, scopes: Iterable[Scope], name: str) -> str:
    """The line of the file for a key.

    Raises:
        BadApiKeys: it would be no valid line: the name is empty, too long or not printable.
    """
    if not name:
        raise BadApiKeys("a key must have a name: say whose it is")
    line = f"{digest_of(key).hex()} {','.join(scopes)} {name}"
    _parse_line(line)
    return line


def parse_scopes(text: str) -> frozenset[Scope]:
    """The scopes in `bus,jobs`.

    Raises:
        BadApiKeys: one of them is none.
    """
    names = text.split(",")
    if not set(names) <= set(Scope):
        msg = f"scopes must be some of {_SCOPES}, separated by commas alone"
        raise BadApiKeys(msg)
    return frozenset(map(Scope, names))


def parse_api_keys(data: bytes) -> tuple[ApiKey, ...]:
    """The keys of a file: lines `sha256-of-key scope[,scope] name`, comments (`#`) and blank lines.

    Nothing at all is no file: it is one that is just being written.

    Raises:
        BadApiKeys: a line is none of these, or has the key of another line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        lines_before = data.count(b"\n", 0, exc.start)
        msg = f"line {lines_before + 1}: it is not UTF-8"
        raise BadApiKeys(msg) from exc
    if not text.strip():
        raise BadApiKeys("it is empty: a file that gives nobody a key has a comment")
    keys: dict[bytes, ApiKey] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            try:
                key = _parse_line(stripped)
            except BadApiKeys as exc:
                msg = f"line {number}: {exc}"
                raise BadApiKeys(msg) from None
            if key.digest in keys:
                msg = f"line {number}: the key is in a line above: give all its scopes there"
                raise BadApiKeys(msg)
            keys[key.digest] = key
    return tuple(keys.values())


def _parse_line(line: str) -> ApiKey:
    # Nothing of the line is quoted: it may be a key that was put here by mistake.
    parts = line.split(maxsplit=2)
    if len(parts) != 3:
        raise BadApiKeys("must be `sha256-of-key scope[,scope] name`")
    digest, scopes, name = parts
    if _DIGEST.fullmatch(digest) is None:
        raise BadApiKeys("must begin with the SHA-256 of a key, 64 hexadecimal digits")
    if len(name) > _MAX_NAME or not name.isprintable():
        msg = f"the name must have at most {_MAX_NAME} printable characters"
        raise BadApiKeys(msg)
    return ApiKey(bytes.fromhex(digest), parse_scopes(scopes), name)


def find_key(keys: Iterable[ApiKey], key: str) -> ApiKey | None:
    """The line of this key. It takes the same time whichever it is, and if it is none."""
    digest = digest_of(key)
    found = None
    for each in keys:
        if compare_digest(each.digest, digest):
            found = each
    return found
