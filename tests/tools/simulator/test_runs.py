"""What simulated runs hold, and how they age."""

import math
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from hewston_bff.tools.simulator import (
    YEAR_FRAMES,
    Calendar,
    EquityShape,
    Lifecycle,
    SimulatedStatus,
    default_runs,
    generated_run,
)
from tests.tools.simulator.support import decoded


def test_the_same_seed_gives_the_same_bytes() -> None:
    one = generated_run("r", frame_count=500, seed=7)
    two = generated_run("r", frame_count=500, seed=7)
    assert list(one.frames) == list(two.frames)
    assert list(one.frames) != list(generated_run("r", frame_count=500, seed=8).frames)


def test_a_longer_run_begins_with_the_bars_of_a_shorter_one() -> None:
    short = [decoded(frame)["ohlc"] for frame in generated_run("a", frame_count=100).frames]
    long = [decoded(frame)["ohlc"] for frame in generated_run("b", frame_count=400).frames]
    assert long[:100] == short


def test_the_year_of_the_demo_has_exactly_98280_frames_in_strict_order() -> None:
    year = next(run for run in default_runs() if run.run_id == "demo-year")
    assert len(year.frames) == year.frame_count == YEAR_FRAMES
    times = [frame[22:42] for frame in year.frames]
    assert times[0] == b"2024-01-02T14:30:00Z"
    assert times[-1] == b"2024-12-31T20:59:00Z"
    assert all(earlier < later for earlier, later in pairwise(times))


def test_a_frame_is_written_as_the_backend_writes_it() -> None:
    first = generated_run("r", frame_count=2, seed=1).frames[0]
    message = decoded(first)
    order = message["orders"][0]
    bar = message["ohlc"]
    assert (
        first
        == (
            f'{{"t": "frame", "ts": "2024-01-02T14:30:00Z", "ohlc": {{"o": {bar["o"]}, '
            f'"h": {bar["h"]}, "l": {bar["l"]}, "c": {bar["c"]}, "v": {bar["v"]}}}, '
            f'"orders": [{{"ts_utc": "2024-01-02T14:30:00Z", "side": "BUY", "qty": {order["qty"]}, '
            f'"price": {bar["c"]}, "order_id": "o0", "type": "MKT", "time_in_force": "IOC"}}], '
            '"equity": {"ts": "2024-01-02T14:30:00Z", "value": 100000.0}, "dropped": 0}'
        ).encode()
    )
    assert isinstance(bar["v"], int)


def test_bars_are_sound_and_prices_are_cents() -> None:
    for frame in generated_run("r", frame_count=400).frames:
        bar = decoded(frame)["ohlc"]
        assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]
        assert all(round(bar[name], 2) == bar[name] for name in "ohlc")


def test_orders_alternate_and_equity_follows_the_position() -> None:
    position, close, equity = 0, 0.0, 100_000.0
    sides = []
    for frame in generated_run("r", frame_count=5 * 390).frames:
        message = decoded(frame)
        equity += position * (message["ohlc"]["c"] - close)
        assert message["equity"]["value"] == pytest.approx(equity)
        close = message["ohlc"]["c"]
        for order in message["orders"]:
            sides.append(order["side"])
            position += order["qty"] if order["side"] == "BUY" else -order["qty"]
        assert position >= 0
    assert sides[::2] == ["BUY"] * len(sides[::2])
    assert sides[1::2] == ["SELL"] * len(sides[1::2])
    assert len(sides) > 5


def test_sessions_skip_weekends_and_holidays_and_follow_summer_time() -> None:
    frames = generated_run("r", first_day=date(2024, 3, 7), frame_count=3 * 390).frames
    starts = [decoded(frame)["ts"] for frame in frames[::390]]
    # the clocks change on Sunday the 10th
    assert starts == ["2024-03-07T14:30:00Z", "2024-03-08T14:30:00Z", "2024-03-11T13:30:00Z"]
    new_year = generated_run("r", first_day=date(2024, 12, 31), frame_count=391).frames
    assert decoded(new_year[-1])["ts"] == "2025-01-02T14:30:00Z"


def test_a_run_round_the_clock_has_null_bars_outside_the_sessions() -> None:
    run = generated_run("r", calendar=Calendar.ALL_MINUTES, frame_count=7 * 1440)
    nulls = [decoded(frame)["ohlc"] is None for frame in run.frames]
    assert sum(nulls) / len(nulls) == pytest.approx(0.81, abs=0.02)
    assert len(run.bars) == len(nulls) - sum(nulls)


def test_nulls_can_be_asked_for() -> None:
    run = generated_run("r", frame_count=1000, null_ohlc=0.3, null_members=0.2)
    bars = [decoded(frame)["ohlc"] for frame in run.frames]
    with_null = [bar for bar in bars if bar is not None and None in bar.values()]
    assert 250 < sum(bar is None for bar in bars) < 350
    assert 100 < len(with_null) < 200
    assert {name for bar in with_null for name, value in bar.items() if value is None} == set(
        "ohlcv"
    )
    assert len(run.bars) == sum(bar is not None for bar in bars) - len(with_null)


def test_equity_can_be_a_number_as_documented() -> None:
    frames = generated_run("r", frame_count=3, equity=EquityShape.NUMBER).frames
    assert decoded(frames[0])["equity"] == 100_000.0


def test_more_minutes_than_the_market_has_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="session minutes from 2025-12-31"):
        generated_run("r", first_day=date(2025, 12, 31), frame_count=391)


def test_the_demo_has_enough_whole_runs_of_different_symbols_for_a_wall() -> None:
    runs = default_runs()
    assert len({run.run_id for run in runs}) == len(runs)
    whole = [run for run in runs if run.progress(0).status is SimulatedStatus.DONE]
    assert len({run.symbol for run in whole}) >= 10
    assert len(whole) >= 12


def test_a_run_ages_from_queued_to_its_final_status() -> None:
    run = generated_run("r", frame_count=10, lifecycle=Lifecycle(queued_s=1, running_s=2))
    seen = [run.progress(at_s) for at_s in (0.0, 0.9, 1.0, 2.9, 3.0)]
    assert [each.status.value for each in seen] == [
        "QUEUED",
        "QUEUED",
        "RUNNING",
        "RUNNING",
        "DONE",
    ]
    assert [each.is_streamable for each in seen] == [False, False, False, False, True]
    forever = generated_run("r", lifecycle=Lifecycle(queued_s=math.inf))
    assert forever.progress(1e9).status is SimulatedStatus.QUEUED


def test_a_growing_run_gains_frames_until_it_is_done_or_for_ever() -> None:
    growth = Lifecycle(history=10, growth_fps=5)
    run = generated_run("r", frame_count=20, lifecycle=growth)
    assert run.progress(0).available == 10
    assert run.progress(1) == (SimulatedStatus.RUNNING, 15, True)
    assert run.progress(2) == (SimulatedStatus.DONE, 20, True)
    endless = generated_run(
        "r", frame_count=20, lifecycle=Lifecycle(history=10, growth_fps=5, is_endless=True)
    )
    assert endless.progress(99) == (SimulatedStatus.RUNNING, 20, True)


def test_a_failed_run_streams_nothing() -> None:
    run = generated_run("r", lifecycle=Lifecycle(final=SimulatedStatus.ERROR))
    assert run.progress(0) == (SimulatedStatus.ERROR, 0, False)


def test_summary_and_detail_tell_the_run() -> None:
    created = datetime(2025, 9, 27, 6, 34, 48, 744182, tzinfo=UTC)
    run = generated_run("r", frame_count=391, symbol="TSLA", created_at=created)
    detail = run.detail(status=SimulatedStatus.DONE)
    assert (
        run.summary(status=SimulatedStatus.DONE)["created_at"] == "2025-09-27T06:34:48.744182+00:00"
    )
    assert (detail["run_from"], detail["run_to"]) == ("2024-01-02", "2024-01-03")
    assert detail["dataset_id"] == "TSLA-2024-1m"
    assert "symbol" not in detail
