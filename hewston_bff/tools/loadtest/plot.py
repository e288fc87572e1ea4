"""The distribution of gaps as a picture. Needs matplotlib, the extra `plot`."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hewston_bff.tools.loadtest.histogram import Histogram

MISSING = "a picture needs matplotlib: pip install 'hewston-bff[plot]'"


class NoPicture(Exception):
    """There can be no picture; the text says why."""


def check() -> None:
    """See to it before the test, rather than after, that there can be a picture.

    Raises:
        NoPicture: there cannot.
    """
    if find_spec("matplotlib") is None:
        raise NoPicture(MISSING)


def draw(path: Path, *, gaps: Histogram, expected_ms: float | None) -> None:
    """Write which share of the gaps is longer than x, as they came and corrected, to `path`.

    The format is told by the suffix. Both axes are logarithmic: the tail is what matters.

    Raises:
        NoPicture: matplotlib is not installed or knows no such format, there are no gaps, or the
            file can't be written.
    """
    if not gaps.count:
        raise NoPicture("no gap between frames was seen: there is nothing to draw")
    check()
    # By name, as it takes a second and may be absent. The figure's own canvas, not pyplot, which
    # would look for a display.
    figure = import_module("matplotlib.figure").Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    lines = {"as they came": gaps}
    if expected_ms is not None:
        lines["stalls weighed in full"] = gaps.corrected(expected_ms * 1e6)
        axes.axvline(expected_ms, linestyle=":", color="gray", label="expected")
    for label, histogram in lines.items():
        xs, shares = _exceeding(histogram)
        axes.step(xs, shares, where="post", label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="gap between two frames of a stream, ms",
        ylabel="share of gaps that are longer",
        title=f"{gaps.count} gaps",
    )
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as exc:
        raise NoPicture(str(exc)) from exc


def _exceeding(histogram: Histogram) -> tuple[list[float], list[float]]:
    total = histogram.count
    left = total
    xs: list[float] = []
    shares: list[float] = []
    for edge_ms, count in histogram.bins():
        left -= count
        xs.append(edge_ms)
        # The last gap exceeds nothing; a logarithm of 0 can't be drawn.
        shares.append(max(left, 0.5) / total)
    return xs, shares
