"""An endpoint of the protocol is a row: rows of these tests' own, served by what is there."""

from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
import pytest

from hewston_bff.protocol import commands, dialects, notices
from hewston_bff.protocol.dialects import Carrier, Dialect, Refusal
from hewston_bff.protocol.event_stream import EventParser
from hewston_bff.protocol.frame_messages import EchoedCtrl, Frame, MergedFrame
from hewston_bff.tools.simulator import SimulatorOptions, generated_run
from hewston_bff.web.events import events_endpoint
from hewston_bff.web.routes import ENDPOINTS
from hewston_bff.web.streams import socket_endpoint
from tests.support import Message, is_a, stack

QUIET = Dialect(
    name="quiet",
    title="Many runs, quietly",
    description="What the toy says.",
    carrier=Carrier.SOCKET,
    received=(commands.Subscribe, commands.Ctrl, commands.Ping),
    sent=(
        *(Frame, MergedFrame, EchoedCtrl),
        *(notices.Subscribed, notices.State, notices.Ended, notices.Err, notices.Pong),
    ),
    is_silent_until_spoken_to=True,
    is_forgiving=True,
)
CHATTY = Dialect(
    name="chatty",
    title="One run as events, with its news",
    description="What the other toy says.",
    carrier=Carrier.EVENTS,
    sent=(
        *(Frame, MergedFrame, notices.State, notices.RunNews),
        *(notices.Ended, notices.Err, notices.Hb, notices.Closed),
    ),
    subscribes=commands.Subscribe(run_id="", mode="all", speed=0.0, updates=["frames", "run"]),
    refusal=Refusal.ENDS,
)
QUIET_ENDPOINT = socket_endpoint(
    QUIET, name="open_quiet", path="/api/v1/quiet", description="A toy."
)
CHATTY_ENDPOINT = events_endpoint(CHATTY, name="open_chatty", path="/api/v1/chatty/{run_id}")
WITH_TOYS = (*ENDPOINTS, QUIET_ENDPOINT, CHATTY_ENDPOINT)


async def test_a_new_row_is_served_as_it_says() -> None:
    async with (
        stack(endpoints=WITH_TOYS, bff_ws_heartbeat_seconds=0.2) as (bff, _, _),
        bff.viewer("/api/v1/quiet") as viewer,
    ):
        await viewer.say(t="ping", ts=1)
        assert (await viewer.next())["t"] == "pong"  # no `hello` came before
        assert (await viewer.subscribe("day"))["t"] == "subscribed"
        await viewer.until_end()
        await viewer.say(t="ctrl", cmd="seek", pos=3, sid=1)
        assert await viewer.until(is_a("ctrl")) == {
            "t": "ctrl",
            "cmd": "seek",
            "pos": 3,
            "sid": 1,
            "echo": True,
        }
        for _ in range(5):
            await viewer.ws.send_str("nonsense")
        await viewer.say(t="ping", ts=2)
        await viewer.until(is_a("pong", ts=2))
        assert len(viewer.of("err")) == 5
        await viewer.until_end()
        told = {str(message.__struct_config__.tag) for message in QUIET.sent}
        assert {message["t"] for message in viewer.seen} == told


async def test_the_same_row_with_one_column_changed_closes_on_nonsense() -> None:
    strict = replace(QUIET, is_forgiving=False)
    endpoint = socket_endpoint(strict, name="open_strict", path="/api/v1/strict", description="")
    async with stack(endpoints=(*ENDPOINTS, endpoint)) as (bff, _, _):
        async with bff.viewer("/api/v1/strict") as viewer:
            for _ in range(3):
                await viewer.ws.send_str("nonsense")
            assert await viewer.until_closed() == 4400
    assert len(viewer.of("err")) == 3


async def test_a_new_row_of_one_run_is_served_as_events() -> None:
    async with stack(endpoints=WITH_TOYS) as (bff, _, _):
        async with bff.session.get(bff.url + "/api/v1/chatty/day") as response:
            events = await _events_until(response, "end")
    frames = [data for name, data in events if name == "frame"]
    assert [frame["seq"] for frame in frames] == list(range(390))
    assert {"run", "state"} <= {name for name, _ in events}
    assert {name for name, _ in events} & {"hello", "subscribed", "snapshot", "upstream"} == set()


async def _events_until(response: aiohttp.ClientResponse, last: str) -> list[tuple[str, Message]]:
    parser = EventParser(max_bytes=1 << 20)
    events = []
    async for data in response.content.iter_any():
        for name, text in parser.feed(data):
            events += [(name, msgspec.json.decode(text))] if text else []
            if name == last:
                return events
    msg = f"ended without {last}: {events[-3:]}"
    raise AssertionError(msg)


async def test_a_new_row_ends_with_a_refusal_and_says_so_in_its_own_words() -> None:
    guarded = SimulatorOptions(
        play_silence_s=0.01, hb_interval_s=0.3, require_token={"good": None, "late": None}
    )
    settings: dict[str, Any] = {"bff_hub_access_fresh_seconds": 0.2}
    slow = replace(CHATTY, subscribes=commands.Subscribe(run_id="", speed=0.05))
    endpoint = events_endpoint(slow, name="open_slow", path="/api/v1/slow/{run_id}")
    run = generated_run("day")
    async with stack(run, options=guarded, endpoints=(endpoint,), **settings) as (bff, backend, _):
        late = {"Authorization": "Bearer late"}
        async with bff.session.get(bff.url + "/api/v1/slow/day", headers=late) as response:
            await _events_until(response, "frame")
            backend.set_tokens({"good": None})
            events = await _events_until(response, "closed")
    assert [data["code"] for name, data in events if name == "err"] == ["UNAUTHORIZED"]
    assert events[-1][1]["code"] == 4401


async def test_new_rows_are_in_the_documents() -> None:
    async with stack(endpoints=WITH_TOYS) as (bff, _, _):
        told = await bff.get("/api/v1/asyncapi.json")
        paths = (await bff.get("/api/v1/openapi.json"))["paths"]
    assert {"/api/v1/quiet", "/api/v1/chatty/{run_id}"} <= paths.keys()
    assert told["channels"]["quiet"]["messages"].keys() == {
        *("subscribe", "ctrl", "ping", "frame", "merged_frame", "echoed_ctrl"),
        *("subscribed", "state", "ended", "err", "pong"),
    }
    assert "quiet_subscribe" in told["operations"]
    assert "ws" in told["channels"]["quiet"]["bindings"]
    assert "bindings" not in told["channels"]["chatty"]


@pytest.mark.parametrize(
    ("dialect", "hidden"),
    [
        (dialects.STREAM, {"closed", "echoed_ctrl"}),
        (dialects.RUN_STREAM, {"closed", "unsubscribed", "echoed_ctrl"}),
        (dialects.BACKEND_STREAM, {"hello", "subscribed", "snapshot", "unsubscribed", "closed"}),
        (dialects.EVENTS, {"echoed_ctrl"}),
        (dialects.RUN_EVENTS, {"hello", "state", "run_news", "hb", "bye", "closed"}),
        (dialects.BACKEND_EVENTS, {"hello", "state", "run_news", "hb", "bye", "closed"}),
    ],
)
def test_rows_hide_what_they_always_hid(dialect: Dialect, hidden: set[str]) -> None:
    sent = {message.__name__.lower() for message in dialect.sent}
    assert sent & {name.replace("_", "") for name in hidden} == set()
