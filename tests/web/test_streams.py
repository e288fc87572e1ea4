"""The endpoints of streams: who may connect, what each says and does not say."""

import asyncio

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import Delay, Lifecycle, SimulatorOptions, generated_run
from hewston_bff.web.keys import CLIENTS
from tests.support import QUICK, Bff, is_a, sources, stack, without_ours
from tests.waiting import PATIENCE_S, eventually, let_pass

DAY = generated_run("day")
GUARDED = SimulatorOptions(
    play_silence_s=0.01, hb_interval_s=0.3, require_token={"good": None, "other": {"elsewhere"}}
)


async def refused(bff: Bff, path: str, **options: object) -> int:
    """The status of a handshake that is refused."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with bff.viewer(path, **options):
            pass
    return caught.value.status


async def test_a_foreign_origin_is_refused_and_a_configured_one_is_not() -> None:
    async with stack(DAY) as (bff, backend, _):
        for path in ("/api/v1/stream", "/backtests/day/ws", "/api/v1/runs/day/stream"):
            assert await refused(bff, path, origin="http://evil.example") == 403
            async with bff.viewer(path, origin="http://localhost:5173"):
                pass
        async with bff.session.get(
            bff.url + "/api/v1/runs/day/events", headers={"Origin": "http://evil.example"}
        ) as response:
            assert response.status == 403
            assert (await response.json())["error"]["code"] == "FORBIDDEN"


async def test_an_unknown_run_is_a_404_before_the_upgrade_and_an_err_on_the_stream() -> None:
    async with stack(DAY) as (bff, backend, _):
        assert await refused(bff, "/backtests/nothing/ws") == 404
        assert await refused(bff, "/api/v1/runs/nothing/stream") == 404
        async with bff.viewer() as viewer:
            error = await viewer.subscribe("nothing")
            assert (error["t"], error["code"]) == ("err", "RUN_NOT_FOUND")
            await viewer.subscribe("day")
        assert backend.stats().opened("nothing") == 0


async def test_a_run_id_that_cannot_be_one_never_reaches_the_backend() -> None:
    async with stack(DAY) as (bff, backend, _):
        for bad in ("a%20b", "x" * 129, "a%0d%0ab", "%ff"):
            assert await refused(bff, f"/backtests/{bad}/ws") in {404, 422}
        # Two dots lead to `/ws`, where a bus would be, if there were one.
        assert await refused(bff, "/backtests/%2e%2e/ws") == 503
        async with bff.viewer() as viewer:
            error = await viewer.subscribe("../secret")
            assert error["code"] == "VALIDATION"
        assert not backend.stats().requests


async def test_each_viewer_is_permitted_with_its_own_credentials() -> None:
    async with stack(DAY, options=GUARDED) as (bff, backend, _):
        assert await refused(bff, "/backtests/day/ws") == 401
        headers = {"Authorization": "Bearer other"}
        assert await refused(bff, "/backtests/day/ws", headers=headers) == 403
        async with bff.viewer(protocols=("hewston.bff.v1", "bearer.good")) as viewer:
            assert viewer.ws.protocol == "hewston.bff.v1"
            await viewer.subscribe("day", mode="all", speed=0)
            assert len(await viewer.until_end()) == 390
        assert backend.stats().authorizations("day") == ("Bearer good",)
        async with bff.viewer(headers=headers) as viewer:
            error = await viewer.subscribe("day")
            assert (error["t"], error["code"]) == ("err", "FORBIDDEN")
            assert not viewer.frames()


async def test_the_service_token_opens_the_stream_but_permits_nobody() -> None:
    settings = {"bff_backend_token": "good"}
    async with stack(DAY, options=GUARDED, **settings) as (bff, backend, _):
        async with bff.viewer() as viewer:
            assert (await viewer.subscribe("day"))["code"] == "UNAUTHORIZED"
        assert backend.stats().opened() == 0


async def test_a_service_token_that_is_refused_gives_way_to_a_permitted_viewers() -> None:
    async with stack(DAY, options=GUARDED, bff_backend_token="stale") as (bff, backend, _):
        async with bff.viewer(headers={"Authorization": "Bearer good"}) as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            assert len(await viewer.until_end()) == 390
        asked = [r.authorization for r in backend.stats().requests if r.path == "/backtests/day/ws"]
        assert asked == ["Bearer stale", "Bearer good"]


async def test_a_reconnect_after_its_first_viewer_left_uses_anothers_credentials() -> None:
    options = SimulatorOptions(
        play_silence_s=0.01,
        hb_interval_s=0.3,
        flood_frames_per_s=400,
        require_token={"first": None, "second": None},
    )
    async with stack(DAY, options=options) as (bff, backend, running):
        async with bff.viewer(headers={"Authorization": "Bearer second"}) as staying:
            async with bff.viewer(headers={"Authorization": "Bearer first"}) as leaving:
                await leaving.subscribe("day", mode="all", speed=0)
                await leaving.until(is_a("frame"))
                await staying.subscribe("day", mode="all", speed=0)
            await eventually(lambda: len(bff.app[CLIENTS].open) == 1)
            await running.drop_connections()
            assert len(await staying.until_end()) == 390
        assert backend.stats().authorizations("day") == ("Bearer first", "Bearer second")


async def test_who_is_not_permitted_yet_hears_nothing_of_the_run() -> None:
    run = generated_run("soon", lifecycle=Lifecycle(queued_s=0.5))
    options = SimulatorOptions(
        play_silence_s=0.01,
        hb_interval_s=0.3,
        require_token={"good": None, "other": {"elsewhere"}},
        rest_faults={"GET /backtests/{run_id}": (None, Delay(seconds=2.5))},
    )
    settings = {"bff_hub_admission_seconds": 0.1, "bff_hub_access_fresh_seconds": 0.3}
    good = {"Authorization": "Bearer good"}
    other = {"Authorization": "Bearer other"}
    async with stack(run, options=options, **settings) as (bff, _, _):
        async with bff.viewer(headers=good) as viewer, bff.viewer(headers=other) as waiting:
            await viewer.subscribe("soon")
            assert (await waiting.subscribe("soon"))["status"] == "buffering"
            await viewer.until(is_a("run", status="DONE"))
            assert (await waiting.until(is_a("err")))["code"] == "FORBIDDEN"
            assert not waiting.of("run")


async def test_a_permission_withdrawn_ends_the_viewing_and_nobody_elses() -> None:
    settings = {"bff_hub_access_fresh_seconds": 0.2}
    options = SimulatorOptions(
        play_silence_s=0.01, hb_interval_s=0.3, require_token={"good": None, "late": None}
    )
    async with stack(DAY, options=options, **settings) as (bff, backend, _):
        late = bff.viewer("/backtests/day/ws", headers={"Authorization": "Bearer late"})
        good = bff.viewer(headers={"Authorization": "Bearer good"})
        async with late as leaving, good as staying:
            await leaving.say(t="ctrl", cmd="play")
            await staying.subscribe("day", speed=0.05)
            backend.set_tokens({"good": None})
            assert await leaving.until_closed() == 4401
            assert leaving.of("err")[-1]["code"] == "UNAUTHORIZED"
            frames = len(staying.frames())
            await staying.until(is_a("frame"))
            assert len(staying.frames()) > frames


async def test_a_permission_that_cannot_be_confirmed_is_suspended_and_told_once() -> None:
    settings = {"bff_hub_access_fresh_seconds": 0.1, "bff_hub_access_stale_seconds": 2}
    async with stack(DAY, options=QUICK, **settings) as (bff, _, running), bff.viewer() as viewer:
        await viewer.subscribe("day", speed=0.05)
        await viewer.until(is_a("frame"))
        await running.kill()
        await viewer.until(is_a("state", status="buffering"))
        await let_pass(0.7, bff.hub.ticker)
        await running.start()
        await viewer.until(is_a("frame"))
        assert viewer.seen.count(viewer.of("state")[1]) == 1


async def test_a_backend_that_does_not_answer_keeps_the_viewer_waiting() -> None:
    settings = {"bff_hub_admission_seconds": 0.1}
    async with stack(DAY, options=GUARDED, **settings) as (bff, _, running):
        await running.kill()
        async with bff.viewer(headers={"Authorization": "Bearer other"}) as viewer:
            answer = await viewer.subscribe("day")
            assert (answer["t"], answer["status"]) == ("subscribed", "buffering")
            await running.start()
            error = await viewer.until(is_a("err"))
            assert error["code"] == "FORBIDDEN"


async def test_the_run_endpoint_is_subscribed_on_connect_and_needs_no_sid() -> None:
    path = "/api/v1/runs/day/stream?speed=0&mode=all&from=380"
    async with stack(DAY) as (bff, _, _), bff.viewer(path) as viewer:
        assert (await viewer.next())["t"] == "hello"
        frames = await viewer.until_end()
        assert [frame["seq"] for frame in frames] == list(range(380, 390))
        assert "sid" not in frames[0]
        await viewer.ctrl("seek", pos=5)
        error = await viewer.subscribe("day")
        assert error["code"] == "VALIDATION"


@pytest.mark.parametrize(
    "query",
    [
        *("speed=x", "speed=-1", "max_fps=0", "mode=some", "paused=perhaps", "from=yesterday"),
        "speed=1&speed=2",
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_name(query: str) -> None:
    async with stack(DAY) as (bff, backend, _):
        async with bff.session.get(f"{bff.url}/api/v1/runs/day/events?{query}") as response:
            error = (await response.json())["error"]
            assert response.status == 422
            assert query.split("=", maxsplit=1)[0] in error["message"]
        assert not backend.stats().requests


async def test_the_backends_own_path_is_silent_until_spoken_to_and_paused_until_play() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer("/backtests/day/ws") as viewer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await viewer.next()
        await viewer.ws.send_str('{"t":"ctrl","cmd":"play"}')
        echo = await viewer.next()
        assert echo == {"t": "ctrl", "cmd": "play", "echo": True}
        await viewer.until_end()
        assert not viewer.of("hello") + viewer.of("subscribed") + viewer.of("snapshot")
        await viewer.ws.send_str('{"t":"ctrl","cmd":"seek","ts":"2024-01-02T15:00:00Z"}')
        frame = await viewer.until(is_a("frame"))
        assert frame["ts"] == "2024-01-02T15:00:00Z"


async def test_malformed_messages_never_close_the_backends_own_path() -> None:
    async with stack(DAY) as (bff, _, _), bff.viewer("/backtests/day/ws") as viewer:
        for _ in range(5):
            await viewer.ws.send_str("{")
            error = await viewer.until(is_a("err"))
            assert error["code"] == "VALIDATION"
        await viewer.ws.send_bytes(b"\0")
        await viewer.until(is_a("err"))
        await viewer.ctrl("play")


async def test_events_resume_by_last_event_id_and_stop_at_the_end() -> None:
    async with stack(DAY) as (bff, _, _):
        address = f"{bff.url}/api/v1/runs/day/events?mode=all&speed=0"
        async with bff.session.get(address) as response:
            assert response.content_type == "text/event-stream"
            text = await response.text()
        events = [block for block in text.split("\n\n") if "event: frame" in block]
        data = [msgspec.json.decode(block.split("data: ")[1]) for block in events]
        assert [without_ours(frame) for frame in data] == sources(DAY)
        assert "event: end" in text
        ids = [block.split("\n")[0].removeprefix("id: ") for block in events]
        async with bff.session.get(address, headers={"Last-Event-ID": ids[380]}) as response:
            rest = await response.text()
            assert rest.count("event: frame") == 9
        async with bff.session.get(address, headers={"Last-Event-ID": ids[-1]}) as response:
            assert response.status == 204
        async with bff.session.get(address, headers={"Last-Event-ID": "?"}) as response:
            assert response.status == 422


async def test_events_from_a_place_that_is_not_there_say_so() -> None:
    async with stack(DAY) as (bff, _, _):
        address = f"{bff.url}/api/v1/runs/day/events"
        for _ in ("a cold log", "a warm one"):
            async with bff.session.get(address, params={"from": "390"}) as response:
                text = await response.text()
            assert '"code":"RANGE"' in text
            assert text.index("event: err") < text.index("event: end")


async def test_the_head_of_an_event_stream_has_no_body() -> None:
    async with stack(DAY) as (bff, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", bff.port)
        head = "HEAD /api/v1/runs/day/events HTTP/1.1\r\nHost: bff\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        writer.close()
        assert b"text/event-stream" in answer
        assert answer.endswith(b"\r\n\r\n")


async def test_a_handshake_that_cannot_be_is_refused_in_the_envelope() -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "99"}
    async with stack(DAY) as (bff, _, _):
        async with bff.session.get(bff.url + "/api/v1/stream", headers=headers) as response:
            assert response.status == 422
            assert (await response.json())["error"]["code"] == "VALIDATION"


async def test_the_websocket_feature_can_be_off_but_never_for_the_backends_own_path() -> None:
    async with stack(DAY, bff_feature_websocket_proxy=False) as (bff, _, _):
        assert await refused(bff, "/api/v1/stream") == 503
        assert await refused(bff, "/api/v1/runs/day/stream") == 503
        async with bff.session.get(bff.url + "/api/v1/runs/day/events") as response:
            assert (await response.json())["error"]["code"] == "FEATURE_DISABLED"
        async with bff.viewer("/backtests/day/ws") as viewer:
            await viewer.ctrl("play")
        features = await bff.get("/api/v1/features")
        assert features["features"]["websocket_proxy"] is False


async def test_the_upstream_may_be_an_event_stream() -> None:
    async with stack(DAY, bff_upstream_transport="sse") as (bff, backend, _):
        async with bff.viewer() as viewer:
            await viewer.subscribe("day", mode="all", speed=0)
            frames = await viewer.until_end()
            assert [without_ours(frame) for frame in frames] == sources(DAY)
        assert [c.transport for c in backend.stats().connections] == ["sse"]
