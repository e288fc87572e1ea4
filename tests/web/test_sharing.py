"""One upstream per run however many watch; who comes, goes, stalls or stays."""

import asyncio
import gc
import itertools
import socket
from contextlib import AsyncExitStack

import msgspec
import pytest

from hewston_bff.credentials import Credentials
from hewston_bff.tools.simulator import CutAt, FaultPlan, Lifecycle, SimulatorOptions, generated_run
from hewston_bff.web.keys import CLIENTS
from tests.support import QUICK, Bff, Message, Viewer, is_a, serving, sources, stack, without_ours
from tests.waiting import PATIENCE_S, eventually, let_pass

DAY = generated_run("day")
_LEFT = "of-one-who-left-"
SLOW = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3, flood_frames_per_s=2_000)


async def test_two_hundred_viewers_of_one_run_share_one_upstream() -> None:
    async with stack(DAY) as (bff, backend, _), AsyncExitStack() as viewers:
        watching = [
            await viewers.enter_async_context(bff.viewer("/api/v1/runs/day/stream?speed=100"))
            for _ in range(200)
        ]
        async with asyncio.TaskGroup() as group:
            for viewer in watching:
                group.create_task(_to_the_end(viewer))
        assert all(viewer.frames()[-1]["seq"] == 389 for viewer in watching)
        assert backend.stats().opened("day") == 1
        assert backend.stats().plays == 1
        assert (await bff.totals())["encode_share"] < 0.1


async def test_fifty_runs_of_four_viewers_make_fifty_upstreams() -> None:
    runs = [generated_run(f"run-{n}", frame_count=60, seed=n) for n in range(50)]
    async with stack(*runs, bff_hub_floods=50) as (bff, backend, _):
        async with AsyncExitStack() as viewers, asyncio.TaskGroup() as group:
            for run in runs * 4:
                path = f"/api/v1/runs/{run.run_id}/stream?speed=0&mode=all"
                viewer = await viewers.enter_async_context(bff.viewer(path))
                group.create_task(_to_the_end(viewer))
        assert backend.stats().opened() == 50


async def test_the_first_to_leave_disturbs_nobody() -> None:
    async with stack(DAY, options=SLOW) as (bff, backend, _):
        async with AsyncExitStack() as first:
            leaver = await first.enter_async_context(bff.viewer())
            await leaver.subscribe("day", mode="all", speed=0)
            async with bff.viewer() as stayer:
                await stayer.subscribe("day", mode="all", speed=0)
                await stayer.until(is_a("frame"))
                await first.aclose()
                frames = await stayer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert backend.stats().opened("day") == 1


async def test_after_everyone_left_and_the_linger_nothing_remains() -> None:
    before = len(asyncio.all_tasks())
    async with stack(DAY, options=SLOW, bff_hub_linger_seconds=0.2) as (bff, backend, _):
        await bff.totals()
        idle = len(asyncio.all_tasks())
        async with bff.viewer() as viewer, bff.viewer() as other:
            await viewer.subscribe("day", speed=0.1)
            await viewer.until(is_a("frame"))
            await other.subscribe("day", paused=True)
        await eventually(
            lambda: not backend.stats().open_now("day") and len(asyncio.all_tasks()) <= idle
        )
        totals = await bff.totals()
        assert totals["active_connections"] == 0
        assert totals["total_subscribers"] == 0
        assert totals["backend_connections"] == 0
    assert len(asyncio.all_tasks()) == before


async def test_a_reload_within_the_linger_costs_the_backend_nothing() -> None:
    async with stack(DAY, options=SLOW) as (bff, backend, _):
        for _ in range(3):
            async with bff.viewer("/backtests/day/ws") as viewer:
                await viewer.ctrl("play")
                await viewer.until(is_a("frame"))
        assert backend.stats().opened("day") == 1
        assert backend.stats().requests_by_route["GET /backtests/{run_id}"] == 1


async def test_one_who_comes_back_after_the_linger_gets_the_kept_frames_and_the_rest() -> None:
    options = SimulatorOptions(
        play_silence_s=0.02,
        hb_interval_s=0.3,
        flood_frames_per_s=2_000,
        faults=FaultPlan(connections={"day": [(CutAt(frame=100),)]}),
    )
    async with stack(DAY, options=options, bff_hub_linger_seconds=0.05) as (bff, backend, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            await viewer.until(is_a("frame", seq=99))
        await eventually(lambda: not backend.stats().open_now("day"))
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            frames = await viewer.until_end()
        assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert not viewer.of("reset")


async def test_a_viewer_that_stops_reading_slows_nobody_and_gets_wider_merges() -> None:
    month = generated_run("month", frame_count=16_000)
    async with stack(month, options=SLOW, bff_ws_buffer_bytes=4_096) as (bff, _, _):
        async with bff.viewer() as reader:
            await reader.subscribe("month", speed=60, max_fps=60)
            path = "/api/v1/runs/month/stream?speed=60&max_fps=60"
            stuck = await _narrow_socket(bff, path)
            await reader.until_end()
            with stuck:
                messages = await asyncio.to_thread(_drain, stuck)
        frames = [m for m in messages if m["t"] == "frame"]
        assert frames[-1]["seq"] == 15_999
        assert all(
            frame.get("from", frame["seq"]) == last["seq"] + 1
            for last, frame in itertools.pairwise(frames)
        )
        widest = max(frame.get("n", 1) for frame in frames)
        # However seldom a busy machine lets the other be served: that one waited for nothing.
        assert widest > max(frame.get("n", 1) for frame in reader.frames())
        assert sum(frame.get("n", 1) for frame in frames) == 16_000


@pytest.mark.parametrize("end", ["stream", "events"])
async def test_a_viewer_that_takes_nothing_for_too_long_is_closed(end: str) -> None:
    month = generated_run("month", frame_count=8_000)
    stalled = {"bff_ws_stalled_after_seconds": 0.5, "bff_ws_buffer_bytes": 16_384}
    async with stack(month, options=QUICK, bff_ws_close_seconds=0.2, **stalled) as (bff, _, _):
        stuck = await _narrow_socket(bff, f"/api/v1/runs/month/{end}?speed=0&mode=all")
        with stuck:
            server = bff.runner.server
            assert server is not None
            await eventually(lambda: len(server.connections) <= 1)


async def test_a_viewer_that_pings_and_takes_no_pong_is_closed() -> None:
    stalled = {"bff_ws_stalled_after_seconds": 0.5, "bff_ws_close_seconds": 0.2}
    async with stack(DAY, options=QUICK, **stalled) as (bff, _, _):
        pings = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 100
        with await _narrow_socket(bff, "/api/v1/runs/day/stream?paused=1") as stuck:
            with pytest.raises(ConnectionError):
                await _send_for(stuck, pings, seconds=PATIENCE_S)


async def test_a_viewer_that_is_always_behind_is_still_asked_whether_it_lives() -> None:
    month = generated_run("month", frame_count=8_000)
    async with stack(month, bff_ws_ping_seconds=0.1, bff_ws_buffer_bytes=16_384) as (bff, _, _):
        with await _narrow_socket(bff, "/api/v1/runs/month/stream?speed=0&mode=all") as behind:
            async with bff.viewer() as other:
                if not (await other.subscribe("month", paused=True))["complete"]:
                    await other.until(is_a("upstream", status="complete"))
            await let_pass(1.6, bff.hub.ticker)
            seen = b""
            async with asyncio.timeout(PATIENCE_S):
                while b'"t":"end"' not in seen:
                    seen += await asyncio.get_running_loop().sock_recv(behind, 65_536)
            # Pings with nothing between them were sent while nothing else could be.
            assert b"\x89\0" * 2 in seen


async def test_a_dead_peer_is_noticed() -> None:
    async with stack(DAY, bff_ws_dead_after_seconds=5, bff_ws_ping_seconds=0.5) as (bff, _, _):
        async with bff.viewer() as silent, bff.viewer() as answering:
            await silent.subscribe("day", paused=True)
            await answering.subscribe("day", paused=True)
            async with asyncio.TaskGroup() as group:
                group.create_task(_until_pong(answering))
                await eventually(lambda: len(bff.app[CLIENTS].open) == 1)
                await answering.say(t="ping", ts=1)
            assert (await bff.totals())["active_connections"] == 1


async def test_a_client_with_nothing_to_hear_gets_heartbeats() -> None:
    async with stack(DAY, bff_ws_heartbeat_seconds=0.5) as (bff, _, _), bff.viewer() as viewer:
        await viewer.subscribe("day", paused=True)
        await viewer.until(is_a("hb"))
        await viewer.until(is_a("hb"))


async def test_a_drain_says_bye_and_closes_with_1012() -> None:
    async with stack(DAY) as (bff, backend, _), AsyncExitStack() as viewers:
        watching = [await viewers.enter_async_context(bff.viewer()) for _ in range(5)]
        for viewer in watching:
            await viewer.subscribe("day", paused=True)
        async with asyncio.TaskGroup() as group:
            closings = [group.create_task(viewer.until_closed()) for viewer in watching]
            group.create_task(bff.runner.cleanup())
        assert [closing.result() for closing in closings] == [1012] * 5
        waits = [viewer.of("bye")[0]["after_ms"] for viewer in watching]
        assert all(wait > 0 for wait in waits)
        assert len(set(waits)) > 1
        assert backend.stats().open_now() == 0


async def test_a_drain_says_bye_to_a_viewer_that_is_behind() -> None:
    month = generated_run("month", frame_count=8_000)
    async with stack(month, bff_ws_buffer_bytes=16_384) as (bff, _, _):
        behind = await _narrow_socket(bff, "/api/v1/runs/month/stream?speed=0&mode=all")
        with behind:
            await let_pass(1.0, bff.hub.ticker)
            async with asyncio.TaskGroup() as group:
                group.create_task(bff.runner.cleanup())
                received = b""
                while data := await asyncio.get_running_loop().sock_recv(behind, 65_536):
                    received += data
        assert b'{"t":"bye","code":1012' in received


async def test_a_drain_says_nothing_to_a_viewer_that_is_being_closed() -> None:
    async with stack(DAY, bff_ws_close_seconds=1.0) as (bff, _, _):
        with await _narrow_socket(bff, "/api/v1/runs/day/stream?paused=1") as closing:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(closing, b"\x81\x81\0\0\0\0{" * 3)
            received = b""
            while b"malformed messages" not in received:
                received += await loop.sock_recv(closing, 65_536)
            async with asyncio.TaskGroup() as group:
                group.create_task(bff.runner.cleanup())
                assert await loop.sock_recv(closing, 65_536) == b""


async def test_credentials_of_those_who_left_are_forgotten() -> None:
    async with stack(DAY, bff_hub_access_fresh_seconds=0.05) as (bff, _, _):
        async with bff.viewer() as staying:
            await staying.subscribe("day", paused=True)
            for n in range(20):
                token = {"Authorization": f"Bearer {_LEFT}{n}"}
                async with bff.viewer("/backtests/day/ws", headers=token):
                    pass

            async def none_is_held() -> bool:
                async with bff.viewer("/backtests/day/ws"):
                    return not _left_but_held()

            await eventually(none_is_held)


def _left_but_held() -> set[str]:
    gc.collect()
    credentials = [each for each in gc.get_objects() if isinstance(each, Credentials)]
    return {str(each.authorization) for each in credentials if _LEFT in str(each.authorization)}


async def test_the_frontend_that_exists_gets_every_frame_it_can_show() -> None:
    """It plays every second until its first frame and keeps at most 120 frames, dropping the oldest."""
    options = SimulatorOptions(play_silence_s=1.5, hb_interval_s=0.3)
    async with stack(DAY, options=options) as (bff, backend, _):
        async with bff.viewer("/backtests/day/ws") as viewer:
            playing = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(_play_until(viewer, playing))
                frame = await viewer.until(is_a("frame"))
                playing.set()
            while frame["seq"] < 389:
                frame = await viewer.until(is_a("frame"))
        assert all(_is_valid(frame) for frame in viewer.frames())
        assert len(viewer.frames()) < 120
        assert len(viewer.of("ctrl")) >= 2
        assert viewer.frames()[0].get("from", 0) == 0
        assert backend.stats().plays == 1


async def test_the_frontend_that_exists_does_not_loop_through_an_outage() -> None:
    async with stack(DAY, options=SLOW) as (bff, backend, running):
        async with bff.viewer("/backtests/day/ws") as viewer:
            await viewer.ctrl("play")
            await viewer.until(is_a("frame"))
            await running.kill()
            await viewer.until(is_a("upstream", status="retrying"))
            await running.start()
            await viewer.until_end()
        seqs = [frame["seq"] for frame in viewer.frames()]
        assert seqs == sorted(set(seqs))
        assert seqs[-1] == 389


async def test_a_restart_of_ours_is_a_resume_for_the_client() -> None:
    async with stack(DAY, options=SLOW) as (bff, _, running):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            last = await viewer.until(is_a("frame", seq=150))
            epoch = viewer.of("state")[0]["epoch"]
        async with serving(running.url) as again, again.viewer() as viewer:
            resume = {"epoch": epoch, "seq": 150, "ts": last["ts"]}
            answer = await viewer.subscribe("day", mode="all", speed=0, resume=resume)
            assert answer["recovered"] is None
            state = await viewer.until(is_a("state"))
            assert state["recovered"] is True
            assert state["seeked"] is False
            frames = await viewer.until_end()
            assert [frame["seq"] for frame in frames] == list(range(151, 390))


async def test_growing_runs_are_live_at_the_edge_and_end_when_they_are_done() -> None:
    growing = generated_run(
        "growing", frame_count=160, lifecycle=Lifecycle(history=100, growth_fps=30)
    )
    async with (
        stack(growing, bff_hub_access_fresh_seconds=0.3) as (bff, _, _),
        AsyncExitStack() as viewers,
    ):
        live, late, fast = [await viewers.enter_async_context(bff.viewer()) for _ in range(3)]
        await live.subscribe("growing", **{"from": "live"})
        await late.subscribe("growing", mode="all", speed=0)
        await fast.subscribe("growing", speed=100)
        await live.until(is_a("state", status="live"))
        await live.until(lambda message: message["t"] == "frame" and message["seq"] >= 110)
        await live.ctrl("pause")
        await live.ctrl("play")
        for viewer in (live, late, fast):
            await viewer.until_end()
            assert viewer.frames()[-1]["seq"] == 159
        assert [frame["seq"] for frame in late.frames()] == list(range(160))
        assert fast.of("state")[-1]["status"] == "ended"
        assert any(m["status"] == "live" for m in fast.of("state"))
        assert [m["status"] for m in live.of("run")] == ["RUNNING", "DONE"]


async def _until_pong(viewer: Viewer) -> None:
    await viewer.until(is_a("pong"))


async def _to_the_end(viewer: Viewer) -> None:
    await viewer.until_end()


async def _play_until(viewer: Viewer, playing: asyncio.Event) -> None:
    """Say `play`, and again every second, until the first frame."""
    while not playing.is_set():
        await viewer.say(t="ctrl", cmd="play")
        try:
            async with asyncio.timeout(1):
                await playing.wait()
        except TimeoutError:
            continue


def _is_valid(frame: Message) -> bool:
    """What that frontend accepts."""
    bar, equity = frame["ohlc"], frame["equity"]
    is_bar = bar is None or all(isinstance(bar[k], int | float) for k in "ohlcv")
    return is_bar and isinstance(equity, dict) and isinstance(frame["dropped"], int)


async def _send_for(sock: socket.socket, data: bytes, *, seconds: float) -> None:
    """Send the same again and again, as long as the connection stands."""
    async with asyncio.timeout(seconds):
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, data)


async def _narrow_socket(bff: Bff, path: str) -> socket.socket:
    """A WebSocket that is open, hardly buffers, and is not read from."""
    host, port = bff.url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    await loop.sock_connect(sock, (host, int(port)))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(sock, request.encode())
    await eventually(lambda: bff.app[CLIENTS].open, "a client")
    return sock


def _drain(sock: socket.socket) -> list[Message]:
    """Every message up to the run's end."""
    sock.settimeout(PATIENCE_S)
    data = b""
    while b'"t":"end"' not in data:
        data += sock.recv(65_536)
    data = data.split(b"\r\n\r\n", 1)[1]
    messages = []
    while data:
        size, at = data[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        if data[0] == 0x81:
            messages.append(msgspec.json.decode(data[at : at + size]))
        data = data[at + size :]
    return messages
