"""Made-up runs: a random walk as frames, encoded as the backend encodes them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hewston_bff.tools.simulator.market import (
    SESSION_MINUTES,
    Ints,
    MarketBars,
    all_minutes_s,
    market,
    session_minutes_s,
    times_text,
)
from hewston_bff.tools.simulator.runs import FIRST_CREATED, Lifecycle, SimulatedRun

_START_CENTS = 10_000_000


class EquityShape(StrEnum):
    """How `equity` is written: the real backend's object or its documents' number."""

    OBJECT = "object"
    NUMBER = "number"


class Calendar(StrEnum):
    """Which minutes a run has frames for."""

    SESSION = "session"
    ALL_MINUTES = "all minutes"  # round the clock: 81 % of the frames have a null `ohlc`


@dataclass(frozen=True, kw_only=True)
class GeneratedFrames:
    """A random walk as frames: `frame_count` minutes of `symbol` from `first_day` on.

    `null_ohlc` and `null_members` are the fractions of frames whose `ohlc`, or one member of it,
    is null.

    Raises:
        ValueError: when frames are asked that the two simulated years do not hold.
    """

    run_id: str
    symbol: str
    first_day: date
    frame_count: int
    seed: int = 42
    calendar: Calendar = Calendar.SESSION
    null_ohlc: float = 0.0
    null_members: float = 0.0
    equity: EquityShape = EquityShape.OBJECT
    orders_per_day: float = 4.0

    @cached_property
    def frames(self) -> Sequence[bytes]:
        """About 0.5 s and 26 MB for a year of minutes, once."""
        from_market, _ = self._minutes
        times = times_text(self.times_s)
        ohlc = ["null"] * len(times)
        texts = self._ohlc_texts(from_market)
        for index, text in zip(np.flatnonzero(self._has_bar).tolist(), texts, strict=True):
            ohlc[index] = text
        orders, equity = self._orders_and_equity(times)
        return [
            f'{{"t": "frame", "ts": "{ts}", "ohlc": {bar}, "orders": [{placed}], '
            f'"equity": {value}, "dropped": 0}}'.encode()
            for ts, bar, placed, value in zip(times, ohlc, orders, equity, strict=True)
        ]

    @cached_property
    def bars(self) -> MarketBars:
        """The bars of the frames without nulls."""
        from_market, _ = self._minutes
        return from_market.taken(self._null_member[self._has_bar] < 0)

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(self.run_id.encode())])

    @cached_property
    def times_s(self) -> Ints:
        """The minute of each frame, UTC epoch seconds; cheap."""
        if self.calendar is Calendar.ALL_MINUTES:
            return all_minutes_s(self.first_day, count=self.frame_count)
        return session_minutes_s(self.first_day, count=self.frame_count)

    @cached_property
    def _draws(self) -> npt.NDArray[np.float64]:
        """One row a purpose: null bar, null member, which member, order."""
        return self._rng.random((4, len(self.times_s)))

    @cached_property
    def _has_bar(self) -> npt.NDArray[np.bool_]:
        t_s = market(self.symbol, seed=self.seed).t_s
        found = np.isin(self.times_s, t_s, assume_unique=True)
        has_bar: npt.NDArray[np.bool_] = found & (self._draws[0] >= self.null_ohlc)
        return has_bar

    @cached_property
    def _null_member(self) -> Ints:
        """For each frame: which of o, h, l, c, v is null, or -1."""
        member = (self._draws[2] * 5).astype(np.int64)
        return np.where(self._draws[1] < self.null_members, member, -1)

    @cached_property
    def _minutes(self) -> tuple[MarketBars, Ints]:
        """The bars to show, and for every frame the market's last close before or at it."""
        whole = market(self.symbol, seed=self.seed)
        at = np.searchsorted(whole.t_s, self.times_s, side="right") - 1
        return whole.taken(at[self._has_bar]), whole.c[np.maximum(at, 0)]

    def _ohlc_texts(self, bars: MarketBars) -> list[str]:
        prices = [(column / 100).tolist() for column in (bars.o, bars.h, bars.l, bars.c)]
        rows = list(zip(*prices, bars.v.tolist(), strict=True))
        for row, member in enumerate(self._null_member[self._has_bar].tolist()):
            if member >= 0:
                values: list[object] = list(rows[row])
                values[member] = "null"
                rows[row] = tuple(values)
        return [
            f'{{"o": {o}, "h": {h}, "l": {low}, "c": {c}, "v": {v}}}' for o, h, low, c, v in rows
        ]

    def _orders_and_equity(self, times: list[str]) -> tuple[list[str], list[str]]:
        """Alternating orders, and the equity of the position they make. Both as JSON texts."""
        _, close = self._minutes
        count = len(times)
        is_order = self._draws[3] < self.orders_per_day / SESSION_MINUTES
        is_order[:2] = self.orders_per_day > 0  # real runs open and close in their first minutes
        at = np.flatnonzero(is_order)
        quantities = np.repeat(self._rng.integers(1, 20, len(at) // 2 + 1), 2)[: len(at)]
        signs = np.where(np.arange(len(at)) % 2 == 0, 1, -1)
        traded = np.zeros(count, dtype=np.int64)
        traded[at] = quantities * signs
        position = np.cumsum(traded)
        gains = np.zeros(count, dtype=np.int64)
        gains[1:] = position[:-1] * np.diff(close)
        values = ((_START_CENTS + np.cumsum(gains)) / 100).tolist()
        orders = [""] * count
        for number, index in enumerate(at.tolist()):
            orders[index] = (
                f'{{"ts_utc": "{times[index]}", "side": "{("BUY", "SELL")[number % 2]}", '
                f'"qty": {quantities[number]}, "price": {close[index] / 100}, '
                f'"order_id": "o{number}", "type": "MKT", "time_in_force": "IOC"}}'
            )
        if self.equity is EquityShape.NUMBER:
            return orders, [str(value) for value in values]
        pairs = zip(times, values, strict=True)
        return orders, [f'{{"ts": "{ts}", "value": {value}}}' for ts, value in pairs]


def generated_run(
    run_id: str,
    *,
    frame_count: int = SESSION_MINUTES,
    symbol: str = "AAPL",
    first_day: date = date(2024, 1, 2),
    seed: int = 42,
    calendar: Calendar = Calendar.SESSION,
    null_ohlc: float = 0.0,
    null_members: float = 0.0,
    equity: EquityShape = EquityShape.OBJECT,
    orders_per_day: float = 4.0,
    lifecycle: Lifecycle | None = None,
    created_at: datetime = FIRST_CREATED,
) -> SimulatedRun:
    """A made-up run of `frame_count` minutes; nothing is computed before its frames are asked."""
    source = GeneratedFrames(
        run_id=run_id,
        symbol=symbol,
        first_day=first_day,
        frame_count=frame_count,
        seed=seed,
        calendar=calendar,
        null_ohlc=null_ohlc,
        null_members=null_members,
        equity=equity,
        orders_per_day=orders_per_day,
    )
    return SimulatedRun(
        run_id=run_id,
        symbol=symbol,
        run_from=first_day,
        run_to=datetime.fromtimestamp(int(source.times_s[-1]), tz=UTC).date(),
        source=source,
        lifecycle=lifecycle if lifecycle is not None else Lifecycle(),
        created_at=created_at,
        seed=seed,
    )
