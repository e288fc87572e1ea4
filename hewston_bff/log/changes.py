"""Everything that can happen to a topic's log, as values.

A source pushes them, a channel applies them. They are plain data: recorded, sent elsewhere and
applied there they have the same effect.
"""

from typing import Generic, TypeVar

import msgspec

from hewston_bff.protocol.notices import Details, UpstreamStatus

RecordT = TypeVar("RecordT")


class Append(msgspec.Struct, Generic[RecordT], frozen=True, tag="append"):
    """The next records, all that were read in one slice; the first gets seq `seq`."""

    seq: int
    records: list[RecordT]


class Fork(msgspec.Struct, Generic[RecordT], frozen=True, tag="fork"):
    """The log differs from seq `at` on, where `records` (not empty) follow: a new epoch begins."""

    at: int
    records: list[RecordT]


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """The topic was replaced: the log is empty. `origin` distinguishes it from the one before."""

    origin: str


class Complete(msgspec.Struct, frozen=True, tag="complete"):
    """The log is complete: no record will follow."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """No more records will come, and why; those in the log can still be read."""

    code: str
    message: str
    details: Details


class Status(msgspec.Struct, frozen=True, tag="status"):
    """The topic as a whole, in its source's words; None for what the source does not say.

    `is_growing`: it is known not to be over. `origin` distinguishes it from another topic of the
    same name, as far as that is known; it applies to a log that is still empty.
    """

    status: str | None
    progress: float | None = None
    is_growing: bool = False
    origin: str = ""


class LinkChange(msgspec.Struct, frozen=True, tag="link"):
    """The state of the connection to the source.

    `state` is the source's own word, for operators; `status` is what viewers get, None for nothing.
    `is_quiet`: the source has sent all it has for now. `was_lost`: a connection just broke.
    """

    state: str = "idle"
    status: UpstreamStatus | None = None
    attempt: int = 0
    retry_in_ms: int = 0
    is_quiet: bool = False
    was_lost: bool = False


class LeftOut(msgspec.Struct, frozen=True, tag="left_out"):
    """Something the source sent was left out, or turned out not to be missing.

    `lost`: how many records are missing or incomplete, by reason, in all. `counted`: the reason of
    the newest, None if none is new. `is_news`: viewers are to be notified now.
    """

    lost: dict[str, int]
    counted: str | None = None
    is_news: bool = False


LogChange = (
    Append[RecordT] | Fork[RecordT] | Restart | Complete | Failed | Status | LinkChange | LeftOut
)
