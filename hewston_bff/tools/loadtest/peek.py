"""The few numbers a load test needs of a frame, found without decoding it.

A full decode of every frame would make the generator, not the server, what is measured. The members
that stand first in our own frames are read by one regular expression; what it does not find is
searched for by name.
"""

import re
from typing import NamedTuple

FRAME_STARTS = (b'{"t":"frame"', b'{"t": "frame"')

_HEAD = re.compile(
    rb'\{(?:"t": ?"frame", ?)?(?:"sid": ?(\d+), ?)?(?:"from": ?(\d+), ?)?(?:"seq": ?(\d+), ?)?'
    rb'(?:"n": ?(\d+), ?)?'
)
_NUMBER = re.compile(rb" *(\d+)")


class Peek(NamedTuple):
    """Numbers of one frame; -1 for what it does not have.

    `first` to `seq` are the source frames it covers, `n` in number. `sent_ns` is the sender's
    CLOCK_MONOTONIC, for latency on one machine.
    """

    sid: int
    first: int
    seq: int
    n: int
    dropped: int
    sent_ns: int


def peek(data: bytes | bytearray, start: int, stop: int) -> Peek:
    """The numbers of the frame message at `data[start:stop]`."""
    head = _HEAD.match(data, start, stop)
    sid, first, seq, count = head.groups() if head else (None, None, None, None)
    number = int(seq) if seq else member(data, b'"seq":', start, stop)
    # Nearly always 0, which is cheaper found than parsed; it stands near the end.
    is_whole = data.rfind(b'"dropped":0', start, stop) >= 0
    return Peek(
        int(sid) if sid else -1,
        int(first) if first else number,
        number,
        int(count) if count else 1,
        0 if is_whole else member(data, b'"dropped":', start, stop),
        member(data, b'"sent_ns":', start, stop),
    )


def member(data: bytes | bytearray, name: bytes, start: int, stop: int) -> int:
    """The whole number after `name` (quotes and colon included) in `data[start:stop]`, or -1."""
    at = data.find(name, start, stop)
    if at < 0:
        return -1
    number = _NUMBER.match(data, at + len(name), stop)
    return int(number[1]) if number else -1
