"""The demo's catalogue: a few runs for every situation, and enough to fill a wall of charts."""

import math
from dataclasses import replace
from datetime import date, timedelta

from hewston_bff.tools.simulator.generated import Calendar, generated_run
from hewston_bff.tools.simulator.market import SESSION_MINUTES, trading_days
from hewston_bff.tools.simulator.runs import FIRST_CREATED, Lifecycle, SimulatedRun, SimulatedStatus

YEAR_FRAMES = 98_280
_WALL_SYMBOLS = ("AMZN", "GOOG", "META", "MSFT", "NFLX", "NVDA", "AMD", "INTC", "ORCL", "TSLA")
_JANUARY = date(2024, 1, 2)
_OCTOBER = date(2024, 10, 1)
_YEAR_END = date(2024, 12, 31)


def default_runs(
    *,
    growing_fps: float = 5.0,
    growing_history: int = 2 * SESSION_MINUTES,
    growing_until: int | None = None,
    queued_s: float = math.inf,
    seed: int = 42,
) -> tuple[SimulatedRun, ...]:
    """The runs of the demo, newest first; cheap, as frames are made on first use.

    `demo-growing` becomes DONE at `growing_until` frames, or never; `demo-queued` after
    `queued_s` seconds.
    """
    growing = Lifecycle(
        history=growing_history,
        growth_fps=growing_fps,
        is_endless=growing_until is None,
    )
    quarter_days = len(trading_days(_OCTOBER, _YEAR_END))
    all_day = (_YEAR_END - _OCTOBER).days + 1
    runs = (
        generated_run("demo-two-frames", frame_count=2, seed=seed),
        generated_run("demo-day", frame_count=SESSION_MINUTES, seed=seed),
        generated_run("demo-month", frame_count=21 * SESSION_MINUTES, seed=seed, symbol="TSLA"),
        generated_run(
            "demo-quarter",
            frame_count=quarter_days * SESSION_MINUTES,
            first_day=_OCTOBER,
            symbol="NVDA",
            seed=seed,
        ),
        generated_run("demo-year", frame_count=YEAR_FRAMES, seed=seed),
        generated_run(
            "demo-sparse",
            frame_count=all_day * 24 * 60,
            first_day=_OCTOBER,
            calendar=Calendar.ALL_MINUTES,
            seed=seed,
        ),
        generated_run(
            "demo-growing",
            frame_count=YEAR_FRAMES if growing_until is None else growing_until,
            symbol="MSFT",
            lifecycle=growing,
            seed=seed,
        ),
        generated_run("demo-queued", lifecycle=Lifecycle(queued_s=queued_s), seed=seed),
        generated_run("demo-error", lifecycle=Lifecycle(final=SimulatedStatus.ERROR), seed=seed),
        *(_wall_run(symbol, seed=seed) for symbol in _WALL_SYMBOLS),
    )
    return tuple(_dated(run, age=age) for age, run in enumerate(runs))


def _wall_run(symbol: str, *, seed: int) -> SimulatedRun:
    return generated_run(
        f"demo-wall-{symbol.lower()}",
        frame_count=21 * SESSION_MINUTES,
        symbol=symbol,
        first_day=_JANUARY,
        seed=seed,
    )


def _dated(run: SimulatedRun, *, age: int) -> SimulatedRun:
    # the list is ordered by creation, so each run needs a time of its own
    return replace(run, created_at=FIRST_CREATED - timedelta(minutes=17 * age))
