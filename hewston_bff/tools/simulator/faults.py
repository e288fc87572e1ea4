"""Faults as data: what goes wrong on one connection to a run, and on which connection.

A script is a tuple of faults for one connection; they combine. A fault with a `frame` happens
just before that frame (0-based) would be sent: exactly `frame` frames went out before it.
The text forms are in `fault_text.py`.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFault:
    """Something wrong with a whole connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFault(ScriptedFault):
    """Something that happens just before frame `frame`."""

    frame: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(ScriptedFault):
    """Answer the handshake (or the SSE request) with an HTTP status."""

    status: int = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseConnection(ScriptedFault):
    """Drop the TCP connection instead of answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPong(ScriptedFault):
    """Never answer a ping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoHeartbeat(ScriptedFault):
    """Never send a heartbeat message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(ScriptedFault):
    """Send at most this many frames a second."""

    frames_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError(ScriptedFault):
    """Answer the first `times` plays of the connection with STREAM_ERROR."""

    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMessage(ScriptedFault):
    """Say `{"t":"end"}` after the last frame, as the documents have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAt(FrameFault):
    """Abort the connection once the frames before are with the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen(FrameFault):
    """Fall silent for good, answer nothing, and keep the TCP connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(FrameFault):
    """Close politely, with a close code (SSE: end the answer without `event: end`)."""

    code: int = 1011


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(FrameFault):
    """Send no frame for a while; heartbeats go on."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage(FrameFault):
    """Slip in a text message that is not what the protocol says."""

    data: bytes = b"{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(FrameFault):
    """Slip in a binary message."""

    data: bytes = b"\x00\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Huge(FrameFault):
    """Slip in one text message of this size, valid JSON of an unknown type."""

    size_bytes: int = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(FrameFault):
    """Send the frame `times` times more than it should be."""

    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverge(FrameFault):
    """From this frame on tell another story: other closes, other equity, same times."""


Script = tuple[ScriptedFault, ...]


@dataclass(frozen=True, slots=True)
class Forever:
    """As the last entry of a run's list: this script for every connection from here on."""

    script: Script


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCuts:
    """The first `count` connections are each cut at a random frame up to `max_frames`."""

    seed: int
    count: int
    max_frames: int

    def script_for(self, run_id: str, *, ordinal: int) -> Script:
        """The same cut for the same seed, run and connection."""
        if ordinal >= self.count:
            return ()
        rng = np.random.default_rng([self.seed, zlib.crc32(run_id.encode()), ordinal])
        return (CutAt(frame=int(rng.integers(0, self.max_frames + 1))),)


Connections = RandomCuts | Sequence[Script | Forever]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which script each connection plays.

    `connections` goes by run id, `"*"` for runs not named; a list has one script a connection,
    in the order they are opened. Connections beyond play `default`.
    """

    default: Script = ()
    connections: Mapping[str, Connections] = field(default_factory=dict)

    def script_for(self, run_id: str, *, ordinal: int) -> Script:
        """The script of the `ordinal`-th (from 0) connection to a run."""
        plan = self.connections.get(run_id, self.connections.get("*", ()))
        if isinstance(plan, RandomCuts):
            return plan.script_for(run_id, ordinal=ordinal) or self.default
        if ordinal < len(plan):
            entry = plan[ordinal]
            return entry.script if isinstance(entry, Forever) else entry
        if plan and isinstance(last := plan[-1], Forever):
            return last.script
        return self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerWith:
    """A REST fault: answer with this instead."""

    status: int
    body: bytes = b'{"detail":"simulated fault"}'
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A REST fault: answer properly, but late."""

    seconds: float


RestFault = AnswerWith | Delay | RefuseConnection
