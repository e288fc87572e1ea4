"""The backend as a process: killed, restarted, deaf, and asking for tokens."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from hewston_bff.tools.simulator import SimulatedBackend, SimulatorOptions, generated_run
from tests.tools.simulator.conftest import Serve
from tests.tools.simulator.support import PLAY, QUICK, next_heartbeat, texts
from tests.waiting import PATIENCE_S

_WS = "/backtests/r/ws"
_RUN = generated_run("r", frame_count=400)


async def test_a_killed_backend_resets_every_connection_and_closes_its_port(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=QUICK)
    running, session = await serve(backend)
    socket = await session.ws_connect(_WS)
    await next_heartbeat(socket)
    await running.kill()
    assert not running.is_up
    await texts(socket, count=1)
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    assert backend.stats().open_now() == 0
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get("/healthz")


async def test_it_starts_again_on_the_same_port_with_its_runs_and_counters(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=QUICK)
    running, session = await serve(backend)
    port = running.port
    for count in range(1, 4):
        async with session.ws_connect(_WS) as socket:
            await socket.send_str(PLAY)
            assert len(await texts(socket, count=400)) == 400
            await running.kill()
        await running.start()
        assert running.port == port
        assert backend.stats().opened("r") == count
    async with session.get("/healthz") as answer:
        assert answer.status == 200


async def test_connections_can_be_dropped_while_it_goes_on_listening(serve: Serve) -> None:
    running, session = await serve(SimulatedBackend([_RUN], options=QUICK))
    async with session.ws_connect(_WS) as socket:
        await running.drop_connections()
        assert await texts(socket, count=1) == []
    async with session.ws_connect(_WS) as socket:
        await next_heartbeat(socket)


async def test_a_taken_port_is_an_error(serve: Serve) -> None:
    running, _ = await serve(SimulatedBackend([], options=QUICK))
    other = SimulatedBackend([], options=QUICK).running(port=running.port)
    with pytest.raises(OSError, match="address already in use"):
        await other.start()
    assert not other.is_up


async def test_tokens_decide_who_sees_which_run(serve: Serve) -> None:
    tokens = {"all": None, "some": {"q"}}
    backend = SimulatedBackend(
        [_RUN, generated_run("q")], options=replace(QUICK, require_token=tokens)
    )
    _, session = await serve(backend)

    async def statuses(token: str | None) -> list[int]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        found = []
        for path in ("/backtests/r", "/backtests/q", "/backtests/r/stream"):
            async with session.get(path, headers=headers) as answer:
                found.append(answer.status)
        try:
            async with session.ws_connect(_WS, headers=headers):
                found.append(101)
        except aiohttp.WSServerHandshakeError as exc:
            found.append(exc.status)
        return found

    assert await statuses(None) == [401, 401, 401, 401]
    assert await statuses("wrong") == [401, 401, 401, 401]
    assert await statuses("some") == [403, 200, 403, 403]
    assert await statuses("all") == [200, 200, 200, 101]
    assert backend.stats().authorizations("r")[-1] == "Bearer all"
    backend.set_tokens({"all": {"q"}})
    assert await statuses("all") == [403, 200, 403, 403]


async def test_a_deaf_backend_serves_nothing_else_during_a_flood(serve: Serve) -> None:
    options = replace(QUICK, deaf_while_flooding=True, flood_frames_per_s=1000)
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await texts(socket, count=1)
        frames: list[str] = []
        async with asyncio.TaskGroup() as group:
            probe = group.create_task(_healthz(session))
            while len(frames) < 399:
                frames += await texts(socket, count=1)
                if len(frames) < 350:
                    assert not probe.done()
        assert probe.result() == 200


async def test_a_deaf_backend_sends_no_heartbeat_during_a_flood(serve: Serve) -> None:
    options = replace(QUICK, deaf_while_flooding=True, flood_frames_per_s=1000)
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await texts(socket, count=1)
        assert len(await next_heartbeat(socket)) == 399


async def test_a_deaf_backend_serves_runs_one_after_another(serve: Serve) -> None:
    options = replace(QUICK, deaf_while_flooding=True, flood_frames_per_s=4000)
    backend = SimulatedBackend([_RUN], options=options)
    _, session = await serve(backend)

    async def watch() -> int:
        async with session.ws_connect(_WS) as socket:
            await socket.send_str(PLAY)
            return len(await texts(socket, count=400))

    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(watch()) for _ in range(3)]
    assert [watcher.result() for watcher in watchers] == [400] * 3
    assert backend.stats().floods_max == 1


async def test_a_reader_that_stops_gives_a_deaf_backend_its_ears_back(serve: Serve) -> None:
    run = generated_run("r", frame_count=60_000)
    options = replace(QUICK, deaf_while_flooding=True)
    _, session = await serve(SimulatedBackend([run], options=options))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await texts(socket, count=1)
        assert await _healthz(session) == 200
        assert len(await texts(socket, count=59_999)) == 59_999


async def test_a_polite_goodbye_leaves_a_deaf_backend_busy_to_the_end(serve: Serve) -> None:
    options = replace(QUICK, deaf_while_flooding=True, flood_frames_per_s=2000)
    backend = SimulatedBackend([_RUN], options=options)
    _, session = await serve(backend)
    socket = await session.ws_connect(_WS)
    await socket.send_str(PLAY)
    await texts(socket, count=1)
    await socket.close()
    assert await _healthz(session) == 200
    assert backend.stats().connections[0].frames_sent == 400


async def test_a_deaf_backend_is_free_at_once_when_the_reader_aborts(serve: Serve) -> None:
    options = replace(QUICK, deaf_while_flooding=True, flood_frames_per_s=20)
    run = generated_run("r", frame_count=390)
    backend = SimulatedBackend([run], options=options)
    running, session = await serve(backend)
    watcher = aiohttp.ClientSession(running.url)
    socket = await watcher.ws_connect(_WS)
    await socket.send_str(PLAY)
    await texts(socket, count=1)
    await watcher.close()  # without a goodbye on the socket
    async with asyncio.timeout(PATIENCE_S):
        assert await _healthz(session) == 200


async def test_floods_are_counted_while_they_overlap(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=replace(QUICK, flood_frames_per_s=2000))
    _, session = await serve(backend)
    async with session.ws_connect(_WS) as one, session.ws_connect(_WS) as two:
        await one.send_str(PLAY)
        await two.send_str(PLAY)
        await texts(one, count=400)
        await texts(two, count=400)
    assert backend.stats().floods_max == 2
    assert backend.stats().floods_now == 0


async def test_an_idle_connection_is_closed(serve: Serve) -> None:
    options = replace(QUICK, keepalive_s=0.05)
    running, _ = await serve(SimulatedBackend([], options=options))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.read()).endswith(b'{"status":"ok"}')
    writer.close()
    await writer.wait_closed()


@pytest.mark.looptime
async def test_the_real_ones_waits_take_no_time_on_a_fake_clock(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=SimulatorOptions()))
    loop = asyncio.get_running_loop()
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        began_s = loop.time()
        await texts(socket, count=1)
        assert 2.0 <= loop.time() - began_s < 2.5
        await texts(socket, count=399)
        await next_heartbeat(socket)
        assert 4.9 <= loop.time() - began_s < 5.5


async def test_requests_are_counted_by_route_and_run(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=QUICK)
    _, session = await serve(backend)
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "Idempotency-Key": "K"}
    for path in ("/backtests/r", "/backtests/r?x=1", "/healthz", "/nowhere"):
        async with session.get(path, headers=headers):
            pass
    stats = backend.stats()
    assert stats.requests_by_route["GET /backtests/{run_id}"] == 2
    assert stats.requests_by_route["GET /healthz"] == 1
    assert stats.requests_by_run["r"] == 2
    seen = stats.requests[1]
    assert (seen.path, seen.authorization, seen.cookie, seen.idempotency_key) == (
        "/backtests/r?x=1",
        "Bearer x",
        "a=b",
        "K",
    )


async def _healthz(session: aiohttp.ClientSession) -> int:
    async with session.get("/healthz") as answer:
        return answer.status


@pytest.mark.parametrize("how", ["ws", "stream"])
async def test_a_deaf_backend_serves_nothing_else_while_it_loads(serve: Serve, how: str) -> None:
    options = replace(QUICK, play_silence_s=0.4, load_s_per_frame=0.001, deaf_while_flooding=True)
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    if how == "ws":
        async with session.ws_connect(_WS) as socket:
            await socket.send_str(PLAY)
            await texts(socket, count=1)  # the echo: `play` was heard
            assert await _healthz(session) == 200
    else:
        async with session.get("/backtests/r/stream"):
            assert await _healthz(session) == 200
    assert loop.time() - asked_s >= 0.8


async def test_what_a_load_held_up_is_not_made_up_for(serve: Serve) -> None:
    options = replace(QUICK, play_silence_s=0.3, sse_frames_per_s=1_000, deaf_while_flooding=True)
    _, session = await serve(SimulatedBackend([_RUN], options=options))
    loop = asyncio.get_running_loop()
    async with session.get("/backtests/r/stream") as first:
        await first.content.readline()
        began_s = loop.time()
        async with session.get("/backtests/r/stream") as second:
            await second.content.readline()
        await first.read()
    assert loop.time() - began_s >= 0.3 + 0.3
