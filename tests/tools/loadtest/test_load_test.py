"""The load test over real sockets, against the tiny server. Nothing here asserts how fast it is."""

import asyncio
import os
from dataclasses import replace

import pytest
from yarl import URL

from hewston_bff.tools.loadtest.engine import LoadProgress, LoadTest
from hewston_bff.tools.loadtest.plan import BadPlan, Plan, StreamEndpoint
from hewston_bff.tools.loadtest.report import Report
from hewston_bff.tools.loadtest.runs import NoRuns, finished_runs
from tests.tools.loadtest.conftest import Start
from tests.tools.loadtest.server import Behaviour
from tests.waiting import eventually

ENDPOINTS = list(StreamEndpoint)


def _plan(url: URL, *, endpoint: StreamEndpoint = StreamEndpoint.RUN, clients: int = 3) -> Plan:
    return Plan(
        url=url,
        runs=("a", "b"),
        endpoint=endpoint,
        clients=clients,
        seconds=0.2,
        ramp_up_s=0.05,
        warmup_s=0.05,
    )


async def _watched(plan: Plan, *, messages: int = 90) -> Report:
    """A test that ends when that many frames have come, however long the machine takes."""

    def enough(now: LoadProgress) -> None:
        if now.is_measuring and now.messages >= messages:
            test.stop()

    test = LoadTest(replace(plan, seconds=20), on_progress=enough)
    return await test.run()


async def _report(
    start: Start, behaviour: Behaviour, *, endpoint: StreamEndpoint = StreamEndpoint.RUN
) -> Report:
    _, url = await start(behaviour)
    return await _watched(_plan(url, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_frames_are_counted_at_every_endpoint(start: Start, endpoint: StreamEndpoint) -> None:
    report = await _report(start, Behaviour(), endpoint=endpoint)
    assert report.is_ok
    assert (report.connected, report.streams, report.silent) == (3, 3, 0)
    assert report.messages > 3
    assert report.bytes_per_s > report.messages_per_s * 100
    assert (report.breaks, report.lost, report.errors, report.closed) == (0, 0, {}, {})
    assert report.gap_ms is not None
    assert report.start_ms is not None
    assert report.latency_ms is None


@pytest.mark.parametrize("endpoint", [StreamEndpoint.RUN, StreamEndpoint.STREAM])
async def test_pings_are_answered(start: Start, endpoint: StreamEndpoint) -> None:
    server, url = await start(Behaviour())
    await _watched(_plan(url, endpoint=endpoint))
    assert server.pongs == 3


async def test_several_runs_share_a_socket(start: Start) -> None:
    server, url = await start(Behaviour())
    plan = replace(_plan(url, endpoint=StreamEndpoint.STREAM), subscriptions=4)
    report = await _watched(plan, messages=600)
    assert (report.connected, report.streams, report.silent) == (3, 12, 0)
    assert len(server.received) == 12
    assert (report.breaks, report.errors) == (0, {})


async def test_merged_frames_are_counted_inside_their_messages(start: Start) -> None:
    report = await _report(start, Behaviour(width=60), endpoint=StreamEndpoint.STREAM)
    assert report.merged == 59 * report.messages
    assert report.breaks == 0


async def test_a_frame_left_out_is_a_continuity_break_for_each_client(start: Start) -> None:
    report = await _report(start, Behaviour(skip_at=5))
    assert (report.breaks, report.lost) == (3, 0)


@pytest.mark.parametrize(
    "excuse",
    [
        {"t": "state", "seeked": True},
        {"t": "reset", "epoch": "x"},
        {"t": "lag", "from": 5, "to": 5},
    ],
    ids=lambda notice: str(notice["t"]),
)
async def test_a_frame_left_out_with_an_excuse_is_none(
    start: Start, excuse: dict[str, object]
) -> None:
    report = await _report(
        start, Behaviour(skip_at=5, between={5: [excuse]}), endpoint=StreamEndpoint.STREAM
    )
    assert report.breaks == 0
    assert report.lost == (3 if excuse["t"] == "lag" else 0)


async def test_streams_that_the_server_has_nothing_for_are_told(start: Start) -> None:
    between = {5: [{"t": "state", "status": "buffering", "seeked": False}]}
    _, url = await start(Behaviour(between=between, stop_after=5))
    report = await LoadTest(replace(_plan(url), seconds=3)).run()
    assert report.buffering == 3


async def test_a_state_without_a_seek_excuses_nothing(start: Start) -> None:
    between = {5: [{"t": "state", "seeked": False}]}
    report = await _report(start, Behaviour(skip_at=5, between=between))
    assert report.breaks == 3


async def test_the_backends_spacing_is_understood(start: Start) -> None:
    report = await _report(
        start, Behaviour(is_spaced=True, width=2), endpoint=StreamEndpoint.BACKEND
    )
    assert report.merged == report.messages
    assert report.breaks == 0


async def test_latency_is_told_when_frames_say_when_they_were_sent(start: Start) -> None:
    report = await _report(start, Behaviour(is_stamped=True))
    assert report.latency_ms is not None
    assert report.latency_ms.max > 0


async def test_errors_are_counted_by_code_and_the_rest_goes_on(start: Start) -> None:
    behaviour = Behaviour(errors_for={"b": "RUN_NOT_FOUND"})
    report = await _report(start, behaviour, endpoint=StreamEndpoint.STREAM)
    assert report.errors == {"RUN_NOT_FOUND": 1}
    assert report.silent == 1
    assert report.is_ok


async def test_frames_of_a_subscription_nobody_told_of_are_an_error(start: Start) -> None:
    _, url = await start(Behaviour(are_sids_told=False))
    plan = replace(_plan(url, endpoint=StreamEndpoint.STREAM, clients=1), subscriptions=2)
    report = await LoadTest(replace(plan, seconds=0.5)).run()
    assert list(report.errors) == ["frame of an unknown sid"]
    assert not report.is_ok


async def test_a_stream_that_falls_silent_shows_in_the_gaps(start: Start) -> None:
    _, url = await start(Behaviour(stop_after=20))
    plan = replace(_plan(url), clients=1, ramp_up_s=0, warmup_s=0, seconds=0.8, expect_fps=100)
    report = await LoadTest(plan).run()
    assert report.gap_ms is not None
    assert report.gap_corrected_ms is not None
    # Most gaps were good, most of the time was not.
    assert report.gap_ms.max > report.gap_ms.p50
    assert report.gap_corrected_ms.p50 > report.gap_ms.p50


async def test_a_run_that_ends_is_played_again(start: Start) -> None:
    server, url = await start(Behaviour(frames=10))
    test = LoadTest(replace(_plan(url, clients=1), seconds=30))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(test.run())
        await server.told("play")
        await server.told("play", "play")
        test.stop()
    report = running.result()
    assert report.ended >= 2
    assert report.breaks == 0


async def test_a_socket_closed_by_the_server_is_told_by_code(start: Start) -> None:
    _, url = await start(Behaviour(close_after=10, close_code=4008))
    report = await LoadTest(replace(_plan(url), seconds=0.5)).run()
    assert report.closed == {"4008": 3}


async def test_a_stream_of_events_tells_its_end_and_its_errors(start: Start) -> None:
    _, url = await start(Behaviour(frames=10))
    report = await LoadTest(replace(_plan(url, endpoint=StreamEndpoint.SSE), seconds=0.5)).run()
    assert report.ended == 3
    assert report.errors == {"RANGE": 3}
    assert report.closed == {"end of the run": 3}


@pytest.mark.parametrize("endpoint", [StreamEndpoint.RUN, StreamEndpoint.SSE])
async def test_a_refusal_is_told_and_fails_the_test(start: Start, endpoint: StreamEndpoint) -> None:
    report = await _report(start, Behaviour(refuse=[0, 404, 503]), endpoint=endpoint)
    assert report.failed == {"HTTP 404": 1, "HTTP 503": 1}
    assert report.connected == 1
    assert not report.is_ok


async def test_a_server_that_is_absent_fails_every_client_at_once(unused_tcp_port: int) -> None:
    url = URL(f"http://127.0.0.1:{unused_tcp_port}")
    report = await LoadTest(replace(_plan(url), seconds=60)).run()
    assert report.failed == {"ECONNREFUSED": 3}
    assert not report.is_ok


async def test_a_server_that_never_answers_fails_its_clients_in_the_end(
    unused_tcp_port: int,
) -> None:
    async def keep_quiet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(keep_quiet, "127.0.0.1", unused_tcp_port)
    report = await LoadTest(_plan(URL(f"http://127.0.0.1:{unused_tcp_port}"))).run()
    assert report.failed == {"no answer": 3}
    for writer in writers:
        writer.close()
    server.close()


async def test_something_that_is_no_web_server_fails_its_clients(unused_tcp_port: int) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", unused_tcp_port)
    report = await LoadTest(_plan(URL(f"http://127.0.0.1:{unused_tcp_port}"))).run()
    assert sum(report.failed.values()) == 3
    server.close()


async def test_messages_that_are_no_frames_do_not_disturb(start: Start) -> None:
    odd: dict[str, object] = {"seq": 5, "n": 1, "t": "frame", "dropped": 0}
    between: dict[int, list[dict[str, object]]] = {
        2: [{"t": "hb", "ts": 1}, {"t": "news of tomorrow"}, {"t": "snapshot", "bars": []}],
        5: [odd],
    }
    report = await _report(start, Behaviour(between=between, skip_at=5))
    assert report.breaks == 0
    assert report.errors == {}


async def test_progress_is_told_up_to_the_end(start: Start) -> None:
    _, url = await start(Behaviour())
    told: list[LoadProgress] = []
    await LoadTest(_plan(url), on_progress=told.append).run()
    assert told[-1].elapsed_s >= told[-1].total_s
    assert told[-1].connected == 3
    assert told[-1].messages > 0


async def test_the_servers_cpu_is_told_for_the_window(start: Start) -> None:
    _, url = await start(Behaviour())
    report = await LoadTest(_plan(url), pids=(os.getpid(),)).run()
    assert report.server_cpu_us_per_message is not None
    assert report.server_cpu_us_per_message >= 0


async def test_more_clients_than_descriptors_is_a_plan_that_cannot_be(start: Start) -> None:
    _, url = await start(Behaviour())
    with pytest.raises(BadPlan, match="descriptors"):
        await LoadTest(_plan(url, clients=10**9)).run()


async def test_a_cancelled_test_leaves_no_socket_behind(start: Start) -> None:
    server, url = await start(Behaviour())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(LoadTest(replace(_plan(url), seconds=600)).run())
        await eventually(lambda: server.requests, "a request")
        running.cancel()
    assert running.cancelled()


async def test_runs_that_are_done_are_found(start: Start) -> None:
    states = {"a": "DONE", "b": "RUNNING", "c": "COMPLETED", "d": "ERROR"}
    runs = [{"run_id": run_id, "status": status} for run_id, status in states.items()]
    server, url = await start(Behaviour(runs=runs))
    assert await finished_runs(url, token="secret") == ("a", "c")
    assert server.requests[0].query["limit"] == "500"
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [(Behaviour(), "no run that is done"), (Behaviour(list_status=500), "HTTP 500")],
)
async def test_a_server_that_names_no_runs_is_told(
    start: Start, behaviour: Behaviour, problem: str
) -> None:
    _, url = await start(behaviour)
    with pytest.raises(NoRuns, match=problem):
        await finished_runs(url, token=None)
