"""Artifacts of runs: read within one folder, and never a reason to fail."""

import os
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from hewston_bff.net.files.artifacts import Artifacts
from hewston_bff.settings import Settings, SettingsError
from tests.net.files.catalogs import write_equity, write_orders
from tests.recordings import present_recordings

POINTS = {"2024-01-02T14:30:00Z": 100.0, "2024-01-02T14:31:00Z": None, "2024-01-03T14:32:00Z": 99.5}
ORDER: dict[str, object] = {
    "ts_utc": "2024-01-02T14:30:00Z",
    "side": "BUY",
    "qty": 1,
    "price": 0.1,
    "order_id": "o1",
}


async def test_a_curve_is_read_whether_its_times_are_times_or_text(tmp_path: Path) -> None:
    write_equity(tmp_path / "times.parquet", POINTS)
    write_equity(tmp_path / "text.parquet", POINTS, as_text=True)
    for name in ("times.parquet", "text.parquet"):
        found = await Artifacts(tmp_path).equity(name)
        assert found is not None
        times = ["2024-01-02T14:30", "2024-01-02T14:31", "2024-01-03T14:32"]
        assert found.ts_ns.tolist() == np.array(times, "M8[ns]").astype(np.int64).tolist()
        assert np.array_equal(found.equity, [100.0, np.nan, 99.5], equal_nan=True)


async def test_the_folder_may_be_the_backends_own_or_the_one_above(tmp_path: Path) -> None:
    write_equity(tmp_path / "data" / "e.parquet", POINTS)
    for folder in (tmp_path, tmp_path / "data"):
        assert await Artifacts(folder).equity("data/e.parquet") is not None


async def test_orders_come_batch_by_batch_as_the_backend_writes_them(tmp_path: Path) -> None:
    write_orders(tmp_path / "o.parquet", [{**ORDER, "order_id": f"o{n}"} for n in range(250)])
    table = await Artifacts(tmp_path).orders("o.parquet")
    assert table is not None
    batches = list(table.batches())
    assert max(len(batch) for batch in batches) <= 100
    orders = list(chain.from_iterable(batches))
    assert len(orders) == len(table) == 250
    assert orders[249] == {**ORDER, "order_id": "o249"}


async def test_real_artifacts_are_read() -> None:
    folder = present_recordings() / "artifacts"
    artifacts = Artifacts(folder)
    run = "654658d82be94356804a91544f6afd49"
    equity = await artifacts.equity(f"{run}/equity.parquet")
    orders = await artifacts.orders(f"{run}/orders.parquet")
    assert equity is not None
    assert orders is not None
    assert (len(equity.equity), len(orders)) == (7_791, 177)


async def test_paths_that_leave_the_folder_are_refused_and_logged(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    outside = tmp_path / "outside.parquet"
    folder.mkdir()
    write_equity(outside, POINTS)
    (folder / "link.parquet").symlink_to(outside)
    artifacts = Artifacts(folder)
    for path in ("../outside.parquet", "data/../../outside.parquet", str(outside), "link.parquet"):
        with capture_logs() as logs:
            assert await artifacts.equity(path) is None
        assert [line["event"] for line in logs] == ["artifact.refused"], path


async def test_files_that_are_none_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "folder.parquet").mkdir()
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "loop.parquet").symlink_to("loop.parquet")
    write_orders(tmp_path / "orders.parquet", [ORDER])
    whole = tmp_path / "whole.parquet"
    write_equity(whole, POINTS)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "bent.parquet").write_bytes(whole.read_bytes().replace(b"PAR1", b"PAR2"))
    artifacts = Artifacts(tmp_path)
    files = ("text", "empty", "folder", "pipe", "loop", "orders", "cut", "bent", "nowhere")
    for path in (*(f"{name}.parquet" for name in files), "", ".", "a\0b", "x" * 5_000):
        assert await artifacts.equity(path) is None, path
    assert await artifacts.equity("whole.parquet") is not None


def test_a_data_dir_without_the_extra_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setenv("HEWSTON_DATA_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"HEWSTON_DATA_DIR: .*hewston-bff\[artifacts\]"):
        Settings.from_env()
    monkeypatch.setenv("HEWSTON_DATA_DIR", "")
    assert Settings.from_env().hewston_data_dir is None
