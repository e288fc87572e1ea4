"""Where playback cuts."""

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.playback.grid import Grid

widths = st.one_of(
    st.just(1.0), st.sampled_from([1.1, 2.9999999, 60.0, 1e5 / 3]), st.floats(1.0, 5_000.0)
)


@given(widths, st.integers(0, 200_000))
def test_the_cuts_are_at_the_floors_of_whole_multiples(width: float, seq: int) -> None:
    grid = Grid(width)
    k = int(seq / width)
    cuts = [floor(n * width) for n in range(max(0, k - 3), k + 5)]
    assert grid.next_cut(seq) == min(cut for cut in cuts if cut > seq)
    assert grid.last_cut(seq) == max(cut for cut in cuts if cut <= seq)


@pytest.mark.parametrize(("rate", "per_s", "width"), [(1800, 30, 60), (30, 30, 1), (15, 60, 1)])
def test_a_message_covers_what_the_rate_asks_for_but_at_least_a_frame(
    rate: float, per_s: float, width: float
) -> None:
    assert Grid.of(rate=rate, per_s=per_s).width == width
