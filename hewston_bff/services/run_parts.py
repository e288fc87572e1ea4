"""The parts of a run, each from the first that has it: backend, catalog and artifacts, stream.

Only a part that the backend does not know (404) is looked for elsewhere; if it fails there it has
failed. Whatever happens to one part happens to no other.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import msgspec
import structlog

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError, Subject, backend_error
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.log_reader import LogReader, reading
from hewston_bff.log.log import Evicted
from hewston_bff.market import run_wire
from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.equity import Curve, running_figures
from hewston_bff.market.run_wire import MalformedPart, Orders
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.files.artifacts import Artifacts
from hewston_bff.net.files.catalog import Catalog
from hewston_bff.protocol.figures import Figures
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.services.cooperative_runner import CooperativeRunner
from hewston_bff.topics.run import log_parts
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.run.link import FAILED

logger = structlog.get_logger(__name__)

_FAILED_S = 0.7
"""How long a failed run's stream is waited for: most have no frame, and no way to say so."""
_T = TypeVar("_T")


_PLATFORM_FIGURES = ("total_return", "cagr", "max_drawdown", "sharpe", "sortino", "hit_rate")
"""Figures that the platform reports of a run; the others are ours alone."""


class NotThereYet(Exception):
    """No source has the part, and asking again soon would not help."""


class Part(StrEnum):
    """What a run consists of beside its description."""

    METRICS = "metrics"
    EQUITY = "equity"
    ORDERS = "orders"


class PartSource(StrEnum):
    """Where a part comes from."""

    BACKEND = "backend"
    CATALOG = "catalog"
    ARTIFACTS = "artifacts"
    COMPUTED = "computed"
    STREAM = "stream"


class FoundPart(NamedTuple, Generic[_T]):
    """A part, and where it came from."""

    value: _T
    source: PartSource


@dataclass(slots=True)
class Parts:
    """What was found; None for what was not. `metrics` is a JSON object.

    `has_computed_figures`: whoever had figures lacked some, which were computed. `failed` names
    also what was not asked for, but is lacking in what was. `had_trouble`: something failed that
    may be there the next time.
    """

    metrics: FoundPart[bytes] | None = None
    equity: FoundPart[Curve] | None = None
    orders: FoundPart[Orders] | None = None
    has_computed_figures: bool = False
    failed: set[Part] = field(default_factory=set)
    had_trouble: bool = False
    lacks_frames: bool = False
    """Whether what the stream gave may not be all of the run: frames could not be read, or load."""
    backend_calls: int = 0

    def sources(self) -> list[str]:
        """`part:source` of each that was found."""
        found = {
            Part.METRICS: self.metrics,
            Part.EQUITY: self.equity,
            Part.ORDERS: self.orders,
        }
        named = [f"{part}:{one.source}" for part, one in found.items() if one is not None]
        if self.has_computed_figures:
            named.insert(1, f"{Part.METRICS}:{PartSource.COMPUTED}")
        return named


@dataclass(frozen=True, slots=True)
class PartSources:
    """What may be asked for parts; the catalog and the artifacts if they are configured."""

    requests: BackendRequests
    hub: Hub
    runs: RunKind
    runner: CooperativeRunner
    catalog: Catalog | None = None
    artifacts: Artifacts | None = None


@dataclass(frozen=True, slots=True)
class PartsQuery:
    """A run, the caller's credentials, and a deadline in loop time. `row` is the catalog's."""

    run_id: RunId
    description: RunDescription
    row: Mapping[str, object]
    credentials: Credentials = field(repr=False)
    until_s: float


async def fetch(sources: PartSources, asked: PartsQuery, *, wanted: frozenset[Part]) -> Parts:
    """The wanted parts, asked for at once; what is not there in time is None."""
    async with asyncio.TaskGroup() as group:
        search = _Search(sources, asked, group)
        parts = search.parts
        equity = search.equity() if Part.EQUITY in wanted else None
        orders = search.orders() if Part.ORDERS in wanted else None
        if Part.METRICS in wanted:
            parts.metrics = await search.contained(Part.METRICS, search.find_metrics())
        parts.equity = None if equity is None else await equity
        parts.orders = None if orders is None else await orders
    return parts


class _Search:
    """One answer's search. Curve and orders are looked for once, whoever needs them."""

    def __init__(self, sources: PartSources, asked: PartsQuery, group: asyncio.TaskGroup) -> None:
        self._sources = sources
        self._asked = asked
        self._group = group
        self._equity: asyncio.Task[FoundPart[Curve] | None] | None = None
        self._orders: asyncio.Task[FoundPart[Orders] | None] | None = None
        self._stream: asyncio.Task[tuple[Curve, Orders] | Exception] | None = None
        self.parts = Parts()

    def equity(self) -> "asyncio.Task[FoundPart[Curve] | None]":
        if self._equity is None:
            find = self.contained(Part.EQUITY, self._in_time(self._find_equity()))
            self._equity = self._group.create_task(find)
        return self._equity

    def orders(self) -> "asyncio.Task[FoundPart[Orders] | None]":
        if self._orders is None:
            find = self.contained(Part.ORDERS, self._in_time(self._find_orders()))
            self._orders = self._group.create_task(find)
        return self._orders

    async def contained(self, part: Part, find: Awaitable[_T]) -> _T | None:
        """What `find` finds; None, logged, if it is not there or not there in time."""
        try:
            return await find
        except NotThereYet as error:
            reason = str(error)
        except (BffError, MalformedPart, Evicted, TimeoutError) as error:
            self.parts.had_trouble = True
            reason = str(error) or "not there in time"
        self.parts.failed.add(part)
        logger.info("run.part_missing", run_id=self._asked.run_id, part=part, reason=reason)
        return None

    async def _in_time(self, find: Awaitable[_T]) -> _T:
        async with asyncio.timeout_at(self._asked.until_s):
            return await find

    async def find_metrics(self) -> FoundPart[bytes]:
        reported = await self._reported_figures()
        if reported is None:
            return FoundPart(msgspec.json.encode(await self._computed()), PartSource.COMPUTED)
        if all(reported.value.get(name) is not None for name in _PLATFORM_FIGURES):
            return FoundPart(msgspec.json.encode(reported.value), reported.source)
        try:
            computed = msgspec.structs.asdict(await self._computed())
        except NotThereYet as reason:
            logger.info("run.figures_lacking", run_id=self._asked.run_id, reason=str(reason))
            return FoundPart(msgspec.json.encode(reported.value), reported.source)
        if any(reported.value.get(name) is not None for name in ("sharpe", "sortino")):
            # Nobody says how these were annualised.
            computed |= {"periods_per_year": None, "ratios_until": None}
        filled = {
            name: value for name, value in computed.items() if reported.value.get(name) is None
        }
        self.parts.has_computed_figures = any(value is not None for value in filled.values())
        return FoundPart(msgspec.json.encode(reported.value | filled), reported.source)

    async def _reported_figures(self) -> FoundPart[dict[str, object]] | None:
        """The figures that somebody reports."""
        body = await self._ask(Part.METRICS)
        if body is not None:
            return FoundPart(run_wire.decode_metrics(body), PartSource.BACKEND)
        catalog = self._sources.catalog
        row = None
        if catalog is not None:
            row = await self._in_time(catalog.metrics(self._asked.run_id))
        if row is None or all(value is None for value in row.values()):
            return None
        return FoundPart(run_wire.reported_figures(row), PartSource.CATALOG)

    async def _computed(self) -> Figures:
        """Figures from the curve and, as far as they are there, the orders.

        Both end in time by themselves: a deadline here would lose the figures of a curve that is
        there to orders that are not.

        Raises:
            NotThereYet: there is no curve.
        """
        orders = self.orders()
        points = await asyncio.shield(self.equity())
        if points is None:
            raise NotThereYet("there is no equity to compute them from")
        runner = self._sources.runner
        running = await runner.run(running_figures(points.value))
        trades = await asyncio.shield(orders)
        if trades is not None:
            running.trips = await runner.run(run_wire.round_trips(trades.value))
        return running.figures()

    async def _find_equity(self) -> FoundPart[Curve]:
        runner, artifacts = self._sources.runner, self._sources.artifacts
        body = await self._ask(Part.EQUITY)
        if body is not None:
            points = await runner.run(run_wire.decode_equity(body))
            if points.left_out:
                # What is there is shown; that it is not all is said.
                self.parts.failed.add(Part.EQUITY)
            return FoundPart(points, PartSource.BACKEND)
        path = self._path("equity_path")
        columns = None if artifacts is None or path is None else await artifacts.equity(path)
        if columns is not None:
            return FoundPart(Curve(*columns), PartSource.ARTIFACTS)
        return FoundPart((await self._streamed())[0], PartSource.STREAM)

    async def _find_orders(self) -> FoundPart[Orders]:
        runner, artifacts = self._sources.runner, self._sources.artifacts
        body = await self._ask(Part.ORDERS)
        if body is not None:
            return FoundPart(await runner.run(run_wire.decode_orders(body)), PartSource.BACKEND)
        path = self._path("orders_path")
        table = None if artifacts is None or path is None else await artifacts.orders(path)
        if table is not None:
            try:
                found = await runner.run(run_wire.orders_of(table.batches()))
                return FoundPart(found, PartSource.ARTIFACTS)
            except MalformedPart:
                logger.warning("artifact.unreadable", path=path, error="MalformedPart")
        return FoundPart((await self._streamed())[1], PartSource.STREAM)

    def _path(self, name: str) -> str | None:
        path = self._asked.row.get(name)
        return path if isinstance(path, str) else self._asked.description.path(name)

    async def _ask(self, part: Part) -> bytes | None:
        """The backend's answer; None if it does not know such a thing.

        Raises:
            BffError: no answer, or not the right one.
        """
        asked = self._asked
        self.parts.backend_calls += 1
        response = await self._sources.requests.get(
            f"/backtests/{asked.run_id}/{part}",
            credentials=asked.credentials,
            deadline_s=max(0.001, asked.until_s - asyncio.get_running_loop().time()),
        )
        if response.status == 404:
            return None
        if response.status != 200:
            raise backend_error(response.status, Subject.PART)
        return response.body

    async def _streamed(self) -> tuple[Curve, Orders]:
        """Curve and orders from the frames of a run that is over."""
        if not self._asked.description.is_over:
            raise NotThereYet("nobody has it while the run goes on")
        if self._stream is None:
            self._stream = self._group.create_task(self._read_stream())
        read = await asyncio.shield(self._stream)
        if isinstance(read, Exception):
            raise read
        return read

    async def _read_stream(self) -> tuple[Curve, Orders] | Exception:
        """What the stream gives, or why not: raised here it would end the group."""
        asked = self._asked
        try:
            async with asyncio.timeout_at(asked.until_s):
                with reading(
                    self._sources.hub, Topic(RUN, asked.run_id), asked.credentials
                ) as reader:
                    if asked.description.status in FAILED and not await _has_come(reader):
                        # It may load still: what is said of it now is not to be kept, nor all.
                        self.parts.had_trouble = self.parts.lacks_frames = True
                        return await self._sources.runner.run(_whole(frame_log(asked.run_id)))
                    log = await reader.until(lambda log: log.is_complete)
                    skipped = reader.skipped
                    self.parts.lacks_frames = skipped is not None and skipped.frames > 0
                    return await self._sources.runner.run(_whole(log))
        except (BffError, Evicted, TimeoutError) as error:
            return error


async def _has_come(reader: LogReader) -> bool:
    """Whether the stream of a run that failed has a frame or an end to show, at once."""
    try:
        async with asyncio.timeout(_FAILED_S):
            await reader.until(lambda log: log.is_complete or log.next_seq > 0)
    except TimeoutError:
        return False
    return True


def _whole(log: FrameLog) -> Cooperative[tuple[Curve, Orders]]:
    points = log_parts.log_curve(log)
    yield
    orders = yield from log_parts.log_orders(log)
    return points, orders
