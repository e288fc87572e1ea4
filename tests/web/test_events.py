"""One event stream for many runs, and its commands by POST."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog

from hewston_bff.protocol.event_stream import EventParser
from hewston_bff.tools.simulator import SimulatorOptions, generated_run
from hewston_bff.web import middleware
from hewston_bff.web.keys import CLIENTS
from tests.support import Bff, Message, is_a, sources, stack, without_ours
from tests.web.test_asyncapi import check

ADDRESS = "/api/v1/events"
DAY = generated_run("day")
RUNS = tuple(generated_run(f"run-{n}", frame_count=40 + n) for n in range(12))
GUARDED = SimulatorOptions(
    play_silence_s=0.01, hb_interval_s=0.3, require_token={"good": None, "other": None}
)


@dataclass
class EventViewer:
    """A client of one event stream."""

    bff: Bff
    response: aiohttp.ClientResponse
    headers: dict[str, str]
    seen: list[Message] = field(default_factory=list)
    _parser: EventParser = field(default_factory=lambda: EventParser(max_bytes=1 << 20))
    _waiting: list[Message] = field(default_factory=list)

    async def next(self) -> Message:
        """The next message; an empty one once the stream has ended."""
        while not self._waiting:
            data = await self.response.content.readany()
            if not data:
                return {}
            for name, text in self._parser.feed(data):
                if text:
                    message: Message = msgspec.json.decode(text)
                    assert message["t"] == name
                    self._waiting.append(message)
        self.seen.append(self._waiting.pop(0))
        return self.seen[-1]

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message to come that is `wanted`."""
        while message := await self.next():
            if wanted(message):
                return message
        msg = f"it ended before it came; last: {self.seen[-3:]}"
        raise AssertionError(msg)

    async def until_ended(self) -> list[Message]:
        """All that was said."""
        while await self.next():
            pass
        return self.seen

    async def say(self, **message: Any) -> int:
        """Send one message; the status of the answer."""
        return await self.post(msgspec.json.encode(message))

    async def post(self, body: bytes, *, stream: str = "", **headers: str) -> int:
        """Send a body; the status of the answer."""
        stream = stream or self.seen[0]["stream"]
        url = f"{self.bff.url}{ADDRESS}/{stream}"
        async with self.bff.session.post(url, data=body, headers=self.headers | headers) as answer:
            return answer.status

    def frames(self, sid: int) -> list[Message]:
        """Those of one subscription, as the backend had them."""
        return [without_ours(one) for one in self.seen if one["t"] == "frame" and one["sid"] == sid]


@asynccontextmanager
async def event_viewer(bff: Bff, *wanted: Any, **headers: str) -> AsyncIterator[EventViewer]:
    """An event stream of these runs (ids, or members of `subscribe`), `hello` already read."""
    texts = [one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in wanted]
    query = [("subscribe", text) for text in texts]
    async with bff.session.get(bff.url + ADDRESS, params=query, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        viewer = EventViewer(bff, response, headers)
        assert (await viewer.next())["t"] == "hello"
        yield viewer


def _all(run_id: str, **more: Any) -> Message:
    return {"run_id": run_id, "id": run_id, "mode": "all", "speed": 0} | more


async def test_twelve_runs_come_whole_over_one_stream() -> None:
    async with stack(*RUNS) as (bff, _, _):
        async with event_viewer(bff, *(_all(run.run_id) for run in RUNS)) as viewer:
            for _ in RUNS:
                await viewer.until(is_a("end"))
            assert (await bff.totals())["active_connections"] == 1
            sids = {one["re"]: one["sid"] for one in viewer.seen if one["t"] == "subscribed"}
            assert len(set(sids.values())) == len(RUNS)
            for run in RUNS:
                assert viewer.frames(sids[run.run_id]) == sources(run)


async def test_it_is_spoken_to_by_post_and_answers_on_the_stream() -> None:
    async with stack(DAY, RUNS[0]) as (bff, _, _), event_viewer(bff, "day") as viewer:
        await viewer.until(is_a("end"))
        assert await viewer.say(t="ctrl", id=1, sid=1, cmd="pause") == 202
        assert (await viewer.until(is_a("state", re=1)))["seq"] == 389
        assert await viewer.say(t="ctrl", id=2, sid=1, cmd="seek", pos=100) == 202
        assert (await viewer.until(is_a("state", re=2)))["seq"] == 99
        assert (await viewer.until(is_a("frame")))["seq"] == 100
        assert await viewer.say(t="subscribe", **_all("run-0", id=3)) == 202
        assert (await viewer.until(is_a("subscribed", re=3)))["sid"] == 2
        assert viewer.seen[0]["limits"]["subscriptions"] == 128
        await viewer.until(is_a("end", sid=2))
        assert await viewer.say(t="unsubscribe", id=4, sid=2) == 202
        await viewer.until(is_a("unsubscribed", re=4))
        assert await viewer.say(t="ping", ts=7) == 202
        await viewer.until(is_a("pong", ts=7))
        assert await viewer.say(t="ctrl", id=5, sid=9, cmd="play") == 202
        assert (await viewer.until(is_a("err", re=5)))["code"] == "NOT_SUBSCRIBED"
        check(viewer.seen, endpoint="many_events")


async def test_who_comes_back_goes_on_at_the_next_frame() -> None:
    async with stack(DAY) as (bff, _, _):
        async with event_viewer(bff, _all("day", speed=5)) as viewer:
            await viewer.until(is_a("frame", seq=20))
        async with event_viewer(bff, "day") as viewer:
            epoch = (await viewer.until(is_a("subscribed")))["epoch"]
        resume = {"epoch": epoch, "seq": 20, "ts": sources(DAY)[20]["ts"]}
        async with event_viewer(bff, _all("day", resume=resume)) as viewer:
            assert (await viewer.until(is_a("subscribed")))["recovered"] is True
            await viewer.until(is_a("end"))
            assert viewer.frames(1) == sources(DAY)[21:]


async def test_what_cannot_be_subscribed_is_answered_and_the_others_go_on() -> None:
    async with stack(DAY, bff_ws_subscriptions=2) as (bff, _, _):
        wanted = [_all("nothing"), _all("day"), _all("no/run"), _all("day", speed=-1, id="back")]
        wanted += [_all("day", id="once more")]
        async with event_viewer(bff, *wanted) as viewer:
            await viewer.until(is_a("end"))
            errors = {one.get("re"): one["code"] for one in viewer.seen if one["t"] == "err"}
            assert errors == {
                "nothing": "RUN_NOT_FOUND",
                "no/run": "VALIDATION",
                "back": "VALIDATION",
                "once more": "LIMIT",
            }


@pytest.mark.parametrize(
    "subscribe",
    [
        "{",
        '{"run_id":"day"',
        '{"run_id":"day"}{}',
        '{"run_id":"\\ud800"}',
        "{[]}",
        "{}",
        '{"run_id":1}',
        "no/run",
    ],
)
async def test_a_query_that_cannot_be_is_refused_before_the_stream(subscribe: str) -> None:
    async with stack(DAY) as (bff, _, _):
        query = [("subscribe", "day"), ("subscribe", subscribe)]
        async with bff.session.get(bff.url + ADDRESS, params=query) as response:
            assert response.status == 422
            assert "subscribe" in (await response.json())["error"]["message"]


async def test_a_command_needs_a_stream_that_is_open_and_its_credentials() -> None:
    async with stack(DAY, options=GUARDED) as (bff, _, _):
        good = {"Authorization": "Bearer good"}
        async with event_viewer(bff, "day", **good) as viewer:
            await viewer.until(is_a("subscribed"))
            ping = b'{"t":"ping"}'
            assert await viewer.post(ping) == 202
            assert await viewer.post(ping, Authorization="Bearer other") == 403
            assert await viewer.post(ping, Origin="http://evil.example") == 403
            assert await viewer.post(ping, stream="x") == 404
            assert await viewer.post(b'"' + b"x" * 65_536 + b'"') == 413
            stream = viewer.seen[0]["stream"]
            assert len(stream) >= 32
            bff.app[CLIENTS].drain()
            await viewer.until_ended()
            assert await viewer.post(ping, stream=stream) == 404


async def test_the_log_does_not_tell_the_id_that_commands_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, [capture], structlog.BoundLogger)
    monkeypatch.setattr(middleware, "logger", logger)
    async with stack(DAY) as (bff, _, _), event_viewer(bff, _all("day")) as viewer:
        assert await viewer.say(t="ping", ts=1) == 202
        assert await viewer.post(b"{}", stream="x" * 32) == 404
        told = str(capture.entries)
        assert told.count("http.access") >= 2
        assert viewer.seen[0]["stream"] not in told
        assert "x" * 32 not in told


async def test_its_end_says_why_and_whether_to_come_back() -> None:
    async with stack(DAY, bff_ws_subscribe_within_seconds=0.1) as (bff, _, _):
        async with event_viewer(bff) as viewer:
            assert (await viewer.until_ended())[-1].items() >= {"t": "closed", "code": 4408}.items()
        async with event_viewer(bff, "day") as viewer:
            await viewer.until(is_a("subscribed"))
            for _ in range(3):
                await viewer.post(b"{")
            assert (await viewer.until_ended())[-1]["code"] == 4400
            assert [one["code"] for one in viewer.seen if one["t"] == "err"] == ["VALIDATION"] * 3
        async with event_viewer(bff, "day") as viewer:
            await viewer.until(is_a("subscribed"))
            bff.app[CLIENTS].drain()
            *_, bye, closed = await viewer.until_ended()
            assert (bye["t"], bye["code"], closed["code"]) == ("bye", 1012, 1012)
            check(viewer.seen, endpoint="many_events")


async def test_a_quiet_stream_says_that_it_is_there() -> None:
    async with stack(DAY, bff_ws_heartbeat_seconds=0.2) as (bff, _, _):
        async with event_viewer(bff, {"run_id": "day", "paused": True}) as viewer:
            await viewer.until(is_a("hb"))


async def test_over_http_1_0_it_comes_in_one_piece_until_the_connection_ends() -> None:
    async with stack(DAY) as (bff, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", bff.port, limit=1 << 20)
        subscribe = "%7B%22run_id%22%3A%22day%22%2C%22mode%22%3A%22all%22%2C%22speed%22%3A0%7D"
        writer.write(f"GET {ADDRESS}?subscribe={subscribe} HTTP/1.0\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"chunked" not in head.lower()
        body = await reader.readuntil(b"event: end\n")
        bff.app[CLIENTS].drain()
        body += await reader.read()
        writer.close()
        parser = EventParser(max_bytes=1 << 20)
        messages = [msgspec.json.decode(text) for _, text in parser.feed(body) if text]
        frames = [without_ours(one) for one in messages if one["t"] == "frame"]
        assert frames == sources(DAY)
        assert messages[-1]["t"] == "closed"


async def test_another_page_may_speak_to_it_after_a_preflight() -> None:
    origin = "http://127.0.0.1:5173"
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }
    async with stack(DAY) as (bff, _, _):
        async with bff.session.options(f"{bff.url}{ADDRESS}/any", headers=asks) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert "POST" in response.headers["Access-Control-Allow-Methods"]


async def test_it_is_off_with_the_feature_and_refused_at_the_limit() -> None:
    async with stack(DAY, bff_feature_websocket_proxy=False) as (bff, _, _):
        async with bff.session.get(bff.url + ADDRESS) as response:
            assert response.status == 503
        async with bff.session.post(f"{bff.url}{ADDRESS}/any") as response:
            assert (await response.json())["error"]["code"] == "FEATURE_DISABLED"
    async with stack(DAY, bff_ws_sockets=1) as (bff, _, _), event_viewer(bff, "day"):
        async with bff.session.get(bff.url + ADDRESS) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "10"
