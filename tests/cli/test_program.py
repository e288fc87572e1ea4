"""The program as a process: what it prints, how it ends, and what it says when it cannot start."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import msgspec
import pytest
from typer.testing import CliRunner

from hewston_bff.cli.main import cli
from tests.program import once_up, printed, program
from tests.support import is_a, viewer_of
from tests.waiting import PATIENCE_S


async def outcome(*arguments: str, **environ: str) -> tuple[int | None, str, str]:
    """Exit status, standard output and error of a program that ends by itself."""
    async with program(*arguments, **environ) as process:
        stdout, stderr = await process.communicate()
        return process.returncode, stdout.decode(), stderr.decode()


@contextmanager
def port_in_use() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


async def test_demo_says_what_to_open_and_frames_flow_at_once() -> None:
    port = free_port()
    async with program("demo", "--port", str(port)) as process:
        banner = await printed(process, "Stop with Ctrl-C")
        url = f"http://127.0.0.1:{port}"
        assert url in banner
        assert "watch demo-year" in banner
        async with viewer_of(url + "/api/v1/runs/demo-year/stream") as viewer:
            assert (await viewer.until(is_a("frame")))["ohlc"] is not None
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_sigterm_says_bye_closes_with_1012_and_exits_with_0() -> None:
    port = free_port()
    async with program("demo", "--port", str(port)) as process:
        await printed(process, "Stop with Ctrl-C")
        async with viewer_of(f"http://127.0.0.1:{port}/api/v1/stream") as viewer:
            await viewer.subscribe("demo-year")
            process.send_signal(signal.SIGTERM)
            bye = await viewer.until(is_a("bye"))
            assert bye["after_ms"] > 0
            assert await viewer.until_closed() == 1012
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def test_serve_starts_without_a_backend_and_logs_json() -> None:
    port, absent = free_port(), free_port()
    environ = {"HEWSTON_BACKEND_URL": f"http://127.0.0.1:{absent}", "BFF_UNHEARD_OF": "1"}
    async with program("serve", "--port", str(port), **environ) as process:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            health = await once_up(session, "/api/v1/health")
            assert health["status"] == "degraded"
            ready = await once_up(session, "/api/v1/health/ready")
            assert ready["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        stdout, stderr = await process.communicate()
        assert process.returncode == 0
        assert stdout == b""
        assert b"BFF_UNHEARD_OF" in stderr
        records = [msgspec.json.decode(line) for line in stderr.splitlines() if line[:1] == b"{"]
        access = next(record for record in records if record["event"] == "http.access")
        assert (access["path"], access["status"]) == ("/api/v1/health", 200)
        assert access["service"] == "bff"


@pytest.mark.parametrize("command", ["serve", "demo", "backend"])
async def test_a_taken_port_is_said_in_words(command: str) -> None:
    with port_in_use() as port:
        code, _, stderr = await outcome(command, "--port", str(port))
    assert code == 1
    assert f"port {port} on 127.0.0.1 is taken" in stderr
    assert "Traceback" not in stderr


async def test_settings_that_cannot_be_are_named_and_exit_with_2() -> None:
    wrong = {"BFF_PORT": "web", "BFF_WS_SOCKETS": "0", "HEWSTON_BACKEND_URL": "nowhere"}
    code, _, stderr = await outcome("serve", **wrong)
    assert code == 2
    assert all(name in stderr for name in wrong)
    assert "Traceback" not in stderr
    assert CliRunner().invoke(cli, ["check-config"], env=wrong).exit_code == 2


def test_what_is_set_and_not_there_is_told_by_name() -> None:
    environ = {"HEWSTON_DATA_DIR": "/nowhere/data", "HEWSTON_CATALOG_PATH": "/nowhere/catalog"}
    result = CliRunner().invoke(cli, ["check-config"], env=environ)
    assert result.exit_code == 0
    assert "HEWSTON_DATA_DIR: no folder /nowhere/data" in result.output
    assert "HEWSTON_CATALOG_PATH: no file /nowhere/catalog" in result.output


def test_check_config_shows_what_holds_but_no_secret() -> None:
    address = "redis://us:opensesame@cache:1/2?password=opensesame"
    environ = {"BFF_BACKEND_TOKEN": "opensesame", "BFF_PORT": "9", "REDIS_URL": address}
    result = CliRunner().invoke(cli, ["check-config"], env=environ)
    assert result.exit_code == 0
    assert "BFF_PORT=9" in result.output
    assert "REDIS_URL=redis://cache:1/2" in result.output
    assert "opensesame" not in result.output


async def test_the_simulated_backend_serves_alone_with_faults() -> None:
    port = free_port()
    async with program("backend", "--port", str(port), "--fault", "demo-day=refuse:503") as process:
        await printed(process, "stop with Ctrl-C")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/backtests/demo-day/stream") as response:
                assert response.status == 503
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_a_fault_that_cannot_be_is_refused_with_what_is_wrong() -> None:
    result = CliRunner().invoke(cli, ["backend", "--fault", "demo-day=explode"])
    assert result.exit_code == 2
    assert "explode" in result.output


async def test_watching_without_a_server_says_so() -> None:
    code, stdout, stderr = await outcome(
        "watch", "demo-day", "--url", f"http://127.0.0.1:{free_port()}"
    )
    assert code == 1
    assert "Traceback" not in stdout + stderr


@pytest.mark.parametrize("command", ["", "serve", "demo", "backend", "watch", "loadtest"])
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli, [*([command] if command else []), "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


async def test_uvloop_serves_too() -> None:
    pytest.importorskip("uvloop")
    port = free_port()
    async with program("demo", "--port", str(port), BFF_EVENT_LOOP="uvloop") as process:
        await printed(process, "Stop with Ctrl-C")
        url = f"http://127.0.0.1:{port}/api/v1/runs/demo-day/stream?mode=all&speed=0"
        async with viewer_of(url) as viewer:
            assert len(await viewer.until_end()) == 390
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
