"""Which of the streams that wait for a slot gets the next one.

Each has a time at which it is due: when it began to wait plus what its replay is expected to take,
at most `PATIENCE_S`. So short runs come before long ones, and no stream waits for ever. While one
stream loads, another load would wait behind it at the backend, and every request in between with
it: then only streams that are loaded already may get a slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_S = 8.0
READ_FRAMES_PER_S = 4_500.0
"""How fast the backend streams a run over Server-Sent Events."""
MINUTES_A_DAY = 390


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stream without a slot. `expected_s`: how long its replay takes, None if unknown."""

    since_s: float
    is_loaded: bool
    expected_s: float | None = None

    @property
    def due_s(self) -> float:
        """When it is due, compared to others."""
        patience_s = PATIENCE_S if self.expected_s is None else min(self.expected_s, PATIENCE_S)
        return self.since_s + patience_s


def next_in_line(waiting: Sequence[Waiting], *, is_loading: bool) -> int | None:
    """The index of the stream that gets the free slot; None if none may have it."""
    allowed = [n for n, each in enumerate(waiting) if each.is_loaded or not is_loading]
    return min(allowed, key=lambda n: waiting[n].due_s, default=None)


def expected_s(days: float | None) -> float | None:
    """Roughly how long the replay of a run of so many days takes: good for comparisons only."""
    return None if days is None else days * MINUTES_A_DAY / READ_FRAMES_PER_S
