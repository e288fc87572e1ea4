"""Equity curve and orders of a whole run, read from its log."""

import numpy as np

from hewston_bff.market.cooperative import Cooperative
from hewston_bff.market.equity import Curve
from hewston_bff.market.figures import Floats
from hewston_bff.market.run_wire import Orders
from hewston_bff.topics.run.folding import orders_in, points_in
from hewston_bff.topics.run.frame_block import FrameLog

_LOG_FRAMES = 4_096


def log_curve(log: FrameLog) -> Curve:
    """The equity curve of a log that holds all of its run."""
    parts = list(points_in(log, 0, log.next_seq))
    if not parts:
        return Curve(np.empty(0, np.int64), np.empty(0))
    equity: Floats = np.concatenate([part.equity for part in parts])
    is_there = np.isfinite(equity)
    return Curve(
        np.concatenate([part.ts_ns for part in parts])[is_there],
        equity[is_there],
        np.concatenate([part.has_bar for part in parts])[is_there],
    )


def log_orders(log: FrameLog) -> Cooperative[Orders]:
    """The orders of a log that holds all of its run."""
    pieces, total = [], 0
    for start in range(0, log.next_seq, _LOG_FRAMES):
        yield
        text, count = orders_in(log, start, min(start + _LOG_FRAMES, log.next_seq))
        if count:
            pieces.append(text)
            total += count
    return Orders(total, pieces)
