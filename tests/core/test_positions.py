"""Where a client wants to be."""

import pytest

from hewston_bff.core.frame_log import FrameLog
from hewston_bff.core.ids import Epoch
from hewston_bff.core.positions import (
    AfterTime,
    AtEdge,
    AtIndex,
    AtTime,
    Found,
    OutOfRange,
    Resumed,
    Target,
    locate,
)
from tests.core.frames import RUN, log_of, plain

EMPTY = FrameLog(RUN)
EPOCH = log_of(1).epoch or Epoch("")
START = AtIndex(0)


def done(count: int) -> FrameLog:
    log = log_of(count)
    log.is_complete = True
    return log


def resumed(seq: int, *, epoch: Epoch = EPOCH, minute: int | None = None) -> Resumed:
    ts_ns = None if minute is None else plain(minute).ts_ns
    return Resumed(epoch, seq, ts_ns, otherwise=START)


@pytest.mark.parametrize(
    ("target", "log", "place"),
    [
        (AtIndex(3), log_of(10), Found(3)),
        (AtIndex(10), log_of(10), None),
        (AtIndex(10), done(10), OutOfRange()),
        (AtIndex(-1), log_of(10), OutOfRange()),
        (AtTime(plain(4).ts_ns), log_of(10), Found(4)),
        (AtTime(plain(9).ts_ns + 1), log_of(10), None),
        (AtTime(plain(9).ts_ns + 1), done(10), OutOfRange()),
        (AtTime(0), log_of(10), Found(0)),
        (AtTime(0), EMPTY, None),
        (AfterTime(plain(4).ts_ns), log_of(10), Found(5)),
        (AfterTime(plain(9).ts_ns), log_of(10), Found(10)),
        (AfterTime(plain(12).ts_ns), log_of(10), None),
        (AfterTime(plain(12).ts_ns), done(10), Found(10)),
        (AtEdge(), log_of(10), Found(9)),
        (AtEdge(), EMPTY, None),
        (resumed(4, minute=4), log_of(10), Found(5, recovered=True)),
        (resumed(9), log_of(10), Found(10, recovered=True)),
        (resumed(-1), log_of(10), Found(0, recovered=True)),
        (resumed(10), log_of(10), None),
        (resumed(10, minute=4), done(10), Found(5, recovered=False)),
        (resumed(4, minute=7), log_of(10), Found(8, recovered=False)),
        (resumed(4, epoch=Epoch("other"), minute=6), log_of(10), Found(7, recovered=False)),
        (resumed(4, epoch=Epoch("other")), log_of(10), Found(0, recovered=False)),
        (resumed(4), EMPTY, None),
    ],
)
def test_a_place_is_found_or_not_there_or_not_there_yet(
    target: Target, log: FrameLog, place: Found | OutOfRange | None
) -> None:
    assert locate(target, log) == place


def test_evicted_places() -> None:
    log = log_of(600)
    log.evict_block(below=600)
    assert locate(AtIndex(255), log) == OutOfRange()
    assert locate(AtTime(0), log) == Found(256)
    assert locate(resumed(255), log) == Found(256, recovered=True)
    assert locate(resumed(100, minute=100), log) == Found(256, recovered=False)
