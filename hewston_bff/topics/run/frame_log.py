"""A run's frames in order, each under its seq: one writer, many readers, immutable once written.

Frames lie in blocks of 256: their text joined, their numbers in columns, their orders sparse. A
full block carries a rolling digest, so that a replay can be checked even against evicted frames.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from hewston_bff.market.figures import Bools, Floats, Ints, RunningFigures
from hewston_bff.protocol.ids import Epoch, RunId
from hewston_bff.topics.run.conflate import Columns, Fold, merge
from hewston_bff.topics.run.wire import RawFrame

BLOCK = 256
"""Frames in a block; also the distance between two digests."""

_BLOCK_OVERHEAD_BYTES = 1_900
_STATS_BYTES = 1_500
"""Figures stay of a block that is let go, for a run that turns out to differ from there on."""
_LOG_OVERHEAD_BYTES = 2_048
_COLUMN_BYTES = 8 * 7
_END_BYTES = 4


class Evicted(Exception):
    """The frame asked for is no longer held; the log starts at `first_seq`."""


class Points(NamedTuple):
    """Consecutive frames: times (ns), equity (NaN: none), and whether a frame has a bar."""

    ts_ns: Ints
    equity: Floats
    has_bar: Bools


class _Block:
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

    def __len__(self) -> int:
        return len(self.ends)

    def append(self, frame: RawFrame) -> None:
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
        return bytes(self.raw[self.ends[i - 1] if i else 0 : self.ends[i]])

    def head(self, count: int) -> "_Block":
        """A new, open block of the first `count` frames."""
        block = _Block(self.first, self.stats)
        block.raw = bytearray(self.raw[: self.ends[count - 1] if count else 0])
        block.ends = self.ends[:count]
        ours, theirs = block.columns, self.columns
        ours.has_gaps = theirs.has_gaps
        ours.ts, ours.o, ours.h = theirs.ts[:count], theirs.o[:count], theirs.h[:count]
        ours.l, ours.c, ours.v = theirs.l[:count], theirs.c[:count], theirs.v[:count]
        ours.e = theirs.e[:count]
        block.order_text = {i: text for i, text in self.order_text.items() if i < count}
        return block

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
        orders = sum(len(text) + 120 for text, _ in self.order_text.values())
        per_frame = _COLUMN_BYTES + _END_BYTES
        return len(self.raw) + len(self.ends) * per_frame + orders + _BLOCK_OVERHEAD_BYTES


class FrameLog:
    """The frames of one run in one epoch: seqs `first_seq` (held) to `next_seq` (not yet there).

    `is_complete`: the run has ended and nothing follows. `is_quiet`: the backend has sent all that
    it has for now, so no frame of the last one's time is on its way. `size_bytes` is what it holds
    in memory, counted, not measured.

    `origin` tells runs of the same id apart: it goes into the epoch, with the first frame.
    """

    def __init__(self, run_id: RunId, *, origin: str = "") -> None:
        self.run_id = run_id
        self.origin = origin
        self.shared = 0
        """So many frames at the beginning are those of the log that this one was forked from."""
        self.epoch: Epoch | None = None
        self.first_seq = 0
        self.next_seq = 0
        self.last_ts_ns = -(1 << 63)
        self.is_complete = False
        self.is_quiet = False
        self._sealed_bytes = _LOG_OVERHEAD_BYTES
        self._first_frame = b""
        self._blocks: list[_Block] = []
        self._evicted_stats: list[RunningFigures] = []
        self._digests: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        """Bytes held: texts, columns and overhead of the objects around them."""
        if not self._blocks or len(self._blocks[-1]) == BLOCK:
            return self._sealed_bytes
        return self._sealed_bytes + self._blocks[-1].size_bytes()

    def append(self, frame: RawFrame) -> int:
        """Take the next frame, whose time the caller knows not to be before the last one's."""
        seq = self.next_seq
        if not seq & (BLOCK - 1):
            self._open_block(seq)
            if self.epoch is None:
                self._first_frame = frame.tail
                self.epoch = _epoch(self.run_id, self.origin, frame.tail)
        block = self._blocks[-1]
        block.append(frame)
        self.next_seq = seq + 1
        self.last_ts_ns = frame.ts_ns
        if len(block.ends) == BLOCK:
            self._seal(block)
        return seq

    def tail(self, seq: int) -> bytes:
        """The text of frame `seq` after its ``{"t":"frame",``. Raises Evicted."""
        block = self._block(seq)
        return block.tail(seq - block.first)

    def ts_ns(self, seq: int) -> int:
        """The time of frame `seq`. Raises Evicted."""
        block = self._block(seq)
        return block.columns.ts[seq - block.first]

    def fold(self, start: int, stop: int) -> Fold:
        """Frames `start` to `stop` (not empty) as one; blocks are folded once. Raises Evicted."""
        if stop - start <= BLOCK:
            block = self._block(start)
            if stop - block.first <= BLOCK:
                return block.columns.fold(
                    start - block.first, stop - block.first, first_seq=block.first
                )
        return merge(self._folds(start, stop))

    def orders(self, start: int, stop: int) -> tuple[bytes, int]:
        """Orders of `start` to `stop`: JSON joined by commas, and how many. Raises Evicted."""
        texts: list[bytes] = []
        count = 0
        for block, i, j in self._parts(start, stop):
            for at, (text, n) in block.order_text.items():
                if i <= at < j:
                    texts.append(text)
                    count += n
        return b",".join(texts), count

    def points(self, start: int, stop: int) -> Iterator[Points]:
        """The equity of a range, a part for each block. Raises Evicted."""
        for block, i, j in self._parts(start, stop):
            yield block.points(i, j)

    def stats(self, seq: int) -> RunningFigures:
        """Figures of the run from its start up to and with frame `seq`. Raises Evicted."""
        block = self._block(seq)
        return block.stats_after(seq - block.first + 1)

    def at_or_before(self, ts_ns: int) -> int:
        """The last held frame at or before a time; the first held one if the time is earlier.

        Of several frames of that time it is the last, of those that are there.
        """
        return max(self.after(ts_ns) - 1, self.first_seq)

    def after(self, ts_ns: int) -> int:
        """The first held frame after a time; `next_seq` if there is none."""
        if not self._blocks:
            return self.next_seq
        index = max(bisect_right(self._blocks, ts_ns, key=_first_ts) - 1, 0)
        block = self._blocks[index]
        return block.first + bisect_right(block.columns.ts, ts_ns)

    def is_past(self, ts_ns: int) -> bool:
        """Whether every frame up to and with this time is there."""
        return self.is_complete or (
            self.next_seq > 0
            and (ts_ns < self.last_ts_ns or (self.is_quiet and ts_ns == self.last_ts_ns))
        )

    def holds(self, seq: int) -> bool:
        """Whether frame `seq` can be read."""
        return self.first_seq <= seq < self.next_seq

    def digest(self, index: int) -> bytes | None:
        """The rolling digest after block `index`, evicted or not; None while it is not full."""
        return self._digests[index] if index < len(self._digests) else None

    def evict_block(self, below: int) -> int:
        """Let go of the oldest block if it is full and lies below `below`; bytes freed, or 0."""
        if len(self._blocks) < 2 or self._blocks[1].first > below:
            return 0
        block = self._blocks.pop(0)
        freed = block.size_bytes() - _STATS_BYTES
        self.first_seq = self._blocks[0].first
        self._evicted_stats.append(block.stats)
        self._sealed_bytes -= freed
        return freed

    def fork(self, at: int, frames: list[RawFrame]) -> "FrameLog":
        """A log of a new epoch: this one's frames up to `at`, then `frames`; this one stays.

        Source: design rule for a divergence; the epoch also covers the first differing frame.
        """
        log = FrameLog(self.run_id, origin=self.origin)
        log.shared = at
        log._first_frame = self._first_frame if at else frames[0].tail
        log.epoch = _epoch(self.run_id, self.origin, log._first_frame, frames[0].tail)
        keep = at // BLOCK
        log._digests = self._digests[:keep]
        log._evicted_stats = self._evicted_stats[:keep]
        log._blocks = self._blocks[: max(keep - len(self._evicted_stats), 0)]
        log._sealed_bytes += _STATS_BYTES * len(log._evicted_stats)
        log._sealed_bytes += sum(block.size_bytes() for block in log._blocks)
        log.next_seq = keep * BLOCK
        if at % BLOCK:
            log._blocks.append(self._block(at).head(at % BLOCK))
            log.next_seq = at
        elif not log._blocks:
            # What lay before was evicted: its figures are known only to the block that came next.
            log._blocks.append(_Block(at, self._stats_before(keep)))
        log.first_seq = log._blocks[0].first
        for frame in frames:
            log.append(frame)
        return log

    def _stats_before(self, index: int) -> RunningFigures:
        held = index - len(self._evicted_stats)
        if held < 0:
            return self._evicted_stats[index]
        return self._blocks[held].stats if held < len(self._blocks) else RunningFigures()

    def _open_block(self, seq: int) -> None:
        if self._blocks and self._blocks[-1].first == seq:
            return
        stats = self._blocks[-1].stats_after(BLOCK) if self._blocks else RunningFigures()
        self._blocks.append(_Block(seq, stats))

    def _seal(self, block: _Block) -> None:
        """Give a full block its digest and its exact size in memory."""
        before = self._digests[-1] if self._digests else b""
        block.raw = bytes(block.raw)
        self._digests.append(roll(before, block.raw))
        columns = block.columns
        for name in ("ts", "o", "h", "l", "c", "v", "e"):
            column = getattr(columns, name)
            setattr(columns, name, column[:])
        block.ends = block.ends[:]
        self._sealed_bytes += block.size_bytes()

    def _block(self, seq: int) -> _Block:
        index = (seq >> 8) - len(self._evicted_stats)
        if index < 0 or not 0 <= seq < self.next_seq:
            msg = f"frame {seq} of {self.run_id} is not held"
            raise Evicted(msg)
        return self._blocks[index]

    def _parts(self, start: int, stop: int) -> Iterator[tuple[_Block, int, int]]:
        """The blocks of a range with the local indices of its part in each."""
        while start < stop:
            block = self._block(start)
            end = min(stop, block.first + BLOCK)
            yield block, start - block.first, end - block.first
            start = end

    def _folds(self, start: int, stop: int) -> Iterator[Fold]:
        for block, i, j in self._parts(start, stop):
            if j - i < BLOCK:
                yield block.columns.fold(i, j, first_seq=block.first)
                continue
            if block.total is None:
                block.total = block.columns.fold(0, BLOCK, first_seq=block.first)
            yield block.total


def roll(before: bytes, text: bytes) -> bytes:
    """The digest after a block of frames with this joined `text`, from the digest `before` it."""
    return sha256(before + text).digest()


def _epoch(run_id: RunId, origin: str, *frames: bytes) -> Epoch:
    digest = sha256(run_id.encode())
    if origin:
        digest.update(b"\0\0" + origin.encode("utf-8", "surrogatepass"))
    for frame in frames:
        digest.update(b"\0" + frame)
    return Epoch(digest.hexdigest()[:12])


def _first_ts(block: _Block) -> int:
    return block.columns.ts[0]
