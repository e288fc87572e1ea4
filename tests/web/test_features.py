"""Switches, and who minds them."""

import os
from pathlib import Path

import pytest
import structlog

from hewston_bff.feature_flags import Feature
from hewston_bff.net.files.feature_file import Features
from hewston_bff.tools.simulator import generated_run
from tests.support import Bff, stack
from tests.waiting import eventually

ALL_ON = dict.fromkeys(Feature, True)
DAY = generated_run("day")


def _put(file: Path, text: str) -> None:
    """Replace the file as operators should: by a rename."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


async def _until(bff: Bff, feature: Feature, *, is_on: bool) -> None:
    async def is_so() -> bool:
        return (await bff.get("/api/v1/features"))["features"][feature] is is_on

    await eventually(is_so)


async def test_a_file_switches_without_a_restart_and_never_the_proxy(tmp_path: Path) -> None:
    file = tmp_path / "features.json"
    async with stack(DAY, bff_features_file=file) as (bff, *_):
        assert await bff.get("/api/v1/features") == {
            "topics": [],
            "simulated": [],
            "features": {
                "chart_data_aggregation": True,
                "run_data_aggregation": True,
                "websocket_proxy": True,
            },
        }
        with structlog.testing.capture_logs() as logs:
            _put(file, '{"websocket_proxy": false, "chart_data_aggregation": false}')
            await _until(bff, Feature.WEBSOCKET_PROXY, is_on=False)
        assert [
            (log["feature"], log["old"], log["new"])
            for log in logs
            if log["event"] == "features.changed"
        ] == [("chart_data_aggregation", True, False), ("websocket_proxy", True, False)]
        async with bff.session.get(bff.url + "/api/v1/runs/day/events") as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "FEATURE_DISABLED"
        async with bff.viewer("/backtests/day/ws"):
            pass
        for path in ("/backtests", "/api/v1/backtests/day", f"/bars/daily?symbol={DAY.symbol}"):
            async with bff.session.get(bff.url + path) as response:
                assert response.status == 200
        flags = (await bff.get("/api/v1/health"))["build_info"]["feature_flags"]
        assert flags == (await bff.get("/api/v1/features"))["features"]
        _put(file, "BFF_FEATURE_WEBSOCKET_PROXY=true\n")
        await _until(bff, Feature.WEBSOCKET_PROXY, is_on=True)
        assert (await bff.get("/api/v1/features"))["features"]["chart_data_aggregation"] is True


@pytest.mark.parametrize("bad", ["", "{", '{"typo": false}', "websocket_proxy=maybe"])
def test_a_bad_file_is_logged_once_and_changes_nothing(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "features"
    file.write_text("websocket_proxy=off", encoding="utf-8")
    features = Features(ALL_ON, file=file)
    features.look()
    assert not features.is_on(Feature.WEBSOCKET_PROXY)
    _put(file, bad)
    with structlog.testing.capture_logs() as logs:
        features.look()
        features.look()
    assert [log["event"] for log in logs] == ["features.bad_file"]
    assert not features.is_on(Feature.WEBSOCKET_PROXY)
    _put(file, "{}")
    features.look()
    assert features.is_on(Feature.WEBSOCKET_PROXY)


def test_without_the_file_the_settings_hold(tmp_path: Path) -> None:
    file = tmp_path / "features"
    features = Features({**ALL_ON, Feature.RUN_DATA: False}, file=file)
    features.look()
    assert not features.is_on(Feature.RUN_DATA)
    file.write_text("run_data_aggregation=on", encoding="utf-8")
    features.look()
    assert features.is_on(Feature.RUN_DATA)
    file.unlink()
    features.look()
    assert not features.is_on(Feature.RUN_DATA)


def test_a_file_that_looks_as_old_and_as_long_as_before_is_read(tmp_path: Path) -> None:
    file = tmp_path / "features"
    file.write_text("run_data_aggregation=no ", encoding="utf-8")
    features = Features(ALL_ON, file=file)
    features.look()
    before = file.stat()
    # Times of files have the clock of ticks.
    while file.stat().st_ctime_ns == before.st_ctime_ns:
        file.write_text("run_data_aggregation=yes", encoding="utf-8")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    features.look()
    assert features.is_on(Feature.RUN_DATA)


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    features = Features(ALL_ON, file=tmp_path)
    with structlog.testing.capture_logs() as logs:
        features.look()
    assert [log["event"] for log in logs] == ["features.bad_file"]
    assert features.by_name() == {feature.value: True for feature in Feature}
