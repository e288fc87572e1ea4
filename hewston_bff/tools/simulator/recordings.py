"""Recordings of a real backend, played as runs."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from hewston_bff.tools.simulator.market import MarketBars
from hewston_bff.tools.simulator.runs import SimulatedRun
from hewston_bff.tools.simulator.text import respaced


class _Line(msgspec.Struct):
    msg: msgspec.Raw


class _RecordedOhlc(msgspec.Struct):
    o: float | None = None
    h: float | None = None
    l: float | None = None  # noqa: E741 - the backend's own word
    c: float | None = None
    v: float | None = None


class _Message(msgspec.Struct):
    t: str
    ts: str = ""
    ohlc: _RecordedOhlc | None = None


@dataclass(frozen=True)
class RecordedFrames:
    """Frames that were received once, as they were sent."""

    frames: Sequence[bytes]

    @property
    def frame_count(self) -> int:
        """How many there are."""
        return len(self.frames)

    @cached_property
    def bars(self) -> MarketBars:
        """The bars of the frames without nulls; prices rounded to cents."""
        decoder = msgspec.json.Decoder(_Message)
        rows = []
        for frame in self.frames:
            message = decoder.decode(frame)
            if message.ohlc is not None:
                bar = msgspec.structs.astuple(message.ohlc)
                if None not in bar:
                    rows.append((datetime.fromisoformat(message.ts).timestamp(), *bar))
        table = np.array(rows, dtype=np.float64).reshape(-1, 6).T
        table[1:5] *= 100
        return MarketBars(*np.rint(table).astype(np.int64))


def load_recording(path: Path, *, symbol: str = "AAPL") -> SimulatedRun:
    """The run of a `<run_id>.jsonl` or `<run_id>.jsonl.gz` file, DONE; other messages are left out.

    Args:
        path: One JSON object a line, with the message as it was received in `msg`.
        symbol: Of the run; the frames do not tell it.

    Raises:
        OSError: the file cannot be read.
        msgspec.DecodeError: it is no recording.
        ValueError: it holds no frame.
    """
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    lines = msgspec.json.Decoder(_Line)
    kinds = msgspec.json.Decoder(_Message)
    messages = [lines.decode(line).msg for line in text.splitlines() if line]
    frames = [respaced(message) for message in messages if kinds.decode(message).t == "frame"]
    if not frames:
        msg = f"no frame in the recording {path.name}"
        raise ValueError(msg)
    return SimulatedRun(
        run_id=path.name.partition(".")[0],
        symbol=symbol,
        run_from=_day(kinds.decode(frames[0])),
        run_to=_day(kinds.decode(frames[-1])),
        source=RecordedFrames(frames),
    )


def _day(message: _Message) -> date:
    return datetime.fromisoformat(message.ts).date()
