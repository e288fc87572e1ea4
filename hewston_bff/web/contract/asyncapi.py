"""The AsyncAPI document, made from the types of the messages."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

import hewston_bff
from hewston_bff.protocol import commands, notices
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.ids import RUN_ID_PATTERN
from hewston_bff.web.contract import frames
from hewston_bff.web.contract.operation import JSON
from hewston_bff.web.contract.schemas import JsonObject, Schemas
from hewston_bff.web.streams import QUERY, SUBPROTOCOL

Message = type[msgspec.Struct]

_SPEC = "3.0.0"
_NAME = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FRAMES: tuple[Message, ...] = (frames.Frame, frames.MergedFrame)
_NEWS: tuple[Message, ...] = (
    *_FRAMES,
    *(notices.State, notices.UpstreamNews, notices.RunNews, notices.Metrics),
    *(notices.Lag, notices.Reset, notices.Ended, notices.Err, notices.Hb, notices.Bye),
)
_ANSWERS: dict[Message, tuple[Message, ...]] = {
    commands.Subscribe: (notices.Subscribed, notices.Err),
    commands.Unsubscribe: (notices.Unsubscribed, notices.Err),
    commands.Ctrl: (notices.State, notices.Err),
    commands.Ping: (notices.Pong,),
    commands.ClientHeartbeat: (),
}
_FROM_CLIENTS: tuple[Message, ...] = tuple(_ANSWERS)
_OF_ONE_RUN: tuple[Message, ...] = (commands.Ctrl, commands.Ping, commands.ClientHeartbeat)
_OPENING: tuple[Message, ...] = (notices.Hello, notices.Subscribed, notices.Snapshot)

_ABOUT = f"""\
Text messages, one JSON object each; `t` says which. Members that are not named here are ignored
both ways. The subprotocol, if any, is `{SUBPROTOCOL}`; a browser may offer `bearer.<token>` beside
it. The `id` of a request comes back as `re`, with the resulting state or an `err`.

The one rule of continuity: `from`, or `seq` where there is no `from`, is the last `seq` + 1, unless
a `state` with `seeked`, a `lag` or a `reset` came between.

From 4400 on, and after 1000, a client does not come back; after other codes it does, and resumes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One address, and what is said there."""

    name: str
    address: str
    title: str
    description: str
    received: tuple[Message, ...] = ()
    sent: tuple[Message, ...]
    has_query: bool = False
    is_socket: bool = True
    method: str = "GET"


_EVENTS = (
    "Server-Sent Events, one way only: events `frame`, `end` and `err`, each with one of these "
    "messages as its data. A frame's id is `<epoch>:<seq>`; sent as `Last-Event-ID` it resumes."
)
DOORS = (
    Door(
        name="stream",
        address="/api/v1/stream",
        title="Many runs on one socket",
        description="Every subscription has a `sid`, the lowest free number.",
        received=_FROM_CLIENTS,
        sent=(*_OPENING, *_NEWS, notices.Unsubscribed, notices.Pong),
    ),
    Door(
        name="run",
        address="/api/v1/runs/{run_id}/stream",
        title="One run on a socket",
        description="Subscribed on connect, as the query says; no `sid` is needed either way.",
        received=_OF_ONE_RUN,
        sent=(*_OPENING, *_NEWS, notices.Pong),
        has_query=True,
    ),
    Door(
        name="backend",
        address="/backtests/{run_id}/ws",
        title="One run on a socket, as the backend has it",
        description=(
            "Silent until the first message, and paused until `play`. `ctrl` is echoed, as the "
            "backend does. Never closed at the end of a run, nor while the backend is away."
        ),
        received=_OF_ONE_RUN,
        sent=(*_NEWS, frames.EchoedCtrl, notices.Pong),
    ),
    Door(
        name="many_events",
        address="/api/v1/events",
        title="Many runs as Server-Sent Events",
        description=(
            "What `/api/v1/stream` sends, each message an event of its name, and before the end "
            "`closed` with the code that a socket would be closed with. `subscribe`, once for each "
            "run, is a run id or that message's members as JSON. Events have no id: who comes back "
            "subscribes with `resume`."
        ),
        sent=(*_OPENING, *_NEWS, notices.Unsubscribed, notices.Pong, notices.Closed),
        is_socket=False,
    ),
    Door(
        name="event_commands",
        address="/api/v1/events/{stream_id}",
        title="Commands to an event stream",
        description=(
            "One message a request; `stream_id` is what `hello` calls `stream`. Answered on the "
            "event stream, by `re`. 404: it has ended, open another."
        ),
        received=_FROM_CLIENTS,
        sent=(),
        is_socket=False,
        method="POST",
    ),
    Door(
        name="events",
        address="/api/v1/runs/{run_id}/events",
        title="One run as Server-Sent Events",
        description=_EVENTS,
        sent=(*_FRAMES, notices.Ended, notices.Err),
        has_query=True,
        is_socket=False,
    ),
    Door(
        name="backend_events",
        address="/backtests/{run_id}/stream",
        title="One run as Server-Sent Events, where the backend has them",
        description=_EVENTS,
        sent=(*_FRAMES, notices.Ended, notices.Err),
        has_query=True,
        is_socket=False,
    ),
)


def asyncapi() -> JsonObject:
    """The document. Pure, and takes some milliseconds."""
    schemas = Schemas()
    told = {message: None for door in DOORS for message in (*door.received, *door.sent)}
    described = {_name(message): _message(message, schemas) for message in told}
    channels = {door.name: _channel(door, schemas) for door in DOORS}
    _complete(schemas)
    return {
        "asyncapi": _SPEC,
        "info": {
            "title": "hewston-bff streams",
            "version": hewston_bff.__version__,
            "description": _ABOUT + "\n" + _close_codes(),
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": {name: one for door in DOORS for name, one in _operations(door).items()},
        "components": {
            "messages": described,
            "schemas": dict(sorted(schemas.components.items())),
            "correlationIds": {
                "request": {"location": "$message.payload#/id"},
                "answer": {"location": "$message.payload#/re"},
            },
        },
    }


def _name(message: Message) -> str:
    """`UpstreamNews` → `upstream_news`."""
    return _NAME.sub("_", message.__name__).lower()


def _message(message: Message, schemas: Schemas) -> JsonObject:
    summary, _, rest = (message.__doc__ or "").partition("\n")
    told: JsonObject = {
        "name": message.__struct_config__.tag,
        "title": _name(message),
        "summary": summary,
        "payload": schemas.ref(message),
    }
    if rest:
        told["description"] = " ".join(rest.split())
    for member, correlation in (("id", "request"), ("re", "answer")):
        if member in message.__struct_fields__:
            told["correlationId"] = {"$ref": f"#/components/correlationIds/{correlation}"}
    return told


def _channel(door: Door, schemas: Schemas) -> JsonObject:
    said = (*door.received, *door.sent)
    told: JsonObject = {
        "address": door.address,
        "title": door.title,
        "description": door.description,
        "messages": {_name(one): {"$ref": f"#/components/messages/{_name(one)}"} for one in said},
    }
    if "{run_id}" in door.address:
        told["parameters"] = {"run_id": {"description": f"Of the pattern `{RUN_ID_PATTERN}`"}}
    if "{stream_id}" in door.address:
        told["parameters"] = {"stream_id": {"description": "The `stream` of its `hello`"}}
    if door.is_socket:
        told["bindings"] = {"ws": _handshake(door, schemas)}
    return told


def _handshake(door: Door, schemas: Schemas) -> JsonObject:
    told: JsonObject = {"method": "GET", "bindingVersion": "0.1.0"}
    if door.has_query:
        members, _ = schemas.members(commands.Subscribe, side="validation")
        query = {name: members[name] for name in QUERY}
        told["query"] = {"type": "object", "properties": query}
    return told


def _operations(door: Door) -> dict[str, JsonObject]:
    """What we receive there, each with its answers, and what we send."""
    channel = {"$ref": f"#/channels/{door.name}"}
    told: dict[str, JsonObject] = {}
    for message in door.received:
        title = f"{message.__struct_config__.tag} of a client"
        operation = _operation("receive", door, (message,), title=title)
        answers = [one for one in _ANSWERS[message] if one in door.sent]
        if answers:
            operation["reply"] = {"channel": channel, "messages": _refs(door, answers)}
        told[f"{door.name}_{_name(message)}"] = operation
    if door.sent:
        told[f"{door.name}_send"] = _operation("send", door, door.sent, title="all that we say")
    return told


def _operation(action: str, door: Door, said: tuple[Message, ...], *, title: str) -> JsonObject:
    told: dict[str, Any] = {
        "action": action,
        "title": title,
        "channel": {"$ref": f"#/channels/{door.name}"},
        "messages": _refs(door, said),
    }
    if not door.is_socket:
        told["bindings"] = {"http": {"method": door.method, "bindingVersion": "0.3.0"}}
    return told


def _refs(door: Door, said: tuple[Message, ...] | list[Message]) -> list[JsonObject]:
    return [{"$ref": f"#/channels/{door.name}/messages/{_name(one)}"} for one in said]


def _complete(schemas: Schemas) -> None:
    """What the types of messages that are passed on as text leave open."""
    for model in frames.OPEN:
        schemas.components[model.__name__]["additionalProperties"] = True
    snapshot = schemas.components["Snapshot"]["properties"]
    snapshot["bars"] = {"type": "array", "items": schemas.ref(frames.SnapshotBar)}
    snapshot["equity"] = {"type": "array", "items": schemas.ref(frames.EquityRange)}


def _close_codes() -> str:
    rows = [f"| {code.value} | {code.name.replace('_', ' ').lower()} |" for code in CloseCode]
    return "\n".join(("| close code | why |", "|---|---|", *rows))
