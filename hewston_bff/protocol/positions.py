"""Where in a log a client wants to be."""

from dataclasses import dataclass

from hewston_bff.protocol.ids import Epoch


@dataclass(frozen=True, slots=True)
class AtIndex:
    """The record of this seq."""

    seq: int


@dataclass(frozen=True, slots=True)
class AtTime:
    """The last record at or before this time; the first, if the time is earlier.

    Records may share a time: while more of them may come, nobody knows which is the last.
    """

    ts_ns: int


@dataclass(frozen=True, slots=True)
class AfterTime:
    """The first record after this time; the end of the log if there is none.

    At the end of a growing log what comes next is taken for after it: rather twice than never.
    """

    ts_ns: int


@dataclass(frozen=True, slots=True)
class AtEdge:
    """The newest record."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """After record `seq` of `epoch`, of time `ts_ns` if that is known; else `otherwise`."""

    epoch: Epoch
    seq: int
    ts_ns: int | None
    otherwise: AtIndex | AtTime | AtEdge


SeekTarget = AtIndex | AtTime | AfterTime | AtEdge | Resumed
