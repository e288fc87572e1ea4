"""Counters of the hub, and a frozen copy of its state."""

from collections import Counter
from dataclasses import dataclass, field, replace

from hewston_bff.protocol.topics import RUN, Topic


@dataclass(slots=True)
class Counters:
    """Totals since the start, over all runs and clients."""

    frames_in: int = 0
    """Frames appended to logs."""
    bytes_in: int = 0
    """Bytes of those frames."""
    frames_out: int = 0
    """`frame` messages sent to clients."""
    bytes_out: int = 0
    """Bytes of those messages as framed."""
    merged: int = 0
    """Source frames sent merged with others, less one for each message."""
    events_in: int = 0
    """Events taken from the sources of topics that carry them."""
    events_out: int = 0
    """`event` messages sent to clients."""
    event_bytes_out: int = 0
    """Bytes of those messages as framed."""
    events_merged: int = 0
    """Events sent merged with others, less one for each message."""
    dropped: int = 0
    """Source frames that clients lost because they were evicted unread."""
    reconnects: int = 0
    """Connections to the backend lost and tried again."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Messages and frames of the backend that were skipped in whole or in part, by reason; a replay
    counts nothing twice."""

    def copy(self) -> "Counters":
        """A copy of the totals."""
        return replace(self, skipped=self.skipped.copy())


@dataclass(frozen=True, slots=True)
class TopicStats:
    """One topic. `last_frame_age_ms` is None before its first record."""

    topic: Topic
    is_connected: bool
    state: str
    attempt: int
    subscribers: int
    frames: int
    first_seq: int
    next_seq: int
    complete: bool
    bytes: int
    last_frame_age_ms: int | None

    @property
    def run_id(self) -> str:
        """The run id, if the topic is a run."""
        return self.topic.name


@dataclass(frozen=True, slots=True)
class HubStats:
    """The hub at one moment. `encode_share`: encodings for each message delivered, 0 is best."""

    run_subscriptions: int
    backend_connections: int
    total_subscribers: int
    counters: Counters
    tick_lag_p50_ms: float
    tick_lag_p99_ms: float
    encode_share: float
    dedup_factor: float
    log_bytes: int
    cache_bytes: int
    topics: tuple[TopicStats, ...]

    @property
    def runs(self) -> tuple[TopicStats, ...]:
        """The topics that are runs."""
        return tuple(each for each in self.topics if each.topic.kind == RUN)
