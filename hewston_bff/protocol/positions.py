"""Seek targets: the positions in a log that a client can ask for."""

from dataclasses import dataclass

from hewston_bff.protocol.ids import Epoch


@dataclass(frozen=True, slots=True)
class AtIndex:
    """The record of this seq."""

    seq: int


@dataclass(frozen=True, slots=True)
class AtTime:
    """The last record at or before this time; the first, if the time is earlier.

    Records may share a time: while more of them may come, the last one is not known.
    """

    ts_ns: int


@dataclass(frozen=True, slots=True)
class AfterTime:
    """The first record after this time; the end of the log if there is none.

    At the end of a growing log the next record counts as later: better sent twice than never.
    """

    ts_ns: int


@dataclass(frozen=True, slots=True)
class AtEdge:
    """The newest record."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """After record `seq` of `epoch`, whose time is `ts_ns` if known; if gone, `otherwise`."""

    epoch: Epoch
    seq: int
    ts_ns: int | None
    otherwise: AtIndex | AtTime | AtEdge


SeekTarget = AtIndex | AtTime | AfterTime | AtEdge | Resumed
