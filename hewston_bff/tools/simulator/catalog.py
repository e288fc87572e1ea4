"""The runs a simulated backend knows now, each with its age; listing and creating them."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import NamedTuple

import msgspec
import numpy as np

from hewston_bff.tools.simulator.generated import generated_run
from hewston_bff.tools.simulator.market import (
    FIRST_DAY,
    LAST_DAY,
    SESSION_MINUTES,
    MarketBars,
    trading_days,
)
from hewston_bff.tools.simulator.runs import Lifecycle, RunProgress, SimulatedRun, SimulatedStatus


class BadRequest(Exception):
    """A body the backend answers with 400 and this text."""


class Broken(Exception):
    """A body or query the real backend trips over: 500."""


class Crash(Exception):
    """A body that stops the backend's process."""


class LiveRun(NamedTuple):
    """A run and since when it has been ageing."""

    run: SimulatedRun
    since_s: float
    clock: Callable[[], float]

    def progress(self) -> RunProgress:
        """Where the run stands now."""
        return self.run.progress(self.clock() - self.since_s)


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """The parameters of `GET /backtests`, already clamped."""

    limit: int = 20
    offset: int = 0
    symbol: str | None = None
    strategy_id: str | None = None
    overlap_from: str | None = None
    overlap_to: str | None = None
    is_ascending: bool = False


class Creation(NamedTuple):
    """What `POST /backtests` answers."""

    run_id: str
    is_new: bool


class SimulatedCatalog:
    """Runs by id. `clock` is monotonic seconds; runs age from when the catalogue starts."""

    def __init__(self, runs: Iterable[SimulatedRun], *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._live: dict[str, LiveRun] = {}
        self._run_ids_by_key: dict[str, str] = {}
        self._run_ids_by_input: dict[bytes, str] = {}
        self._bars: dict[str, MarketBars] = {}
        for run in runs:
            self.put(run)

    def put(self, run: SimulatedRun) -> None:
        """Add a run, or replace the one of its id; it begins to age now."""
        self._live[run.run_id] = LiveRun(run, self._clock(), self._clock)
        self._bars.clear()

    def get(self, run_id: str) -> LiveRun | None:
        """The run, or None."""
        return self._live.get(run_id)

    def items(self, query: ListQuery) -> tuple[list[dict[str, object]], int]:
        """One page of the list, and how many runs match in all."""
        matching = sorted(
            (live for live in self._live.values() if _matches(live.run, query)),
            key=lambda live: live.run.created_at,
            reverse=not query.is_ascending,
        )
        page = matching[query.offset : query.offset + query.limit]
        return [live.run.summary(status=live.progress().status) for live in page], len(matching)

    def bars(self, symbol: str) -> MarketBars | None:
        """Every minute bar that the runs of a symbol hold, in order; None if there is no run.

        Computed on first use: it makes the frames of none, only their bars.
        """
        if symbol not in self._bars:
            found = [live.run.bars for live in self._live.values() if live.run.symbol == symbol]
            if not found:
                return None
            self._bars[symbol] = _united(found)
        return self._bars[symbol]

    def create(
        self,
        body: bytes,
        *,
        idempotency_key: str | None,
        lifecycle: Lifecycle,
    ) -> Creation:
        """What `POST /backtests` does: a known key or input finds its run, otherwise a new one.

        Raises:
            BadRequest: the backend would answer 400.
            Broken: it would answer 500.
            Crash: it would stop.
        """
        wish = _decoded(body)
        if idempotency_key is not None and idempotency_key in self._run_ids_by_key:
            return Creation(self._run_ids_by_key[idempotency_key], is_new=False)
        if wish.dataset_id is None:
            if idempotency_key is None:
                raise BadRequest("provide dataset_id or (symbol, year)")
            run_id = f"stub-{_digest(idempotency_key.encode())[:8]}"
            self._run_ids_by_key[idempotency_key] = run_id
            return Creation(run_id, is_new=True)
        wished = msgspec.json.encode(wish, order="deterministic")
        if (known := self._run_ids_by_input.get(wished)) is not None:
            return Creation(known, is_new=False)
        run_id = _digest(wished)[:32]
        self.put(self._made(wish, dataset_id=wish.dataset_id, run_id=run_id, lifecycle=lifecycle))
        self._run_ids_by_input[wished] = run_id
        if idempotency_key is not None:
            self._run_ids_by_key[idempotency_key] = run_id
        return Creation(run_id, is_new=True)

    def _made(
        self, wish: "_Wish", *, dataset_id: str, run_id: str, lifecycle: Lifecycle
    ) -> SimulatedRun:
        symbol = dataset_id.partition("-")[0]
        if wish.speed is None or all(live.run.symbol != symbol for live in self._live.values()):
            raise Broken
        first = _day(wish.first, default=FIRST_DAY)
        last = _day(wish.last, default=LAST_DAY)
        days = trading_days(max(first, FIRST_DAY), min(last, LAST_DAY))
        made = generated_run(
            run_id,
            frame_count=max(1, len(days)) * SESSION_MINUTES,
            symbol=symbol,
            first_day=days[0] if days else FIRST_DAY,
            lifecycle=lifecycle if days else replace(lifecycle, final=SimulatedStatus.ERROR),
            created_at=datetime.now(UTC),
        )
        return replace(
            made,
            run_from=first,
            run_to=last,
            strategy_id=wish.strategy_id,
            params=wish.params,
            speed=wish.speed,
        )


class _Wish(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    strategy_id: str
    params: dict[str, object]
    dataset_id: str | None = None
    symbol: str | None = None
    year: int | None = None
    seed: int | None = 42
    slippage_fees: dict[str, object] = {}
    speed: float | None = 60
    first: str | None = None
    last: str | None = None


def _decoded(body: bytes) -> _Wish:
    try:
        wish = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise BadRequest("invalid JSON") from None
    if not isinstance(wish, dict):
        raise Broken
    if not wish.get("strategy_id") or wish.get("params") is None:
        raise BadRequest("missing strategy_id/params")
    if "symbol" in wish and "year" in wish and "dataset_id" not in wish:
        raise Crash
    try:
        return msgspec.convert(wish, _Wish)
    except msgspec.ValidationError as exc:
        raise Broken from exc


def _day(text: str | None, *, default: date) -> date:
    # real dates are not checked there: nonsense makes a run of the whole data set
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        return default


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _matches(run: SimulatedRun, query: ListQuery) -> bool:
    return (
        query.symbol in {None, run.symbol}
        and query.strategy_id in {None, run.strategy_id}
        and (not query.overlap_from or run.run_to.isoformat() >= query.overlap_from)
        and (not query.overlap_to or run.run_from.isoformat() <= query.overlap_to)
    )


def _united(found: list[MarketBars]) -> MarketBars:
    columns = zip(*(bars.columns() for bars in found), strict=True)
    every = MarketBars(*(np.concatenate(column) for column in columns))
    # np.unique sorts and gives the first of equal minutes: the runs of a market agree anyway
    _, first = np.unique(every.t_s, return_index=True)
    return every.taken(first)
