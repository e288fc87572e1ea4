"""Limits: crossing one gives that one client a clear error, and nobody else anything."""

import asyncio
import random

import aiohttp
import pytest

from hewston_bff.tools.simulator import Delay, SimulatorOptions, generated_run
from tests.support import is_a, stack
from tests.waiting import PATIENCE_S, eventually, let_pass

DAY = generated_run("day")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "invalid JSON"),
        ("[]", "invalid JSON"),
        ('{"t":"dance"}', "unsupported message"),
        ('{"t":"ctrl","cmd":"dance","id":7}', "invalid ctrl.cmd"),
        ('{"t":"subscribe","run_id":"day","speed":"fast"}', "speed"),
        ('{"t":"subscribe","run_id":"day","speed":0}', "speed"),
        ('{"t":"subscribe","run_id":"day","from":"yesterday"}', "from"),
        ('{"t":"subscribe"}', "run_id"),
    ],
)
async def test_bad_messages_are_told_what_is_wrong(text: str, words: str) -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.ws.send_str(text)
        error = await viewer.until(is_a("err"))
        assert error["code"] == "VALIDATION"
        assert words in error["msg"]
        await viewer.subscribe("day")


async def test_three_malformed_messages_in_a_row_close_the_socket() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        for _ in range(2):
            await viewer.ws.send_str("{")
        await viewer.say(t="ping", ts=1)
        await viewer.until(is_a("pong"))
        for _ in range(3):
            await viewer.ws.send_str("{")
        assert await viewer.until_closed() == 4400


async def test_a_message_too_large_closes_with_1009() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.ws.send_str("x" * 70_000)
        assert await viewer.until_closed() == 1009


async def test_a_socket_that_watches_nothing_is_closed() -> None:
    async with stack(DAY, bff_ws_subscribe_within_seconds=0.3) as (bff, _, _):
        async with bff.viewer() as viewer:
            assert await viewer.until_closed() == 4408


async def test_subscriptions_are_numbered_limited_and_found_by_their_numbers() -> None:
    async with stack(DAY, bff_ws_subscriptions=3) as (bff, _, _), bff.viewer() as viewer:
        sids = [(await viewer.subscribe("day", paused=True))["sid"] for _ in range(3)]
        assert sids == [1, 2, 3]
        assert (await viewer.subscribe("day"))["code"] == "LIMIT"
        assert (await viewer.ctrl("play"))["code"] == "NOT_SUBSCRIBED"
        assert (await viewer.ctrl("play", sid=9))["code"] == "NOT_SUBSCRIBED"
        await viewer.say(t="unsubscribe", id="u", sid=2)
        assert (await viewer.until(is_a("unsubscribed")))["sid"] == 2
        assert (await viewer.subscribe("day", paused=True))["sid"] == 2
        await viewer.say(t="subscribe", id="twice", run_id="day", paused=True)
        await viewer.until(is_a("err", code="LIMIT"))


@pytest.mark.parametrize("second", [{"t": "unsubscribe"}, {"t": "ctrl", "cmd": "pause"}])
async def test_a_subscribe_is_answered_before_what_follows_it(second: dict[str, str]) -> None:
    faults = {"GET /backtests/{run_id}": (Delay(seconds=0.5),)}
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, rest_faults=faults)
    async with stack(DAY, options=options) as (bff, _, _), bff.viewer() as viewer:
        await viewer.say(t="subscribe", id=1, run_id="day")
        await viewer.say(id=2, **second)
        await viewer.until(lambda m: m.get("re") == 2)
        answers = [(m["t"], m["re"]) for m in viewer.seen if "re" in m]
        assert answers[0] == ("subscribed", 1)


async def test_an_id_in_use_is_refused() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.say(t="subscribe", id="a", run_id="day", paused=True)
        await viewer.until(is_a("subscribed"))
        await viewer.say(t="subscribe", id="a", run_id="day", paused=True)
        assert (await viewer.until(is_a("err")))["code"] == "ALREADY_SUBSCRIBED"


async def test_too_many_messages_are_refused_and_abuse_is_closed() -> None:
    async with stack(DAY, bff_ws_messages_per_second=5) as (bff, _, _):
        async with bff.viewer() as viewer, bff.viewer() as other:
            await other.subscribe("day", speed=0.05)
            for n in range(10):
                await viewer.say(t="ctrl", id=n, cmd="play")
            await viewer.until(is_a("err", code="RATE_LIMITED", re=9))
            assert [m["re"] for m in viewer.of("err")] == list(range(10))
            for _ in range(80):
                await viewer.say(t="ping", ts=1)
            assert await viewer.until_closed() == 4429
            await other.until(is_a("frame"))


async def test_sockets_are_limited_in_all_and_for_an_address() -> None:
    async with stack(DAY, bff_ws_sockets_per_address=2) as (bff, _, _):
        async with bff.viewer(), bff.viewer():
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await bff.session.ws_connect(bff.url + "/api/v1/stream")
            assert caught.value.status == 429
            assert caught.value.headers is not None
            assert "Retry-After" in caught.value.headers
        async with bff.viewer():
            pass
    async with stack(DAY, bff_ws_sockets=1) as (bff, _, _), bff.viewer():
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await bff.session.ws_connect(bff.url + "/api/v1/stream")
        assert caught.value.status == 503
        async with bff.session.get(bff.url + "/api/v1/health/ready") as response:
            assert response.status == 503
            assert (await response.json())["reasons"] == ["over the connection limit"]


async def test_memory_used_up_by_watched_runs_refuses_new_ones() -> None:
    runs = [generated_run(f"run-{n}", seed=n, frame_count=4_000) for n in range(2)]
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=4_000)
    settings = {"bff_hub_log_bytes": 400_000}
    async with stack(*runs, options=options, **settings) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("run-0", paused=True)
        await eventually(lambda: bff.hub.log_bytes >= 400_000)
        await let_pass(0.5, bff.hub.ticker)
        assert bff.hub.log_bytes < 900_000
        assert (await viewer.subscribe("run-1"))["code"] == "LIMIT"
        async with bff.session.get(bff.url + "/api/v1/runs/run-1/events") as response:
            assert response.status == 503
            assert "Retry-After" in response.headers
        await viewer.ctrl("speed", val=1000)
        await viewer.ctrl("play")
        await viewer.until_end()
        assert (await bff.totals())["log_bytes"] < 400_000
        assert (await viewer.subscribe("run-1"))["t"] == "subscribed"


async def test_a_run_larger_than_memory_plays_to_its_end() -> None:
    run = generated_run("large", frame_count=12_000)
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=8_000)
    async with stack(run, options=options, bff_hub_log_bytes=1_500_000) as (bff, _, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("large", paused=True, speed=500)
            await eventually(lambda: bff.hub.log_bytes > 1_500_000)
            await let_pass(0.5, bff.hub.ticker)
            await viewer.ctrl("play")
            async with asyncio.timeout(PATIENCE_S):
                frames = await viewer.until_end()
            assert frames[-1]["seq"] == 11_999
            assert not viewer.of("lag")


async def test_frames_evicted_before_they_were_read_are_announced_as_lag() -> None:
    run = generated_run("month", frame_count=6_000)
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3)
    async with stack(run, options=options, bff_hub_log_bytes=300_000) as (bff, _, _):
        async with bff.viewer() as fast, bff.viewer() as late:
            await fast.subscribe("month", mode="all", speed=0)
            await fast.until_end()
            await eventually(lambda: bff.hub.stats().runs[0].first_seq > 0)
            await late.subscribe("month", mode="all", speed=0)
            lag = await late.until(is_a("lag"))
            assert lag["from"] == 0
            frame = await late.until(is_a("frame"))
            assert frame["seq"] == lag["to"] + 1
            assert frame["dropped"] == lag["to"] + 1


async def test_mutated_messages_harm_nobody() -> None:
    chance = random.Random(11)
    seeds = [
        b'{"t":"subscribe","id":1,"run_id":"day","from":"start","speed":60,"max_fps":30}',
        b'{"t":"ctrl","id":4,"sid":1,"cmd":"seek","pos":"2024-03-01T14:30:00Z","val":60}',
        b'{"t":"unsubscribe","id":3,"sid":1}',
        b'{"t":"ping","ts":1735689600000}',
    ]
    async with stack(DAY, bff_ws_messages_per_second=100_000) as (bff, _, _):
        async with bff.viewer() as other:
            await other.subscribe("day", speed=0.05)
            async with bff.viewer("/backtests/day/ws") as viewer:
                for n in range(2_000):
                    text = bytearray(chance.choice(seeds))
                    for _ in range(chance.randint(1, 4)):
                        text[chance.randrange(len(text))] = chance.randrange(32, 127)
                    await viewer.ws.send_str(text.decode())
                    if n % 50 == 0:
                        await viewer.say(t="ping", ts=n)
                        await viewer.until(is_a("pong", ts=n))
            before = len(other.frames())
            await other.until(is_a("frame"))
            assert len(other.frames()) > before
