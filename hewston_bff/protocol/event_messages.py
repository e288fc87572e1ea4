"""Stream protocol v1: what the server says of topics that carry events."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.protocol.commands import EventMode, RequestId
from hewston_bff.protocol.notices import Notice

EventsStatus = Literal["buffering", "playing", "live", "paused"]


class EventMessage(msgspec.Struct, tag_field="t", tag="event", frozen=True, kw_only=True):
    """One event. `n`: how many events of its topic it stands for, itself included.

    `id` is the id of its entry in Redis; `ts` has up to nanoseconds; `data` is what was published.
    """

    sid: int | UnsetType = UNSET
    topic: str
    id: str
    ts: str
    type: str
    data: Any
    n: int


class EventsSubscribed(Notice, tag="subscribed", frozen=True, kw_only=True):
    """The answer to `subscribe` with a topic that carries events.

    `position` is the id after which it goes on, null while that is not known. `matches` counts the
    topics that match now; `broad` is there, and true, if they are more than the server advises.
    """

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    topic: str
    status: EventsStatus
    mode: EventMode
    max_fps: float
    position: str | None
    recovered: bool | None
    matches: int
    broad: bool | UnsetType = UNSET


class EventsState(Notice, tag="state", frozen=True, kw_only=True):
    """The state of a subscription to events.

    `buffering`: the source was not reached yet. `playing`: older events are still on their way.
    `recovered` comes once it is known, if it was not when the subscription was answered.
    """

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    topic: str
    status: EventsStatus
    position: str | None
    recovered: bool | UnsetType = UNSET


class SourceNews(Notice, tag="source", frozen=True, kw_only=True):
    """The connection to the source of a kind of topics.

    `silent`: connected, but heartbeats stopped: its writer may have lost its own connection.
    """

    kind: str
    status: Literal["connecting", "up", "retrying", "silent"]
    attempt: int | UnsetType = UNSET
    retry_in_ms: int | UnsetType = UNSET
    heartbeat_age_ms: int | UnsetType = UNSET
    simulated: bool | UnsetType = UNSET


class EventsLag(Notice, tag="lag", frozen=True, kw_only=True):
    """Events after `after`, up to and including `until`, will not come, as far as they matched.

    `trimmed`: Redis had dropped them before they were read. `evicted`: this client was too slow.
    """

    sid: int | UnsetType = UNSET
    topic: str
    after: str
    until: str
    reason: Literal["trimmed", "evicted"]
