"""The state of one run's connection to the backend, decided without a socket.

    state       event            next        what the owner does
    ---------   --------------   ---------   ------------------------------------------------
    any         Connect          CONNECTING  open a connection, send `play` once
    CONNECTING  Opened           UP          read
    UP          NewFrame         UP          append; attempts start again at 0
    UP          Quiet (hb)       UP          ask for the run's status if it is not terminal
    UP          second Quiet     COMPLETE    abort; nothing follows (drained, status terminal)
    UP          EndSaid          COMPLETE    abort (status terminal or not to be had)
    UP          second Quiet or  REPLAYING   the run ended after this stream was opened, so frames
                EndSaid                      may be missing: abort, Connect at once
    UP          EndSaid          POLLING     the run is not over: connect again later
    any         ConnectionLost             RETRYING    wait `retry_in_s`, then Connect
    any         StreamFault      POLLING     the run is not ready: ask its status, 1 to 5 s apart,
                                             and Connect once it is another
    any         StreamFault      RETRYING    the run is over and should play: try again
    any         third in a row   FAILED      notify everyone
    any         Refused          FAILED      notify everyone
    any         Stopped          IDLE        nobody watches

End of a run (backend protocol): two `hb` at least 0.5 s apart with no frame between, the socket
drained at the second, and a terminal status. A frame between restarts the count. The first of the
two may follow right behind the last frame, where it waited for the replay to end. Before a first
frame, silence may also mean loading, so there the second `hb` counts only once the longest load
is over. Only a stream that was opened when the run was over has all its frames.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from hewston_bff.backoff import full_jitter

TERMINAL = frozenset({"DONE", "COMPLETED", "ERROR", "FAILED", "CANCELLED"})
UNFINISHED = frozenset({"QUEUED", "RUNNING"})
"""Statuses of a run that is not over; unknown words count as neither."""
FAILED = frozenset({"ERROR", "FAILED", "CANCELLED"})
QUIET_GAP_S = 0.5
LOAD_S = 10.0
"""The backend's longest silence between `play` and the first frame."""
FAULTS_IN_A_ROW = 3
POLL_FIRST_S = 1.0
POLL_CAP_S = 5.0


class LinkState(Enum):
    """Where the connection stands."""

    IDLE = auto()
    CONNECTING = auto()
    UP = auto()
    RETRYING = auto()
    POLLING = auto()
    REPLAYING = auto()
    COMPLETE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """Backoff and health, in seconds."""

    backoff_base_s: float = 0.5
    backoff_cap_s: float = 20.0
    healthy_after_s: float = 30.0
    load_s: float = LOAD_S


@dataclass(frozen=True, slots=True)
class Connect:
    """A connection is being opened."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection is open."""


@dataclass(frozen=True, slots=True)
class NewFrame:
    """A frame came that the log did not have."""


@dataclass(frozen=True, slots=True)
class KnownFrame:
    """A frame came that the log has already."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """An `hb` came; `is_drained`: it was waited for, so the socket held nothing else."""

    is_drained: bool = True


@dataclass(frozen=True, slots=True)
class EndSaid:
    """The stream announced its end."""


@dataclass(frozen=True, slots=True)
class StreamFault:
    """The backend sent STREAM_ERROR."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection broke or could not be made; `jitter` in 0…1 spreads the next attempt."""

    jitter: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The backend refused the stream: a clear 401, 403 or 404."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The owner closed the link."""


LinkEvent = (
    Connect
    | Opened
    | NewFrame
    | KnownFrame
    | Quiet
    | EndSaid
    | StreamFault
    | ConnectionLost
    | Refused
    | Stopped
)


@dataclass(frozen=True, slots=True)
class UpstreamLink:
    """One run's connection. `attempt` counts failures since the connection was last healthy."""

    state: LinkState = LinkState.IDLE
    attempt: int = 0
    retry_in_s: float = 0.0
    faults: int = 0
    opened_at_s: float = 0.0
    was_growing: bool = False
    """Whether the run was known not to be over when the connection was opened."""
    has_frames: bool = False
    quiet_since_s: float | None = None
    status: str | None = None
    """The run's status as last heard from the backend; None while unknown."""
    unready_at: str | None = None
    """The status at which the run last had nothing to play: connect only at another one."""

    @property
    def is_terminal(self) -> bool:
        """Whether the run is known to be over."""
        return self.status in TERMINAL

    @property
    def is_growing(self) -> bool:
        """Whether the run is known not to be over."""
        return self.status is not None and self.status not in TERMINAL

    def is_loading(self, now_s: float, *, times: LinkTimes) -> bool:
        """Whether the backend may still be busy with what comes before the first frame."""
        return not self.has_frames and now_s - self.opened_at_s < times.load_s

    @property
    def is_unready(self) -> bool:
        """Whether the run still has the status at which it had nothing to play."""
        return self.is_growing and self.status == self.unready_at


def step(  # noqa: C901 - one case a row of the table
    link: UpstreamLink, event: LinkEvent, *, now_s: float, times: LinkTimes
) -> UpstreamLink:
    """The link after `event`; the table of this module says what its owner then does."""
    match event:
        case Connect():
            return replace(link, state=LinkState.CONNECTING)
        case Opened():
            return replace(
                link,
                state=LinkState.UP,
                opened_at_s=now_s,
                was_growing=link.is_growing,
                has_frames=False,
                quiet_since_s=None,
            )
        case NewFrame():
            return replace(link, attempt=0, faults=0, has_frames=True, quiet_since_s=None)
        case KnownFrame():
            return replace(link, faults=0, has_frames=True, quiet_since_s=None)
        case Quiet(is_drained):
            return _quiet(link, is_drained=is_drained, now_s=now_s, times=times)
        case EndSaid():
            return _wait_for_run(link) if link.is_growing else _over(link)
        case StreamFault():
            return _fault(link, times=times)
        case ConnectionLost(jitter):
            return _lost(link, jitter=jitter, now_s=now_s, times=times)
        case Refused():
            return replace(link, state=LinkState.FAILED)
        case Stopped():
            done = link.state in {LinkState.COMPLETE, LinkState.FAILED}
            return link if done else replace(link, state=LinkState.IDLE, attempt=0, faults=0)


def with_status(link: UpstreamLink, status: str) -> UpstreamLink:
    """The link once the backend gave the run this status."""
    return replace(link, status=status)


def _quiet(link: UpstreamLink, *, is_drained: bool, now_s: float, times: LinkTimes) -> UpstreamLink:
    if link.quiet_since_s is None:
        return replace(link, quiet_since_s=now_s)
    is_loading = link.is_loading(now_s, times=times)
    is_long = now_s - link.quiet_since_s >= QUIET_GAP_S
    if link.is_terminal and is_drained and is_long and not is_loading:
        return _over(link)
    return link


def _over(link: UpstreamLink) -> UpstreamLink:
    """The stream has ended and the run is over: the log is complete, or needs one more replay."""
    state = LinkState.REPLAYING if link.was_growing else LinkState.COMPLETE
    return replace(link, state=state, retry_in_s=0.0)


def _lost(link: UpstreamLink, *, jitter: float, now_s: float, times: LinkTimes) -> UpstreamLink:
    was_healthy = link.state is LinkState.UP and now_s - link.opened_at_s >= times.healthy_after_s
    attempt = (0 if was_healthy else link.attempt) + 1
    wait_s = full_jitter(
        attempt, base_s=times.backoff_base_s, cap_s=times.backoff_cap_s, jitter=jitter
    )
    return replace(link, state=LinkState.RETRYING, attempt=attempt, retry_in_s=wait_s)


def _fault(link: UpstreamLink, *, times: LinkTimes) -> UpstreamLink:
    if link.is_growing:
        return _wait_for_run(link)
    faults = link.faults + 1
    if faults >= FAULTS_IN_A_ROW:
        return replace(link, state=LinkState.FAILED, faults=faults)
    attempt = link.attempt + 1
    # No jitter: the fault is this run's alone, and three attempts should not take a minute.
    wait_s = full_jitter(
        attempt, base_s=times.backoff_base_s, cap_s=times.backoff_cap_s, jitter=1.0
    )
    return replace(
        link, state=LinkState.RETRYING, faults=faults, attempt=attempt, retry_in_s=wait_s
    )


def _wait_for_run(link: UpstreamLink) -> UpstreamLink:
    was_polling = link.retry_in_s if link.state is LinkState.POLLING else 0.0
    wait_s = min(max(POLL_FIRST_S, was_polling * 1.5), POLL_CAP_S)
    return replace(link, state=LinkState.POLLING, retry_in_s=wait_s, unready_at=link.status)
