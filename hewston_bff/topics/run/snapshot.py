"""A decimated picture of a run up to a cursor, cheap enough for a dragged scrubber.

Buckets are powers of two frames wide and start at multiples of their width, so that a bucket once
written serves every snapshot that needs it; only the last, unfinished one is written anew.
"""

from hewston_bff.topics.run.encoding import encode_snapshot_bar
from hewston_bff.topics.run.frame_block import FrameLog

MAX_BARS = 1_000

Bucket = tuple[bytes, bytes]
"""One bar and one equity point as JSON text, each b"" where the frames had no such value."""


class Snapshots:
    """The snapshots of one log; at most about 2 000 buckets are kept for each width."""

    def __init__(self, log: FrameLog) -> None:
        self._log = log
        self._buckets: dict[tuple[int, int], Bucket] = {}

    def picture(self, stop: int) -> tuple[bytes, bytes]:
        """The frames held before `stop` as at most 1 000 bars and equity points: two JSON lists."""
        log = self._log
        first = log.first_seq
        width = 1
        while -(-stop // width) - first // width > MAX_BARS:
            width *= 2
        buckets = [
            self._bucket(max(start, first), min(start + width, stop), width)
            for start in range(first - first % width, stop, width)
        ]
        bars = b",".join(bar for bar, _ in buckets if bar)
        equity = b",".join(point for _, point in buckets if point)
        return b"[%b]" % bars, b"[%b]" % equity

    def _bucket(self, start: int, stop: int, width: int) -> Bucket:
        if stop - start < width:
            return encode_snapshot_bar(self._log, start, stop)
        key = (start, width)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = encode_snapshot_bar(self._log, start, stop)
        return bucket
