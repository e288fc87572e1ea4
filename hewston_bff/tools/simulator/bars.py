"""`/bars/*`: the bars the runs hold, with the real backend's parameters, gaps and odd errors."""

from datetime import date
from typing import NamedTuple

import numpy as np

from hewston_bff.tools.simulator.catalog import Broken, SimulatedCatalog
from hewston_bff.tools.simulator.market import Ints, MarketBars, midnights_s, times_text

_NO_DATASET = "No data for symbol/year range"
_NO_ROWS = "No data rows in requested window"
_BAD_DATES = "Invalid from/to format; expected YYYY-MM-DD"
_LONGEST_SYMBOL = 255
_STRIDES = (1, 5, 15, 30, 60, 240)
_DAY_S = 86_400


class BarsRefused(Exception):
    """An answer that is no bars: `status` and the text of `detail`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BarsWindow(NamedTuple):
    """The `symbol`, `from` and `to` of a request, not checked yet; empty dates are none."""

    symbol: str
    first: str | None
    last: str | None


def daily(catalog: SimulatedCatalog, window: BarsWindow) -> dict[str, object]:
    """One bar a trading day, with `n`, the number of trades (made up)."""
    minutes = _minutes(catalog, window)
    day_s = minutes.t_s // _DAY_S * _DAY_S
    bars = _grouped(minutes, day_s)
    rows = _rows(bars)
    for row, volume in zip(rows, bars.v.tolist(), strict=True):
        row["n"] = volume // 80 + 1
    return {"symbol": window.symbol, "bars": rows}


def minute(catalog: SimulatedCatalog, window: BarsWindow) -> dict[str, object]:
    """Every minute; no rows are no error here."""
    return {"symbol": window.symbol, "bars": _rows(_minutes(catalog, window))}


def hour(catalog: SimulatedCatalog, window: BarsWindow) -> dict[str, object]:
    """Hours from half past to half past; no rows are a 404 here, a bad date sometimes a 400."""
    try:
        minutes = _minutes(catalog, window)
    except Broken:
        if all(_has_year(text) for text in (window.first, window.last)):
            raise BarsRefused(400, _BAD_DATES) from None
        raise
    if not len(minutes):
        raise BarsRefused(404, _NO_ROWS)
    buckets_s = (minutes.t_s - 1800) // 3600 * 3600 + 1800
    return {"symbol": window.symbol, "bars": _rows(_grouped(minutes, buckets_s))}


def minute_decimated(
    catalog: SimulatedCatalog, window: BarsWindow, *, target: int
) -> dict[str, object]:
    """Buckets of a stride by the calendar's length, so far fewer bars than `target`."""
    minutes = _minutes(catalog, window)
    stride = _stride(window, target=target)
    step_s = 60 * stride
    rows = _rows(_grouped(minutes, minutes.t_s // step_s * step_s))
    meta = {"stride_minutes": stride, "points": len(rows)}
    return {"symbol": window.symbol, "bars": rows, "meta": meta}


def _minutes(catalog: SimulatedCatalog, window: BarsWindow) -> MarketBars:
    """The minute bars in the window; looks in the real one's order: years, symbol, dates."""
    if len(window.symbol) > _LONGEST_SYMBOL:
        raise Broken
    if not all(_has_year(text) for text in (window.first, window.last)):
        raise Broken
    # a path in the symbol reads from other folders there; here they all hold the same bars
    bars = catalog.bars(window.symbol.rpartition("/")[2])
    if bars is None or not _meets_year(bars, window):
        raise BarsRefused(404, _NO_DATASET)
    first_s, last_s = _bounds_s(window)
    return bars.taken((bars.t_s >= first_s) & (bars.t_s < last_s))


def _has_year(text: str | None) -> bool:
    return not text or text[:4].isdecimal()


def _meets_year(bars: MarketBars, window: BarsWindow) -> bool:
    if not len(bars):
        return False
    years = [int(text[:4]) for text in times_text(bars.t_s[[0, -1]])]
    first = int(window.first[:4]) if window.first else years[0]
    last = int(window.last[:4]) if window.last else years[1]
    return first <= last and first <= years[1] and last >= years[0]


def _bounds_s(window: BarsWindow) -> tuple[int, int]:
    return midnights_s(_day(window.first, date(1970, 1, 1)), _day(window.last, date(2999, 1, 1)))


def _day(text: str | None, default: date) -> date:
    if not text:
        return default
    try:
        year, month, day = text.split("-")
        if (len(year), len(month), len(day)) != (4, 2, 2):
            raise Broken
        return date(int(year), int(month), int(day))
    except ValueError:
        raise Broken from None


def _stride(window: BarsWindow, *, target: int) -> int:
    first_s, last_s = _bounds_s(window)
    minutes = max(0, last_s - first_s) // 60
    wanted = minutes / max(target, 1)
    return next((stride for stride in _STRIDES if stride >= wanted), _STRIDES[-1])


def _grouped(bars: MarketBars, keys: Ints) -> MarketBars:
    """Bars merged where neighbours have the same key, which becomes their time."""
    if not len(bars):
        return bars
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    ends = np.append(starts[1:], len(bars)) - 1
    return MarketBars(
        t_s=keys[starts],
        o=bars.o[starts],
        h=np.maximum.reduceat(bars.h, starts),
        l=np.minimum.reduceat(bars.l, starts),
        c=bars.c[ends],
        v=np.add.reduceat(bars.v, starts),
    )


def _rows(bars: MarketBars) -> list[dict[str, object]]:
    prices = [(column / 100).tolist() for column in (bars.o, bars.h, bars.l, bars.c)]
    columns = (times_text(bars.t_s), *prices, bars.v.tolist())
    return [dict(zip("tohlcv", row, strict=True)) for row in zip(*columns, strict=True)]
