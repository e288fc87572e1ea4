"""The WebSocket of a run behaves as the real one was measured to."""

import asyncio
import math
from dataclasses import replace

import aiohttp
import pytest

from hewston_bff.tools.simulator import Lifecycle, SimulatedBackend, SimulatedStatus, generated_run
from tests.tools.simulator.conftest import Serve
from tests.tools.simulator.support import PLAY, QUICK, decoded, next_heartbeat, texts
from tests.waiting import PATIENCE_S, eventually

_WS = "/backtests/r/ws"
_MANY = 60_000


def _frames(messages: list[str]) -> list[bytes]:
    return [message.encode() for message in messages]


async def test_nothing_but_heartbeats_flows_before_play(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([generated_run("r")], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        assert await socket.receive_str() == '{"t": "hb"}'
        assert await socket.receive_str() == '{"t": "hb"}'


async def test_play_is_echoed_and_then_every_frame_comes_in_order(serve: Serve) -> None:
    run = generated_run("r", frame_count=1234)
    backend = SimulatedBackend([run], options=QUICK)
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert await socket.receive_str() == '{"t": "ctrl", "cmd": "play", "echo": true}'
        assert _frames(await texts(socket, count=1234)) == run.frames
        assert await next_heartbeat(socket) == []
        assert await next_heartbeat(socket) == []
    stats = backend.stats()
    assert (stats.plays, stats.other_messages, stats.connections[0].frames_sent) == (1, 0, 1234)
    assert stats.bytes_sent > sum(map(len, run.frames))


@pytest.mark.looptime
async def test_there_is_a_silence_between_play_and_the_first_frame(serve: Serve) -> None:
    options = replace(QUICK, play_silence_s=3.5, hb_interval_s=1.0)
    _, session = await serve(SimulatedBackend([generated_run("r")], options=options))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        kinds = [decoded(await socket.receive_str())["t"] for _ in range(4)]
    assert kinds == ["ctrl", "hb", "hb", "hb"]


async def test_a_play_after_the_end_and_one_queued_meanwhile_each_replay_it_all(
    serve: Serve,
) -> None:
    run = generated_run("r", frame_count=60)
    _, session = await serve(SimulatedBackend([run], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await socket.send_str(PLAY)
        assert _frames(await texts(socket, count=120)) == [*run.frames] * 2
        await socket.send_str(PLAY)
        assert _frames(await texts(socket, count=60)) == run.frames


async def test_pause_seek_and_speed_are_only_echoed(serve: Serve) -> None:
    run = generated_run("r", frame_count=400)
    backend = SimulatedBackend([run], options=replace(QUICK, flood_frames_per_s=5000))
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await socket.send_str('{"t":"ctrl","cmd":"pause"}')
        await socket.send_str('{"t":"ctrl","cmd":"seek","ts":"2024-01-02T14:40:00Z"}')
        await socket.send_str('{"t":"ctrl","cmd":"speed","speed":9}')
        assert _frames(await texts(socket, count=400)) == run.frames
    assert backend.stats().other_messages == 3


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ('{"t":"hb"}', "unsupported message"),
        ('{"t":"ctrl","cmd":"jump"}', "invalid ctrl.cmd"),
        ("{", "invalid JSON"),
    ],
)
async def test_an_unknown_message_is_answered_with_validation(
    serve: Serve, sent: str, complaint: str
) -> None:
    _, session = await serve(SimulatedBackend([], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(sent)
        (answer,) = await texts(socket, count=1)
    assert decoded(answer) == {"t": "err", "code": "VALIDATION", "msg": complaint}


@pytest.mark.parametrize("sent", ["[1]", "7", '"play"', b"\x00"])
async def test_json_that_is_no_object_and_binary_kill_the_connection(
    serve: Serve, sent: str | bytes
) -> None:
    _, session = await serve(SimulatedBackend([], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        if isinstance(sent, bytes):
            await socket.send_bytes(sent)
        else:
            await socket.send_str(sent)
        assert await texts(socket, count=1) == []
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_an_unknown_run_is_accepted_and_play_says_not_found(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert await texts(socket, count=1) == [
            '{"t": "err", "code": "STREAM_ERROR", "msg": "run not found: r"}'
        ]
        assert await next_heartbeat(socket) == []


@pytest.mark.parametrize(
    "lifecycle",
    [
        Lifecycle(queued_s=math.inf),
        Lifecycle(running_s=math.inf),
        Lifecycle(final=SimulatedStatus.ERROR),
    ],
)
async def test_a_run_without_artifacts_answers_play_with_an_internal_path(
    serve: Serve, lifecycle: Lifecycle
) -> None:
    _, session = await serve(
        SimulatedBackend([generated_run("r", lifecycle=lifecycle)], options=QUICK)
    )
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        (answer,) = await texts(socket, count=1)
    assert decoded(answer)["code"] == "STREAM_ERROR"
    assert "data/backtests/r/equity.parquet" in decoded(answer)["msg"]


async def test_a_queued_run_plays_on_the_same_socket_once_it_is_done(serve: Serve) -> None:
    run = generated_run("r", frame_count=5, lifecycle=Lifecycle(queued_s=math.inf))
    backend = SimulatedBackend([run], options=QUICK)
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        (refusal,) = await texts(socket, count=1)
        assert decoded(refusal)["code"] == "STREAM_ERROR"
        backend.put_run(replace(run, lifecycle=Lifecycle(running_s=0.2)))
        async with asyncio.timeout(PATIENCE_S):
            while (await _detail(session))["status"] != "DONE":
                await next_heartbeat(socket)
        await socket.send_str(PLAY)
        assert _frames(await texts(socket, count=5)) == run.frames


async def test_a_growing_run_streams_its_history_and_then_what_comes(serve: Serve) -> None:
    growth = Lifecycle(history=100, growth_fps=150)
    run = generated_run("r", frame_count=170, lifecycle=growth)
    backend = SimulatedBackend([run], options=QUICK)
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        assert (await _detail(session))["status"] == "RUNNING"
        await socket.send_str(PLAY)
        assert _frames(await texts(socket, count=170)) == run.frames
        assert await next_heartbeat(socket) == []
    assert (await _detail(session))["status"] == "DONE"
    assert backend.stats().floods_max == 1


async def test_a_reader_that_pauses_slows_the_flood(serve: Serve) -> None:
    run = generated_run("r", frame_count=_MANY)
    backend = SimulatedBackend([run], options=replace(QUICK, ping_interval_s=None))
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await texts(socket, count=1)
        before = -1

        def stands_still() -> bool:
            nonlocal before
            last, before = before, backend.stats().connections[0].frames_sent
            return last == before

        await eventually(stands_still)
        async with session.get("/healthz") as answer:
            assert answer.status == 200
        assert before < _MANY
        assert len(await texts(socket, count=_MANY - 1)) == _MANY - 1


async def test_a_client_that_answers_no_ping_is_dropped(serve: Serve) -> None:
    options = replace(QUICK, ping_interval_s=0.5)
    backend = SimulatedBackend([], options=options)
    _, session = await serve(backend)
    async with session.ws_connect(_WS, autoping=False) as socket:
        async with asyncio.timeout(PATIENCE_S):
            while not socket.closed:
                await socket.receive()
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    async with session.ws_connect(_WS) as socket:
        for _ in range(6):
            await next_heartbeat(socket)
        assert not socket.closed


async def test_a_polite_close_is_answered(serve: Serve) -> None:
    backend = SimulatedBackend([generated_run("r")], options=QUICK)
    _, session = await serve(backend)
    socket = await session.ws_connect(_WS)
    await socket.send_str(PLAY)
    await texts(socket, count=3)
    await socket.close()
    assert socket.close_code == aiohttp.WSCloseCode.OK
    async with session.get("/healthz"):
        assert backend.stats().open_now("r") == 0


async def test_a_plain_request_to_the_socket_is_not_found(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([], options=QUICK))
    async with session.get(_WS) as answer:
        assert (answer.status, await answer.read()) == (404, b'{"detail":"Not Found"}')


async def test_two_hundred_sockets_get_the_run_at_once(serve: Serve) -> None:
    run = generated_run("r", frame_count=200)
    backend = SimulatedBackend([run], options=QUICK)
    running, _ = await serve(backend)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(running.url, connector=connector) as session:

        async def watch() -> int:
            async with session.ws_connect(_WS) as socket:
                await socket.send_str(PLAY)
                return len(await texts(socket, count=200))

        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(watch()) for _ in range(200)]
    assert [watcher.result() for watcher in watchers] == [200] * 200
    assert backend.stats().opened("r") == 200


async def _detail(session: aiohttp.ClientSession) -> dict[str, object]:
    async with session.get("/backtests/r") as answer:
        document: dict[str, object] = decoded(await answer.read())
        return document
