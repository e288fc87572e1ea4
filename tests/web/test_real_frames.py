"""Frames as they come from other writers of the protocol, through the whole server."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hewston_bff.tools.simulator import Binary, CutAt, FaultPlan, SimulatedRun, SimulatorOptions
from tests.given import OPENED, Wire, given_run, order
from tests.support import Bff, Message, Viewer, is_a, stack, without_ours

MINUTE_1 = '"2024-03-01T14:31:00Z"'
SHARED_TIME = given_run(
    "shared",
    str(Wire()),
    str(Wire(orders=f"[{order('BUY', 10)}]", equity="990")),
    str(Wire(ts=MINUTE_1, orders=f"[{order('SELL', 11)}]", equity="1001")),
)
"""Three frames of two minutes: bought in the first, sold in the second."""


@pytest.fixture(params=["ws", "sse"])
def upstream(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings for each way in which the backend streams."""
    return {"bff_upstream_transport": request.param}


def written(run: SimulatedRun) -> list[Message]:
    """The run's messages as they are; they are strict JSON."""
    return [msgspec.json.decode(each) for each in run.frames]


async def watched(bff: Bff, run_id: str, **wishes: Any) -> Viewer:
    """What a viewer of every frame has seen at the end."""
    async with bff.viewer() as watching:
        viewer = watching
        await viewer.subscribe(run_id, mode="all", speed=0, **wishes)
        await viewer.until_end()
    return viewer


async def complete(bff: Bff, run_id: str) -> Message:
    return await bff.get(f"/api/v1/runs/{run_id}/complete")


async def test_frames_that_share_a_time_all_count(upstream: dict[str, Any]) -> None:
    async with stack(SHARED_TIME, **upstream) as (bff, _, _):
        viewer = await watched(bff, "shared")
        assert [without_ours(frame) for frame in viewer.frames()] == written(SHARED_TIME)
        page = await complete(bff, "shared")
        assert [point["equity"] for point in page["equity"]] == [1000, 990, 1001]
        assert [placed["side"] for placed in page["orders"]] == ["BUY", "SELL"]
        assert page["metrics"]["max_drawdown"] == pytest.approx(0.01)
        assert page["metrics"]["hit_rate"] == 1.0
        assert page["metadata"]["partial_data"] is False
        totals = await bff.totals()
        assert (totals["skipped"], totals["skipped_by_reason"]) == (0, {})


async def test_a_seek_to_a_shared_time_goes_to_the_last_frame_of_it() -> None:
    async with stack(SHARED_TIME) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("shared", mode="all", speed=0)
        await viewer.until_end()
        assert (await viewer.ctrl("seek", ts=OPENED))["seq"] == 0
        assert (await viewer.until(is_a("frame")))["seq"] == 1
        ranged = await bff.session.get(
            f"{bff.url}/api/v1/runs/shared/frames", params={"from": OPENED, "to": OPENED}
        )
        lines = (await ranged.text()).splitlines()
        assert [msgspec.json.decode(line)["seq"] for line in lines] == [0, 1]


async def test_a_start_at_a_shared_time_waits_for_the_last_frame_of_it() -> None:
    # The backend pauses long enough between the two for a viewer to settle on the first.
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, flood_frames_per_s=20)
    async with stack(SHARED_TIME, options=options) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("shared", mode="all", speed=0, **{"from": OPENED})
        assert (await viewer.until(is_a("frame")))["seq"] == 1


async def test_only_a_twin_is_a_repetition_and_is_only_counted() -> None:
    frames = [str(each) for each in (Wire(), Wire(), Wire(equity="5"), Wire(equity="5"), Wire())]
    async with stack(given_run("twins", *frames)) as (bff, _, _):
        viewer = await watched(bff, "twins")
        assert [frame["equity"]["value"] for frame in viewer.frames()] == [1000, 5, 1000]
        assert not [news for news in viewer.of("run") if "skipped" in news]
        assert (await bff.totals())["skipped_by_reason"] == {"repeated": 2}
        assert (await complete(bff, "twins"))["metadata"]["partial_data"] is False


async def test_times_a_hundred_nanoseconds_apart_are_different_times() -> None:
    times = ["2024-03-01T14:30:00.0000001Z", "2024-03-01T14:30:00.0000002Z"]
    fine = given_run("fine", *(str(Wire(ts=f'"{time}"', equity=time[-2])) for time in times))
    async with stack(fine) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("fine", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [frame["ts"] for frame in frames] == times
        await viewer.ctrl("seek", ts=times[0])
        assert (await viewer.until(is_a("frame")))["seq"] == 0
        page = await complete(bff, "fine")
        stamps = [point["timestamp"] for point in page["equity"]]
        assert stamps == ["2024-03-01T14:30:00.000000100Z", "2024-03-01T14:30:00.000000200Z"]


async def test_a_number_that_is_none_costs_nothing_but_itself() -> None:
    run = given_run(
        "nan",
        str(Wire(equity="NaN", orders=f"[{order('BUY', 10)}]")),
        str(Wire(ohlc='{"o": 10, "h": 11, "l": 9, "c": 10.5, "v": NaN}', equity="990")),
        str(Wire(more={"mood": "[Infinity, 1e999]"}, equity="1001")),
    )
    async with stack(run) as (bff, _, _):
        frames = (await watched(bff, "nan")).frames()
        assert [frame["equity"]["value"] for frame in frames] == [None, 990, 1001]
        assert frames[1]["ohlc"] == {"o": 10, "h": 11, "l": 9, "c": 10.5}
        assert frames[2]["mood"] == [None, None]
        assert len(frames[0]["orders"]) == 1
        page = await complete(bff, "nan")
        assert len(page["orders"]) == 1
        assert page["metadata"]["partial_data"] is False


@pytest.mark.parametrize("times", ["zoneless", "seconds", "milliseconds", "text"])
async def test_every_form_of_time_is_watched_as_the_same_run(times: str) -> None:
    first_s = 1_709_303_400  # 2024-03-01T14:30:00Z
    forms: dict[str, Callable[[int], str]] = {
        "zoneless": lambda n: f'"2024-03-01T14:3{n}:00"',
        "seconds": lambda n: f"{first_s + 60 * n}",
        "milliseconds": lambda n: f"{(first_s + 60 * n) * 1000}",
        "text": lambda n: f'"{first_s + 60 * n}"',
    }
    form = forms[times]
    run = given_run("timed", *(str(Wire(ts=form(n), equity=f"{1000 + n}")) for n in range(5)))
    async with stack(run) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("timed", mode="all", speed=0)
        frames = await viewer.until_end()
        assert [frame["ts"] for frame in frames] == [f"2024-03-01T14:3{n}:00Z" for n in range(5)]
        await viewer.ctrl("seek", ts="2024-03-01T14:33:30")
        assert (await viewer.until(is_a("frame")))["seq"] == 3


# -- what is left out


def spoiled(count: int) -> SimulatedRun:
    """Ten good frames with `count` between them whose time cannot be read."""
    good = [str(Wire(ts=f'"2024-03-01T14:3{n}:00Z"', equity=f"{n}")) for n in range(10)]
    bad = [str(Wire(ts='"soon"', equity=f"{n}")) for n in range(count)]
    return given_run("spoiled", *good[:5], *bad, *good[5:])


async def test_a_viewer_hears_of_skipped_frames_once_then_at_doublings_and_at_the_end() -> None:
    async with stack(spoiled(11)) as (bff, _, _):
        viewer = await watched(bff, "spoiled")
        assert [frame["equity"]["value"] for frame in viewer.frames()] == [*range(10)]
        told = [news["skipped"] for news in viewer.of("run") if "skipped" in news]
        expected = [{"frames": n, "reasons": {"time_unreadable": n}} for n in (1, 2, 4, 8, 11)]
        assert [each for n, each in enumerate(told) if each not in told[:n]] == expected
        late = await watched(bff, "spoiled")
        (news,) = late.of("run")
        assert news["skipped"] == {"frames": 11, "reasons": {"time_unreadable": 11}}
        assert late.seen.index(news) == late.seen.index(late.of("subscribed")[0]) + 1
        page = await complete(bff, "spoiled")
        assert page["metadata"]["partial_data"] is True
        assert page["metadata"]["failed_sources"] == ["stream"]
        assert len(page["equity"]) == 10
        totals = await bff.totals()
        assert (totals["skipped"], totals["skipped_by_reason"]) == (11, {"time_unreadable": 11})
        text = await (await bff.session.get(f"{bff.url}/metrics")).text()
        assert 'hewston_bff_skipped_total{reason="time_unreadable"} 11.0' in text


async def test_who_asked_for_no_news_of_the_run_hears_of_skipped_frames_as_an_error() -> None:
    async with stack(spoiled(3)) as (bff, _, _):
        viewers = [await watched(bff, "spoiled", updates=["frames"]) for _ in range(2)]
        for viewer in viewers:
            error = viewer.of("err")[-1]
            assert (error["code"], error["sid"]) == ("FRAMES_SKIPPED", 1)
            assert error["details"] == {"frames": 3, "reasons": {"time_unreadable": 3}}
            assert not viewer.of("run")
        assert len(viewers[1].of("err")) == 1, "who comes late hears of it once"


async def test_the_backends_own_path_and_event_streams_tell_of_skipped_frames() -> None:
    details = {"frames": 3, "reasons": {"time_unreadable": 3}}
    async with stack(spoiled(3)) as (bff, _, _):
        await watched(bff, "spoiled")
        async with bff.viewer("/backtests/spoiled/ws") as viewer:
            await viewer.say(t="ctrl", cmd="play")
            await viewer.until(is_a("end"))
            (error,) = viewer.of("err")
            assert (error["code"], error["details"]) == ("FRAMES_SKIPPED", details)
        for path in ("/api/v1/runs/spoiled/events", "/backtests/spoiled/stream"):
            async with bff.session.get(bff.url + path) as response:
                events = (await response.text()).split("\n\n")
            (told,) = [event for event in events if event.startswith("event: err")]
            data = told.split("data: ", 1)[1]
            assert msgspec.json.decode(data)["details"] == details


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "malformed"),
        ('{"t": "frame", "ohlc": null}', "time_unreadable"),
        (str(Wire(ts='"2024-03-01T14:29:00Z"')), "time_went_back"),
        (str(Wire(ts='"2024-03-01T14:34:00Z"', orders='"x"', equity="4")), "orders_unreadable"),
        (str(Wire(ts='"2024-03-01T14:34:00Z"', ohlc='"x"', equity="4")), "bar_unreadable"),
        (str(Wire(ts='"2024-03-01T14:34:00Z"', equity="{}")), "equity_unreadable"),
        (f'{{"t": "frame", "x": "{"x" * 3_000}"}}', "too_large"),
    ],
)
async def test_whatever_is_left_out_is_told_with_its_reason(
    message: str, reason: str, upstream: dict[str, Any]
) -> None:
    good = [str(Wire(ts=f'"2024-03-01T14:3{n}:00Z"', equity=f"{n}")) for n in range(9)]
    run = given_run("spoiled", *good[:5], message, *good[5:])
    settings = {"bff_hub_upstream_message_bytes": 2_048} | upstream
    async with stack(run, **settings) as (bff, _, _):
        viewer = await watched(bff, "spoiled")
        assert len(viewer.frames()) >= 9
        assert viewer.of("run")[-1]["skipped"] == {"frames": 1, "reasons": {reason: 1}}
        assert (await bff.totals())["skipped_by_reason"] == {reason: 1}
        assert (await complete(bff, "spoiled"))["metadata"]["failed_sources"] == ["stream"]


async def test_a_reconnect_counts_nothing_twice(upstream: dict[str, Any]) -> None:
    plan = FaultPlan(connections={"spoiled": [(CutAt(frame=12),), (CutAt(frame=7),)]})
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, faults=plan)
    async with stack(spoiled(4), options=options, **upstream) as (bff, backend, _):
        viewer = await watched(bff, "spoiled")
        assert backend.stats().opened("spoiled") == 3
        assert len(viewer.frames()) == 10
        assert viewer.of("run")[-1]["skipped"]["frames"] == 4
        assert (await bff.totals())["skipped_by_reason"] == {"time_unreadable": 4}


async def test_a_binary_message_is_left_out_and_told_and_the_stream_goes_on() -> None:
    plan = FaultPlan(connections={"shared": [(Binary(frame=1),)]})
    options = SimulatorOptions(play_silence_s=0.01, hb_interval_s=0.3, faults=plan)
    async with stack(SHARED_TIME, options=options) as (bff, backend, _):
        viewer = await watched(bff, "shared")
        assert len(viewer.frames()) == 3
        assert viewer.of("run")[-1]["skipped"] == {"frames": 1, "reasons": {"binary": 1}}
        assert backend.stats().opened("shared") == 1
