"""A catalog and artifacts as the backend leaves them, made for a test."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_SCHEMA = """
CREATE TABLE datasets(dataset_id TEXT PRIMARY KEY, symbol TEXT, from_date TEXT, to_date TEXT);
CREATE TABLE runs(run_id TEXT PRIMARY KEY, dataset_id TEXT, strategy_id TEXT, params_json TEXT,
    seed INT, speed REAL, created_at TEXT, started_at TEXT, status TEXT, duration_ms INT,
    metrics_path TEXT, equity_path TEXT, orders_path TEXT, fills_path TEXT);
CREATE TABLE run_metrics(run_id TEXT PRIMARY KEY, total_return REAL, cagr REAL, max_drawdown REAL,
    sharpe REAL, sortino REAL, hit_rate REAL);
"""


def make_catalog(path: Path) -> Path:
    """An empty catalog."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_SCHEMA)
    return path


def insert(path: Path, table: str, **values: object) -> None:
    """Add a row."""
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"INSERT INTO {table}({names}) VALUES({marks})",
            tuple(values.values()),
        )


def write_equity(path: Path, points: Mapping[str, float | None], *, as_text: bool = False) -> None:
    """A file of `ts_utc`, as times or as text, and `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = list(points) if as_text else [moment(text) for text in points]
    kind = pa.string() if as_text else pa.timestamp("us", tz="UTC")
    table = pa.table({"ts_utc": pa.array(times, kind), "value": list(points.values())})
    pq.write_table(table, path)


def write_orders(path: Path, orders: list[dict[str, object]]) -> None:
    """A file of orders; `ts_utc` is given as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**order, "ts_utc": moment(str(order["ts_utc"]))} for order in orders]
    pq.write_table(pa.Table.from_pylist(rows), path)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
