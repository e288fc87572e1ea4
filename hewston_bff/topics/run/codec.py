"""A run's frames as messages: frames and merges, snapshots, figures."""

from msgspec import UNSET, Raw

from hewston_bff.protocol.figures import StreamFigures
from hewston_bff.protocol.notices import Metrics, Snapshot
from hewston_bff.protocol.times import format_time
from hewston_bff.protocol.updates import Updates
from hewston_bff.topics.run.encoding import encode_span
from hewston_bff.topics.run.folding import figures_at
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.snapshot import Snapshots


class RunCodec:
    """See `ports.Codec`."""

    tag = b"frame"

    def __init__(self, log: FrameLog) -> None:
        self._log = log
        self._snapshots = Snapshots(log)
        self._figures: tuple[int, StreamFigures] | None = None

    def encode(self, start: int, stop: int, *, updates: Updates, lost: int) -> bytes:
        """See `ports.Codec`."""
        return encode_span(self._log, start, stop, updates=updates, lost=lost)

    def snapshot(self, stop: int, *, sid: int | None) -> Snapshot:
        """See `ports.Codec`."""
        log, seq = self._log, stop - 1
        bars, equity = self._snapshots.picture(stop)
        holds = log.holds(seq)
        return Snapshot(
            sid=UNSET if sid is None else sid,
            seq=seq,
            ts=format_time(log.ts_ns(seq)) if holds else None,
            bars=Raw(bars),
            equity=Raw(equity),
            orders_total=figures_at(log, seq).orders if holds else 0,
        )

    def figures(self, seq: int, *, sid: int | None) -> Metrics:
        """See `ports.Codec`; the last answer is kept for the next viewer."""
        if self._figures is None or self._figures[0] != seq:
            self._figures = (seq, figures_at(self._log, seq).stream_figures())
        return Metrics(sid=UNSET if sid is None else sid, seq=seq, metrics=self._figures[1])
