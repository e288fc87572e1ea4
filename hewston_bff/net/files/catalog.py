"""The backend's catalog of runs, read and never written; SQLite, in threads."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import structlog

from hewston_bff.protocol.ids import RunId

logger = structlog.get_logger(__name__)

_T = TypeVar("_T")
Row = dict[str, object]

_LOCKED_S = 1.0
_RUN = "SELECT * FROM runs WHERE run_id = ?"
_METRICS = "SELECT * FROM run_metrics WHERE run_id = ?"
_SYMBOL = "SELECT symbol FROM datasets WHERE dataset_id = ?"
_ANY = "SELECT run_id FROM runs LIMIT 1"


class Catalog:
    """Rows as dicts by column. An unreadable catalog counts as absent; that is logged once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_down = False

    async def run(self, run_id: RunId) -> Row | None:
        """The row of a run, with the `symbol` of its dataset if that is known."""
        return await self._read(lambda database: _run(database, run_id))

    async def metrics(self, run_id: RunId) -> Row | None:
        """The row of a run's figures."""
        row = await self._read(lambda database: _first(database, _METRICS, run_id))
        if row is not None:
            row.pop("run_id", None)
        return row

    async def is_up(self) -> bool:
        """Whether the catalog can be read."""
        await self._read(lambda database: _first(database, _ANY))
        return not self._is_down

    async def _read(self, look: Callable[[sqlite3.Connection], _T]) -> _T | None:
        try:
            found = await asyncio.to_thread(self._look, look)
        except (sqlite3.Error, OSError) as error:
            if not self._is_down:
                logger.warning("catalog.down", error=type(error).__name__, reason=str(error))
            self._is_down = True
            return None
        if self._is_down:
            logger.warning("catalog.up")
        self._is_down = False
        return found

    def _look(self, look: Callable[[sqlite3.Connection], _T]) -> _T:
        # A connection each: the backend may replace the file, and threads share none.
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_S)) as database:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA query_only = 1")
            return look(database)


def _run(database: sqlite3.Connection, run_id: RunId) -> Row | None:
    row = _first(database, _RUN, run_id)
    if row is not None and row.get("symbol") is None and row.get("dataset_id") is not None:
        dataset = _first(database, _SYMBOL, row["dataset_id"])
        row["symbol"] = None if dataset is None else dataset["symbol"]
    return row


def _first(database: sqlite3.Connection, query: str, *values: object) -> Row | None:
    row = database.execute(query, values).fetchone()
    return None if row is None else dict(row)
