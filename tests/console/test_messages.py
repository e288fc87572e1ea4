"""The client's types of messages: made from the document, and what is really said is of them."""

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.console.support import CONSOLE
from tests.console.typescript import compiled
from tests.support import Message, is_a, stack

_ROOT = CONSOLE.parents[1]
_GENERATOR = runpy.run_path(str(_ROOT / "scripts" / "generate_messages.py"))
_SMALL = {
    "channels": {
        "stream": {
            "address": "/stream",
            "messages": {
                "ping": {"$ref": "#/components/messages/ping"},
                "pong": {"$ref": "#/components/messages/pong"},
            },
        }
    },
    "operations": {
        "stream_ping": {
            "action": "receive",
            "channel": {"$ref": "#/channels/stream"},
            "messages": [{"$ref": "#/channels/stream/messages/ping"}],
        },
        "stream_send": {
            "action": "send",
            "channel": {"$ref": "#/channels/stream"},
            "messages": [
                {"$ref": "#/channels/stream/messages/pong"},
                {"$ref": "#/channels/stream/messages/ping"},
            ],
        },
    },
    "components": {
        "messages": {
            "ping": {"payload": {"$ref": "#/components/schemas/Ping"}},
            "pong": {"payload": {"$ref": "#/components/schemas/Pong"}},
        },
        "schemas": {
            "Ping": {"type": "object", "properties": {"t": {"enum": ["ping"]}}, "required": ["t"]},
            "Pong": {
                "description": "An answer.\n\n    To `ping`.",
                "type": "object",
                "properties": {
                    "t": {"enum": ["pong"]},
                    "ts": {"anyOf": [{"type": "null"}, {"type": "integer"}, {"type": "number"}]},
                    "speed": {"type": "number", "description": "how fast", "default": 2.5},
                },
                "required": ["t", "ts"],
            },
        },
    },
}


def test_the_types_are_those_of_the_document() -> None:
    text = _GENERATOR["typescript"](_GENERATOR["asyncapi"](_GENERATOR["ENDPOINTS"]))
    is_same = (CONSOLE / "client" / "messages.d.ts").read_text() == text
    assert is_same, "the document has changed: run scripts/generate_messages.py"


def test_a_document_becomes_types_of_its_messages_and_channels() -> None:
    _, _, text = _GENERATOR["typescript"](_SMALL).partition(" */\n\n")
    assert (
        text
        == """\
export type Ping = {
  t: "ping";
};

/** An answer. To `ping`. */
export type Pong = {
  t: "pong";
  ts: number | null;
  /** how fast; default `2.5` */
  speed?: number;
};

/** What the server sends, by channel. */
export type ServerMessages = {
  /** `/stream` */
  stream: Pong | Ping;
};

/** What a client may send, by channel. */
export type ClientMessages = {
  /** `/stream` */
  stream: Ping;
};
"""
    )


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "integer", "minimum": 0}, "number"),
        ({}, "unknown"),
        ({"description": "anything"}, "unknown"),
        ({"enum": ["a", 1, True]}, '"a" | 1 | true'),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string | null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Order"}}, "Order[]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '("a" | "b")[]'),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "Record<string, number>",
        ),
    ],
)
def test_a_schema_becomes_a_type(schema: Message, type_: str) -> None:
    assert _GENERATOR["type_of"](schema) == type_


@pytest.mark.parametrize(
    "schema", [{"minimum": 0}, {"type": "object"}, {"allOf": [{"type": "string"}]}]
)
def test_what_is_not_understood_becomes_no_type_at_all(schema: Message) -> None:
    with pytest.raises(ValueError, match="no type for"):
        _GENERATOR["type_of"](schema)


def _constants(messages: list[Message], type_: str) -> dict[str, str]:
    """A source that says of each of these messages that it is of a type."""
    lines = ['import type * as Messages from "./client/messages.js";']
    for number, message in enumerate(messages):
        text = msgspec.json.encode(message).decode()
        lines.append(f"export const message{number}: Messages.{type_} = {text};")
    return {"messages.ts": "\n".join(lines)}


async def test_what_is_said_on_the_stream_is_of_these_types(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = [
        {"t": "subscribe", "id": 0, "run_id": "day", "updates": ["frames", "run", "metrics"]},
        {"t": "ctrl", "id": 1, "cmd": "seek", "pos": 20},
        {"t": "ctrl", "id": "a", "cmd": "seek", "pos": 10**9},
        {"t": "ctrl", "id": 2, "cmd": "play"},
        {"t": "ping", "ts": 1.5},
    ]
    async with stack(bff_ws_heartbeat_seconds=0.2) as (bff, _, _), bff.viewer() as viewer:
        await viewer.say(**asked[0])
        await viewer.until_end()
        await viewer.say(**asked[1])
        await viewer.until(is_a("snapshot"))
        for message in asked[2:]:
            await viewer.say(**message)
        await viewer.until(is_a("pong"))
        await viewer.until(is_a("hb"))
        heard = viewer.seen
    kinds = {message["t"] for message in heard}
    assert kinds >= {"hello", "subscribed", "frame", "snapshot", "state", "metrics", "end", "err"}
    assert any("n" in message for message in heard)
    sources = _constants(heard, 'ServerMessages["stream"]')
    said = _constants(asked, 'ClientMessages["stream"]')
    assert await compiled(tmp_path, sources | {"said.ts": said["messages.ts"]}) == ""


@pytest.mark.parametrize(
    "message",
    [
        {"t": "hb", "ts": "now"},
        {"t": "hb"},
        {"t": "hb", "ts": 1, "more": 1},
        {"t": "state", "status": "asleep"},
        {"t": "hello", "session": "s", "hb_ms": 1},
    ],
)
async def test_a_message_of_another_type_is_noticed(tmp_path: Path, message: Message) -> None:
    told = await compiled(tmp_path, _constants([message], 'ServerMessages["stream"]'))
    assert "messages.ts(2," in told


async def test_the_declarations_of_the_client_are_whole(tmp_path: Path) -> None:
    """Without `skipLibCheck`: a name that is not there would pass for anything."""
    page = 'import { connect } from "./client/hewston-bff.js";\nexport const page = connect("");\n'
    assert await compiled(tmp_path, {"page.ts": page}, skipLibCheck=False) == ""
