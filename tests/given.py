"""Runs of the simulated backend that play exactly the messages they are given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from hewston_bff.tools.simulator import Lifecycle, SimulatedRun
from hewston_bff.tools.simulator.market import MarketBars
from hewston_bff.tools.simulator.runs import FIRST_CREATED

OPENED = "2024-03-01T14:30:00Z"


@dataclass(frozen=True)
class GivenFrames:
    """See `FrameSource`: messages as they are, frames or not."""

    frames: Sequence[bytes]

    @property
    def frame_count(self) -> int:
        return len(self.frames)

    @property
    def bars(self) -> MarketBars:
        raise NotImplementedError


def given_run(
    run_id: str,
    *messages: str,
    lifecycle: Lifecycle | None = None,
    created_at: datetime = FIRST_CREATED,
) -> SimulatedRun:
    """A run of these messages."""
    return SimulatedRun(
        run_id=run_id,
        symbol="TSLA",
        run_from=date(2024, 3, 1),
        run_to=date(2024, 3, 1),
        source=GivenFrames([message.encode() for message in messages]),
        lifecycle=lifecycle or Lifecycle(),
        created_at=created_at,
    )


@dataclass(frozen=True)
class Wire:
    """A frame as the backend writes it, member by member; any of them can be spoiled."""

    ts: str = f'"{OPENED}"'
    ohlc: str = '{"o": 10, "h": 11, "l": 9, "c": 10.5, "v": 7}'
    orders: str = "[]"
    equity: str = "1000"
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        point = f'{{"ts": "{OPENED}", "value": {self.equity}}}'
        more = "".join(f', "{name}": {text}' for name, text in self.more.items())
        return (
            f'{{"t": "frame", "ts": {self.ts}, "ohlc": {self.ohlc}, "orders": {self.orders}, '
            f'"equity": {point}{more}, "dropped": 0}}'
        )


def order(side: str, price: float, qty: float = 1) -> str:
    """An order as the backend writes it."""
    return f'{{"ts_utc": "{OPENED}", "side": "{side}", "qty": {qty}, "price": {price}}}'
