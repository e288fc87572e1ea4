"""Behind a real nginx: as everybody configures it first, and as the documentation says."""

from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hewston_bff.tools.simulator import generated_run
from tests.support import Bff, Message, Viewer, is_a, sources, stack, without_ours
from tests.web.nginx import BETWEEN, DIRECT, PLAIN, PREFIXED, nginx, server

DAY = generated_run("day")
NAME = "app.example.com"
TRUSTING: dict[str, Any] = {"bff_trusted_proxies": "127.0.0.0/8"}


async def _frames_of_events(bff: Bff, url: str) -> list[Message]:
    """All frames of an event stream, read until it is closed."""
    async with bff.session.get(url, headers={"Accept": "text/event-stream"}) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        text = (await response.read()).decode()
    data = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")]
    return [m for m in map(msgspec.json.decode, data) if m.get("t", "frame") == "frame"]


async def _watch(bff: Bff, url: str, **headers: str) -> list[Message]:
    """All frames of a run over a WebSocket."""
    async with bff.session.ws_connect(url, autoping=False, headers=headers) as ws:
        viewer = Viewer(ws)
        await viewer.subscribe("day", mode="all", speed=0)
        return [without_ours(frame) for frame in await viewer.until_end()]


async def _moved_to(bff: Bff, url: str, **headers: str) -> str:
    async with bff.session.get(url, headers=headers, allow_redirects=False) as response:
        assert response.status == 307
        return response.headers["Location"]


@pytest.mark.parametrize("path", ["/backtests/day/stream", "/api/v1/runs/day/events"])
async def test_events_pass_a_plain_nginx_whole_and_uncut(tmp_path: Path, path: str) -> None:
    async with (
        stack(DAY) as (bff, *_),
        nginx(tmp_path, config=server(PLAIN), upstream=bff.port) as port,
    ):
        frames = await _frames_of_events(bff, f"http://127.0.0.1:{port}{path}?mode=all&speed=0")
    assert [frame["ts"] for frame in frames] == [frame["ts"] for frame in sources(DAY)]


async def test_many_runs_and_commands_pass_a_plain_nginx(tmp_path: Path) -> None:
    async with (
        stack(DAY) as (bff, *_),
        nginx(tmp_path, config=server(PLAIN), upstream=bff.port) as port,
    ):
        url = f"http://127.0.0.1:{port}/api/v1/events"
        async with bff.session.get(url) as response:
            seen = b""
            while b'"stream":' not in seen:
                seen += await response.content.readany()
            hello = next(
                msgspec.json.decode(line[5:])
                for line in seen.split(b"\n")
                if line.startswith(b"data:") and b"hello" in line
            )
            stream_id = hello["stream"]
            command = {"t": "subscribe", "id": 7, "run_id": "day"}
            async with bff.session.post(f"{url}/{stream_id}", json=command) as answer:
                assert answer.status == 202
            while b'"re":7' not in seen:
                seen += await response.content.readany()


async def test_a_plain_nginx_passes_rest_and_keeps_who_is_moved(tmp_path: Path) -> None:
    async with (
        stack(DAY) as (bff, *_),
        nginx(tmp_path, config=server(PLAIN), upstream=bff.port) as port,
    ):
        url = f"http://127.0.0.1:{port}"
        async with bff.session.get(f"{url}/api/v1/backtests/day") as response:
            assert (response.status, (await response.json())["run_id"]) == (200, "day")
        assert await _moved_to(bff, f"{url}/api/v1/backtests/") == f"{url}/api/v1/backtests"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await _watch(bff, f"{url}/api/v1/stream")
        assert caught.value.status == 422


async def test_all_passes_the_documented_nginx_under_another_name(tmp_path: Path) -> None:
    async with (
        stack(DAY, **TRUSTING) as (bff, *_),
        nginx(tmp_path, config=DIRECT, upstream=bff.port) as port,
    ):
        url, host = f"127.0.0.1:{port}", f"{NAME}:{port}"
        own = {"Host": host, "Origin": f"http://{host}"}
        frames = await _watch(bff, f"http://{url}/api/v1/stream", **own)
        assert frames == sources(DAY)
        moved = await _moved_to(bff, f"http://{url}/backtests/", Host=host)
        assert moved == f"http://{host}/backtests"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await _watch(bff, f"http://{url}/api/v1/stream", Host=host, Origin=f"https://{host}")
        assert caught.value.status == 403
        # What a client claims of itself does not get through.
        forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
        moved = await _moved_to(bff, f"http://{url}/backtests/", Host=host, **forged)
        assert moved == f"http://{host}/backtests"


@pytest.mark.parametrize("settings", [TRUSTING, {"bff_host": "0.0.0.0"}])  # noqa: S104
async def test_our_own_page_connects_whether_or_not_the_proxy_is_trusted(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with (
        stack(DAY, **settings) as (bff, *_),
        nginx(tmp_path, config=DIRECT, upstream=bff.port) as port,
        bff.session.ws_connect(
            f"http://127.0.0.1:{port}/api/v1/stream",
            autoping=False,
            headers={"Host": NAME, "Origin": f"http://{NAME}"},
        ) as ws,
    ):
        await Viewer(ws).until(is_a("hello"))


async def test_all_passes_under_a_prefix(tmp_path: Path) -> None:
    async with (
        stack(DAY, **TRUSTING) as (bff, *_),
        nginx(tmp_path, config=server(PREFIXED), upstream=bff.port) as port,
    ):
        host = f"{NAME}:{port}"
        url = f"http://127.0.0.1:{port}/hewston"
        own = {"Host": host, "Origin": f"http://{host}"}
        assert await _watch(bff, f"{url}/api/v1/stream", **own) == sources(DAY)
        assert len(await _frames_of_events(bff, f"{url}/backtests/day/stream?mode=all&speed=0")) > 0
        moved = await _moved_to(bff, f"{url}/api/v1/backtests/", Host=host)
        assert moved == f"http://{host}/hewston/api/v1/backtests"
        for page in ("/", "/api/v1/docs", "/api/v1/docs/streams", "/api/v1/openapi.json"):
            async with bff.session.get(url + page) as response:
                assert response.status == 200


async def test_without_trust_a_prefix_is_kept_by_nginx_itself(tmp_path: Path) -> None:
    config = server("location /hewston/ { proxy_pass http://127.0.0.1:8001/; }")
    async with (
        stack(DAY) as (bff, *_),
        nginx(tmp_path, config=config, upstream=bff.port) as port,
    ):
        url = f"http://127.0.0.1:{port}/hewston"
        assert await _moved_to(bff, f"{url}/backtests/") == f"{url}/backtests"


async def test_two_proxies_are_seen_through(tmp_path: Path) -> None:
    async with (
        stack(DAY, **TRUSTING, bff_ws_sockets_per_address=1) as (bff, *_),
        nginx(tmp_path, config=server(BETWEEN), upstream=bff.port) as inner,
        nginx(tmp_path, config=DIRECT, upstream=inner) as outer,
    ):
        host = f"{NAME}:{outer}"
        url = f"http://127.0.0.1:{outer}"
        own = {"Host": host, "Origin": f"http://{host}"}
        assert await _watch(bff, f"{url}/api/v1/stream", **own) == sources(DAY)
        assert await _moved_to(bff, f"{url}/backtests/", Host=host) == f"http://{host}/backtests"
        # Two clients of a third proxy on this machine, each with its own address and limit.
        one, other = ({**own, "X-Forwarded-For": f"203.0.113.{n}:5000"} for n in (1, 2))
        async with bff.session.ws_connect(f"{url}/api/v1/stream", headers=one):
            assert await _watch(bff, f"{url}/api/v1/stream", **other) == sources(DAY)
            one_again = {**own, "X-Forwarded-For": "203.0.113.1:5001"}
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await _watch(bff, f"{url}/api/v1/stream", **one_again)
            assert caught.value.status == 429
