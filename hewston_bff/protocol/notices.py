"""Stream protocol v1: messages of the server, besides those that a topic's codec encodes."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.protocol.commands import MAX_FPS, Mode, RequestId
from hewston_bff.protocol.figures import StreamFigures
from hewston_bff.protocol.ids import Epoch, RunId

CursorStatus = Literal["buffering", "playing", "paused", "live", "ended"]
UpstreamStatus = Literal["connecting", "up", "retrying", "complete", "failed"]
ResetReason = Literal["upstream_diverged", "run_remade"]
Details = dict[str, int | str | dict[str, int] | None]


class Notice(msgspec.Struct, tag_field="t", frozen=True):
    """A message of the server, other than a frame. UNSET members are not sent."""


class Limits(msgspec.Struct, frozen=True):
    """The limits that `hello` announces."""

    subscriptions: int
    message_bytes: int
    messages_per_s: int
    max_fps: int = MAX_FPS


class Hello(Notice, tag="hello", frozen=True, kw_only=True):
    """The first message. `stream`: where an event stream takes commands (`/api/v1/events/…`)."""

    v: int = 1
    session: str
    stream: str | UnsetType = UNSET
    hb_ms: int
    limits: Limits


class Subscribed(Notice, tag="subscribed", frozen=True, kw_only=True):
    """The answer to `subscribe`. On a cold log `epoch`, `first` and `last` are null.

    `topic` stands in place of `run_id` if the topic is not a run.
    """

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    run_id: RunId | UnsetType = UNSET
    topic: str | UnsetType = UNSET
    epoch: Epoch | None
    first: int | None
    last: int | None
    complete: bool
    seq: int
    status: CursorStatus
    speed: float
    max_fps: float
    mode: Mode
    recovered: bool | None


class State(Notice, tag="state", frozen=True, kw_only=True):
    """The state of a cursor. `seq` is the last frame delivered or passed, -1 before the first.

    `epoch`, `first`, `last`, `complete` and `recovered` come with the first `state` on a log that
    was cold when the subscription was answered.
    """

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    status: CursorStatus
    seq: int
    ts: str | None
    speed: float
    frames_per_s: float
    live_edge: int
    behind: int
    seeked: bool
    epoch: Epoch | UnsetType = UNSET
    first: int | UnsetType = UNSET
    last: int | UnsetType = UNSET
    complete: bool | UnsetType = UNSET
    recovered: bool | UnsetType = UNSET


class Unsubscribed(Notice, tag="unsubscribed", frozen=True, kw_only=True):
    """The answer to `unsubscribe`."""

    re: RequestId | UnsetType = UNSET
    sid: int


class Snapshot(Notice, tag="snapshot", frozen=True, kw_only=True):
    """A decimated picture of the run up to `seq`; `bars` and `equity` are JSON lists."""

    sid: int | UnsetType = UNSET
    seq: int
    ts: str | None
    bars: msgspec.Raw
    equity: msgspec.Raw
    orders_total: int


class UpstreamNews(Notice, tag="upstream", frozen=True, kw_only=True):
    """The state of the connection to the backend."""

    run_id: RunId
    status: UpstreamStatus
    attempt: int | UnsetType = UNSET
    retry_in_ms: int | UnsetType = UNSET


class SkippedFrames(msgspec.Struct, frozen=True):
    """Frames of the run that are missing or incomplete: how many, and by reason."""

    frames: int
    reasons: dict[str, int]


class RunNews(Notice, tag="run", frozen=True, kw_only=True):
    """The run as the backend describes it; null for what it does not say."""

    run_id: RunId
    status: str
    progress: float | None
    updated_at: str
    skipped: SkippedFrames | UnsetType = UNSET


class Metrics(Notice, tag="metrics", frozen=True, kw_only=True):
    """Figures of the run up to `seq`."""

    sid: int | UnsetType = UNSET
    seq: int
    metrics: StreamFigures


class Lag(Notice, tag="lag", frozen=True, kw_only=True):
    """Frames `from` to `to` were evicted before this client read them."""

    sid: int | UnsetType = UNSET
    from_: int = msgspec.field(name="from")
    to: int
    reason: Literal["evicted"] = "evicted"


class Reset(Notice, tag="reset", frozen=True, kw_only=True):
    """The backend's run has changed: what follows belongs to another epoch.

    A run that replaced another has no frame yet: `epoch` is null until a `state` has it.
    """

    sid: int | UnsetType = UNSET
    epoch: Epoch | None
    reason: ResetReason = "upstream_diverged"


class Ended(Notice, tag="end", frozen=True, kw_only=True):
    """The cursor has delivered the run's last frame."""

    sid: int | UnsetType = UNSET
    seq: int


class Err(Notice, tag="err", frozen=True, kw_only=True):
    """An error: `msg` says what happened and what to do. The socket stays open."""

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    code: str
    msg: str
    details: Details | UnsetType = UNSET


class Hb(Notice, tag="hb", frozen=True, kw_only=True):
    """A heartbeat: nothing else was sent for a while. `ts`: ms since 1970."""

    ts: int


class Pong(Notice, tag="pong", frozen=True, kw_only=True):
    """The answer to `ping`: its `ts`, and the server's time in ms since 1970."""

    ts: float | int | None
    srv: int


class Bye(Notice, tag="bye", frozen=True, kw_only=True):
    """The server is shutting down: reconnect after `after_ms`."""

    code: int
    after_ms: int


class Closed(Notice, tag="closed", frozen=True, kw_only=True):
    """The last message of an event stream: code and reason of a socket's close frame."""

    code: int
    reason: str


_ENCODER = msgspec.json.Encoder()
encode = _ENCODER.encode
"""A notice as the text of its message."""
