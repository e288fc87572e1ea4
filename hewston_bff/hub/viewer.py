"""One viewer of one topic: a cursor, and the messages that its moves call for.

It decides and returns; `Subscription` sends. It never waits and knows no socket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from msgspec import UNSET

from hewston_bff.hub.announced_state import AnnouncedState, Re
from hewston_bff.hub.channel import Channel, ResetNews
from hewston_bff.hub.permits import Permit
from hewston_bff.log.changes import Failed
from hewston_bff.log.log import AnyLog
from hewston_bff.log.seek_targets import Found, OutOfRange, locate
from hewston_bff.playback.commands import (
    CursorCommand,
    GoLive,
    Pause,
    Play,
    Seek,
    SetSpeed,
    Step,
)
from hewston_bff.playback.cursor import WAITING, Cursor
from hewston_bff.playback.playhead import Playhead
from hewston_bff.playback.steady_status import SteadyStatus
from hewston_bff.protocol.commands import RequestId, Subscribe
from hewston_bff.protocol.notices import CursorStatus, Ended, Lag, Notice, Reset, SkippedFrames
from hewston_bff.protocol.positions import AfterTime, AtEdge, AtIndex, SeekTarget
from hewston_bff.protocol.updates import Updates

SNAPSHOT_GAP_S: Final = 0.2
METRICS_GAP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """How a topic is wanted: the request, its number, and where it begins."""

    sid: int | None
    request: Subscribe
    start: SeekTarget | None
    updates: Updates
    has_snapshots: bool = True
    is_introduced: bool = True
    """Whether `subscribed` is sent; the backend's own protocol has no such message."""


class Reply(NamedTuple):
    """The result of a command: messages, and whether to be driven at the next tick."""

    notices: Sequence[Notice] = ()
    wakes: bool = True


Sends = tuple[Sequence[Notice], int, int, float | None]
"""The result of a tick: messages; start and stop of the records to send; when to come again.

A time means that nothing else can be sent before it; None means that `after` has the rest. A plain
tuple, because one is made for every message.
"""


class Viewer:
    """One cursor on one channel."""

    def __init__(self, channel: Channel, permit: Permit, options: SubscriptionOptions) -> None:
        request = options.request
        self.channel = channel
        self.permit = permit
        self.options = options
        self.cursor = Cursor(
            Playhead(speed=request.speed, is_paused=request.paused),
            max_fps=request.max_fps,
            mode=request.mode,
        )
        self.announced = AnnouncedState(sid=UNSET if options.sid is None else options.sid)
        self.has_metrics = Updates.METRICS in options.updates
        self._steady = SteadyStatus()
        self._snapshot_due = False
        self._snapshot_after_s = -inf
        self._metrics_after_s = -inf
        self._metrics_seq = -1
        self._target_re: Re = UNSET
        self._is_seek = False

    # -- where it stands

    @property
    def readable(self) -> AnyLog | None:
        """The log, if this viewer may read it."""
        return self.channel.log if self.permit.is_granted else None

    def status(self, now_s: float) -> CursorStatus:
        """The status of the cursor, as the protocol has it."""
        cursor = self.cursor
        if not self.permit.is_granted:
            return "paused" if cursor.playhead.is_paused else "buffering"
        log, rate = self.channel.log, cursor.playhead.rate
        status = cursor.status(log, is_growing=self.channel.is_growing)
        ahead = log.next_seq - cursor.next_seq
        stock_s = inf if log.is_complete or not rate else ahead / rate
        return self._steady.told(status, stock_s=stock_s, now_s=now_s)

    @property
    def needs_records(self) -> bool:
        """Whether it would continue if the log had more records."""
        cursor = self.cursor
        return not cursor.playhead.is_paused or cursor.target is not None or cursor.owed > 0

    @property
    def is_plainly_live(self) -> bool:
        """Whether it needs only the newest records: it can join a live group."""
        cursor, channel = self.cursor, self.channel
        return (
            self.announced.status == "live"
            and cursor.is_live
            and channel.is_growing
            and cursor.mode == "merge"
            and self.options.updates.has_frames
            and not self.has_metrics
            and cursor.next_seq == channel.log.next_seq
        )

    def state(self, now_s: float, re: Re = UNSET, *, has_seeked: bool = False) -> Notice:
        """The `state` message; records it as announced."""
        return self.announced.state(
            re, self.cursor, self.readable, self.status(now_s), has_seeked=has_seeked
        )

    # -- commands

    def begin(self, now_s: float) -> list[Notice]:
        """Take the first position; returns the answer to `subscribe`."""
        request, options = self.options.request, self.options
        place = self._start()
        notices: list[Notice] = []
        re: Re = UNSET if request.id is None else request.id
        if options.is_introduced:
            status = self.status(now_s)
            topic = self.channel.topic
            notices.append(self.announced.subscribed(re, topic, self.cursor, self.readable, status))
        if isinstance(place, OutOfRange):
            notices.append(self.announced.out_of_range(re, self.channel.log))
        return notices

    def _start(self) -> Found | OutOfRange | None:
        """Take the first position; out of range is the end of the log."""
        target = self.options.start
        if target is None:
            return None
        self.cursor.aim(target, show=False)
        self.cursor.is_live = isinstance(target, AtEdge)
        request_id = self.options.request.id
        self._target_re = UNSET if request_id is None else request_id
        if not self.permit.is_granted:
            return None
        place = self.cursor.arrive(self.channel.log)
        if isinstance(place, Found):
            self.announced.recovered = place.recovered
            self._snapshot_due = place.recovered is False and self.options.has_snapshots
        return place

    def command(self, command: CursorCommand, re: RequestId | None, now_s: float) -> Reply:
        """Obey; the reply is a `state`, or an `err` if the position does not exist."""
        request: Re = UNSET if re is None else re
        match command:
            case Play():
                return self._play(request, now_s)
            case Pause():
                self.cursor.pause()
                return Reply([self.state(now_s, request)], wakes=False)
            case GoLive():
                return self._seek(AtEdge(), request, now_s, is_live=True)
            case Seek(target):
                return self._seek(target, request, now_s)
            case SetSpeed(speed):
                self.cursor.set_speed(speed, now_s=now_s)
                return Reply([self.state(now_s, request)])
            case Step(frames):
                return self._step(frames, request, now_s)

    def _play(self, re: Re, now_s: float) -> Reply:
        log, cursor = self.channel.log, self.cursor
        is_at_end = log.is_complete and cursor.target is None and cursor.next_seq >= log.next_seq
        cursor.play()
        if is_at_end and self.permit.is_granted:
            cursor.aim(AtIndex(log.first_seq), show=False)
            cursor.arrive(log)
            return Reply([self.state(now_s, re, has_seeked=True)])
        return Reply([self.state(now_s, re)])

    def _seek(self, target: SeekTarget, re: Re, now_s: float, *, is_live: bool = False) -> Reply:
        place = self.cursor.seek(target, self.readable)
        if isinstance(place, OutOfRange):
            return Reply([self.announced.out_of_range(re, self.channel.log)], wakes=False)
        self._steady.restart()
        if is_live:
            self.cursor.playhead.is_paused = False
            self.cursor.is_live = True
        else:
            self._is_seek = True
        if place is WAITING:
            self._target_re = re
        else:
            self._target_re = UNSET
            self._snapshot_due = self.options.has_snapshots
        return Reply([self.state(now_s, re, has_seeked=True)])

    def _step(self, frames: int, re: Re, now_s: float) -> Reply:
        log, cursor = self.channel.log, self.cursor
        if frames < 0:
            # The client counts from the record that is due, sent or not.
            shown = min(cursor.next_seq + cursor.owed, log.next_seq) - 1
            place = AtIndex(max(log.first_seq, shown + frames))
            if not (self.permit.is_granted and isinstance(locate(place, log), OutOfRange)):
                cursor.pause()
            return self._seek(place, re, now_s)
        is_at_end = log.is_complete and cursor.next_seq >= log.next_seq
        if self.permit.is_granted and is_at_end:
            return Reply([self.announced.out_of_range(re, log)], wakes=False)
        cursor.step(frames)
        return Reply([self.state(now_s, re)])

    # -- news

    def failed(self, failure: Failed) -> Notice:
        """The message that no more records will come."""
        return self.announced.error(failure.code, failure.message, failure.details)

    def skipped(self, skipped: SkippedFrames) -> list[Notice]:
        """The message that records are missing or incomplete; none if they are not."""
        return [self.announced.skipped(skipped)] if skipped.frames else []

    def reset(self, news: ResetNews, now_s: float) -> list[Notice]:
        """The log has a new epoch: continue by time; returns what to send."""
        cursor, log, old = self.cursor, self.channel.log, news.old
        notices: list[Notice] = []
        if self.permit.is_granted:
            notices += self._lag(old)
        notices.append(Reset(sid=self.announced.sid, epoch=log.epoch, reason=news.reason))
        self.announced.is_introduced = self.announced.is_introduced and log.epoch is not None
        self._snapshot_due = False
        self._metrics_seq = -1
        if cursor.target is None and not cursor.is_live:
            seen = min(cursor.next_seq, old.next_seq) - 1
            if seen >= 0:
                was_owed = cursor.owed
                cursor.aim(_after(seen, old, log), show=False)
                cursor.owed = was_owed
            else:
                notices.append(self.state(now_s, has_seeked=True))
            self._is_seek = False
        elif cursor.target is None:
            self._follow()
        if not log.next_seq:
            # The new log is still empty: that is the client's position.
            cursor.next_seq = 0
            notices.append(self.state(now_s))
        return notices

    def _follow(self) -> None:
        """Follow the newest records from now on."""
        self.cursor.playhead.is_paused = False
        self.cursor.aim(AtEdge(), show=True)
        self.cursor.is_live = True

    # -- ticks

    def arrive(self, now_s: float) -> list[Notice]:
        """Move to the target if the log can locate it; returns what to send."""
        place = self.cursor.arrive(self.channel.log)
        if place is None:
            return []
        re, self._target_re = self._target_re, UNSET
        if isinstance(place, OutOfRange):
            refusal = self.announced.out_of_range(re, self.channel.log)
            return [refusal, self.state(now_s, has_seeked=True)]
        if place.recovered is not None:
            self.announced.recovered = place.recovered
            self.announced.owes_recovery = True
        goes_on_exactly = place.recovered is True
        if not goes_on_exactly:
            self._snapshot_due = self.options.has_snapshots and (
                self._is_seek or place.recovered is False
            )
        return [self.state(now_s, has_seeked=not goes_on_exactly)]

    def tick(self, now_s: float) -> Sends:
        """What is due at `now_s`, for a client that can take it: it counts as delivered."""
        cursor, channel = self.cursor, self.channel
        log = channel.log
        notices: Sequence[Notice] = ()
        if (
            self._snapshot_due
            or cursor.next_seq < log.first_seq
            or not (self.announced.is_introduced or log.epoch is None)
        ):
            notices = self._overture(log, now_s)
            if self._snapshot_due:
                return notices, 0, 0, self._snapshot_after_s
        start = cursor.next_seq
        return notices, start, cursor.take(log, now_s=now_s, is_growing=channel.is_growing), None

    def _overture(self, log: AnyLog, now_s: float) -> list[Notice]:
        """The messages that must be sent before records."""
        notices = []
        if not self.announced.is_introduced and log.epoch is not None:
            notices.append(self.state(now_s))
        if self._snapshot_due and now_s >= self._snapshot_after_s:
            self._snapshot_due = False
            self._snapshot_after_s = now_s + SNAPSHOT_GAP_S
            stop = self.cursor.next_seq
            snapshot = self.channel.codec.snapshot(stop, sid=self.options.sid)
            if snapshot is not None:
                notices.append(snapshot)
        if not self._snapshot_due:
            notices += self._lag(log)
        return notices

    def _lag(self, log: AnyLog) -> list[Notice]:
        first = self.cursor.next_seq
        lost = self.cursor.skip_evicted(log)
        if not lost:
            return []
        self.channel.counters.dropped += lost
        return [Lag(sid=self.announced.sid, from_=first, to=first + lost - 1)]

    def after(self, now_s: float) -> list[Notice]:
        """The messages that follow the records of a tick.

        None while the cursor plays on, has a time to wake, and no metrics are wanted.
        """
        cursor = self.cursor
        notices: list[Notice] = []
        if cursor.wake_s == inf or self.announced.status != "playing":
            notices += self._changes(now_s)
        # At rest figures must be those of the frame shown, not of one up to a second earlier.
        if self.has_metrics and (now_s >= self._metrics_after_s or cursor.playhead.is_paused):
            notices += self._metrics(now_s)
        return notices

    def _changes(self, now_s: float) -> list[Notice]:
        log = self.channel.log
        if self.announced.status == "live" and self.cursor.is_live and self.channel.is_growing:
            return []
        notices: list[Notice] = []
        status = self.status(now_s)
        if status != self.announced.status:
            if status in {"buffering", "ended"} and self.has_metrics:
                notices += self._metrics(now_s)
            notices.append(self.state(now_s))
        if status == "ended" and not self.announced.is_end:
            # The reply to a command may have said "ended" already; `end` itself was not sent yet.
            self.announced.is_end = True
            notices.append(Ended(sid=self.announced.sid, seq=log.next_seq - 1))
        return notices

    def _metrics(self, now_s: float) -> list[Notice]:
        seq = self.cursor.next_seq - 1
        if seq == self._metrics_seq or not self.channel.log.holds(seq):
            return []
        self._metrics_seq = seq
        self._metrics_after_s = now_s + METRICS_GAP_S
        figures = self.channel.codec.figures(seq, sid=self.options.sid)
        return [] if figures is None else [figures]


def _after(seen: int, old: AnyLog, log: AnyLog) -> SeekTarget:
    """Where to continue in `log` after record `seen` of the log that it was forked from."""
    if seen < log.shared and log.holds(seen + 1):
        # It has seen the same records: by index, none that shares a time is passed over.
        return AtIndex(seen + 1)
    # The record just before the first one held may be gone, and its time with it.
    return AfterTime(old.ts_ns(seen) if old.holds(seen) else old.ts_ns(old.first_seq) - 1)
