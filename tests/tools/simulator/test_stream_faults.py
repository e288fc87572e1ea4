"""Each fault, seen from the reader's side of the socket."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import aiohttp
import pytest

from hewston_bff.tools.simulator import (
    Binary,
    Close,
    CutAt,
    Diverge,
    Duplicate,
    EndMessage,
    FaultPlan,
    Garbage,
    HalfOpen,
    Huge,
    NoHeartbeat,
    NoPong,
    RandomCuts,
    Refuse,
    RefuseConnection,
    ScriptedFault,
    SimulatedBackend,
    SimulatorOptions,
    Slow,
    Stall,
    StreamError,
    generated_run,
)
from tests.tools.simulator.conftest import Serve
from tests.tools.simulator.support import PLAY, QUICK, decoded, next_heartbeat, rest_of, texts

_WS = "/backtests/r/ws"
_RUN = generated_run("r", frame_count=300)


def _with(*script: ScriptedFault) -> SimulatorOptions:
    return replace(QUICK, faults=FaultPlan(connections={"r": [script]}))


async def _played(
    serve: Serve, *script: ScriptedFault, count: int = 1_000_000
) -> tuple[list[bytes], int | None]:
    """What the reader gets of the first connection, and the close code it sees."""
    _, session = await serve(SimulatedBackend([_RUN], options=_with(*script)))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        messages = await texts(socket, count=count)
        return [message.encode() for message in messages], socket.close_code


@pytest.mark.parametrize("frame", [0, 1, 137, 300])
async def test_a_cut_delivers_exactly_the_frames_before_it(serve: Serve, frame: int) -> None:
    frames, code = await _played(serve, CutAt(frame=frame))
    assert frames == _RUN.frames[:frame]
    assert code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_a_close_delivers_the_frames_before_it_and_its_code(serve: Serve) -> None:
    frames, code = await _played(serve, Close(frame=100, code=1013))
    assert (frames, code) == (_RUN.frames[:100], 1013)


async def test_a_half_open_connection_says_nothing_and_stays(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=_with(HalfOpen(frame=40)))
    running, session = await serve(backend)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert len(await texts(socket, count=40)) == 40
        await socket.ping()
        await socket.send_str(PLAY)
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=5 * QUICK.hb_interval_s)
        assert backend.stats().open_now("r") == 1
        await running.drop_connections()


@pytest.mark.parametrize("status", [401, 403, 404, 503])
async def test_a_refusal_is_an_http_answer_before_the_upgrade(serve: Serve, status: int) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=_with(Refuse(status=status))))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(_WS)
    assert refused.value.status == status
    async with session.ws_connect(_WS) as socket:  # the second connection is healthy
        await next_heartbeat(socket)


async def test_a_refused_connection_is_dropped_without_an_answer(serve: Serve) -> None:
    # the client tries a dropped handshake once more by itself
    plan = FaultPlan(connections={"r": [(RefuseConnection(),)] * 2})
    _, session = await serve(SimulatedBackend([_RUN], options=replace(QUICK, faults=plan)))
    with pytest.raises(aiohttp.ClientError):
        await session.ws_connect(_WS)


async def test_garbage_comes_between_two_frames(serve: Serve) -> None:
    messages, _ = await _played(serve, Garbage(frame=10, data=b"{nonsense"), count=301)
    assert messages == [*_RUN.frames[:10], b"{nonsense", *_RUN.frames[10:]]


async def test_a_huge_message_has_the_size_asked_for_and_is_json(serve: Serve) -> None:
    messages, _ = await _played(serve, Huge(frame=10, size_bytes=200_000), count=301)
    assert len(messages[10]) == 200_000
    assert decoded(messages[10])["t"] == "pad"
    assert [*messages[:10], *messages[11:]] == _RUN.frames


async def test_a_binary_message_comes_between_two_frames(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=_with(Binary(frame=2))))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert len(await texts(socket, count=3)) == 2


async def test_duplicates_are_the_same_frame_again(serve: Serve) -> None:
    messages, _ = await _played(serve, Duplicate(frame=7, times=2), count=302)
    assert messages == [*_RUN.frames[:7], *[_RUN.frames[7]] * 2, *_RUN.frames[7:]]


async def test_a_divergence_tells_another_story_with_the_same_times(serve: Serve) -> None:
    messages, _ = await _played(serve, Diverge(frame=70), count=300)
    assert messages[:70] == _RUN.frames[:70]
    for told, real in zip(messages[70:], _RUN.frames[70:], strict=True):
        other, frame = decoded(told), decoded(real)
        assert other["ts"] == frame["ts"]
        assert other["ohlc"]["c"] == pytest.approx(frame["ohlc"]["c"] + 1)
        assert other["ohlc"]["h"] >= other["ohlc"]["c"]
        assert other["equity"]["value"] == pytest.approx(frame["equity"]["value"] + 1000)


async def test_a_slow_backend_keeps_to_its_pace(serve: Serve) -> None:
    began_s = asyncio.get_running_loop().time()
    await _played(serve, Slow(frames_per_s=500), count=200)
    assert asyncio.get_running_loop().time() - began_s > 0.35


async def test_a_stall_holds_frames_but_not_heartbeats(serve: Serve) -> None:
    script = (Stall(frame=5, seconds=4 * QUICK.hb_interval_s),)
    _, session = await serve(SimulatedBackend([_RUN], options=_with(*script)))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        await texts(socket, count=5)
        assert await next_heartbeat(socket) == []
        assert len(await texts(socket, count=295)) == 295


async def test_an_end_message_follows_the_last_frame(serve: Serve) -> None:
    messages, _ = await _played(serve, EndMessage(), count=301)
    assert messages == [*_RUN.frames, b'{"t": "end"}']


async def test_stream_errors_answer_the_first_plays(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=_with(StreamError(times=2))))
    async with session.ws_connect(_WS) as socket:
        for _ in range(3):
            await socket.send_str(PLAY)
        messages = [decoded(text)["t"] for text in await texts(socket, count=302)]
    assert messages == ["err", "err", *["frame"] * 300]


async def test_without_pongs_only_pings_go_unanswered(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=_with(NoPong())))
    async with session.ws_connect(_WS, autoping=False) as socket:
        await socket.ping(b"?")
        kinds = {(await socket.receive()).type for _ in range(3)}
    assert kinds == {aiohttp.WSMsgType.TEXT}
    async with session.ws_connect(_WS, autoping=False) as socket:
        await socket.ping(b"?")
        assert (await socket.receive()).type is aiohttp.WSMsgType.PONG


async def test_without_heartbeats_frames_still_come(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend([_RUN], options=_with(NoHeartbeat())))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert len(await texts(socket, count=300)) == 300
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=4 * QUICK.hb_interval_s)


async def test_faults_combine_in_one_connection(serve: Serve) -> None:
    script = (Garbage(frame=3), Duplicate(frame=3), Diverge(frame=5), CutAt(frame=6))
    messages, _ = await _played(serve, *script)
    assert messages[:6] == [
        *_RUN.frames[:3],
        b"{",
        _RUN.frames[3],
        _RUN.frames[3],
    ]
    assert messages[6] == _RUN.frames[4]
    assert decoded(messages[7])["ts"] == decoded(_RUN.frames[5])["ts"]
    assert messages[7] != _RUN.frames[5]
    assert len(messages) == 8


async def test_random_cuts_end_and_the_run_is_then_whole(serve: Serve) -> None:
    plan = FaultPlan(connections={"r": RandomCuts(seed=3, count=5, max_frames=299)})
    _, session = await serve(SimulatedBackend([_RUN], options=replace(QUICK, faults=plan)))
    lengths = []
    for _ in range(5):
        async with session.ws_connect(_WS) as socket:
            await socket.send_str(PLAY)
            lengths.append(len(await rest_of(socket)))
    assert len(set(lengths)) > 1
    assert all(length < 300 for length in lengths)
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert len(await texts(socket, count=300)) == 300


async def test_faults_can_be_changed_while_the_backend_runs(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN], options=QUICK)
    _, session = await serve(backend)
    async with session.ws_connect(_WS):
        pass
    backend.set_faults(FaultPlan(connections={"r": [(CutAt(frame=2),)]}))
    async with session.ws_connect(_WS) as socket:
        await socket.send_str(PLAY)
        assert len(await rest_of(socket)) == 2


async def test_ordinals_are_counted_per_run(serve: Serve) -> None:
    backend = SimulatedBackend([_RUN, generated_run("q")], options=QUICK)
    _, session = await serve(backend)
    for run_id in ("r", "q", "r"):
        async with session.ws_connect(f"/backtests/{run_id}/ws"):
            pass
    seen = [(each.run_id, each.ordinal) for each in backend.stats().connections]
    assert seen == [("r", 0), ("q", 0), ("r", 1)]
    assert all(one != other for one, other in pairwise(seen))
