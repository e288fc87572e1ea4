"""CPU time of processes, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path


class NoSuchProcess(Exception):
    """Nothing runs under this number, or it can't be looked at here."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"there is no process {pid} to look at")


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time that these processes have used, all their threads, in seconds.

    It is counted in ticks of 10 ms on most machines: windows of seconds, not of moments.

    Raises:
        NoSuchProcess: one of them is not there.
    """
    return sum(_ticks(pid) for pid in pids) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError as exc:
        raise NoSuchProcess(pid) from exc
    # The name before it stands in parentheses and may itself hold anything. Source: proc(5).
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
