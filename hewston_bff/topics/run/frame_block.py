"""A block of a run's log: its frames' text joined, numbers in columns, orders sparse."""

from array import array
from typing import NamedTuple

import numpy as np

from hewston_bff.log.log import BLOCK, Log
from hewston_bff.market.figures import Bools, Floats, Ints, RunningFigures
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.conflate import Columns, Fold
from hewston_bff.topics.run.wire import RawFrame

_BLOCK_OVERHEAD_BYTES = 1_900
_COLUMN_BYTES = 8 * 7
_END_BYTES = 4


class Points(NamedTuple):
    """Consecutive frames: times (ns), equity (NaN: none), and whether a frame has a bar."""

    ts_ns: Ints
    equity: Floats
    has_bar: Bools


class FrameBlock:
    """Up to 256 consecutive frames, from seq `first` on."""

    __slots__ = ("columns", "ends", "first", "order_text", "raw", "stats", "total")

    def __init__(self, first: int, stats: RunningFigures) -> None:
        self.first = first
        self.raw: bytearray | bytes = bytearray()
        self.ends = array("I")
        self.columns = Columns()
        self.order_text: dict[int, tuple[bytes, int]] = {}
        self.stats = stats
        """Figures of the run before this block."""
        self.total: Fold | None = None

    @property
    def times(self) -> "array[int]":
        """See `Block`."""
        return self.columns.ts

    def append(self, frame: RawFrame) -> None:
        """See `Block`."""
        self.raw += frame.tail
        self.ends.append(len(self.raw))
        columns = self.columns
        columns.ts.append(frame.ts_ns)
        columns.o.append(frame.o)
        columns.h.append(frame.h)
        columns.l.append(frame.l)
        columns.c.append(frame.c)
        columns.v.append(frame.v)
        columns.e.append(frame.equity)
        # One comparison finds every NaN: it makes the sum unequal to itself.
        total = frame.o + frame.h + frame.l + frame.c + frame.v + frame.equity
        if total != total:
            columns.has_gaps = True
        if frame.order_count:
            self.order_text[len(self.ends) - 1] = (frame.orders, frame.order_count)

    def tail(self, i: int) -> bytes:
        """See `Block`."""
        return bytes(self.raw[self.ends[i - 1] if i else 0 : self.ends[i]])

    def head(self, count: int) -> "FrameBlock":
        """See `Block`: of no frames, it keeps the figures of the run before it."""
        block = FrameBlock(self.first, self.stats)
        block.raw = bytearray(self.raw[: self.ends[count - 1] if count else 0])
        block.ends = self.ends[:count]
        ours, theirs = block.columns, self.columns
        ours.has_gaps = theirs.has_gaps
        ours.ts, ours.o, ours.h = theirs.ts[:count], theirs.o[:count], theirs.h[:count]
        ours.l, ours.c, ours.v = theirs.l[:count], theirs.c[:count], theirs.v[:count]
        ours.e = theirs.e[:count]
        block.order_text = {i: text for i, text in self.order_text.items() if i < count}
        return block

    def after(self) -> "FrameBlock":
        """See `Block`."""
        return FrameBlock(self.first + BLOCK, self.stats_after(BLOCK))

    def seal(self) -> None:
        """See `Block`: what grows by append has room to spare, which a full block gives back."""
        self.raw = bytes(self.raw)
        self.ends = self.ends[:]
        columns = self.columns
        for name in ("ts", "o", "h", "l", "c", "v", "e"):
            setattr(columns, name, getattr(columns, name)[:])

    def stats_after(self, count: int) -> RunningFigures:
        """Figures of the run up to and with the first `count` frames of this block."""
        stats = self.stats.copy()
        points = self.points(0, count)
        stats.feed(points.ts_ns, points.equity, has_bar=points.has_bar)
        for i, (text, orders) in self.order_text.items():
            if i < count:
                stats.feed_orders(text, orders)
        return stats

    def points(self, start: int, stop: int) -> Points:
        """The equity of frames `start` to `stop` (local indices)."""
        columns = self.columns
        if columns.has_gaps:
            prices = (columns.o, columns.h, columns.l, columns.c)
            has_bar = ~np.logical_and.reduce([np.isnan(column[start:stop]) for column in prices])
        else:
            has_bar = np.ones(stop - start, np.bool_)
        return Points(
            np.frombuffer(columns.ts[start:stop], np.int64),
            np.frombuffer(columns.e[start:stop], np.float64),
            has_bar,
        )

    def size_bytes(self) -> int:
        """See `Block`."""
        orders = sum(len(text) + 120 for text, _ in self.order_text.values())
        per_frame = _COLUMN_BYTES + _END_BYTES
        return len(self.raw) + len(self.ends) * per_frame + orders + _BLOCK_OVERHEAD_BYTES


FrameLog = Log[FrameBlock]


def frame_log(run_id: RunId, *, origin: str = "") -> FrameLog:
    """An empty log of a run."""
    return Log(run_id, _first_block, origin=origin)


def _first_block(seq: int) -> FrameBlock:
    return FrameBlock(seq, RunningFigures())
