#!/usr/bin/env python3
"""What it costs to take a run in: CPU to decode and append its frames, memory to hold them.

    scripts/bench_ingest.py                 a year of minutes, 98 280 frames
    scripts/bench_ingest.py --run demo-day

The frames are those of the simulated backend, byte for byte as they come off its socket; reading
the socket is not part of it. The service decodes and appends frame by frame, giving way to others
every few milliseconds: this is the sum of those bursts.
"""

import argparse
import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from hewston_bff.protocol.ids import RunId
from hewston_bff.tools.simulator import default_runs
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.wire import RawFrame, decode

TARGET_S = 1.0


@dataclass(frozen=True)
class Times:
    """CPU of one time through, and of decoding alone."""

    both_s: float
    decode_s: float


def filled(frames: Sequence[bytes], run_id: str) -> FrameLog:
    """A log of all frames, decoded and appended as they come: one after the other."""
    log = frame_log(RunId(run_id))
    for data in frames:
        message = decode(data)
        if isinstance(message, RawFrame):
            log.append(message)
    return log


def timed(frames: Sequence[bytes], run_id: str) -> Times:
    """What it costs."""
    began_s = time.process_time()
    filled(frames, run_id)
    both_s = time.process_time() - began_s
    began_s = time.process_time()
    for data in frames:
        decode(data)
    return Times(both_s, time.process_time() - began_s)


def weighed(frames: Sequence[bytes], run_id: str) -> tuple[FrameLog, int]:
    """The log, and the bytes that were allocated for it and are still held."""
    gc.collect()
    tracemalloc.start()
    log = filled(frames, run_id)
    gc.collect()
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return log, held_bytes


def table(
    run_id: str, frames: Sequence[bytes], rounds: list[Times], log: FrameLog, held_bytes: int
) -> Table:
    """The figures; of the times the medians over the rounds."""
    count = len(frames)
    raw_bytes = sum(map(len, frames))
    both_s = statistics.median(one.both_s for one in rounds)
    decode_s = statistics.median(one.decode_s for one in rounds)
    found = Table(title=f"{run_id}: {count} frames, {len(rounds)} rounds", show_header=False)
    found.add_column()
    found.add_column(justify="right")
    goal = f"; target for a year: under {TARGET_S:g} s"
    for name, value in (
        (f"decode and append, CPU{goal}", f"{both_s:.3f} s"),
        ("a frame", f"{both_s / count * 1e6:.2f} µs"),
        ("of that decoding", f"{decode_s / count * 1e6:.2f} µs"),
        ("raw, a frame", f"{raw_bytes / count:.0f} bytes"),
        ("held, a frame, as the log counts it", f"{log.size_bytes / count:.0f} bytes"),
        ("held, a frame, as was allocated", f"{held_bytes / count:.0f} bytes"),
        ("held ÷ raw", f"{held_bytes / raw_bytes:.2f}"),
    ):
        found.add_row(name, value)
    return found


def main() -> int:
    """The exit code: 0, or 1 if the run is not known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", default="demo-year", help="one of the simulated runs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs = {run.run_id: run for run in default_runs()}
    if options.run not in runs:
        print(f"no simulated run {options.run}; there are {', '.join(runs)}", file=sys.stderr)
        return 1
    frames = runs[options.run].frames
    rounds = [timed(frames, options.run) for _ in range(max(1, options.rounds))]
    log, held_bytes = weighed(frames, options.run)
    if log.next_seq != len(frames):
        print("not all of the messages are frames", file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table(options.run, frames, rounds, log, held_bytes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
