"""Stream protocol v1: messages of clients, one struct for each."""

import re
from typing import Annotated, Literal

import msgspec

from hewston_bff.protocol.topics import EVENT_KINDS

SafeInt = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Integers that JavaScript and our encoder return exactly."""
RequestId = SafeInt | Annotated[str, msgspec.Meta(max_length=128)]
Mode = Literal["merge", "all"]
EventMode = Literal["latest", "all"]
Position = Annotated[str, msgspec.Meta(max_length=64)] | SafeInt

MAX_SPEED = 100_000
MIN_SPEED = 0.01
MAX_FPS = 60

Speed = Annotated[
    float,
    msgspec.Meta(
        description="30 source frames a second each; 0, in mode `all` only, as fast as possible",
        # For the documents only: `speed_error` gives the better message.
        extra_json_schema={"minimum": 0, "maximum": MAX_SPEED},
    ),
]


class InvalidMessage(Exception):
    """A client's message is invalid; `request_id` is its `id`, if one could be read."""

    def __init__(self, reason: str, request_id: RequestId | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request_id = request_id


class ResumePoint(msgspec.Struct, frozen=True):
    """The last frame that a returning client has: epoch, seq and, if known, time."""

    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    seq: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    ts: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Subscribe(msgspec.Struct, tag_field="t", tag="subscribe", frozen=True):
    """Watch a run, or a `topic` of any kind. All endpoints have these defaults."""

    run_id: str | None = None
    topic: Annotated[
        str | None, msgspec.Meta(description="`kind:name`; `run:<id>` means the same as `run_id`")
    ] = None
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


class EventResumePoint(msgspec.Struct, frozen=True):
    """The last event that a returning client has. `topic` distinguishes events of one id."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    topic: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class SubscribeEvents(msgspec.Struct, tag_field="t", tag="subscribe", frozen=True):
    """Watch topics that carry events: `kind:name`, or a pattern of names with `*` and `?`."""

    topic: Annotated[str, msgspec.Meta(max_length=600)]
    id: RequestId | None = None
    mode: (
        Annotated[
            EventMode,
            msgspec.Meta(
                description="the newest of each topic, or every event; by default, the kind's"
            ),
        ]
        | None
    ) = None
    max_fps: Annotated[
        float,
        msgspec.Meta(ge=0.1, le=MAX_FPS, description="messages a second of one topic, at most"),
    ] = 10.0
    from_: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=64, description="`last`, `live`, `start`, or the id of an entry"
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="from")
    resume: EventResumePoint | None = None
    paused: bool = False


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


Command = Subscribe | SubscribeEvents | Unsubscribe | Ctrl | Ping | ClientHeartbeat


class Addressed(msgspec.Struct, frozen=True):
    """What tells which kind of `subscribe` a message is."""

    t: object = None
    topic: object = None


class Echoed(msgspec.Struct, frozen=True):
    """The `id` of a message that is otherwise invalid."""

    id: RequestId | None = None


_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(
    Subscribe | Unsubscribe | Ctrl | Ping | ClientHeartbeat
)
_EVENT_SUBSCRIPTIONS = msgspec.json.Decoder(SubscribeEvents)
_ECHOED = msgspec.json.Decoder(Echoed)
_ADDRESSED = msgspec.json.Decoder(Addressed)
_QUOTED = re.compile(r"(?<=^Invalid enum value) .* (?=- at )", re.DOTALL)
ECHO_FIELDS = frozenset({"t", "cmd", "pos", "ts", "val", "speed", "id", "sid"})


def decode_command(data: bytes | str) -> Command:
    """The command in `data`.

    Raises:
        InvalidMessage: not a JSON object, an unknown `t` or `cmd`, a member of a wrong type or out
            of range; the reason names it.
    """
    try:
        if isinstance(data, bytes) and not data.isascii():
            data.decode()
        command: Command
        if _is_of_events(data):
            command = _EVENT_SUBSCRIPTIONS.decode(data)
        else:
            command = _COMMANDS.decode(data)
    except (msgspec.ValidationError, OverflowError) as exc:
        raise InvalidMessage(_reason(str(exc)), request_id(data)) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidMessage("invalid JSON: send one JSON object per message") from exc
    if isinstance(command, Subscribe):
        if command.run_id is None and command.topic is None:
            raise InvalidMessage("Object missing required field `run_id`", command.id)
        reason = speed_error(command.speed, mode=command.mode)
        if reason:
            msg = f"{reason} - at `$.speed`"
            raise InvalidMessage(msg, command.id)
    return command


def _is_of_events(data: bytes | str) -> bool:
    """Whether it subscribes to topics that carry events."""
    if '"topic"' not in data if isinstance(data, str) else b'"topic"' not in data:
        return False
    addressed = _ADDRESSED.decode(data)
    if addressed.t != "subscribe" or not isinstance(addressed.topic, str):
        return False
    return addressed.topic.partition(":")[0] in EVENT_KINDS


def speed_error(speed: float, *, mode: Mode) -> str | None:
    """Why this speed is invalid; None if it is valid."""
    if MIN_SPEED <= speed <= MAX_SPEED or (speed == 0 and mode == "all"):
        return None
    also = ", or 0 for as fast as possible" if mode == "all" else ""
    return f"`speed` must be {MIN_SPEED} to {MAX_SPEED:,}{also}"


def echo(data: bytes | str) -> bytes:
    """A `ctrl` as the backend echoes it: its known members and ``"echo":true``."""
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    kept = {name: raw for name, raw in members.items() if name in ECHO_FIELDS}
    return msgspec.json.encode(kept | {"echo": msgspec.Raw(b"true")})


def unquoted(text: str) -> str:
    """An error text of msgspec without the value, which may be as long as a message."""
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
    """The `id` of a message, valid or not; None if it has none."""
    try:
        return _ECHOED.decode(data).id
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
        return None
