"""What the console should show of frames, computed from the source frames alone."""

from dataclasses import dataclass
from datetime import datetime
from math import isnan, nan
from typing import Any

MINUTE_S = 60
# Length and offset of each timeframe's buckets, in seconds; hours begin at half past.
_BUCKETS = {"1m": (60, 0), "5m": (300, 0), "15m": (900, 0), "1H": (3600, 1800), "1D": (86_400, 0)}


@dataclass(frozen=True)
class Candle:
    """One candle; NaN where there is none."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    equity: float


def seconds(text: str) -> float:
    """Seconds since 1970 of a time as the frames have it; without a zone it is UTC."""
    when = datetime.fromisoformat(text)
    return when.timestamp() if when.tzinfo else datetime.fromisoformat(f"{text}+00:00").timestamp()


def candles(frames: list[dict[str, Any]], timeframe: str) -> list[Candle]:
    """The candles of source frames. A bucket without a price and without a change has none."""
    length, offset = _BUCKETS[timeframe]
    buckets: dict[int, list[dict[str, Any]]] = {}
    for frame in frames:
        time = seconds(frame["ts"])
        buckets.setdefault(int((time - offset) // length * length + offset), []).append(frame)
    made: list[Candle] = []
    before = nan
    for time, inside in buckets.items():
        worth = [_equity(frame) for frame in inside]
        last = next((value for value in reversed(worth) if not isnan(value)), before)
        bars = [frame["ohlc"] or {} for frame in inside]
        prices = {name: _present(bars, name) for name in "ohlcv"}
        has_price = any(prices[name] for name in "ohlc")
        held = before
        has_moved = False
        for value in worth:
            has_moved |= not isnan(value) and value != held
            held = held if isnan(value) else value
        before = last
        if has_price or has_moved:
            made.append(
                Candle(
                    time,
                    next(iter(prices["o"]), nan),
                    max(prices["h"], default=nan),
                    min(prices["l"], default=nan),
                    prices["c"][-1] if prices["c"] else nan,
                    sum(prices["v"]) if prices["v"] else nan,
                    last,
                )
            )
    return made


def drawdowns(frames: list[dict[str, Any]]) -> list[float]:
    """After each frame: how far equity is below its peak, as a share; NaN over no positive peak."""
    peak, depth, depths = nan, nan, []
    for frame in frames:
        value = _equity(frame)
        if not isnan(value):
            peak = value if isnan(peak) else max(peak, value)
            depth = (value - peak) / peak if peak > 0 else nan
        depths.append(depth)
    return depths


def _equity(frame: dict[str, Any]) -> float:
    point = frame["equity"]
    value = point["value"] if isinstance(point, dict) else point
    return nan if value is None else float(value)


def _present(bars: list[dict[str, Any]], name: str) -> list[float]:
    return [bar[name] for bar in bars if bar.get(name) is not None]
