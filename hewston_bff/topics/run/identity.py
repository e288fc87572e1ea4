"""Which run an id stands for: restored databases, fixtures and retries reuse ids."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from hewston_bff.protocol.times import format_time, parse_time

MEMBERS = ("created_at", "code_hash", "input_hash")
"""Members of the backend's description that distinguish runs of the same id."""

_TEXT = msgspec.json.Decoder(str)


class RunIdentity(NamedTuple):
    """Values as far as known, else None. Times are compared as instants, however written."""

    created_at: str | None = None
    code_hash: str | None = None
    input_hash: str | None = None

    def is_other(self, than: "RunIdentity") -> bool:
        """Whether this is another run: a value that both have differs."""
        pairs = zip(self, than, strict=True)
        return any(a is not None and b is not None and a != b for a, b in pairs)

    def with_more(self, more: "RunIdentity") -> "RunIdentity":
        """This identity, completed by what `more` has of the same run."""
        pairs = zip(self, more, strict=True)
        return RunIdentity(*(a if a is not None else b for a, b in pairs))

    def key(self) -> str:
        """Equal text for equal identities, "" if nothing is known."""
        return "\0".join(part or "" for part in self) if any(self) else ""


NOTHING_TOLD = RunIdentity()


def identity_in(members: Mapping[str, msgspec.Raw]) -> RunIdentity:
    """The identity in the backend's description of a run."""
    created_at, code_hash, input_hash = (_text(members.get(name)) for name in MEMBERS)
    if created_at is not None:
        ts_ns = parse_time(created_at)
        created_at = created_at if ts_ns is None else format_time(ts_ns)
    return RunIdentity(created_at, code_hash, input_hash)


def _text(raw: msgspec.Raw | None) -> str | None:
    """A string, or the JSON text of anything else; None for null or nothing."""
    if raw is None or bytes(raw) in {b"null", b'""', b""}:
        return None
    try:
        return _TEXT.decode(raw)
    except msgspec.MsgspecError:
        return bytes(raw).decode()
