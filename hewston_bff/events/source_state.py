"""What a source of events says of itself, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from hewston_bff.events.event import EntryId, Event

SourceStatus = Literal["connecting", "up", "retrying", "silent"]
"""`silent`: connected, but the writer has missed three heartbeats."""


class SourceLink(NamedTuple):
    """The state of the connection to a source; times in ms."""

    status: SourceStatus = "connecting"
    attempt: int = 0
    """Failures in a row."""
    retry_in_ms: int | None = None
    heartbeat_age_ms: int | None = None
    """None if no heartbeat was ever heard."""


class Lost(NamedTuple):
    """Events after one id, up to and including another, that cannot be had any more."""

    after: EntryId
    until: EntryId


class HistoryPage(NamedTuple):
    """Some older events, in order of their ids; `lost` if there is a gap before them."""

    events: Sequence[Event]
    lost: Lost | None = None


@dataclass(slots=True)
class SourceStats:
    """Figures of a source. Times are ms since 1970, None before the first."""

    connected_at_ms: int | None = None
    last_event_at_ms: int | None = None
    heartbeat_at_ms: int | None = None
    reconnects: int = 0
    """Connections lost and tried again, since the start."""
    error: str | None = None
    """What the last attempt failed with, in words fit for clients; None while up."""
    has_failed: bool = False
    """Too many attempts in a row failed for this to be a short outage; it goes on trying."""
    events: int = 0
    bytes: int = 0
    behind_ms: int | None = None
    """How much older than the newest entry in Redis the last one read was, when it was read."""
    refused: list[str] = field(default_factory=list)
    """Named streams that are none: their keys hold something else."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Entries that were not delivered, or not as they are, by reason."""
