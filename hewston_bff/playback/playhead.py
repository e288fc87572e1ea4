"""A playhead: a clock over positions. It says where playback is at a time, and when at a position.

Time comes in as `now_s`, seconds of any clock that does not go back. A playhead that is stopped has
no clock: it starts again from wherever it is started, so that a wait is not made up for.
"""

from collections.abc import Callable
from typing import Final

FRAMES_PER_S: Final = 30.0
"""Positions a second at speed 1."""


class Playhead:
    """Speed, pause and the moment from which both are counted.

    `rate` is in positions a second, 0 for as fast as possible. `anchor_s` is None while stopped.
    """

    __slots__ = ("anchor_at", "anchor_s", "is_paused", "rate", "speed")

    def __init__(self, *, speed: float, is_paused: bool) -> None:
        self.is_paused = is_paused
        self.anchor_s: float | None = None
        self.anchor_at = 0.0
        self.speed = speed
        self.rate = FRAMES_PER_S * speed

    def stop(self) -> None:
        """Nothing can be shown: go on from where it is started next, whenever that will be."""
        self.anchor_s = None

    def start(self, now_s: float, at: float) -> None:
        """Run from position `at` at `now_s`."""
        self.anchor_s, self.anchor_at = now_s, at

    def position(self, now_s: float) -> float:
        """Where it is at `now_s`; the caller knows that it runs."""
        assert self.anchor_s is not None  # noqa: S101 - see above
        return self.anchor_at + (now_s - self.anchor_s) * self.rate

    def time_at(self, position: float) -> float:
        """When it is at `position`; the caller knows that it runs, at a rate above 0."""
        assert self.anchor_s is not None  # noqa: S101 - see above
        return self.anchor_s + (position - self.anchor_at) / self.rate

    def set_speed(self, speed: float, *, now_s: float, at_most: Callable[[], float]) -> None:
        """Go on at another speed from where it is now, or from `at_most` if that is before."""
        if self.speed == 0:
            # As fast as possible has no clock: an old one would lie far behind.
            self.stop()
        elif self.anchor_s is not None:
            self.start(now_s, min(self.position(now_s), at_most()))
        self.speed = speed
        self.rate = FRAMES_PER_S * speed
