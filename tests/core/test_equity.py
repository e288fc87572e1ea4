"""A run's curve as a whole, against definitions written out by hand and against real runs."""

import gzip
import statistics
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, nan, sqrt
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.core.backend_wire import RawFrame, decode
from hewston_bff.core.equity import Curve, RoundTrips, Trade, curve, drawdown, figures, thinned
from hewston_bff.core.ids import to_ns
from hewston_bff.core.metrics import EquityStats
from tests.support import RECORDINGS

MINUTE_NS = 60_000_000_000
YEAR_NS = int(365.2425 * 86_400e9)

values = st.lists(st.floats(10, 1_000), min_size=1, max_size=80)


def curve_of(*equity: float, step_ns: int = MINUTE_NS) -> Curve:
    return curve(np.arange(len(equity), dtype=np.int64) * step_ns, np.array(equity, np.float64))


@given(values)
def test_figures_are_the_definitions_written_out(equity: list[float]) -> None:
    found = figures(curve_of(*equity), hit_rate=None)
    assert found.total_return == pytest.approx(equity[-1] / equity[0] - 1)
    deepest, peak = 0.0, equity[0]
    for value in equity:
        peak = max(peak, value)
        deepest = max(deepest, (peak - value) / peak)
    assert found.max_drawdown == pytest.approx(deepest)
    returns = [now / before - 1 for before, now in pairwise(equity)]
    for ratio, risky in (
        (found.sharpe, returns),
        (found.sortino, [min(each, 0.0) for each in returns]),
    ):
        risk = statistics.pstdev(risky) if risky else 0.0
        if risk > 1e-6:
            wanted = statistics.fmean(returns) / risk * sqrt(252 * 390)
            assert ratio == pytest.approx(wanted, rel=1e-6, abs=1e-9)
        elif risk == 0:
            assert ratio is None


@given(st.lists(st.sampled_from([nan, 0.0]) | st.floats(1, 1_000), max_size=60))
def test_whole_and_running_figures_agree(equity: list[float]) -> None:
    running = EquityStats()
    running.feed(equity)
    found = figures(curve_of(*equity), hit_rate=None)
    for name, value in running.figures().items():
        if name == "orders":
            continue
        wanted = value if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)
        assert getattr(found, name) == wanted, name


def test_growth_is_told_by_the_year() -> None:
    assert figures(curve_of(100, 121, step_ns=2 * YEAR_NS), hit_rate=None).cagr == pytest.approx(
        0.1
    )
    assert figures(curve_of(100, 50, step_ns=YEAR_NS), hit_rate=None).cagr == pytest.approx(-0.5)


@pytest.mark.parametrize("equity", [(100.0,), (100.0, 0.0), (100.0, -5.0), (-100.0, 5.0)])
def test_what_ends_at_nothing_or_takes_no_time_has_no_yearly_growth(
    equity: tuple[float, ...],
) -> None:
    assert figures(curve_of(*equity), hit_rate=None).cagr is None


def test_growth_too_large_for_a_number_is_none() -> None:
    assert figures(curve_of(1.0, 1e300), hit_rate=None).cagr is None
    assert figures(curve_of(1e-300, 1e300), hit_rate=None).total_return is None


def test_a_curve_without_points_has_no_figures_but_what_trades_tell() -> None:
    found = figures(curve_of(nan, inf), hit_rate=0.5)
    assert msgspec.structs.asdict(found) == {
        "total_return": None,
        "cagr": None,
        "max_drawdown": None,
        "sharpe": None,
        "sortino": None,
        "hit_rate": 0.5,
    }


def test_drawdown_is_the_part_lost_since_the_highest() -> None:
    assert drawdown(curve_of(100, 80, 120, 90)).tolist() == [0.0, 0.2, 0.0, 0.25]
    assert np.isnan(drawdown(curve_of(-5, -7))).all()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=600),
    st.integers(10, 120),
)
def test_fewer_points_keep_the_ends_the_extremes_and_the_deepest_drawdown(
    equity: list[float], to: int
) -> None:
    points = curve_of(*equity)
    kept = thinned(points, to=to)
    assert len(kept) <= max(to, 1)
    assert (np.diff(kept) > 0).all()
    shown = points.equity[kept]
    assert (shown[0], shown[-1]) == (equity[0], equity[-1])
    assert (shown.max(), shown.min()) == (max(equity), min(equity))
    deepest = np.fmax.reduce(drawdown(points), initial=0.0)
    assert np.fmax.reduce(drawdown(points)[kept], initial=0.0) == deepest


def test_few_points_stay_as_they_are() -> None:
    assert thinned(curve_of(3, 1, 2), to=100).tolist() == [0, 1, 2]


def hit_rate(*pairs: tuple[float, float]) -> float | None:
    trips = RoundTrips()
    for pair in pairs:
        trips.add(Trade(*pair))
    return trips.hit_rate


@pytest.mark.parametrize(
    ("orders", "rate"),
    [
        ([], None),
        ([(1, 10.0)], None),
        ([(1, 10.0), (-1, 11.0)], 1.0),
        ([(1, 10.0), (-1, 10.0)], 0.0),
        ([(-1, 10.0), (1, 9.0)], 1.0),
        # the first bought is the first sold
        ([(1, 10.0), (1, 12.0), (-1, 11.0), (-1, 11.0)], 0.5),
        # one order that closes two entries is two round trips
        ([(1, 10.0), (1, 12.0), (-2, 11.0)], 0.5),
        # an order that turns the position around closes and opens
        ([(1, 10.0), (-2, 11.0), (1, 10.0)], 1.0),
        # what rounding leaves is no position
        ([(0.1, 1.0), (0.2, 1.0), (-0.3, 2.0), (1, 5.0), (-1, 4.0)], 2 / 3),
    ],
)
def test_round_trips_are_first_in_first_out(
    orders: list[tuple[float, float]], rate: float | None
) -> None:
    assert hit_rate(*orders) == rate


# -- real runs


def recorded(name: str) -> Path:
    path = RECORDINGS / "artifacts" / name
    if not path.exists():
        pytest.skip(f"no recording: {path}")
    return path


def moment_ns(value: datetime | str) -> int:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return to_ns(moment.astimezone(UTC))


@pytest.mark.parametrize(
    "run", ["2d5e4d11831541a38b9af277c23fbf85", "654658d82be94356804a91544f6afd49"]
)
def test_figures_of_a_recorded_run_are_those_its_backend_told(run: str) -> None:
    folder = recorded(run)
    table = pq.read_table(folder / "equity.parquet")
    ts_ns = np.array([moment_ns(value) for value in table["ts_utc"].to_pylist()])
    found = figures(curve(ts_ns, table["value"].to_numpy()), hit_rate=None)
    for name, told in msgspec.json.decode((folder / "metrics.json").read_bytes()).items():
        assert round(getattr(found, name), 6) == round(told, 6)


def test_figures_of_the_largest_run_come_from_its_stream() -> None:
    run = "2b6f388ab7e84859b914a8b425fd636c"
    told = msgspec.json.decode(recorded(f"metrics/{run}.json").read_bytes())
    ts_ns, equity = [], []
    with gzip.open(RECORDINGS / "ws" / f"{run}.jsonl.gz") as lines:
        for line in lines:
            message = decode(bytes(msgspec.json.decode(line, type=dict[str, msgspec.Raw])["msg"]))
            if isinstance(message, RawFrame):
                ts_ns.append(message.ts_ns)
                equity.append(message.equity)
    points = curve(np.array(ts_ns), np.array(equity))
    found = figures(points, hit_rate=None)
    for name, value in told.items():
        assert round(getattr(found, name), 6) == round(value, 6)
    assert drawdown(points)[thinned(points, to=1_000)].max() == found.max_drawdown
