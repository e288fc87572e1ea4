"""Where in a log a seek target is, if the log is long enough to tell."""

from dataclasses import dataclass
from typing import Any

from hewston_bff.log.log import Log
from hewston_bff.protocol.positions import (
    AfterTime,
    AtEdge,
    AtIndex,
    AtTime,
    Resumed,
    SeekTarget,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The seq to continue at. `recovered`: whether a `Resumed` continues exactly; else None."""

    seq: int
    recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """No such record exists, or the log no longer holds it."""


def locate(  # noqa: C901 - one case a kind of target
    target: SeekTarget, log: Log[Any]
) -> Found | OutOfRange | None:
    """Where `target` is in `log`; None while the log is too short to tell."""
    match target:
        case AtIndex(seq):
            if log.holds(seq):
                return Found(seq)
            return None if seq >= log.next_seq and not log.is_complete else OutOfRange()
        case AtTime(ts_ns):
            if not log.is_past(ts_ns):
                return None
            is_there = log.next_seq and ts_ns <= log.last_ts_ns
            return Found(log.at_or_before(ts_ns)) if is_there else OutOfRange()
        case AfterTime(ts_ns):
            if log.is_complete or (log.next_seq and ts_ns <= log.last_ts_ns):
                return Found(log.after(ts_ns))
            return None
        case AtEdge():
            if log.next_seq:
                return Found(log.next_seq - 1)
            return OutOfRange() if log.is_complete else None
        case Resumed():
            return _resume(target, log)


def _resume(target: Resumed, log: Log[Any]) -> Found | OutOfRange | None:
    if log.epoch is None and not log.is_complete:
        return None
    if log.epoch == target.epoch:
        if target.seq >= log.next_seq and not log.is_complete:
            return None
        if log.first_seq - 1 <= target.seq < log.next_seq and _is_same_frame(target, log):
            return Found(target.seq + 1, recovered=True)
    fallback = target.otherwise if target.ts_ns is None else AfterTime(target.ts_ns)
    place = locate(fallback, log)
    return Found(place.seq, recovered=False) if isinstance(place, Found) else place


def _is_same_frame(target: Resumed, log: Log[Any]) -> bool:
    if target.ts_ns is None or not log.holds(target.seq):
        return True
    return log.ts_ns(target.seq) == target.ts_ns
