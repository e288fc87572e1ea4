"""The backend's catalog: read only, and never a reason to fail."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hewston_bff.net.files.catalog import Catalog
from hewston_bff.protocol.ids import RunId
from tests.net.files.catalogs import insert, make_catalog
from tests.support import stack

RUN = RunId("r1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = make_catalog(tmp_path / "catalog #1?.sqlite")
    insert(path, "datasets", dataset_id="TSLA-2024-1m", symbol="TSLA")
    insert(path, "runs", run_id=RUN, dataset_id="TSLA-2024-1m", equity_path="e.parquet")
    insert(path, "run_metrics", run_id=RUN, total_return=0.5)
    return path


async def test_a_run_comes_with_its_datasets_symbol(path: Path) -> None:
    row = await Catalog(path).run(RUN)
    assert row is not None
    assert (row["symbol"], row["equity_path"], row["started_at"]) == ("TSLA", "e.parquet", None)


async def test_figures_come_as_they_are(path: Path) -> None:
    row = await Catalog(path).metrics(RUN)
    assert row is not None
    assert (row["total_return"], row["sharpe"]) == (0.5, None)
    assert "run_id" not in row


async def test_what_is_not_there_is_none_and_all_is_well(path: Path) -> None:
    catalog = Catalog(path)
    assert await catalog.run(RunId("'; DROP TABLE runs --")) is None
    assert await catalog.metrics(RunId("nobody")) is None
    assert await catalog.is_up()


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
async def test_a_missing_or_corrupt_catalog_is_down_and_logged_once(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "catalog.sqlite"
    if content is not None:
        path.write_bytes(content)
    catalog = Catalog(path)
    with capture_logs() as logs:
        assert await catalog.run(RUN) is None
        assert await catalog.metrics(RUN) is None
        assert not await catalog.is_up()
    assert [line["event"] for line in logs] == ["catalog.down"]
    assert path.exists() == (content is not None), "reading must not create it"


async def test_a_catalog_that_comes_later_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    catalog = Catalog(path)
    assert not await catalog.is_up()
    make_catalog(path)
    insert(path, "runs", run_id=RUN)
    with capture_logs() as logs:
        assert await catalog.run(RUN) is not None
    assert [line["event"] for line in logs] == ["catalog.up"]


async def test_a_locked_catalog_is_waited_for_but_not_for_long(path: Path) -> None:
    catalog = Catalog(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert await catalog.run(RUN) is None
        writer.execute("ROLLBACK")
    assert await catalog.run(RUN) is not None


@pytest.mark.parametrize(
    ("catalog", "folder", "state"),
    [
        (None, None, "disabled"),
        ("catalog", None, "ok"),
        ("none", None, "down"),
        ("catalog", ".", "ok"),
        ("none", ".", "degraded"),
        (None, ".", "ok"),
        (None, "none", "down"),
    ],
)
async def test_health_tells_of_the_catalog(
    tmp_path: Path, catalog: str | None, folder: str | None, state: str
) -> None:
    make_catalog(tmp_path / "catalog")
    settings: dict[str, Any] = {
        "hewston_catalog_path": None if catalog is None else tmp_path / catalog,
        "hewston_data_dir": None if folder is None else tmp_path / folder,
    }
    async with stack(**settings) as (bff, _, _):
        health = await bff.get("/api/v1/health")
    assert health["dependencies"]["catalog"] == state
    assert health["status"] == ("ok" if state in {"ok", "disabled"} else "degraded")
