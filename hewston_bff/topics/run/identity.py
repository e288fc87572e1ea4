"""Which run an id stands for: ids are made anew, by restored databases, fixtures and retries."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from hewston_bff.protocol.times import format_time, parse_time

MEMBERS = ("created_at", "code_hash", "input_hash")
"""What the backend's description tells a run from another of the same id by."""

_TEXT = msgspec.json.Decoder(str)


class RunIdentity(NamedTuple):
    """What was told, None for what was not. A time is an instant, however it was written."""

    created_at: str | None = None
    code_hash: str | None = None
    input_hash: str | None = None

    def is_other(self, than: "RunIdentity") -> bool:
        """Whether this is another run: something that both tell differs."""
        pairs = zip(self, than, strict=True)
        return any(a is not None and b is not None and a != b for a, b in pairs)

    def with_more(self, more: "RunIdentity") -> "RunIdentity":
        """What is known of the run once `more` was told of the same."""
        pairs = zip(self, more, strict=True)
        return RunIdentity(*(a if a is not None else b for a, b in pairs))

    def key(self) -> str:
        """The same text for the same identity, "" where nothing was told."""
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
    """A text, or the JSON of anything else; None for nothing."""
    if raw is None or bytes(raw) in {b"null", b'""', b""}:
        return None
    try:
        return _TEXT.decode(raw)
    except msgspec.MsgspecError:
        return bytes(raw).decode()
