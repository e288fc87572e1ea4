"""The AsyncAPI document: it is one, it has every message, and what is said is as it says."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from hewston_bff.protocol.commands import Command
from hewston_bff.protocol.event_stream import EventParser
from hewston_bff.protocol.notices import Notice
from hewston_bff.tools.simulator import (
    Diverge,
    FaultPlan,
    HalfOpen,
    SimulatorOptions,
    generated_run,
)
from hewston_bff.web.contract.asyncapi import asyncapi
from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.endpoint import Tag
from hewston_bff.web.keys import CLIENTS
from hewston_bff.web.routes import ENDPOINTS
from tests.support import Message, is_a, stack
from tests.waiting import eventually
from tests.web.documented import validator

DOCUMENT = asyncapi(ENDPOINTS)
DIALECTS = [endpoint.dialect for endpoint in ENDPOINTS if endpoint.dialect is not None]
MEMBERS = {name: one["name"] for name, one in DOCUMENT["components"]["messages"].items()}
_SPEC = (
    Path(__file__)
    .resolve()
    .parents[2]
    .joinpath("hewston_bff/console/node_modules/@asyncapi/specs/schemas/3.0.0.json")
)


def check(messages: Iterable[Message], *, endpoint: str, action: str = "send") -> set[str]:
    """Assert that we may say each at this endpoint, or `receive` it; the kinds there were."""
    known = [
        ref["$ref"].rpartition("/")[2]
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == action
        and operation["channel"]["$ref"] == f"#/channels/{endpoint}"
        for ref in operation["messages"]
    ]
    kinds = set()
    for message in messages:
        kind = message["t"]
        names = [name for name in known if MEMBERS[name] == kind]
        if kind == "frame":
            names = ["merged_frame" if "n" in message else "frame"]
        assert names, f"nothing at {endpoint} is called {kind}"
        schema_of(names[0]).validate(message)
        kinds.add(kind)
    return kinds


@cache
def schema_of(name: str) -> Draft202012Validator:
    """A validator of the messages of this name."""
    payload: str = DOCUMENT["components"]["messages"][name]["payload"]["$ref"]
    return validator(DOCUMENT, payload.removeprefix("#"))


def test_the_document_is_one() -> None:
    if not _SPEC.exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)("run scripts/check_console first")
    Draft7Validator(msgspec.json.decode(_SPEC.read_bytes())).validate(DOCUMENT)


def test_what_it_refers_to_is_there() -> None:
    def refs(value: object) -> Iterable[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                yield from refs(part)

    found = set(refs(DOCUMENT))
    assert len(found) > len(DIALECTS)
    for ref in found:
        place = DOCUMENT
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]


async def test_it_is_served() -> None:
    async with stack() as (bff, _, _):
        assert await bff.get("/api/v1/asyncapi.json") == DOCUMENT


def test_every_endpoint_and_every_message_is_in_it() -> None:
    streams = {
        path
        for path, methods in openapi(ENDPOINTS)["paths"].items()
        if any(Tag.STREAMS in operation["tags"] for operation in methods.values())
    }
    assert {one.documented_path for one in ENDPOINTS if one.dialect} == streams
    said = {message for one in DIALECTS for message in (*one.received, *one.sent)}
    assert said >= {*Notice.__subclasses__(), *get_args(Command)}


@pytest.mark.parametrize(
    "message",
    [
        {"t": "hb"},
        {"t": "hb", "ts": "now"},
        {"t": "hb", "ts": 1, "more": 1},
        {"t": "frame", "seq": 1, "dropped": 0},
    ],
)
def test_a_message_that_is_not_as_documented_is_noticed(message: Message) -> None:
    assert not schema_of(message["t"]).is_valid(message)


async def test_what_is_said_on_the_stream_is_as_documented() -> None:
    said: list[Message] = [
        {"t": "ctrl", "id": 1, "cmd": "pause"},
        {"t": "ctrl", "cmd": "seek", "pos": 20},
        {"t": "ctrl", "cmd": "step", "val": -3},
        {"t": "ctrl", "cmd": "speed", "speed": 2.5},
        {"t": "ctrl", "cmd": "seek", "ts": "1999-01-01T00:00:00Z"},
        {"t": "ctrl", "cmd": "play", "sid": 7},
        {"t": "ctrl", "id": "a", "cmd": "seek", "pos": 10**9},
        {"t": "ping", "ts": 1},
        {"t": "hb"},
    ]
    request = {"t": "subscribe", "id": 0, "run_id": "day", "updates": ["frames", "run", "metrics"]}
    async with stack(bff_ws_heartbeat_seconds=0.2) as (bff, _, _), bff.viewer() as viewer:
        await viewer.say(**request)
        await viewer.until_end()
        for message in said:
            await viewer.say(**message)
        await viewer.until(is_a("pong"))
        await viewer.ctrl("play")
        await viewer.until(is_a("metrics"))
        await viewer.say(t="unsubscribe", id=2)
        await viewer.until(is_a("unsubscribed"))
        await viewer.until(is_a("hb"))
        bff.app[CLIENTS].drain()
        await viewer.until_closed()
        assert check(viewer.seen, endpoint="stream") >= {
            *("hello", "subscribed", "frame", "snapshot", "state", "upstream", "run", "metrics"),
            *("end", "err", "hb", "pong", "unsubscribed", "bye"),
        }
    told = [request, *said, {"t": "unsubscribe", "id": 2}]
    check(told, endpoint="stream", action="receive")


async def test_what_is_said_when_things_go_wrong_is_as_documented() -> None:
    faults = FaultPlan(connections={"month": [(HalfOpen(frame=300),), (Diverge(frame=100),)]})
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, faults=faults)
    month = generated_run("month", frame_count=6_000)
    async with stack(month, options=options, bff_hub_log_bytes=300_000) as (bff, _, running):
        async with bff.viewer() as first, bff.viewer() as late:
            await first.subscribe("month")
            await eventually(lambda: bff.hub.stats().runs[0].next_seq == 300)
            await running.kill()
            await running.start()
            await first.until(is_a("reset"))
            await first.until_end()
            await eventually(lambda: bff.hub.stats().runs[0].first_seq > 0)
            await late.subscribe("month", mode="all", speed=0)
            await late.until(is_a("lag"))
            await late.until(is_a("frame"))
            assert check(first.seen, endpoint="stream") >= {"reset", "upstream", "state"}
            assert check(late.seen, endpoint="stream") >= {"lag"}
            assert "retrying" in {one["status"] for one in first.of("upstream")}


async def test_what_is_said_of_one_run_is_as_documented() -> None:
    async with stack() as (bff, _, _):
        async with bff.viewer("/api/v1/runs/day/stream?updates=orders&mode=all&speed=0") as viewer:
            await viewer.until_end()
            await viewer.say(t="subscribe", run_id="day")
            await viewer.until(is_a("err"))
            assert check(viewer.seen, endpoint="run") >= {
                "hello",
                "subscribed",
                "frame",
                "end",
                "err",
            }
        async with bff.viewer("/backtests/day/ws") as viewer:
            await viewer.say(t="ctrl", cmd="play", id=None, more=1)
            await viewer.say(t="ctrl", cmd="seek", pos=3)
            await viewer.until_end()
            assert check(viewer.seen, endpoint="backend") >= {"ctrl", "state", "frame", "end"}


async def test_a_line_of_a_range_of_frames_is_a_documented_frame() -> None:
    async with stack() as (bff, _, _):
        async with bff.session.get(f"{bff.url}/api/v1/runs/day/frames?from=3&to=40") as response:
            lines = (await response.text()).splitlines()
    assert check(map(msgspec.json.decode, lines), endpoint="run") == {"frame"}
    assert len(lines) == 38


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("events", "/api/v1/runs/day/events"), ("backend_events", "/backtests/day/stream")],
)
async def test_what_an_event_holds_is_as_documented(endpoint: str, path: str) -> None:
    async with stack() as (bff, _, _), bff.session.get(bff.url + path) as response:
        parser = EventParser(max_bytes=1 << 20)
        events = list(parser.feed(await response.read()))
    messages = [msgspec.json.decode(data) for name, data in events if name != "message"]
    assert [name for name, data in events if data] == [message["t"] for message in messages]
    assert check(messages, endpoint=endpoint) == {"frame", "end"}
