"""Summaries of a range of a run's frames: bar, orders, equity, figures."""

from collections.abc import Iterator

from hewston_bff.log.log import BLOCK
from hewston_bff.market.figures import RunningFigures
from hewston_bff.topics.run.conflate import Fold, merge
from hewston_bff.topics.run.frame_block import FrameLog, Points


def fold_range(log: FrameLog, start: int, stop: int) -> Fold:
    """Frames `start` to `stop` (not empty) merged; each block is folded once. Raises Evicted."""
    if stop - start <= BLOCK:
        block = log.block(start)
        first = block.first
        if stop - first <= BLOCK:
            return block.columns.fold(start - first, stop - first, first_seq=first)
    return merge(_folds(log, start, stop))


def _folds(log: FrameLog, start: int, stop: int) -> Iterator[Fold]:
    for block, i, j in log.parts(start, stop):
        if j - i < BLOCK:
            yield block.columns.fold(i, j, first_seq=block.first)
            continue
        if block.total is None:
            block.total = block.columns.fold(0, BLOCK, first_seq=block.first)
        yield block.total


def orders_in(log: FrameLog, start: int, stop: int) -> tuple[bytes, int]:
    """Orders of `start` to `stop`: JSON joined by commas, and their count. Raises Evicted."""
    texts: list[bytes] = []
    count = 0
    for block, i, j in log.parts(start, stop):
        for at, (text, n) in block.order_text.items():
            if i <= at < j:
                texts.append(text)
                count += n
    return b",".join(texts), count


def points_in(log: FrameLog, start: int, stop: int) -> Iterator[Points]:
    """The equity of a range, block by block. Raises Evicted."""
    for block, i, j in log.parts(start, stop):
        yield block.points(i, j)


def figures_at(log: FrameLog, seq: int) -> RunningFigures:
    """Figures of the run from its start up to and with frame `seq`. Raises Evicted."""
    block = log.block(seq)
    return block.stats_after(seq - block.first + 1)
