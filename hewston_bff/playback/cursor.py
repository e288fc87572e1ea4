"""A cursor: one viewer's position in a log, and the rule by which it moves.

Play, pause, seek, step and speed belong to the viewer; the log does not know of them. While the log
holds no record at the position, the playhead stops, so that no viewer skips records.
"""

from enum import Enum
from math import floor, inf
from sys import maxsize
from typing import Literal

from hewston_bff.log.log import AnyLog
from hewston_bff.log.seek_targets import Found, OutOfRange, locate
from hewston_bff.playback.grid import Grid
from hewston_bff.playback.playhead import Playhead
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.notices import CursorStatus
from hewston_bff.protocol.positions import SeekTarget

TICKS_PER_S = 60.0
CHUNK = 256
"""The most records that `due` gives at once in `all` mode."""

_EPSILON = 1e-6
"""Records: a release time computed a rounding error late still counts as reached."""


class _Waiting(Enum):
    WAITING = "the log is too short to tell"


WAITING = _Waiting.WAITING
Waiting = Literal[_Waiting.WAITING]


class Cursor:
    """One viewer's position in a log.

    `next_seq` is the first record not yet delivered or passed. `wake_s` is when `due` may next have
    something, as far as time decides; inf if only new records or a command can change that.
    """

    __slots__ = (
        "_beat",
        "_cut",
        "_grid",
        "_least_width",
        "is_live",
        "lost",
        "max_fps",
        "mode",
        "next_seq",
        "owed",
        "playhead",
        "target",
        "wake_s",
    )

    def __init__(self, playhead: Playhead, *, max_fps: float, mode: Mode) -> None:
        self.playhead = playhead
        self.next_seq = 0
        self.target: SeekTarget | None = None
        """Where to go as soon as the log can locate it."""
        self.owed = 0
        """Records to deliver even while paused: 1 after a seek, n after a step."""
        self.lost = 0
        self.mode: Mode = mode
        self.max_fps = max_fps
        self.is_live = False
        self.wake_s = inf
        self._beat = -1
        self._regrid()

    def _regrid(self) -> None:
        self._cut = -1
        per_s = self.max_fps if self.mode == "merge" else TICKS_PER_S
        self._grid = Grid.of(rate=self.playhead.rate, per_s=per_s)
        self._least_width = floor(self._grid.width)

    def status(self, log: AnyLog, *, is_growing: bool) -> CursorStatus:
        """The status for the client. `is_growing`: the topic is known not to be over."""
        available = log.next_seq
        if self.target is not None or (self.owed and self.next_seq >= available):
            return "ended" if log.is_complete else "buffering"
        if self.playhead.is_paused:
            return "paused"
        if self.next_seq >= available:
            if log.is_complete:
                return "ended"
            return "live" if is_growing and available else "buffering"
        return "live" if self.is_live and is_growing else "playing"

    def needs(self) -> range:
        """The records that the cursor still needs; earlier ones may be evicted."""
        return range(self.next_seq, maxsize)

    # -- commands

    def play(self) -> None:
        """Play from here. No effect while playing."""
        if self.playhead.is_paused:
            self.playhead.is_paused = False
            self.owed = 0
            self.playhead.stop()

    def pause(self) -> None:
        """Pause here."""
        self.playhead.is_paused = True
        self.is_live = False
        self.playhead.stop()

    def set_speed(self, speed: float, *, now_s: float) -> None:
        """Change the speed, from where the playhead is now."""
        self.playhead.set_speed(speed, now_s=now_s, at_most=self._furthest)
        self._regrid()

    def _furthest(self) -> float:
        # A backlog of a slow client in `all` mode must not be rushed through at the new speed.
        ahead = inf if self.mode == "merge" else min(self._grid.width, CHUNK)
        return self.next_seq + ahead

    def step(self, frames: int) -> None:
        """Pause, and deliver the next `frames` (> 0), after those still owed."""
        self.pause()
        self.owed += frames

    def seek(self, target: SeekTarget, log: AnyLog | None) -> Found | OutOfRange | Waiting:
        """Move to `target`, whose record is then delivered at once. OutOfRange changes nothing.

        WAITING: the log is too short to locate it, or must not be read yet (`log` is None); later
        `arrive` moves the cursor.
        """
        if log is not None and isinstance(place := locate(target, log), OutOfRange):
            return place
        self.aim(target, show=True)
        return WAITING if log is None else self.arrive(log) or WAITING

    def aim(self, target: SeekTarget, *, show: bool) -> None:
        """Make `target` the next position; `show`: deliver its record at once on arrival."""
        self.is_live = False
        self.target = target
        self.owed = int(show)
        self.playhead.stop()

    def arrive(self, log: AnyLog) -> Found | OutOfRange | None:
        """Move to the target if the log can locate it; out of range, to the end of the log."""
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

    def skip_evicted(self, log: AnyLog) -> int:
        """Skip records that are no longer held; returns how many the viewer lost."""
        gone = log.first_seq - self.next_seq
        if gone <= 0 or self.target is not None:
            return 0
        self.lost += gone
        self.next_seq = log.first_seq
        self.playhead.stop()
        return gone

    # -- ticks

    def due(self, log: AnyLog, *, now_s: float, is_growing: bool) -> int:
        """The end of the span to deliver now, which starts at `next_seq`; equal: nothing is due.

        It delivers nothing: asked again later, the span has grown.
        """
        start, available = self.next_seq, log.next_seq
        self.wake_s = inf
        if self.owed or self.target is not None:
            return self._due_owed(log)
        if self.playhead.is_paused or start >= available:
            if not self.playhead.is_paused:
                self.playhead.stop()
                # An empty log has no edge yet: what arrives next need not be the newest.
                self.is_live = self.is_live or (is_growing and available > 0)
            return start
        if self.is_live:
            return self._due_at_edge(available, now_s)
        return self._due_playing(log, now_s, is_growing=is_growing)

    def take(self, log: AnyLog, *, now_s: float, is_growing: bool) -> int:
        """Like `due`, and the span counts as delivered."""
        start = self.next_seq
        stop = self.due(log, now_s=now_s, is_growing=is_growing)
        if stop > start:
            if self.owed:
                self._settle_debt(stop, log, now_s)
            elif stop >= log.next_seq:
                self.playhead.anchor_s = None
            self.next_seq = stop
            self._set_wake(log, now_s)
        return stop

    def _settle_debt(self, stop: int, log: AnyLog, now_s: float) -> None:
        """The records owed up to `stop` are delivered."""
        is_last = log.is_complete and stop >= log.next_seq
        self.owed = 0 if is_last else max(0, self.owed - (stop - self.next_seq))
        if not self.playhead.is_paused:
            self.playhead.start(now_s, stop - 1.0)

    def _due_owed(self, log: AnyLog) -> int:
        if self.target is not None:
            return self.next_seq
        wanted = self.next_seq + self.owed
        if wanted <= log.next_seq:
            return wanted if self.mode == "merge" else min(wanted, self._chunk_end())
        return log.next_seq if log.is_complete else self.next_seq

    def _due_playing(self, log: AnyLog, now_s: float, *, is_growing: bool) -> int:
        start, available = self.next_seq, log.next_seq
        playhead = self.playhead
        if playhead.anchor_s is None:
            playhead.anchor_s, playhead.anchor_at = now_s, float(start)
        if playhead.speed == 0:
            return min(available, self._chunk_end())
        # `playhead.position`, without a call: this is done for every message. The record at the
        # playhead is released with it, hence the 1.
        position = playhead.anchor_at + (now_s - playhead.anchor_s) * playhead.rate
        released = floor(position + _EPSILON) + 1
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
        """Everything held, at beats that all viewers with this `max_fps` share."""
        beat = floor(now_s * self.max_fps + _EPSILON)
        if beat <= self._beat and self.mode == "merge":
            self.wake_s = (self._beat + 1) / self.max_fps
            return self.next_seq
        self._beat = beat
        return available if self.mode == "merge" else min(available, self._chunk_end())

    def _set_wake(self, log: AnyLog, now_s: float) -> None:
        start, available, playhead = self.next_seq, log.next_seq, self.playhead
        if start >= available or (playhead.is_paused and not self.owed):
            self.wake_s = inf
        elif self.is_live or playhead.speed == 0 or playhead.anchor_s is None:
            self.wake_s = now_s
        else:
            cut = self._cut = self._grid.next_cut(start)
            last = (min(available, cut)) - 1
            # When the playhead is there; without a call, for this is done for every message.
            self.wake_s = playhead.anchor_s + (last - playhead.anchor_at) / playhead.rate

    def _chunk_end(self) -> int:
        return self.next_seq - self.next_seq % CHUNK + CHUNK
