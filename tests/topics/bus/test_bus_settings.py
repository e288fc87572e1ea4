"""The bus's settings, a dashboard's names for some of them, and the secrets among them."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hewston_bff.cli.main import cli
from hewston_bff.event_kinds import bus_options
from hewston_bff.net.redis.bus_streams import RedisBus
from hewston_bff.settings import Settings, SettingsError
from hewston_bff.topics.bus.ports import BusUnavailable


def settings(monkeypatch: pytest.MonkeyPatch, folder: Path, **environ: str) -> Settings:
    """The settings in an empty folder and with these variables."""
    monkeypatch.chdir(folder)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env()


def test_the_bus_is_off_until_it_has_an_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings(monkeypatch, tmp_path).bus_url is None
    assert settings(monkeypatch, tmp_path, BFF_BUS_URL="").bus_url is None


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "7", "REDIS_DB": "3"}, "redis://[::1]:7/3"),
        ({"REDIS_HOST": "cache", "BFF_BUS_URL": "redis://:p@x/1"}, "redis://:p@x/1"),
        ({"REDIS_HOST": "c", "REDIS_PORT": "tcp://10.0.0.1:6380"}, "redis://c:6380/0"),
        ({"REDIS_PORT": "7"}, None),
    ],
)
def test_the_address_of_the_bus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: dict[str, str], url: str | None
) -> None:
    assert settings(monkeypatch, tmp_path, **environ).bus_url == url


THEIRS = {
    "HOST": "10.0.0.1",
    "PORT": "99",
    "ENVIRONMENT": "production",
    "DEBUG": "true",
    "CORS_ORIGINS": '["http://a:1", "http://b:2/"]',
    "NAUTILUS_STREAM_KEY": "trader-*:stream:*",
}


def told(found: Settings) -> tuple[Any, ...]:
    return (
        *(found.bff_host, found.bff_port, found.bff_environment, found.bff_debug),
        *(found.bff_cors_origins, found.bff_bus_streams),
    )


def test_a_dashboards_names_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = settings(monkeypatch, tmp_path, **THEIRS)
    origins = ("http://a:1", "http://b:2")
    expected = ("10.0.0.1", 99, "production", True, origins, "trader-*:stream:*")
    assert told(found) == expected
    assert told(Settings.from_env(bff_port=5))[1] == 5


def test_our_names_win_wherever_they_are_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = "BFF_HOST=::1\nBFF_PORT=7\nBFF_ENVIRONMENT=x\nBFF_DEBUG=false\n"
    ours += "BFF_CORS_ORIGINS=http://c:3\nBFF_BUS_STREAMS=k=flat\n"
    (tmp_path / ".env").write_text(ours)
    found = settings(monkeypatch, tmp_path, **THEIRS)
    assert told(found) == ("::1", 7, "x", False, ("http://c:3",), "k=flat")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BFF_BUS_URL", "http://user:opensesame@x"),
        ("BFF_BUS_URL", "redis://user:opensesame@x:port"),
        ("BFF_BUS_STREAMS", "a=xml"),
        ("BFF_BUS_STREAMS", ","),
        ("BFF_BUS_DENY", "a,b\\"),
        ("BFF_BUS_LATEST", "x" * 600),
        ("BFF_BUS_HEARTBEAT", "\\"),
        ("BFF_BUS_RING_BYTES", "1"),
        ("BFF_BUS_MATCHES", "0"),
        ("BFF_BUS_PAYLOAD_BYTES", "big"),
        ("REDIS_PORT", "0"),
        ("PORT", "web"),
        ("CORS_ORIGINS", "[http"),
    ],
)
def test_check_config_refuses_a_bad_value_by_name(name: str, value: str) -> None:
    result = CliRunner().invoke(cli, ["check-config"], env={name: value})
    assert result.exit_code == 2
    assert name in result.output
    assert "opensesame" not in result.output
    assert "Traceback" not in result.output


def test_no_password_is_shown() -> None:
    address = "rediss://us:opensesame@cache:1/2?password=opensesame"
    result = CliRunner().invoke(cli, ["check-config"], env={"BFF_BUS_URL": address})
    assert result.exit_code == 0
    assert "BFF_BUS_URL=rediss://cache:1/2" in result.output
    assert "opensesame" not in result.output
    found = Settings(bff_bus_url=address)
    assert "opensesame" not in f"{found!r} {found}"
    assert "opensesame" not in repr(bus_options(found))
    assert "opensesame" not in repr(RedisBus(address))


async def test_an_address_that_cannot_be_used_is_told_without_it() -> None:
    server = RedisBus("redis://us:opensesame@x?socket_timeout=opensesame")
    with pytest.raises(BusUnavailable) as told:
        async with server.connect():
            pass
    assert str(told.value) == "the address of Redis is invalid"


async def test_an_option_that_redis_does_not_know_is_trouble_with_the_address() -> None:
    server = RedisBus("redis://:hunter2@127.0.0.1:1/0?colour=blue")
    with pytest.raises(BusUnavailable, match="unknown option") as refused:
        async with server.connect():
            pass
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["bff_bus_url", "bff_jobs_url", "redis_url"])
def test_an_address_with_an_option_that_nobody_knows_is_refused_without_being_quoted(
    name: str,
) -> None:
    url = "redis://desk:secret@localhost:6379/0?max_conections=4"
    with pytest.raises(SettingsError, match="option") as refused:
        Settings.from_env(**{name: url})
    assert "secret" not in str(refused.value)
    Settings.from_env(**{name: "redis://desk:secret@localhost:6379/0?protocol=2"})
