import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.tools.loadtest.histogram import GROWTH, Histogram

MS = 1_000_000


def _of(*durations_ns: int) -> Histogram:
    histogram = Histogram()
    for duration_ns in durations_ns:
        histogram.append(duration_ns)
    return histogram


@given(
    st.lists(st.integers(1_000, 3_600 * 10**9), min_size=1), st.floats(0.1, 100, allow_nan=False)
)
def test_percentiles_are_the_exact_ones_or_at_most_one_percent_above(
    durations_ns: list[int], percent: float
) -> None:
    exact = float(np.percentile(durations_ns, percent, method="inverted_cdf"))
    found = _of(*durations_ns).percentile_ns(percent)
    assert exact * (1 - 1e-6) <= found <= exact * GROWTH * (1 + 1e-6)


def test_the_longest_is_exact() -> None:
    assert _of(5 * MS, 1_234_567_891).max_ns == 1_234_567_891


def test_flushing_changes_no_figure() -> None:
    at_once, bit_by_bit = _of(*range(1, 9_999_999, 999)), Histogram()
    for duration_ns in range(1, 9_999_999, 999):
        bit_by_bit.append(duration_ns)
        bit_by_bit.flush()
    assert bit_by_bit.bins() == at_once.bins()
    assert bit_by_bit.percentiles() == at_once.percentiles()


def test_an_empty_one_has_no_percentiles() -> None:
    assert Histogram().percentiles() is None
    assert Histogram().percentile_ns(50) == 0


def test_clearing_forgets_also_what_was_not_counted_yet() -> None:
    histogram = _of(1, 2, 3)
    histogram.clear()
    assert histogram.count == 0
    assert histogram.max_ns == 0


def test_an_even_beat_needs_no_correction() -> None:
    beat = _of(*[33 * MS] * 100)
    assert beat.corrected(33.0 * MS).bins() == beat.bins()


def test_a_stall_is_weighed_for_every_frame_that_was_due_in_it() -> None:
    # 100 good gaps of 10 ms and one of 1 s, in which 100 frames were due
    gaps = _of(*[10 * MS] * 100, 1_000 * MS)
    corrected = gaps.corrected(10.0 * MS)
    assert corrected.count == 100 + 100
    assert gaps.percentile_ns(95) < 11 * MS
    # Half of all frames, good or due, were late by 10 ms to 1 s, evenly spread.
    assert corrected.percentile_ns(75) == pytest.approx(500 * MS, rel=0.03)
    assert corrected.max_ns == gaps.max_ns


def test_correcting_leaves_the_original_as_it_was() -> None:
    gaps = _of(10 * MS, 1_000 * MS)
    before = gaps.bins()
    gaps.corrected(10.0 * MS)
    assert gaps.bins() == before


@given(
    st.lists(st.integers(1_000, 60 * 10**9), min_size=1, max_size=20),
    st.integers(1_000_000, 10**10),
)
def test_the_correction_adds_what_hdr_histogram_would(gaps_ns: list[int], due_ns: int) -> None:
    missing = [
        late
        for gap in gaps_ns
        for late in range(gap - due_ns, due_ns - 1, -due_ns)
        if gap >= 2 * due_ns
    ]
    exact = len(gaps_ns) + len(missing)
    # A gap counts as its bin's upper edge, up to 1 % above it: one more frame fits per 1 % of them.
    found = _of(*gaps_ns).corrected(float(due_ns)).count
    assert exact <= found <= exact + sum(0.01 * gap / due_ns + 1 for gap in gaps_ns)


def test_millions_of_missed_frames_are_counted_without_listing_them() -> None:
    corrected = _of(1_000, 3_600 * 10**9).corrected(1_000.0)
    assert corrected.count == pytest.approx(3_600 * 10**6, rel=0.01)
