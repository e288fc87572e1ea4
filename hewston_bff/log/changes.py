"""What can happen to a topic's log, as values.

A source yields them, a channel applies them. They hold nothing but data, so that they can be
written down, sent elsewhere and applied there, to the same effect.
"""

from typing import Generic, TypeVar

import msgspec

from hewston_bff.protocol.notices import Details, UpstreamStatus

RecordT = TypeVar("RecordT")


class Append(msgspec.Struct, Generic[RecordT], frozen=True, tag="append"):
    """The next records, as many as were read at once; the first gets the seq `seq`."""

    seq: int
    records: list[RecordT]


class Fork(msgspec.Struct, Generic[RecordT], frozen=True, tag="fork"):
    """The log differs from seq `at` on, where `records` (not empty) follow: a new epoch."""

    at: int
    records: list[RecordT]


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """The topic was made anew: the log is empty. `origin` tells it from the one before."""

    origin: str


class Complete(msgspec.Struct, frozen=True, tag="complete"):
    """The log has all there will be."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Nothing more will come, and why; what the log holds can still be read."""

    code: str
    message: str
    details: Details


class Status(msgspec.Struct, frozen=True, tag="status"):
    """What the source says of the topic as a whole, in its own words; None for what it does not.

    `is_growing`: it is known not to be over. `origin`: what tells it from another of the same name,
    as far as that is known; it counts for a log that is still empty.
    """

    status: str | None
    progress: float | None = None
    is_growing: bool = False
    origin: str = ""


class LinkChange(msgspec.Struct, frozen=True, tag="link"):
    """How the connection to the source stands.

    `state` is the source's own word, for operators; `status` what viewers are told, None for
    nothing. `is_quiet`: it has sent all that it has for now. `was_lost`: a connection just broke.
    """

    state: str = "idle"
    status: UpstreamStatus | None = None
    attempt: int = 0
    retry_in_ms: int = 0
    is_quiet: bool = False
    was_lost: bool = False


class LeftOut(msgspec.Struct, frozen=True, tag="left_out"):
    """Something the source sent was left out, or is known by now not to be missing.

    `lost`: how many records are missing or lack something, by reason, in all. `counted`: the reason
    of the one that is new, None if none is. `is_news`: viewers are to be told now.
    """

    lost: dict[str, int]
    counted: str | None = None
    is_news: bool = False


LogChange = (
    Append[RecordT] | Fork[RecordT] | Restart | Complete | Failed | Status | LinkChange | LeftOut
)
