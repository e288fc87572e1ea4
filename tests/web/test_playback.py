"""Runs played to clients over the stream endpoint, end to end."""

import asyncio

import pytest

from hewston_bff.tools.simulator import generated_run
from tests.support import Message, Viewer, is_a, sources, stack, without_ours
from tests.waiting import PATIENCE_S

DAY = generated_run("day")


async def test_all_mode_at_speed_0_gives_every_source_frame_unchanged_and_in_order() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert [frame["seq"] for frame in frames] == list(range(390))


async def test_a_merge_keeps_every_order_and_the_extremes() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=60)
        frames = await viewer.until_end()
        assert [order for frame in frames for order in frame["orders"]] == [
            order for frame in sources(DAY) for order in frame["orders"]
        ]
        bars = [frame["ohlc"] for frame in sources(DAY)]
        merged = [frame["ohlc"] for frame in frames]
        assert merged[0]["o"] == bars[0]["o"]
        assert merged[-1]["c"] == bars[-1]["c"]
        assert max(bar["h"] for bar in merged) == max(bar["h"] for bar in bars)
        assert min(bar["l"] for bar in merged) == min(bar["l"] for bar in bars)
        assert sum(bar["v"] for bar in merged) == sum(bar["v"] for bar in bars)


async def test_the_first_answers_on_a_cold_log_say_so_and_the_state_introduces_it() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        hello = await viewer.until(is_a("hello"))
        assert hello["v"] == 1
        assert hello["limits"]["subscriptions"] == 128
        answer = await viewer.subscribe("day")
        assert answer["epoch"] is None
        assert answer["status"] == "buffering"
        state = await viewer.until(is_a("state"))
        assert state["first"] == 0
        assert len(state["epoch"]) == 12
        await viewer.until(is_a("upstream", status="complete"))
        again = await viewer.subscribe("day")
        assert again["complete"] is True
        assert again["last"] == 389
        assert again["epoch"] == state["epoch"]


async def test_everyone_has_a_pause_seek_and_speed_of_their_own() -> None:
    async with stack(DAY) as (bff, backend, _):
        async with bff.viewer() as first, bff.viewer() as second:
            await first.subscribe("day", mode="all", speed=0)
            await first.until_end()
            await second.subscribe("day", paused=True)
            state = await second.ctrl("seek", pos=100)
            assert state["seeked"] is True
            assert state["seq"] == 99
            snapshot = await second.until(is_a("snapshot"))
            assert snapshot["seq"] == 99
            frame = await second.until(is_a("frame"))
            assert frame["seq"] == 100
            state = await second.ctrl("step", val=3)
            assert state["status"] == "paused"
            frame = await second.until(is_a("frame"))
            assert (frame["from"], frame["seq"], frame["n"]) == (101, 103, 3)
            state = await second.ctrl("step", val=-2)
            assert state["seeked"] is True
            frame = await second.until(is_a("frame"))
            assert frame["seq"] == 101
            state = await second.ctrl("speed", val=1000)
            assert state["frames_per_s"] == 30_000
            await second.ctrl("play")
            await second.until_end()
        assert backend.stats().opened("day") == 1
        assert backend.stats().plays == 1
        assert backend.stats().other_messages == 0


@pytest.mark.parametrize("mode", ["merge", "all"])
async def test_steps_that_pile_up_all_count(mode: str) -> None:
    async with asyncio.timeout(PATIENCE_S), stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", mode="all", speed=0)
        await viewer.until_end()
        await viewer.subscribe("day", mode=mode, paused=True)
        for n, frames in enumerate((1, 2, 1)):
            await viewer.say(t="ctrl", sid=2, id=n, cmd="step", val=frames)
        await viewer.until(is_a("frame", sid=2, seq=3))
        await viewer.ctrl("seek", sid=2, pos=100)
        for n in range(5):
            await viewer.say(t="ctrl", sid=2, id=n, cmd="step", val=-1)
        await viewer.until(is_a("frame", sid=2, seq=95))
        await viewer.ctrl("pause", sid=2)
        assert viewer.frames(2)[-1]["seq"] == 95


async def test_play_at_the_end_starts_again() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=1000)
        await viewer.until_end()
        state = await viewer.ctrl("play")
        assert (state["seq"], state["seeked"]) == (-1, True)
        await viewer.until_end()
        assert viewer.frames()[-1]["seq"] == 389


async def test_a_place_that_is_not_there_is_a_range_error_with_the_range() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=1000)
        await viewer.until_end()
        error = await viewer.ctrl("seek", pos=390)
        assert error["code"] == "RANGE"
        assert (error["details"]["min"], error["details"]["max"]) == (0, 389)
        error = await viewer.ctrl("seek", pos="2030-01-01T00:00:00Z")
        assert error["code"] == "RANGE"
        early = await viewer.ctrl("seek", pos="1999-01-01T00:00:00Z")
        assert early["seq"] == -1


async def test_a_seek_beyond_the_newest_frame_waits_for_it() -> None:
    slow = generated_run("day")
    async with stack(slow) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", paused=True)
        state = await viewer.ctrl("seek", pos=300)
        assert state["status"] == "buffering"
        frame = await viewer.until(is_a("frame"))
        assert frame["seq"] == 300


async def test_a_seek_beyond_a_run_that_ends_earlier_gets_range_and_stands_at_the_end() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", paused=True)
        request = await viewer.ctrl("seek", pos=5_000)
        assert request["status"] == "buffering"
        error = await viewer.until(is_a("err"))
        assert (error["code"], error["re"]) == ("RANGE", request["re"])
        state = await viewer.until(is_a("state"))
        assert state["seq"] == 389


async def test_resume_goes_on_exactly_after_the_last_frame() -> None:
    async with stack(DAY) as (bff, _, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            frames = await viewer.until_end()
            epoch = viewer.of("state")[0]["epoch"]
        seen = frames[200]
        async with bff.viewer() as viewer:
            resume = {"epoch": epoch, "seq": 200, "ts": seen["ts"]}
            answer = await viewer.subscribe("day", mode="all", speed=0, resume=resume)
            assert answer["recovered"] is True
            assert answer["seq"] == 200
            assert (await viewer.until_end())[0]["seq"] == 201
        async with bff.viewer() as viewer:
            resume = {"epoch": "ffffffffffff", "seq": 7, "ts": seen["ts"]}
            answer = await viewer.subscribe("day", mode="all", speed=0, resume=resume)
            assert answer["recovered"] is False
            snapshot = await viewer.until(is_a("snapshot"))
            assert snapshot["seq"] == 200
            assert (await viewer.until_end())[0]["seq"] == 201


async def test_updates_say_what_a_frame_holds() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=1000, updates=["equity", "metrics"])
        frames = await viewer.until_end()
        assert all(not {"ohlc", "orders"} & frame.keys() for frame in frames)
        assert frames[-1]["equity"]["value"] == sources(DAY)[-1]["equity"]["value"]
        metrics = viewer.of("metrics")[-1]
        start = sources(DAY)[0]["equity"]["value"]
        total = sources(DAY)[-1]["equity"]["value"] / start - 1
        assert metrics["seq"] == 389
        assert metrics["metrics"]["total_return"] == pytest.approx(total)
        assert metrics["metrics"]["orders"] == sum(len(f["orders"]) for f in sources(DAY))


async def test_no_message_holds_data_from_after_the_cursor() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer() as warm, bff.viewer() as viewer:
        await warm.subscribe("day", mode="all", speed=0)
        await warm.until_end()
        await viewer.subscribe("day", paused=True, updates=["frames", "metrics"])
        await viewer.ctrl("seek", pos=50)
        await viewer.until(is_a("frame"))
        edge = sources(DAY)[50]["ts"]
        assert all(ts <= edge for ts in _times(viewer))


def _times(viewer: Viewer) -> list[str]:
    """Every time in every data message."""

    def walk(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [v for k, v in value.items() if k in {"ts", "ts0", "ts_utc"} and v is not None]
            return own + [t for v in value.values() for t in walk(v)]
        if isinstance(value, list):
            return [t for v in value for t in walk(v)]
        return []

    data: list[Message] = [m for m in viewer.seen if m["t"] in {"frame", "snapshot", "metrics"}]
    return walk(data)
