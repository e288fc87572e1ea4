"""What goes wrong in one place ends there: a fault is planted in a running server's own objects."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from hewston_bff.credentials import Credentials
from hewston_bff.hub.subscription import Subscription
from hewston_bff.net.backend.http_backend import HttpBackend
from hewston_bff.net.clients.session import Session
from hewston_bff.protocol.ids import RunId
from hewston_bff.tools.simulator import SimulatorOptions, generated_run
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.web.keys import CLIENTS
from tests.support import Bff, is_a, stack

MANY = generated_run("day", frame_count=3_900)


class NoCursor:
    """In place of a cursor: whatever is asked of it fails."""

    def __getattr__(self, name: str) -> Any:
        msg = f"planted: {name}"
        raise ZeroDivisionError(msg)


def subscription_of(bff: Bff) -> Subscription:
    """What the one client watches that watches something."""
    sessions = [client for client in bff.app[CLIENTS].open if isinstance(client, Session)]
    (watching,) = [session for session in sessions if session.subscriptions]
    subscription = watching.subscriptions.find(None)
    assert isinstance(subscription, Subscription)
    return subscription


def break_cursor(subscription: Subscription) -> None:
    subscription.viewer.cursor = NoCursor()  # type: ignore[assignment]  # the fault


@pytest.mark.parametrize("path", ["/api/v1/stream", "/api/v1/runs/day/stream", "/backtests/day/ws"])
async def test_a_command_that_crashes_ends_its_socket_with_1011_and_no_other(
    path: str,
) -> None:
    with capture_logs() as logged:
        await _crash_a_command(path)
    crashes = [entry for entry in logged if str(entry["event"]).endswith(".crashed")]
    assert len(crashes) == 1
    assert str(crashes[0]["exc_info"]).startswith("planted")


async def _crash_a_command(path: str) -> None:
    async with stack(MANY) as (bff, _, _), bff.viewer(path) as broken:
        if path == "/api/v1/stream":
            await broken.subscribe("day", paused=True)
        elif path == "/backtests/day/ws":
            await broken.say(t="ping", ts=1)
            await broken.until(is_a("pong"))
        else:
            await broken.until(is_a("subscribed"))
            await broken.ctrl("pause")
        break_cursor(subscription_of(bff))
        async with bff.viewer() as other:
            await other.subscribe("day", speed=600)
            await broken.say(t="ctrl", cmd="seek", pos=5)
            assert await broken.until_closed() == 1011
            frames = await other.until_end()
            assert frames[-1]["seq"] == 3_899


async def test_a_viewer_whose_tick_crashes_goes_alone() -> None:
    async with stack(MANY) as (bff, _, _), bff.viewer() as broken, bff.viewer() as other:
        await broken.subscribe("day", speed=1)
        await broken.until(is_a("frame"))
        break_cursor(subscription_of(bff))
        assert await broken.until_closed() == 1011
        await other.subscribe("day", speed=600)
        assert (await other.until_end())[-1]["seq"] == 3_899
        async with bff.session.get(f"{bff.url}/api/v1/health/ready") as response:
            assert response.status == 200


async def test_an_event_stream_that_crashes_is_told_so_and_ends() -> None:
    async with stack(MANY) as (bff, _, _):
        url = f"{bff.url}/api/v1/events?subscribe=day"
        async with bff.session.get(url) as response:
            lines = aiter(response.content)
            while b"event: frame" not in await anext(lines):
                pass
            break_cursor(subscription_of(bff))
            rest = b"".join([line async for line in lines])
            assert b'"code":1011' in rest


class CrashingBackend(HttpBackend):
    """The real one, but for a run whose description crashes us."""

    async def describe(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float, is_retried: bool
    ) -> RunDescription:
        if run_id == "crash":
            raise ZeroDivisionError("planted")
        return await super().describe(
            run_id, credentials, deadline_s=deadline_s, is_retried=is_retried
        )


async def test_a_permission_check_that_crashes_refuses_that_viewer_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hewston_bff.app.HttpBackend", CrashingBackend)
    async with stack(MANY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.say(t="subscribe", id=1, run_id="crash")
        error = await viewer.until(is_a("err"))
        assert (error["code"], error["re"]) == ("INTERNAL", 1)
        await viewer.subscribe("day", speed=600)
        assert (await viewer.until_end())[-1]["seq"] == 3_899


async def test_the_picture_of_the_stats_does_not_change() -> None:
    async with stack(MANY) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=600)
        await viewer.until(is_a("frame"))
        picture = bff.hub.stats()
        before = (picture.counters.frames_out, dict(picture.counters.skipped))
        await viewer.until_end()
        assert (picture.counters.frames_out, dict(picture.counters.skipped)) == before
        assert bff.hub.stats().counters.frames_out > before[0]


async def test_a_refused_seek_changes_nothing() -> None:
    """At speed 0.1 three frames a second come, however often an impossible place is asked for."""
    async with (
        stack(MANY, bff_ws_messages_per_second=100_000) as (bff, _, _),
        bff.viewer() as viewer,
    ):
        await viewer.subscribe("day", speed=1000)
        await viewer.until_end()
        await viewer.ctrl("seek", pos=0)
        await viewer.ctrl("speed", val=0.1)
        first = await viewer.until(is_a("frame"))
        began = bff.hub.ticker.next_s
        refusals = 0
        while bff.hub.ticker.next_s < began + 2:
            answer = await viewer.ctrl("seek", pos=10**6)
            assert answer["code"] == "RANGE"
            refusals += 1
        state = await viewer.ctrl("pause")
        seconds = bff.hub.ticker.next_s - began
        assert refusals > 5
        assert state["seq"] - first["seq"] <= seconds * 3 + 2


async def test_a_backend_slower_than_the_playback_makes_no_flood_of_states() -> None:
    """300 frames a second come, 1 800 could be played."""
    options = SimulatorOptions(
        play_silence_s=0.02, hb_interval_s=0.3, flood_frames_per_s=300, sse_frames_per_s=300
    )
    run = generated_run("day", frame_count=900)
    async with stack(run, options=options) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=60)
        await viewer.until(is_a("frame"))
        began = bff.hub.ticker.next_s
        frames = await viewer.until_end()
        seconds = bff.hub.ticker.next_s - began
        assert frames[-1]["seq"] == 899
        assert len(frames) > 30, "frames go on while it is told to be buffering"
        statuses = [state["status"] for state in viewer.of("state")]
        assert statuses[-1] == "ended"
        assert len(statuses) <= 2 * seconds + 4
