"""Simulated runs: what they play, what they tell about themselves, how they age.

A run's frames are made on first use and then kept: encoded bytes, exactly as the backend sends
them. The same specification gives the same bytes, in any process.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from hewston_bff.tools.simulator.market import MarketBars

FIRST_CREATED = datetime(2025, 9, 22, 8, 15, 30, 411599, tzinfo=UTC)


class SimulatedStatus(StrEnum):
    """What the backend and its documents call the states of a run."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class RunProgress(NamedTuple):
    """Where a run stands: its status, the frames there are, and whether `play` streams them."""

    status: SimulatedStatus
    available: int
    is_streamable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """How a run ages: QUEUED, RUNNING, then its final status. `math.inf` seconds: for ever.

    With `history` the run streams while it is RUNNING: that many frames at first, then
    `growth_fps` more a second; it ends with its last frame, or never if `is_endless`. A run that
    comes to a bad end has nothing to stream, or, if it `streams_nothing`, a stream without a frame.
    With `streams_what_is_there` a stream of a RUNNING run ends with the frames there are.
    """

    queued_s: float = 0.0
    running_s: float = 0.0
    history: int | None = None
    growth_fps: float = 0.0
    is_endless: bool = False
    final: SimulatedStatus = SimulatedStatus.DONE
    streams_nothing: bool = False
    streams_what_is_there: bool = False

    def at(self, elapsed_s: float, *, frame_count: int) -> RunProgress:
        """The progress `elapsed_s` after the run came to be."""
        running_s = elapsed_s - self.queued_s
        if running_s < 0:
            return RunProgress(SimulatedStatus.QUEUED, 0, is_streamable=False)
        if self.history is not None:
            grown = min(frame_count, self.history + int(running_s * self.growth_fps))
            if grown < frame_count or self.is_endless:
                return RunProgress(SimulatedStatus.RUNNING, grown, is_streamable=True)
        elif running_s < self.running_s:
            return RunProgress(SimulatedStatus.RUNNING, 0, is_streamable=False)
        is_whole = self.final in {SimulatedStatus.DONE, SimulatedStatus.COMPLETED}
        if self.streams_nothing:
            return RunProgress(self.final, 0, is_streamable=True)
        return RunProgress(self.final, frame_count if is_whole else 0, is_streamable=is_whole)


class FrameSource(Protocol):
    """Where a run's frames come from: made up or recorded."""

    @property
    def frame_count(self) -> int:
        """Frames in all, known without making them."""

    @property
    def frames(self) -> Sequence[bytes]:
        """The messages, in order, encoded as the backend sends them."""

    @property
    def bars(self) -> MarketBars:
        """The minute bars these frames hold; a frame with nulls holds none."""


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """One run of the simulated backend. Immutable; ages by its lifecycle."""

    run_id: str
    symbol: str
    run_from: date
    run_to: date
    source: FrameSource
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    created_at: datetime = FIRST_CREATED
    strategy_id: str = "sma_crossover"
    params: dict[str, object] = field(default_factory=lambda: {"fast": 20, "slow": 50})
    seed: int = 42
    speed: float = 60
    duration_ms: int | None = None

    @property
    def frames(self) -> Sequence[bytes]:
        """The messages `play` streams once the run is whole; made on first use."""
        return self.source.frames

    @property
    def frame_count(self) -> int:
        """How many frames the run has once it is whole; costs nothing."""
        return self.source.frame_count

    @property
    def bars(self) -> MarketBars:
        """The minute bars the frames hold."""
        return self.source.bars

    def progress(self, elapsed_s: float) -> RunProgress:
        """Where the run stands `elapsed_s` after it came to be."""
        return self.lifecycle.at(elapsed_s, frame_count=self.frame_count)

    def summary(self, *, status: SimulatedStatus) -> dict[str, object]:
        """The item of `GET /backtests`."""
        return {
            "run_id": self.run_id,
            "created_at": self.created_at.isoformat(timespec="microseconds"),
            "strategy_id": self.strategy_id,
            "status": status.value,
            "symbol": self.symbol,
            "run_from": self.run_from.isoformat(),
            "run_to": self.run_to.isoformat(),
            "duration_ms": self.duration_ms,
        }

    def detail(self, *, status: SimulatedStatus) -> dict[str, object]:
        """The document of `GET /backtests/{id}`: there is no `symbol` in it, as in reality."""
        folder = f"data/backtests/{self.run_id}"
        return {
            "run_id": self.run_id,
            "dataset_id": f"{self.symbol}-{self.run_from.year}-1m",
            "strategy_id": self.strategy_id,
            "params": self.params,
            "seed": self.seed,
            "slippage_fees": {},
            "speed": self.speed,
            "code_hash": "1e3439ea0159ff944b9d41de27b45e4d1120a680",
            "created_at": self.created_at.isoformat(timespec="microseconds"),
            "status": status.value,
            "duration_ms": self.duration_ms,
            "artifacts": {
                "metrics_path": f"{folder}/metrics.json",
                "equity_path": f"{folder}/equity.parquet",
                "orders_path": f"{folder}/orders.parquet",
                "fills_path": f"{folder}/fills.parquet",
                "run_manifest_path": f"{folder}/run-manifest.json",
            },
            "manifest": {"path": f"{folder}/run-manifest.json"},
            "run_from": self.run_from.isoformat(),
            "run_to": self.run_to.isoformat(),
        }
