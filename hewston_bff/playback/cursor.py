"""A cursor: one viewer's position in a log, and the rule by which it moves.

Play, pause, seek, step and speed are the viewer's own; the log does not know of them. Time comes in
as `now_s`, seconds of any clock that does not go back. While the log holds nothing at the position,
the cursor's clock stands still, so that nobody skips what they were not shown.
"""

from math import floor, inf

from hewston_bff.log.seek_targets import Found, OutOfRange, Target, locate
from hewston_bff.playback.grid import Grid
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.notices import CursorStatus
from hewston_bff.topics.run.frame_log import FrameLog

FRAMES_PER_S = 30.0
"""Source frames a second at speed 1."""
TICKS_PER_S = 60.0
CHUNK = 256
"""The most frames that `due` gives at once in `all` mode."""

_EPSILON = 1e-6
"""Frames: a release time computed a rounding error late still counts as reached."""


class Cursor:
    """One subscription's place in a run. `next_seq` is the first frame not yet delivered or passed.

    `wake_s` is when `due` may next have something, as far as time alone decides; inf if only new
    frames or a command can.
    """

    __slots__ = (
        "_anchor_s",
        "_anchor_seq",
        "_beat",
        "_cut",
        "_grid",
        "_least_width",
        "is_live",
        "is_paused",
        "lost",
        "max_fps",
        "mode",
        "next_seq",
        "owed",
        "rate",
        "speed",
        "target",
        "wake_s",
    )

    def __init__(self, *, speed: float, max_fps: float, mode: Mode, is_paused: bool) -> None:
        self.next_seq = 0
        self.target: Target | None = None
        """Where to go once the log can tell where that is."""
        self.owed = 0
        """Frames to deliver even while paused: one after a seek, n after a step."""
        self.lost = 0
        self.mode: Mode = mode
        self.max_fps = max_fps
        self.is_paused = is_paused
        self.is_live = False
        self.wake_s = inf
        self._anchor_s: float | None = None
        self._anchor_seq = 0.0
        self._beat = -1
        self._set_speed(speed)

    def _set_speed(self, speed: float) -> None:
        self.speed = speed
        self.rate = FRAMES_PER_S * speed
        self._cut = -1
        per_s = self.max_fps if self.mode == "merge" else TICKS_PER_S
        self._grid = Grid.of(rate=self.rate, per_s=per_s)
        self._least_width = floor(self._grid.width)

    def status(self, log: FrameLog, *, is_growing: bool) -> CursorStatus:
        """What the viewer is told. `is_growing`: the run is known not to be over."""
        available = log.next_seq
        if self.target is not None or (self.owed and self.next_seq >= available):
            return "ended" if log.is_complete else "buffering"
        if self.is_paused:
            return "paused"
        if self.next_seq >= available:
            if log.is_complete:
                return "ended"
            return "live" if is_growing and available else "buffering"
        return "live" if self.is_live and is_growing else "playing"

    def play(self) -> None:
        """Play on from here; while playing it changes nothing."""
        if self.is_paused:
            self.is_paused = False
            self.owed = 0
            self.stop_clock()

    def pause(self) -> None:
        """Stand still here."""
        self.is_paused = True
        self.is_live = False
        self.stop_clock()

    def stop_clock(self) -> None:
        """Nothing can be shown: go on from here, whenever that will be."""
        self._anchor_s = None

    def set_speed(self, speed: float, *, now_s: float) -> None:
        """Go on at another speed from where the clock is now."""
        if self.speed == 0:
            # As fast as possible has no clock: an old one would lie far behind the cursor.
            self.stop_clock()
        elif self._anchor_s is not None:
            head = self._anchor_seq + (now_s - self._anchor_s) * self.rate
            # What a slow reader in `all` mode has yet to get is no reason to hurry from now on.
            ahead = inf if self.mode == "merge" else min(self._grid.width, CHUNK)
            self._anchor_s, self._anchor_seq = now_s, min(head, self.next_seq + ahead)
        self._set_speed(speed)

    def step(self, frames: int) -> None:
        """Pause, and deliver the next `frames` (> 0), after those still owed."""
        self.pause()
        self.owed += frames

    def go(self, target: Target, *, show: bool) -> None:
        """Go to `target` once the log can tell where it is; `show`: deliver its frame at once."""
        self.is_live = False
        self.target = target
        self.owed = int(show)
        self.stop_clock()

    def settle(self, log: FrameLog) -> Found | OutOfRange | None:
        """Arrive at the target if the log can tell where; out of range is the end of the run."""
        if self.target is None:
            return None
        place = locate(self.target, log)
        if place is None:
            return None
        self.target = None
        if isinstance(place, OutOfRange):
            self.next_seq = log.next_seq
            self.owed = 0
        else:
            self.next_seq = place.seq
        return place

    def skip_evicted(self, log: FrameLog) -> int:
        """Pass over frames that are no longer held; how many were lost by it."""
        gone = log.first_seq - self.next_seq
        if gone <= 0 or self.target is not None:
            return 0
        self.lost += gone
        self.next_seq = log.first_seq
        self.stop_clock()
        return gone

    def due(self, log: FrameLog, *, now_s: float, is_growing: bool) -> int:
        """The end of the span to deliver now, from `next_seq`; equal to it, there is nothing.

        The caller delivers the span (in `all` mode frame by frame) and calls `delivered`; or does
        not, and asks again later: then the span has grown.
        """
        start, available = self.next_seq, log.next_seq
        self.wake_s = inf
        if self.owed or self.target is not None:
            return self._due_owed(log)
        if self.is_paused or start >= available:
            if not self.is_paused:
                self.stop_clock()
                # An empty log has no edge yet: what it holds in a moment is not all new.
                self.is_live = self.is_live or (is_growing and available > 0)
            return start
        if self.is_live:
            return self._due_at_edge(available, now_s)
        return self._due_playing(log, now_s, is_growing=is_growing)

    def delivered(self, stop: int, log: FrameLog, *, now_s: float) -> None:
        """Frames up to `stop` went out."""
        if self.owed:
            is_last = log.is_complete and stop >= log.next_seq
            self.owed = 0 if is_last else max(0, self.owed - (stop - self.next_seq))
            if not self.is_paused:
                self._anchor_s, self._anchor_seq = now_s, stop - 1.0
        elif stop >= log.next_seq:
            self.stop_clock()
        self.next_seq = stop
        self._set_wake(log, now_s)

    def _due_owed(self, log: FrameLog) -> int:
        if self.target is not None:
            return self.next_seq
        wanted = self.next_seq + self.owed
        if wanted <= log.next_seq:
            return wanted if self.mode == "merge" else min(wanted, self._chunk_end())
        return log.next_seq if log.is_complete else self.next_seq

    def _due_playing(self, log: FrameLog, now_s: float, *, is_growing: bool) -> int:
        start, available = self.next_seq, log.next_seq
        if self._anchor_s is None:
            self._anchor_s, self._anchor_seq = now_s, float(start)
        if self.speed == 0:
            return min(available, self._chunk_end())
        # The frame at the clock is released with it, hence the 1.
        head = self._anchor_seq + (now_s - self._anchor_s) * self.rate
        released = floor(head + _EPSILON) + 1
        self.is_live = is_growing and released >= available
        if self.mode == "all":
            stop = min(released, available, self._chunk_end())
        elif released < available:
            # On time it is the cut that `wake_s` was set for; late, a later one.
            cut = self._cut
            is_on_time = cut <= released < cut + self._least_width
            stop = cut if is_on_time else self._grid.last_cut(released)
        elif log.is_complete:
            stop = available
        else:
            return self._due_at_edge(available, now_s)
        if stop <= start:
            self._set_wake(log, now_s)
            return start
        return stop

    def _due_at_edge(self, available: int, now_s: float) -> int:
        """All there is, at beats that are the same for everyone with this `max_fps`."""
        beat = floor(now_s * self.max_fps + _EPSILON)
        if beat <= self._beat and self.mode == "merge":
            self.wake_s = (self._beat + 1) / self.max_fps
            return self.next_seq
        self._beat = beat
        return available if self.mode == "merge" else min(available, self._chunk_end())

    def _set_wake(self, log: FrameLog, now_s: float) -> None:
        start, available = self.next_seq, log.next_seq
        if start >= available or (self.is_paused and not self.owed):
            self.wake_s = inf
        elif self.is_live or self.speed == 0 or self._anchor_s is None:
            self.wake_s = now_s
        else:
            cut = self._cut = self._grid.next_cut(start)
            last = (min(available, cut)) - 1
            self.wake_s = self._anchor_s + (last - self._anchor_seq) / self.rate

    def _chunk_end(self) -> int:
        return self.next_seq - self.next_seq % CHUNK + CHUNK
