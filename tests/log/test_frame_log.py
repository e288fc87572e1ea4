"""The log: what was appended is what is read."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.log.log import BLOCK, Evicted
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.conflate import Fold
from hewston_bff.topics.run.folding import figures_at, fold_range, orders_in
from hewston_bff.topics.run.frame_block import frame_log
from tests.topics.run.frames import RUN, contents, frame, log_of, or_none, plain


def as_tuple(fold: Fold) -> tuple[float | None, ...]:
    values = (fold.o, fold.h, fold.l, fold.c, fold.v, fold.equity, fold.equity_min, fold.equity_max)
    return (*map(or_none, values), fold.equity_seq)


def naive_fold(contents_: list[dict[str, object]], start: int) -> tuple[float | None, ...]:
    """The fold of frames by the book: nulls skipped, not zero."""

    def column(name: str) -> list[float]:
        bars = [each["bar"] for each in contents_ if each["bar"] is not None]
        return [bar[name] for bar in bars if bar[name] is not None]  # type: ignore[index]

    equity = [(i, each["equity"]) for i, each in enumerate(contents_) if each["equity"] is not None]
    values = [value for _, value in equity]
    return (
        next(iter(column("o")), None),
        max(column("h"), default=None),
        min(column("l"), default=None),
        column("c")[-1] if column("c") else None,
        sum(column("v")) if column("v") else None,
        values[-1] if values else None,  # type: ignore[return-value]
        min(values, default=None),  # type: ignore[type-var]
        max(values, default=None),  # type: ignore[type-var]
        start + equity[-1][0] if equity else -1,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(contents, min_size=1, max_size=40), st.integers(0, 3), st.data())
def test_any_range_folds_as_the_source_does(
    parts: list[dict[str, object]], lead: int, data: st.DataObject
) -> None:
    lead_frames = lead * BLOCK - 20 if lead else 0
    log = log_of(lead_frames)
    for minute, part in enumerate(parts, start=lead_frames):
        log.append(frame(minute, **part))
    start = data.draw(st.integers(0, len(parts) - 1))
    stop = data.draw(st.integers(start + 1, len(parts)))
    fold = fold_range(log, lead_frames + start, lead_frames + stop)
    assert as_tuple(fold) == naive_fold(parts[start:stop], lead_frames + start)
    orders, count = orders_in(log, lead_frames + start, lead_frames + stop)
    assert count == sum(part["orders"] for part in parts[start:stop])  # type: ignore[misc]
    assert orders.count(b"order_id") == count


@pytest.mark.parametrize("count", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_reads_are_appends(count: int) -> None:
    log = log_of(count)
    assert (log.first_seq, log.next_seq) == (0, count)
    for seq in range(count):
        assert log.tail(seq) == plain(seq).tail
        assert log.ts_ns(seq) == plain(seq).ts_ns
    with pytest.raises(Evicted):
        log.tail(count)
    with pytest.raises(Evicted):
        log.tail(-1)


def test_wide_folds_equal_the_fold_of_everything() -> None:
    log = log_of(5 * BLOCK + 30)
    values = [plain(minute) for minute in range(40, 5 * BLOCK + 11)]
    fold = fold_range(log, 40, 5 * BLOCK + 11)
    assert fold.o == values[0].o
    assert fold.h == max(each.h for each in values)
    assert fold.l == min(each.l for each in values)
    assert fold.c == values[-1].c
    assert fold.v == sum(each.v for each in values)
    assert fold.equity_min == min(each.equity for each in values)
    assert fold.equity_seq == 5 * BLOCK + 10


def test_figures_at_any_frame_follow_the_platforms_definitions() -> None:
    log = log_of(2 * BLOCK + 50)
    for seq in (1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 49):
        e = np.array([plain(minute).equity for minute in range(seq + 1)])
        r = e[1:] / e[:-1] - 1
        figures = figures_at(log, seq).stream_figures()
        assert figures.total_return == pytest.approx(e[-1] / e[0] - 1)
        peaks = np.maximum.accumulate(e)
        assert figures.max_drawdown == pytest.approx(((peaks - e) / peaks).max())
        year = np.sqrt(252 * max(390, seq + 1))
        if r.std():
            assert figures.sharpe == pytest.approx(r.mean() / r.std() * year)
        down = np.minimum(r, 0)
        if down.std():
            assert figures.sortino == pytest.approx(r.mean() / down.std() * year)
        assert figures.orders == sum(plain(minute).order_count for minute in range(seq + 1))


def test_figures_say_nothing_where_there_is_nothing_to_say() -> None:
    log = frame_log(RUN)
    log.append(frame(0))
    log.append(frame(1, equity=5))
    log.append(frame(2, equity=5))
    assert figures_at(log, 0).figures().total_return is None
    assert figures_at(log, 2).figures().sharpe is None


def test_eviction_takes_whole_blocks_from_the_front_and_never_the_open_one() -> None:
    log = log_of(2 * BLOCK + 5)
    before = log.size_bytes
    assert log.evict_block(below=BLOCK - 1) == 0
    freed = log.evict_block(below=BLOCK)
    assert freed > 0
    assert log.size_bytes == before - freed
    assert log.first_seq == BLOCK
    with pytest.raises(Evicted):
        fold_range(log, BLOCK - 1, BLOCK + 1)
    assert log.evict_block(below=10_000) > 0
    assert log.evict_block(below=10_000) == 0
    assert log.first_seq == 2 * BLOCK
    assert (
        figures_at(log, 2 * BLOCK + 4).stream_figures().orders
        == figures_at(log_of(2 * BLOCK + 5), 2 * BLOCK + 4).stream_figures().orders
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.integers(-3, 703))
def test_times_are_found_as_by_looking_at_every_frame(count: int, minute: int) -> None:
    log = log_of(count)
    moment = plain(0).ts_ns + minute * 60_000_000_000
    times = [log.ts_ns(seq) for seq in range(count)]
    assert log.after(moment) == sum(each <= moment for each in times)
    at = log.at_or_before(moment)
    assert at == max(sum(each <= moment for each in times) - 1, 0)


def test_the_epoch_follows_run_and_first_frame_alone() -> None:
    assert log_of(1).epoch == log_of(300).epoch
    assert log_of(1).epoch != log_of(1, shift=1).epoch
    other = frame_log(RunId("other"))
    other.append(plain(0))
    assert other.epoch != log_of(1).epoch
    assert len(other.epoch or "") == 12


@pytest.mark.parametrize("at", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_a_fork_keeps_what_was_the_same_and_leaves_the_old_log_alone(at: int) -> None:
    log = log_of(2 * BLOCK + 10)
    fork = log.fork(at, [plain(at, shift=9)])
    for minute in range(at + 1, at + 2 * BLOCK):
        fork.append(plain(minute, shift=9))
    assert fork.epoch != log.epoch
    fresh = frame_log(RUN)
    for minute in range(at + 2 * BLOCK):
        fresh.append(plain(minute, shift=9 if minute >= at else 0))
    assert fork.next_seq == fresh.next_seq
    for seq in range(fresh.next_seq):
        assert fork.tail(seq) == fresh.tail(seq)
    assert as_tuple(fold_range(fork, 0, fork.next_seq)) == as_tuple(
        fold_range(fresh, 0, fresh.next_seq)
    )
    assert figures_at(fork, fork.next_seq - 1) == figures_at(fresh, fresh.next_seq - 1)
    assert [fork.digest(i) for i in range(2)] == [fresh.digest(i) for i in range(2)]
    assert abs(fork.size_bytes - fresh.size_bytes) < 3_000
    assert [log.tail(seq) for seq in range(2 * BLOCK + 10)] == [
        plain(seq).tail for seq in range(2 * BLOCK + 10)
    ]


@pytest.mark.parametrize("at", [0, BLOCK, 2 * BLOCK])
def test_a_fork_from_a_block_that_was_let_go_has_the_figures_of_the_whole_run(at: int) -> None:
    log = log_of(3 * BLOCK)
    fresh = frame_log(RUN)
    for minute in range(at + 5):
        fresh.append(plain(minute, shift=9 if minute >= at else 0))
    while log.evict_block(below=10_000):
        pass
    fork = log.fork(at, [plain(minute, shift=9) for minute in range(at, at + 5)])
    assert fork.first_seq == at
    assert figures_at(fork, at + 4) == figures_at(fresh, at + 4)


def test_the_size_it_counts_is_the_memory_it_takes() -> None:
    frames = [plain(minute) for minute in range(8_000)]
    tracemalloc.start()
    log = frame_log(RUN)
    for each in frames:
        log.append(each)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held == pytest.approx(log.size_bytes, rel=0.2)
