"""A run's curve as a whole, against definitions written out by hand and against real runs."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.equity import Curve, drawdown, running_figures, thinned
from hewston_bff.protocol.times import to_ns
from hewston_bff.topics.run.wire import RawFrame, decode
from tests.market.stepping import done
from tests.recordings import RECORDINGS, present_recordings

MINUTE_NS = 60_000_000_000
YEAR_NS = int(365.2425 * 86_400e9)

values = st.lists(st.floats(10, 1_000), min_size=1, max_size=80)


def curve_of(*equity: float, step_ns: int = MINUTE_NS) -> Curve:
    return Curve(np.arange(len(equity), dtype=np.int64) * step_ns, np.array(equity, np.float64))


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


# -- real runs


def recorded(name: str) -> Path:
    return present_recordings() / "artifacts" / name


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
    found = done(running_figures(Curve(ts_ns, table["value"].to_numpy()))).figures()
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
    points = Curve(np.array(ts_ns), np.array(equity))
    found = done(running_figures(points)).figures()
    for name, value in told.items():
        assert round(getattr(found, name), 6) == round(value, 6)
    assert drawdown(points)[thinned(points, to=1_000)].max() == found.max_drawdown
