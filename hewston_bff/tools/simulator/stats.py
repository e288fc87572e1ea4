"""What the simulated backend counted: for tests that ask how gently it was treated."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_REQUESTS_KEPT = 10_000


@dataclass(kw_only=True, slots=True)
class ConnectionStats:
    """One stream connection; a snapshot holds copies."""

    run_id: str
    ordinal: int  # from 0, per run
    transport: str  # "ws" or "sse"
    authorization: str | None
    cookie: str | None
    plays: int = 0
    other_messages: int = 0  # anything received that is no play
    frames_sent: int = 0
    is_open: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestStats:
    """One HTTP request, handshakes included."""

    route: str  # such as "GET /backtests/{run_id}"; "" when nothing matched
    path: str  # with its query
    run_id: str | None
    authorization: str | None
    cookie: str | None
    idempotency_key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendStats:
    """A snapshot of everything counted since the backend was made, restarts included."""

    connections: tuple[ConnectionStats, ...]
    requests: tuple[RequestStats, ...]  # the last 10 000
    requests_by_route: Mapping[str, int]
    requests_by_run: Mapping[str, int]
    floods_now: int
    floods_max: int  # most runs that poured out frames at the same time
    bytes_sent: int  # message bytes on streams

    def opened(self, run_id: str | None = None) -> int:
        """Stream connections ever opened, in all or to one run."""
        return sum(run_id in {None, each.run_id} for each in self.connections)

    def open_now(self, run_id: str | None = None) -> int:
        """Stream connections open now, in all or to one run."""
        return sum(each.is_open and run_id in {None, each.run_id} for each in self.connections)

    @property
    def plays(self) -> int:
        """All plays received."""
        return sum(each.plays for each in self.connections)

    @property
    def other_messages(self) -> int:
        """All messages received on sockets that were no play."""
        return sum(each.other_messages for each in self.connections)

    def authorizations(self, run_id: str) -> tuple[str | None, ...]:
        """The Authorization header of each connection to a run, in order."""
        return tuple(each.authorization for each in self.connections if each.run_id == run_id)


@dataclass(slots=True)
class Recorder:
    """The counting itself; `snapshot` is what leaves the simulator."""

    connections: list[ConnectionStats] = field(default_factory=list)
    requests: deque[RequestStats] = field(default_factory=lambda: deque(maxlen=_REQUESTS_KEPT))
    by_route: Counter[str] = field(default_factory=Counter)
    by_run: Counter[str] = field(default_factory=Counter)
    floods_now: int = 0
    floods_max: int = 0
    bytes_sent: int = 0

    def request(self, seen: RequestStats) -> None:
        """Count a request."""
        self.requests.append(seen)
        self.by_route[seen.route] += 1
        if seen.run_id is not None:
            self.by_run[seen.run_id] += 1

    def flood_began(self) -> None:
        """A run begins to pour out frames."""
        self.floods_now += 1
        self.floods_max = max(self.floods_max, self.floods_now)

    def flood_ended(self) -> None:
        """A run has poured out its frames, or its reader is gone."""
        self.floods_now -= 1

    def snapshot(self) -> BackendStats:
        """The counts as they are now; later ones do not change it."""
        return BackendStats(
            connections=tuple(replace(each) for each in self.connections),
            requests=tuple(self.requests),
            requests_by_route=Counter(self.by_route),
            requests_by_run=Counter(self.by_run),
            floods_now=self.floods_now,
            floods_max=self.floods_max,
            bytes_sent=self.bytes_sent,
        )
