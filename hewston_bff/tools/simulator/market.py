"""The simulated market: one reproducible walk of minute bars for each symbol.

Runs are cut out of a market, so two runs of one symbol agree with each other and with `/bars`.
Prices are whole cents until they are written.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SESSION_MINUTES = 390
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 12, 31)

_OPENS_SUMMER_MINUTE = 13 * 60 + 30
_OPENS_WINTER_MINUTE = 14 * 60 + 30
_SATURDAY = 5
_HOLIDAYS = frozenset(
    date.fromisoformat(f"{year}-{day}")
    for year, days in {
        2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
        2025: "01-01 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    }.items()
    for day in days.split()
)


@dataclass(frozen=True, slots=True, eq=False)
class MarketBars:
    """Columns of equal length, oldest first; prices in cents, `t_s` in UTC epoch seconds."""

    t_s: Ints
    o: Ints
    h: Ints
    l: Ints  # noqa: E741 - the backend's own word
    c: Ints
    v: Ints

    def __len__(self) -> int:
        """How many bars."""
        return len(self.t_s)

    def taken(self, which: npt.NDArray[np.bool_] | Ints | slice) -> "MarketBars":
        """The bars that a numpy index picks, in its order."""
        return MarketBars(*(column[which] for column in self.columns()))

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        """The columns in the order t, o, h, l, c, v."""
        return self.t_s, self.o, self.h, self.l, self.c, self.v


def trading_days(first: date, last: date) -> tuple[date, ...]:
    """Days with a session between both, inclusive: no weekends, no US market holidays."""
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return tuple(day for day in days if day.weekday() < _SATURDAY and day not in _HOLIDAYS)


@lru_cache(maxsize=16)
def market(symbol: str, *, seed: int) -> MarketBars:
    """All session minutes of the two simulated years; the same for the same arguments.

    Kept for the last few symbols: a walk costs about 40 ms and 10 MB, and is pure.
    """
    t_s = _session_minutes_s()
    rng = np.random.default_rng([seed, zlib.crc32(symbol.encode())])
    count = len(t_s)
    start_cents = 8_000 + zlib.crc32(symbol.encode()) % 30_000
    steps = rng.standard_normal(count) * 0.0006
    close = np.maximum(np.rint(start_cents * np.exp(np.cumsum(steps))), 100).astype(np.int64)
    opened = np.empty_like(close)
    opened[0] = start_cents
    opened[1:] = close[:-1] + rng.integers(-2, 3, count - 1)
    wicks = np.rint(np.abs(rng.standard_normal((2, count))) * close * 0.0004).astype(np.int64)
    volume = np.rint(np.exp(rng.standard_normal(count) * 0.7 + 11.0)).astype(np.int64)
    return MarketBars(
        t_s=t_s,
        o=opened,
        h=np.maximum(opened, close) + wicks[0],
        l=np.minimum(opened, close) - wicks[1],
        c=close,
        v=volume,
    )


def all_minutes_s(first: date, *, count: int) -> Ints:
    """Minutes round the clock from midnight UTC, as runs without a session calendar have."""
    return _midnight_s(first) + 60 * np.arange(count, dtype=np.int64)


def session_minutes_s(first: date, *, count: int) -> Ints:
    """The first `count` session minutes on or after a day.

    Raises:
        ValueError: the two simulated years hold fewer.
    """
    t_s = _session_minutes_s()
    start = int(np.searchsorted(t_s, _midnight_s(first)))
    if count < 1 or start + count > len(t_s):
        msg = f"no {count} session minutes from {first} on: there are {len(t_s) - start}"
        raise ValueError(msg)
    return t_s[start : start + count]


def times_text(t_s: Ints) -> list[str]:
    """`YYYY-MM-DDTHH:MM:SSZ` for each."""
    texts: list[str] = np.datetime_as_string(t_s.astype("datetime64[s]"), timezone="UTC").tolist()
    return texts


def midnights_s(first: date, last: date) -> tuple[int, int]:
    """Half-open range of epoch seconds that covers both days whole."""
    return _midnight_s(first), _midnight_s(last + timedelta(days=1))


@lru_cache(maxsize=1)
def _session_minutes_s() -> Ints:
    minutes = 60 * np.arange(SESSION_MINUTES, dtype=np.int64)
    days = trading_days(FIRST_DAY, LAST_DAY)
    opens = np.array([_midnight_s(day) + 60 * _opens_minute(day) for day in days], dtype=np.int64)
    return (opens[:, None] + minutes[None, :]).reshape(-1)


def _midnight_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _opens_minute(day: date) -> int:
    is_summer = _sunday(day.year, 3, nth=2) <= day < _sunday(day.year, 11, nth=1)
    return _OPENS_SUMMER_MINUTE if is_summer else _OPENS_WINTER_MINUTE


def _sunday(year: int, month: int, *, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))
