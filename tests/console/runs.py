"""Runs of given frames, for what the generated ones do not have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from hewston_bff.tools.simulator import Lifecycle, SimulatedRun
from hewston_bff.tools.simulator.market import MarketBars

_START = datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
_NO_BARS = MarketBars(*(np.zeros(0, dtype=np.int64) for _ in range(6)))
Frame = dict[str, Any]


@dataclass(frozen=True)
class GivenFrames:
    """Frames as they are given, in the backend's JSON."""

    given: Sequence[Frame]
    bars: MarketBars = field(default=_NO_BARS)

    @property
    def frame_count(self) -> int:
        """How many they are."""
        return len(self.given)

    @property
    def frames(self) -> Sequence[bytes]:
        """As the backend sends them."""
        return [msgspec.json.encode(frame) for frame in self.given]


def given_run(run_id: str, frames: Sequence[Frame], **more: Any) -> SimulatedRun:
    """A run that plays these frames."""
    first = date.fromisoformat(frames[0]["ts"][:10]) if frames else _START.date()
    last = date.fromisoformat(frames[-1]["ts"][:10]) if frames else _START.date()
    return SimulatedRun(
        run_id=run_id,
        symbol=more.pop("symbol", "TEST"),
        run_from=first,
        run_to=last,
        source=GivenFrames(frames),
        lifecycle=more.pop("lifecycle", Lifecycle()),
        **more,
    )


def frame(
    minute: float, bar: Sequence[float | None] | None, equity: float | None, *orders: Frame
) -> Frame:
    """A frame so many minutes after the start; `bar` is open, high, low, close, volume."""
    ts = time_of(minute)
    return {
        "t": "frame",
        "ts": ts,
        "ohlc": None if bar is None else dict(zip("ohlcv", bar, strict=True)),
        "orders": list(orders),
        "equity": None if equity is None else {"ts": ts, "value": equity},
        "dropped": 0,
    }


def time_of(minute: float) -> str:
    """The time of a minute of these runs."""
    return (_START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def order(minute: float, side: str, qty: float, price: float, *, zone: str = "Z") -> Frame:
    """A filled order."""
    ts = time_of(minute).replace("Z", zone)
    common = {"order_id": f"o{minute}", "type": "MKT", "time_in_force": "IOC"}
    return {"ts_utc": ts, "side": side, "qty": qty, "price": price, **common}


def priced(price: float, spread: float, volume: float = 100) -> list[float]:
    """A bar that opens and closes at a price."""
    return [price, price + spread, price - spread, price, volume]


def walk_of(
    run_id: str,
    *,
    price: float,
    step: float,
    equity: float = 100_000.0,
    gain: float = 10.0,
    count: int = 600,
    digits: int = 2,
    quantity: float = 1.0,
) -> SimulatedRun:
    """A run of minutes around a price, the same each time; an order every fifty minutes."""
    chance = np.random.default_rng(7)
    moves = np.cumsum(chance.normal(0, step, count))
    gains = np.cumsum(chance.normal(0, gain, count))
    frames = []
    for minute in range(count):
        value = round(float(price + moves[minute]), digits)
        placed = [order(minute, ("BUY", "SELL")[minute // 50 % 2], quantity, value)]
        bar = [value, round(value + step, digits), round(value - step, digits), value, 100]
        worth = round(float(equity + gains[minute]), max(2, digits))
        frames.append(frame(minute, bar, worth, *(placed if minute % 50 == 0 else [])))
    return given_run(run_id, frames)
