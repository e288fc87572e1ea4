"""Stream protocol v1, both ways: commands of clients as types, our notices as types and bytes.

`frame` messages are written by `spans`; all other messages are here.
"""

import re
from enum import IntEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from hewston_bff.core.figures import StreamFigures
from hewston_bff.core.ids import Epoch, RunId

SafeInt = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""What JavaScript, and our own encoder, can say back exactly."""
RequestId = SafeInt | Annotated[str, msgspec.Meta(max_length=128)]
Mode = Literal["merge", "all"]
CursorStatus = Literal["buffering", "playing", "paused", "live", "ended"]
UpstreamStatus = Literal["connecting", "up", "retrying", "complete", "failed"]
ResetReason = Literal["upstream_diverged", "run_remade"]
Details = dict[str, int | str | dict[str, int] | None]
Position = Annotated[str, msgspec.Meta(max_length=64)] | SafeInt

MAX_SPEED = 100_000
MIN_SPEED = 0.01
MAX_FPS = 60

Speed = Annotated[
    float,
    msgspec.Meta(
        description="30 source frames a second each; 0, in mode `all` only, as fast as possible",
        # Only told: `speed_error` says better what is wrong.
        extra_json_schema={"minimum": 0, "maximum": MAX_SPEED},
    ),
]


class CloseCode(IntEnum):
    """Why we close a client's socket. From 4400 on, and 1000, the client does not come back."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TOO_BIG = 1009
    INTERNAL = 1011
    SERVICE_RESTART = 1012
    TOO_MANY = 1013
    STALLED = 4008
    MALFORMED = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    NOTHING_SUBSCRIBED = 4408
    ABUSED = 4429


class InvalidMessage(Exception):
    """A client's message that means nothing; `request_id` is its `id`, where one could be read."""

    def __init__(self, reason: str, request_id: RequestId | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request_id = request_id


class ResumePoint(msgspec.Struct, frozen=True):
    """The last frame that a returning client has: its epoch, seq and, when it knows it, time."""

    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    seq: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    ts: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Subscribe(msgspec.Struct, tag_field="t", tag="subscribe", frozen=True):
    """Watch a run. The defaults are those of every door."""

    run_id: str
    id: RequestId | None = None
    from_: Annotated[
        Position, msgspec.Meta(description="`start`, `live`, a frame's index, or a time")
    ] = msgspec.field(default="start", name="from")
    resume: ResumePoint | None = None
    speed: Speed = 60.0
    paused: bool = False
    mode: Annotated[Mode, msgspec.Meta(description="merged to `max_fps`, or every frame")] = "merge"
    max_fps: Annotated[
        float, msgspec.Meta(ge=1, le=MAX_FPS, description="messages a second, at most")
    ] = 30.0
    updates: list[Literal["frames", "orders", "equity", "metrics", "run"]] = msgspec.field(
        default_factory=lambda: ["frames", "run"]
    )


class Unsubscribe(msgspec.Struct, tag_field="t", tag="unsubscribe", frozen=True):
    """Stop watching."""

    id: RequestId | None = None
    sid: SafeInt | None = None


class Ctrl(msgspec.Struct, tag_field="t", tag="ctrl", frozen=True):
    """Move a cursor: `seek` by `pos` or `ts`, `speed` by `val` or `speed`, `step` by `val`."""

    cmd: Literal["play", "pause", "seek", "speed", "step", "live"]
    id: RequestId | None = None
    sid: SafeInt | None = None
    pos: Position | None = None
    ts: Position | None = None
    val: float | Position | None = None
    speed: float | None = None


class Ping(msgspec.Struct, tag_field="t", tag="ping", frozen=True):
    """Asks for a `pong` with the same `ts`."""

    ts: float | SafeInt | None = None


class ClientHeartbeat(msgspec.Struct, tag_field="t", tag="hb", frozen=True):
    """A sign of life."""


Command = Subscribe | Unsubscribe | Ctrl | Ping | ClientHeartbeat


class Echoed(msgspec.Struct, frozen=True):
    """Which `id` a message has that is not understood otherwise."""

    id: RequestId | None = None


class Notice(msgspec.Struct, tag_field="t", frozen=True):
    """What we send besides frames. Members left UNSET are not sent."""


class Limits(msgspec.Struct, frozen=True):
    """What `hello` tells of the limits."""

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
    """The answer to `subscribe`. On a cold log `epoch`, `first` and `last` are null."""

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    run_id: RunId
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
    """Where a cursor stands. `seq` is the last frame delivered or passed, -1 before the first.

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
    """What has become of the connection to the backend."""

    run_id: RunId
    status: UpstreamStatus
    attempt: int | UnsetType = UNSET
    retry_in_ms: int | UnsetType = UNSET


class Skipped(msgspec.Struct, frozen=True):
    """Frames of the run that were left out or lack something: how many, and by reason."""

    frames: int
    reasons: dict[str, int]


class RunNews(Notice, tag="run", frozen=True, kw_only=True):
    """What the backend says of the run; null for what it does not say."""

    run_id: RunId
    status: str
    progress: float | None
    updated_at: str
    skipped: Skipped | UnsetType = UNSET


class Metrics(Notice, tag="metrics", frozen=True, kw_only=True):
    """Figures of the run up to `seq`."""

    sid: int | UnsetType = UNSET
    seq: int
    metrics: StreamFigures


class Lag(Notice, tag="lag", frozen=True, kw_only=True):
    """Frames `from` to `to` were let go of before this client read them."""

    sid: int | UnsetType = UNSET
    from_: int = msgspec.field(name="from")
    to: int
    reason: Literal["evicted"] = "evicted"


class Reset(Notice, tag="reset", frozen=True, kw_only=True):
    """The backend's run has changed: what follows belongs to another epoch.

    A run that was made anew has no frame yet, and `epoch` is null until a `state` tells it.
    """

    sid: int | UnsetType = UNSET
    epoch: Epoch | None
    reason: ResetReason = "upstream_diverged"


class Ended(Notice, tag="end", frozen=True, kw_only=True):
    """The cursor has delivered the run's last frame."""

    sid: int | UnsetType = UNSET
    seq: int


class Err(Notice, tag="err", frozen=True, kw_only=True):
    """What went wrong, and in `msg` what to do. The socket stays open."""

    re: RequestId | UnsetType = UNSET
    sid: int | UnsetType = UNSET
    code: str
    msg: str
    details: Details | UnsetType = UNSET


class Hb(Notice, tag="hb", frozen=True, kw_only=True):
    """Nothing else was sent for a while. `ts`: ms since 1970."""

    ts: int


class Pong(Notice, tag="pong", frozen=True, kw_only=True):
    """The answer to `ping`: its `ts`, and ours, in ms since 1970."""

    ts: float | int | None
    srv: int


class Bye(Notice, tag="bye", frozen=True, kw_only=True):
    """We are going: come back after `after_ms`."""

    code: int
    after_ms: int


class Closed(Notice, tag="closed", frozen=True, kw_only=True):
    """The last message of an event stream: what the close frame of a socket says."""

    code: int
    reason: str


_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(
    Subscribe | Unsubscribe | Ctrl | Ping | ClientHeartbeat
)
_ECHOED = msgspec.json.Decoder(Echoed)
_ANYTHING = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()
encode = _ENCODER.encode
"""A notice as the text of its message."""

_QUOTED = re.compile(r"(?<=^Invalid enum value) .* (?=- at )", re.DOTALL)
ECHO_FIELDS = frozenset({"t", "cmd", "pos", "ts", "val", "speed", "id", "sid"})


def decode_command(data: bytes | str) -> Command:
    """The command in `data`.

    Raises:
        InvalidMessage: no JSON object, an unknown `t` or `cmd`, a member of a wrong type or out of
            its range; it says which.
    """
    try:
        if isinstance(data, bytes) and not data.isascii():
            data.decode()
        command = _COMMANDS.decode(data)
    except (msgspec.ValidationError, OverflowError) as exc:
        raise InvalidMessage(_reason(str(exc)), request_id(data)) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidMessage("invalid JSON: send one JSON object per message") from exc
    if isinstance(command, Subscribe):
        reason = speed_error(command.speed, mode=command.mode)
        if reason:
            msg = f"{reason} - at `$.speed`"
            raise InvalidMessage(msg, command.id)
    return command


def speed_error(speed: float, *, mode: Mode) -> str | None:
    """Why a cursor can't have this speed, or None if it can."""
    if MIN_SPEED <= speed <= MAX_SPEED or (speed == 0 and mode == "all"):
        return None
    also = ", or 0 for as fast as possible" if mode == "all" else ""
    return f"`speed` must be {MIN_SPEED} to {MAX_SPEED:,}{also}"


def echo(data: bytes | str) -> bytes:
    """A `ctrl` as the backend echoes it: its own members and ``"echo":true``."""
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    kept = {name: raw for name, raw in members.items() if name in ECHO_FIELDS}
    return msgspec.json.encode(kept | {"echo": msgspec.Raw(b"true")})


def unquoted(text: str) -> str:
    """What msgspec says is wrong, without the value: that may be as long as a message."""
    return _QUOTED.sub(" ", text)


def _reason(text: str) -> str:
    if text.endswith("`$.cmd`"):
        return "invalid ctrl.cmd: use play, pause, seek, speed, step or live"
    if text.endswith("`$.t`") or "missing required field `t`" in text:
        return "unsupported message: `t` must be subscribe, unsubscribe, ctrl, ping or hb"
    if text.endswith("got `array`") or text.startswith("Expected `object`"):
        return "invalid JSON: send one JSON object per message"
    return unquoted(text)


def request_id(data: bytes | str) -> RequestId | None:
    """The `id` of a message, understood or not; None if it has none."""
    try:
        return _ECHOED.decode(data).id
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
        return None
