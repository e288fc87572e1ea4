"""The AsyncAPI document, made from the types of the messages."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import hewston_bff
from hewston_bff.protocol import commands, frame_messages
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.dialects import (
    ANSWERS,
    QUERY_MEMBERS,
    SUBPROTOCOL,
    Carrier,
    Dialect,
    MessageType,
)
from hewston_bff.protocol.ids import RUN_ID_PATTERN
from hewston_bff.web.contract.schemas import JsonObject, Schemas
from hewston_bff.web.endpoint import JSON, Endpoint

_SPEC = "3.0.0"
_NAME = re.compile(r"(?<=[a-z])(?=[A-Z])")

_ABOUT = f"""\
Text messages, one JSON object each; `t` says which. Members that are not named here are ignored
both ways. The subprotocol, if any, is `{SUBPROTOCOL}`; a browser may offer `bearer.<token>` and
`apikey.<key>` beside it. The `id` of a request comes back as `re`, with the resulting state or an
`err`.

The one rule of continuity: `from`, or `seq` where there is no `from`, is the last `seq` + 1, unless
a `state` with `seeked`, a `lag` or a `reset` came between.

From 4400 on, and after 1000, a client does not come back; after other codes it does, and resumes.
"""


class _Channel(NamedTuple):
    """An endpoint that is part of the stream protocol."""

    address: str
    method: str
    dialect: Dialect


def asyncapi(endpoints: Sequence[Endpoint]) -> JsonObject:
    """The document of those endpoints that have a dialect. Pure, and takes some milliseconds."""
    schemas = Schemas()
    those = [
        _Channel(one.documented_path, one.methods[0], one.dialect)
        for one in endpoints
        if one.dialect is not None
    ]
    told = {message: None for one in those for message in _said(one.dialect)}
    described = {_name(message): _message(message, schemas) for message in told}
    channels = {one.dialect.name: _channel(one, schemas) for one in those}
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
        "operations": {
            name: one for channel in those for name, one in _operations(channel).items()
        },
        "components": {
            "messages": described,
            "schemas": dict(sorted(schemas.components.items())),
            "correlationIds": {
                "request": {"location": "$message.payload#/id"},
                "answer": {"location": "$message.payload#/re"},
            },
        },
    }


def _name(message: MessageType) -> str:
    """`UpstreamNews` → `upstream_news`."""
    return _NAME.sub("_", message.__name__).lower()


def _message(message: MessageType, schemas: Schemas) -> JsonObject:
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


def _said(dialect: Dialect) -> tuple[MessageType, ...]:
    return (*dialect.received, *dialect.sent)


def _channel(channel: _Channel, schemas: Schemas) -> JsonObject:
    dialect = channel.dialect
    told: JsonObject = {
        "address": channel.address,
        "title": dialect.title,
        "description": dialect.description,
        "messages": {
            _name(one): {"$ref": f"#/components/messages/{_name(one)}"} for one in _said(dialect)
        },
    }
    if "{run_id}" in channel.address:
        told["parameters"] = {"run_id": {"description": f"Of the pattern `{RUN_ID_PATTERN}`"}}
    if "{stream_id}" in channel.address:
        told["parameters"] = {"stream_id": {"description": "The `stream` of its `hello`"}}
    if dialect.carrier is Carrier.SOCKET:
        told["bindings"] = {"ws": _handshake(dialect, schemas)}
    return told


def _handshake(dialect: Dialect, schemas: Schemas) -> JsonObject:
    told: JsonObject = {"method": "GET", "bindingVersion": "0.1.0"}
    if dialect.takes_query:
        members, _ = schemas.members(commands.Subscribe, side="validation")
        query = {name: members[name] for name in QUERY_MEMBERS}
        told["query"] = {"type": "object", "properties": query}
    return told


def _operations(channel: _Channel) -> dict[str, JsonObject]:
    """What we receive there, each with its answers, and what we send."""
    dialect = channel.dialect
    told: dict[str, JsonObject] = {}
    for message in dialect.received:
        title = f"{message.__struct_config__.tag} of a client"
        operation = _operation("receive", channel, (message,), title=title)
        answers = [one for one in ANSWERS[message] if one in dialect.sent]
        if answers:
            reply_to = {"$ref": f"#/channels/{dialect.name}"}
            operation["reply"] = {"channel": reply_to, "messages": _refs(dialect, answers)}
        told[f"{dialect.name}_{_name(message)}"] = operation
    if dialect.sent:
        operation = _operation("send", channel, dialect.sent, title="all that we say")
        told[f"{dialect.name}_send"] = operation
    return told


def _operation(
    action: str, channel: _Channel, said: Sequence[MessageType], *, title: str
) -> JsonObject:
    dialect = channel.dialect
    told: dict[str, Any] = {
        "action": action,
        "title": title,
        "channel": {"$ref": f"#/channels/{dialect.name}"},
        "messages": _refs(dialect, said),
    }
    if dialect.carrier is not Carrier.SOCKET:
        told["bindings"] = {"http": {"method": channel.method, "bindingVersion": "0.3.0"}}
    return told


def _refs(dialect: Dialect, said: Sequence[MessageType]) -> list[JsonObject]:
    return [{"$ref": f"#/channels/{dialect.name}/messages/{_name(one)}"} for one in said]


def _complete(schemas: Schemas) -> None:
    """What the types of messages that are passed on as text leave open."""
    for model in frame_messages.OPEN:
        schemas.components[model.__name__]["additionalProperties"] = True
    snapshot = schemas.components["Snapshot"]["properties"]
    snapshot["bars"] = {"type": "array", "items": schemas.ref(frame_messages.SnapshotBar)}
    snapshot["equity"] = {"type": "array", "items": schemas.ref(frame_messages.EquityRange)}


def _close_codes() -> str:
    rows = [f"| {code.value} | {code.name.replace('_', ' ').lower()} |" for code in CloseCode]
    return "\n".join(("| close code | why |", "|---|---|", *rows))
