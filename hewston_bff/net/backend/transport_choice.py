"""Which transport to ask a backend for a stream with, where it is ours to choose.

Server-Sent Events are the gentler one: the backend answers others meanwhile, and says the end.
Not every backend has them, and they may fail for one run or for all:

    what happened                                   what follows
    ---------------------------------------------   --------------------------------------------
    there is no such address, but a WebSocket       WebSockets for all runs, for `ABSENT_S`
    a run's events broke off twice in a row         WebSockets for this run, for `FAILED_S`, or
                                                    until one of them breaks off
    that happened to `RUNS_IN_A_ROW` runs, and      WebSockets for all runs, for `BROKEN_S`
    no stream of events came to its end meanwhile
"""

from dataclasses import dataclass, field
from enum import StrEnum

from hewston_bff.protocol.ids import RunId

ABSENT_S = 600.0
FAILED_S = 300.0
BROKEN_S = 60.0
FAILURES_IN_A_ROW = 2
RUNS_IN_A_ROW = 3
_REMEMBERED_RUNS = 1_000


class Transport(StrEnum):
    """How the backend streams a run."""

    WS = "ws"
    SSE = "sse"


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_s: float = 0.0


@dataclass(slots=True)
class TransportChoice:
    """What one backend's streams have shown so far; times are monotonic seconds."""

    _without_sse_until_s: float = float("-inf")
    _failures: dict[RunId, _Failures] = field(default_factory=dict)
    _given_up: set[RunId] = field(default_factory=set)

    def choose(self, run_id: RunId, *, now_s: float) -> Transport:
        """The transport for the next connection of this run."""
        if now_s < self._without_sse_until_s:
            return Transport.WS
        failures = self._failures.get(run_id)
        if failures is None or failures.count < FAILURES_IN_A_ROW:
            return Transport.SSE
        if now_s - failures.last_s >= FAILED_S:
            del self._failures[run_id]
            return Transport.SSE
        return Transport.WS

    def sse_is_absent(self, *, now_s: float) -> None:
        """The backend has no events, but WebSockets."""
        self._without_sse_until_s = now_s + ABSENT_S

    def sse_failed(self, run_id: RunId, *, now_s: float) -> None:
        """A stream of events broke off, or could not be had from a backend that is there."""
        failures = self._failures.pop(run_id, None) or _Failures()
        self._failures[run_id] = failures
        failures.count += 1
        failures.last_s = now_s
        if len(self._failures) > _REMEMBERED_RUNS:
            del self._failures[next(iter(self._failures))]
        if failures.count >= FAILURES_IN_A_ROW:
            self._given_up.add(run_id)
        if len(self._given_up) >= RUNS_IN_A_ROW:
            self._given_up.clear()
            self._without_sse_until_s = now_s + BROKEN_S

    def sse_worked(self, run_id: RunId) -> None:
        """A stream of events came to its end."""
        self._failures.pop(run_id, None)
        self._given_up.clear()

    def ws_failed(self, run_id: RunId) -> None:
        """A WebSocket broke off: events may do better."""
        self._failures.pop(run_id, None)
