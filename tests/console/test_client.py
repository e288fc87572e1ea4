"""The browser client in Node, against the real server: what it promises to its callers."""

from hewston_bff.tools.simulator import SimulatedBackend, SimulatorOptions, generated_run
from tests.console.relays import Proxy, random_cuts
from tests.console.support import free_port, node_client
from tests.support import QUICK, serving, sources, stack

DAY = generated_run("day")
MONTH = generated_run("month", frame_count=21 * 390)
ALL = {"mode": "all", "speed": 0}
GUARDED = SimulatorOptions(
    play_silence_s=0.01, hb_interval_s=0.3, require_token={"good": None, "other": {"elsewhere"}}
)


async def test_all_frames_of_several_runs_come_over_one_socket() -> None:
    async with stack(DAY, MONTH) as (bff, _, _):
        async with node_client(bff.url, {"day": ALL, "month": {"speed": 10_000}}) as client:
            ended = {(await client.event("end"))[0], (await client.event("end"))[0]}
            assert ended == {"day", "month"}
            assert client.seqs("day") == list(range(390))
            assert client.seqs("month") == list(range(len(sources(MONTH))))
            assert (await bff.totals())["active_connections"] == 1


async def test_every_frame_comes_once_through_a_restart_of_the_server() -> None:
    backend, port = SimulatedBackend([MONTH], options=QUICK), free_port()
    async with backend.running() as running:
        url = f"http://127.0.0.1:{port}"
        wanted = {"month": {"mode": "all", "speed": 100}}
        async with node_client(url, wanted) as client:
            for _ in range(2):
                async with serving(running.url, port=port, bff_ws_close_seconds=0.1):
                    await client.frames(1_500)
            async with serving(running.url, port=port, bff_ws_close_seconds=0.1):
                await client.event("end")
            assert client.seqs() == list(range(21 * 390))
            assert not client.of("lag")
            assert not client.of("reset")
            assert not client.of("error")


async def test_every_frame_comes_once_through_a_hundred_random_cuts() -> None:
    async with stack(MONTH) as (bff, _, _):
        cuts = random_cuts(seed=11, count=100, most_bytes=30_000)
        async with Proxy(bff.port, cuts).running() as proxy:
            async with node_client(proxy.url, {"month": ALL}, transport="websocket") as client:
                await client.event("end")
            assert proxy.cuts >= 90
            assert client.seqs() == list(range(21 * 390))
            assert not client.of("lag")


async def test_a_token_is_offered_in_the_handshake_and_never_in_the_address() -> None:
    async with stack(DAY, options=GUARDED) as (bff, backend, _):
        async with node_client(bff.url, {"day": ALL}, token="good") as client:
            await client.event("end")
        assert backend.stats().authorizations("day") == ("Bearer good",)
        for token, code in (("bad", "UNAUTHORIZED"), ("other", "FORBIDDEN")):
            async with node_client(bff.url, {"day": ALL}, token=token) as client:
                assert (await client.event("error"))[2] == code
                assert (await client.call("day", "play"))[1] == "refused"


async def test_a_token_that_no_handshake_can_hold_is_refused_in_words() -> None:
    async with (
        stack(DAY) as (bff, _, _),
        node_client(bff.url, {"day": ALL}, token="a/b=") as client,
    ):
        assert (await client.event("error"))[2] == "UNAUTHORIZED"


async def test_commands_are_answered_with_the_state_they_led_to() -> None:
    async with stack(DAY) as (bff, _, _):
        async with node_client(bff.url, {"day": {"speed": 0.1}}) as client:
            await client.frames(3)
            paused = (await client.call("day", "pause"))[3]
            assert paused["status"] == "paused"
            sought = (await client.call("day", "seek", 100))[3]
            assert (sought["status"], sought["seq"]) == ("paused", 99)
            # A frame may come in one piece with the answer, and be told before it.
            await client.seen(lambda line: line[1] == "frame" and line[2:4] == [100, 100])
            await client.call("day", "step", 5)
            await client.seen(lambda line: line[1] == "frame" and line[2:4] == [101, 105])
            assert (await client.call("day", "speed", 60))[3]["speed"] == 60
            await client.call("day", "mode", "all")
            await client.call("day", "play")
            await client.seen(lambda line: line[1] == "end")
            seqs = client.seqs()
            assert seqs[seqs.index(100) :] == list(range(100, 390))
            beyond = await client.call("day", "seek", 1_000)
            assert beyond[1:4] == ["refused", "seek", "RANGE"]


async def test_an_unknown_run_is_an_error_and_the_others_go_on() -> None:
    async with stack(DAY) as (bff, _, _):
        async with node_client(bff.url, {"nothing": {}, "day": ALL}) as client:
            assert (await client.event("error", run="nothing"))[2] == "RUN_NOT_FOUND"
            await client.event("end", run="day")


async def test_where_sockets_do_not_pass_frames_come_as_events() -> None:
    async with stack(DAY) as (bff, _, _):
        wanted = {"day": {"mode": "all", "speed": 20}}
        async with node_client(bff.url, wanted, transport="events") as client:
            await client.frames(20)
            assert (await client.call("day", "pause"))[3]["status"] == "paused"
            await client.call("day", "play")
            await client.frames(20)
            last = client.seqs()[-1]
            assert client.seqs() == list(range(last + 1))
            await client.call("day", "seek", 380)
            await client.event("end")
            assert client.seqs()[-10:] == list(range(380, 390))


async def test_of_events_that_are_made_anew_several_times_only_the_last_come() -> None:
    async with stack(DAY) as (bff, _, _):
        wanted = {"day": {"mode": "all", "speed": 0.5}}
        async with node_client(bff.url, wanted, transport="events") as client:
            await client.frames(2)
            client.hurry("day", ["speed", 0.2], ["play"], ["seek", 100])
            await client.until(lambda line: line[1] == "frame" and line[2] >= 105)
            assert (await bff.totals())["active_connections"] == 1


async def test_events_survive_cuts_with_every_frame_once() -> None:
    async with stack(DAY) as (bff, _, _):
        cuts = random_cuts(seed=5, count=20, most_bytes=8_000)
        async with Proxy(bff.port, cuts).running() as proxy:
            async with node_client(proxy.url, {"day": ALL}, transport="events") as client:
                await client.event("end")
            assert proxy.cuts >= 5
            assert client.seqs() == list(range(390))


async def test_with_streams_switched_off_the_backends_own_path_is_used() -> None:
    async with stack(DAY, bff_feature_websocket_proxy=False) as (bff, _, _):
        async with node_client(bff.url, {"day": {"speed": 60}}) as client:
            status = await client.until(lambda line: line[1:4] == ["status", "online", "backend"])
            assert status[0] == ""
            await client.until(lambda line: line[1] == "frame" and line[3] == 389)
            assert client.seqs() == list(range(390))


async def test_the_backends_own_path_says_what_it_refuses() -> None:
    async with stack(DAY, options=GUARDED, bff_feature_websocket_proxy=False) as (bff, _, _):
        refused = {"day": "UNAUTHORIZED", "nothing": "RUN_NOT_FOUND"}
        for run, token in (("day", "bad"), ("nothing", "good")):
            async with node_client(bff.url, {run: {}}, token=token) as client:
                assert (await client.event("error"))[2] == refused[run]
