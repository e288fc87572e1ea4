"""A run's artifacts: the parquet files that the backend wrote, read in threads, in one folder."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import structlog

from hewston_bff.market.figures import Floats, Ints
from hewston_bff.market.run_wire import MalformedPart
from hewston_bff.protocol.times import format_time, to_ns

logger = structlog.get_logger(__name__)

_T = TypeVar("_T")
_MOST_ROWS = 2_000_000
_BATCH_ROWS = 100
_BACKENDS_FOLDER = "data"


class EquityColumns(NamedTuple):
    """Times, ns since 1970, and values; NaN where there is none."""

    ts_ns: Ints
    equity: Floats


class OrderTable:
    """A run's orders, turned into objects batch by batch: each takes about a millisecond."""

    def __init__(self, table: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def batches(self) -> Iterator[list[dict[str, object]]]:
        """All orders, in order; times as the backend writes them.

        Raises:
            MalformedPart: Python has no such values.
        """
        for begin in range(0, len(self), _BATCH_ROWS):
            try:
                rows = self._table.slice(begin, _BATCH_ROWS).to_pylist()
            # Text that is not UTF-8, a fraction of a microsecond; a date that is too far away.
            except (ValueError, OverflowError) as exc:
                raise MalformedPart("no orders") from exc
            yield [{name: _plain(value) for name, value in row.items()} for row in rows]


class Artifacts:
    """Files below `folder`, the backend's `data` or the folder above it.

    What cannot be read is not there, and logged. A path that leads out of the folder is refused.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as arrow  # noqa: PLC0415 - in an extra: absent where no folder is set
        from pyarrow import parquet  # noqa: PLC0415 - the same

        self._folder = folder
        self._arrow: ModuleType = arrow
        self._parquet: ModuleType = parquet

    async def equity(self, path: str) -> EquityColumns | None:
        """The curve in a file of `ts_utc` and `value`."""
        return await self._read(path, self._equity)

    async def orders(self, path: str) -> OrderTable | None:
        """The orders in a file."""
        return await self._read(path, lambda file: OrderTable(self._table(file, None)))

    async def is_up(self) -> bool:
        """Whether the folder exists."""
        return await asyncio.to_thread(self._folder.is_dir)

    async def _read(self, path: str, read: Callable[[Path], _T]) -> _T | None:
        try:
            return await asyncio.to_thread(self._read_within, path, read)
        # pyarrow's own errors are ValueErrors, OSErrors and KeyErrors; a link to itself is a
        # RuntimeError.
        except (ValueError, OSError, KeyError, RuntimeError, MemoryError) as error:
            logger.warning("artifact.unreadable", path=path, error=type(error).__name__)
            return None

    def _read_within(self, path: str, read: Callable[[Path], _T]) -> _T | None:
        folder = self._folder.resolve()
        # The catalog's paths are relative to where the backend runs: the folder, or the one above.
        below = Path(path)
        candidates = [below]
        if below.parts[:1] == (_BACKENDS_FOLDER,):
            candidates.append(below.relative_to(_BACKENDS_FOLDER))
        for candidate in candidates:
            file = (folder / candidate).resolve()
            if not file.is_relative_to(folder):
                logger.warning("artifact.refused", path=path)
                return None
            if file.is_file():
                return read(file)
        return None

    def _equity(self, file: Path) -> EquityColumns:
        arrow = self._arrow
        table = self._table(file, ["ts_utc", "value"])
        table = table.filter(table["ts_utc"].is_valid())
        times = table["ts_utc"]
        if not arrow.types.is_timestamp(times.type):
            times = times.cast(arrow.timestamp("us", tz="UTC"))
        ts_ns = times.cast(arrow.timestamp("ns", tz=times.type.tz)).cast(arrow.int64())
        return EquityColumns(
            ts_ns.to_numpy().astype(np.int64, copy=False),
            table["value"].cast(arrow.float64()).to_numpy(),
        )

    def _table(self, file: Path, columns: list[str] | None) -> Any:  # noqa: ANN401 - no types
        with self._parquet.ParquetFile(file) as opened:
            if opened.metadata.num_rows > _MOST_ROWS:
                msg = f"over {_MOST_ROWS} rows"
                raise ValueError(msg)
            return opened.read(columns=columns)


def _plain(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return format_time(to_ns(value if value.tzinfo else value.replace(tzinfo=UTC)))
