"""What is to happen, in order of time; and what it writes. Knows no clock."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

SECOND_NS = 1_000_000_000

Act = Callable[[], None]


class NodeEntry(NamedTuple):
    """What a node writes to a stream at `ns`, nanoseconds since 1970. `topic` has no kind."""

    ns: int
    topic: str
    type: str
    payload: bytes


class Timeline:
    """Calls what was planned, each at its time, and gathers what it writes."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._plan: list[tuple[int, int, int, Act]] = []
        self._count = 0
        self._written: list[NodeEntry] = []

    @property
    def next_ns(self) -> int:
        """When something happens next; there is always something planned."""
        return self._plan[0][0]

    def at(self, ns: int, act: Act, *, order: int = 1) -> None:
        """Call `act` at this time; of those of one time the lowest `order` first."""
        self._count += 1
        heappush(self._plan, (max(ns, self.now_ns), order, self._count, act))

    def after(self, seconds: float, act: Act) -> None:
        """Call `act` so many seconds from now."""
        self.at(self.now_ns + round(seconds * SECOND_NS), act)

    def write(self, topic: str, kind: str, payload: bytes) -> None:
        """Write an entry, now."""
        self._written.append(NodeEntry(self.now_ns, topic, kind, payload))

    def advance(self, until_ns: int) -> list[NodeEntry]:
        """Let everything before `until_ns` happen; what was written, in order."""
        plan = self._plan
        while plan and plan[0][0] < until_ns:
            self.now_ns, _, _, act = heappop(plan)
            act()
        self.now_ns = max(self.now_ns, until_ns)
        written, self._written = self._written, []
        return written
