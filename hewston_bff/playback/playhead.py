"""A playhead: a clock over positions. It maps a time to a position, and a position to a time.

Time comes in as `now_s`, seconds of any clock that does not go back. A stopped playhead has no
anchor: it continues from where it is started next, so playback does not catch up on a wait.
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
        """Stop the clock; the next `start` sets position and time."""
        self.anchor_s = None

    def start(self, now_s: float, at: float) -> None:
        """Run from position `at` at `now_s`."""
        self.anchor_s, self.anchor_at = now_s, at

    def position(self, now_s: float) -> float:
        """The position at `now_s`; only while it runs."""
        assert self.anchor_s is not None  # noqa: S101 - see above
        return self.anchor_at + (now_s - self.anchor_s) * self.rate

    def set_speed(self, speed: float, *, now_s: float, at_most: Callable[[], float]) -> None:
        """Change the speed from the present position, or from `at_most` if that is earlier."""
        if self.speed == 0:
            # Speed 0 runs without a clock: an old anchor would lie far behind.
            self.stop()
        elif self.anchor_s is not None:
            self.start(now_s, min(self.position(now_s), at_most()))
        self.speed = speed
        self.rate = FRAMES_PER_S * speed
