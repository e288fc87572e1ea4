# long: one viewer's whole life; commands, ticks and news all move the same few members
"""One viewer of one run: a cursor, and what the viewer is told as it moves."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import msgspec
from msgspec import UNSET

from hewston_bff.errors import BffError, ErrorCode
from hewston_bff.hub.announced_state import Re, Told
from hewston_bff.hub.channel import Channel
from hewston_bff.hub.live_group import LiveGroup
from hewston_bff.hub.permits import Access
from hewston_bff.hub.ticker import PERIOD_S
from hewston_bff.log.seek_targets import (
    AfterTime,
    AtEdge,
    AtIndex,
    Found,
    OutOfRange,
    Target,
)
from hewston_bff.playback.cursor import Cursor
from hewston_bff.playback.steady_status import SteadyStatus
from hewston_bff.ports import INTERNAL_REASON, Sink
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.protocol.commands import Subscribe
from hewston_bff.protocol.notices import (
    CursorStatus,
    Ended,
    Err,
    Lag,
    Metrics,
    Reset,
    ResetReason,
    Skipped,
    Snapshot,
    State,
)
from hewston_bff.protocol.times import format_time
from hewston_bff.topics.run.encoding import Updates
from hewston_bff.topics.run.frame_log import FrameLog
from hewston_bff.topics.run.link import LinkState

SNAPSHOT_GAP_S = 0.2
METRICS_GAP_S = 1.0
_CHUNKS_A_TICK = 8


@dataclass(frozen=True, slots=True)
class Viewing:
    """How a client watches, besides where: what it is called on its socket and what it wants."""

    sid: int | None
    updates: Updates
    has_snapshots: bool = True
    is_introduced: bool = True
    """Whether `subscribed` is sent; the backend's own protocol has no such message."""


class Subscription:
    """One cursor on one channel, writing to one sink.

    Driven by the ticker (`tick`), by its client (`seek` and its like) and by its channel (`on_…`).
    """

    def __init__(
        self,
        channel: Channel,
        sink: Sink,
        access: Access,
        *,
        viewing: Viewing,
        request: Subscribe,
        start: Target | None,
        refused: "Callable[[Subscription, BffError], None]",
    ) -> None:
        self.channel = channel
        self.sink = sink
        self.access = access
        self.viewing = viewing
        self.request_id = request.id
        self.is_answered = False
        self.cursor = Cursor(
            speed=request.speed,
            max_fps=request.max_fps,
            mode=request.mode,
            is_paused=request.paused,
        )
        self.scheduled = -1
        self.is_closed = False
        self.is_waiting = False
        self._group: LiveGroup | None = None
        self._refused = refused
        self._target = start
        self._shape = channel.cache.shape(
            sink.framing, sid=viewing.sid, updates=viewing.updates, mode=request.mode
        )
        self._has_frames = viewing.updates.has_frames
        self._has_metrics = Updates.METRICS in viewing.updates
        self._told = Told(sid=UNSET if viewing.sid is None else viewing.sid)
        self._steady = SteadyStatus()
        self._snapshot_due = False
        self._snapshot_after_s = -inf
        self._metrics_after_s = -inf
        self._metrics_seq = -1
        self._has_heard_of_skips = False
        self._target_re: Re = UNSET
        self._is_seek = False

    @property
    def wants_run_news(self) -> bool:
        """Whether `run` messages are wanted."""
        return Updates.RUN in self.viewing.updates

    @property
    def reads_run_news(self) -> bool:
        """Whether its client gets them and knows what they say."""
        return self.wants_run_news and self.viewing.is_introduced

    def close(self) -> None:
        """See nothing more."""
        self.leave_group()
        self.channel.waiting.pop(self, None)
        self.is_closed = True

    def position(self) -> int:
        """The oldest frame that this viewer still needs."""
        return self.cursor.next_seq if self._group is None else self._group.next_seq

    # -- what the client hears of itself

    @property
    def status(self) -> CursorStatus:
        """Where the cursor stands, in the protocol's words."""
        if not self.access.is_granted:
            return "paused" if self.cursor.is_paused else "buffering"
        cursor, log = self.cursor, self.channel.log
        status = cursor.status(log, is_growing=self.channel.is_growing)
        ahead = log.next_seq - cursor.next_seq
        stock_s = inf if log.is_complete or not cursor.rate else ahead / cursor.rate
        return self._steady.told(status, stock_s=stock_s, now_s=self.channel.ticker.next_s)

    def _readable(self) -> FrameLog | None:
        """The log, if this viewer may read it."""
        return self.channel.log if self.access.is_granted else None

    def state(self, re: Re = UNSET, *, has_seeked: bool = False) -> State:
        """Where the cursor stands now; also settles what was told last."""
        self.leave_group()
        return self._told.state(
            re, self.cursor, self._readable(), self.status, has_seeked=has_seeked
        )

    # -- commands

    def answer(self) -> None:
        """Answer `subscribe`, once; say how the run's stream stands where that is news."""
        if self.is_answered:
            return
        self.is_answered = True
        place = self._start()
        notify = self.sink.notify
        re: Re = UNSET if self.request_id is None else self.request_id
        if self.viewing.is_introduced:
            log = self._readable()
            run_id = self.channel.run_id
            notify(self._told.subscribed(re, run_id, self.cursor, log, self.status))
        if place is not None:
            notify(self._told.out_of_range(re, self.channel.log))
        if self.channel.link.state not in {LinkState.UP, LinkState.COMPLETE, LinkState.IDLE}:
            notify(self.channel.upstream_news())
        news = self.channel.run_news() if self.wants_run_news and self.access.is_granted else None
        if news is not None:
            notify(news)
        self._has_heard_of_skips = news is not None and self.reads_run_news
        if not self._has_heard_of_skips:
            self.introduce_skips()
        if self.channel.failure is not None and self.channel.link.state is LinkState.FAILED:
            self.on_failed(self.channel.failure)
        self.wake()

    def _start(self) -> OutOfRange | None:
        """Take the first position; out of range stands at the end."""
        target = self._target
        if target is None:
            return None
        self.cursor.go(target, show=False)
        self.cursor.is_live = isinstance(target, AtEdge)
        self._target_re = UNSET if self.request_id is None else self.request_id
        if not self.access.is_granted:
            return None
        place = self.cursor.settle(self.channel.log)
        if isinstance(place, Found):
            self._told.recovered = place.recovered
            self._snapshot_due = place.recovered is False and self.viewing.has_snapshots
        return place if isinstance(place, OutOfRange) else None

    def follow(self) -> None:
        """Watch the newest frames from now on."""
        self.cursor.is_paused = False
        self.cursor.go(AtEdge(), show=True)
        self.cursor.is_live = True

    def play(self, re: Re) -> None:
        """Play; at the end, from the start. While playing it changes nothing."""
        self.leave_group()
        log, cursor = self.channel.log, self.cursor
        is_at_end = log.is_complete and cursor.target is None and cursor.next_seq >= log.next_seq
        cursor.play()
        if is_at_end and self.access.is_granted:
            cursor.go(AtIndex(log.first_seq), show=False)
            cursor.settle(log)
            self.sink.notify(self.state(re, has_seeked=True))
        else:
            self.sink.notify(self.state(re))
        self.wake()

    def pause(self, re: Re) -> None:
        """Stand still."""
        self.leave_group()
        self.cursor.pause()
        self.sink.notify(self.state(re))

    def set_speed(self, speed: float, re: Re) -> None:
        """Play at another speed."""
        self.leave_group()
        self.cursor.set_speed(speed, now_s=self.channel.ticker.next_s)
        self.sink.notify(self.state(re))
        self.wake()

    def seek(self, target: Target, re: Re) -> None:
        """Go elsewhere; an impossible place is answered with RANGE and changes nothing."""
        if not self._go(target, re):
            return
        self._is_seek = True
        self._target_re = re
        if self.access.is_granted:
            self.cursor.settle(self.channel.log)
        self._after_seek(re)

    def live(self, re: Re) -> None:
        """Jump to the newest frame and follow."""
        if not self._go(AtEdge(), re):
            return
        self.follow()
        self._target_re = re
        if self.access.is_granted:
            self.cursor.settle(self.channel.log)
        self._after_seek(re)

    def step(self, frames: int, re: Re) -> None:
        """Deliver the next `frames`, or go back by them; either way pause."""
        self.leave_group()
        log, cursor = self.channel.log, self.cursor
        if frames < 0:
            # A frame that is due is where the client is, sent or not.
            shown = min(cursor.next_seq + cursor.owed, log.next_seq) - 1
            place = AtIndex(max(log.first_seq, shown + frames))
            if not self._refuses(place, re):
                cursor.pause()
                self.seek(place, re)
            return
        is_at_end = log.is_complete and cursor.next_seq >= log.next_seq
        if self.access.is_granted and is_at_end:
            self.sink.notify(self._told.out_of_range(re, self.channel.log))
            return
        cursor.step(frames)
        self.sink.notify(self.state(re))
        self.wake()

    def _go(self, target: Target, re: Re) -> bool:
        """Set out for `target`, unless it is known not to exist: then nothing changes."""
        if self._refuses(target, re):
            return False
        self.leave_group()
        self.cursor.go(target, show=True)
        self._steady.restart()
        return True

    def _refuses(self, target: Target, re: Re) -> bool:
        """Whether `target` is known not to exist, which the client is told."""
        is_refused = self.access.is_granted and isinstance(self.channel.locate(target), OutOfRange)
        if is_refused:
            self.sink.notify(self._told.out_of_range(re, self.channel.log))
        return is_refused

    def _after_seek(self, re: Re) -> None:
        if self.cursor.target is None:
            self._target_re = UNSET
            self._snapshot_due = self.viewing.has_snapshots
        self.sink.notify(self.state(re, has_seeked=True))
        self.wake()

    # -- what the channel says

    def on_granted(self) -> None:
        """The backend allows this viewer: the log may be read from now on."""
        if self.is_answered:
            if not self._has_heard_of_skips:
                self.introduce_skips()
            self.wake()
        else:
            self.answer()

    def on_refused(self, error: BffError) -> None:
        """The backend does not allow this viewer: its session decides what becomes of it."""
        self._refused(self, error)

    def on_failed(self, error: BffError) -> None:
        """Nothing more will come; what the log holds can still be watched."""
        if self.is_answered:
            details = error.details or UNSET
            self.sink.notify(
                Err(sid=self._told.sid, code=error.code, msg=error.message, details=details)
            )

    def on_suspended(self) -> None:
        """The backend has not confirmed the permission for too long."""
        self.cursor.stop_clock()
        if self.is_answered:
            self.sink.notify(self.state())

    def introduce_skips(self) -> None:
        """Tell a viewer that comes late what the run lacks, if it may know."""
        if not self.access.is_granted:
            return
        self._has_heard_of_skips = True
        skipped = self.channel.skipped
        if skipped is None:
            return
        news = self.channel.run_news() if self.reads_run_news else None
        if news is None:
            self.on_skipped(skipped)
        else:
            self.sink.notify(news)

    def on_skipped(self, skipped: Skipped) -> None:
        """Frames of the run are missing, or lack something."""
        if not skipped.frames:
            return
        self.sink.notify(
            Err(
                sid=self._told.sid,
                code=ErrorCode.FRAMES_SKIPPED,
                msg="this run is shown without what could not be read of it: see details",
                details={"frames": skipped.frames, "reasons": skipped.reasons},
            )
        )

    def on_reset(self, old: FrameLog, reason: ResetReason) -> None:
        """The log has a new epoch; go on by time."""
        if not self.is_answered:
            return
        cursor = self.cursor
        log = self.channel.log
        self.leave_group()
        if self.access.is_granted:
            self._tell_lag(old)
        self.sink.notify(Reset(sid=self._told.sid, epoch=log.epoch, reason=reason))
        self._told.is_introduced = self._told.is_introduced and log.epoch is not None
        self._snapshot_due = False
        self._metrics_seq = -1
        if cursor.target is None and not cursor.is_live:
            seen = min(cursor.next_seq, old.next_seq) - 1
            was_owed = cursor.owed
            if 0 <= seen < log.shared and log.holds(seen + 1):
                # It has seen the same: no frame that shares its time with the next is passed over.
                cursor.go(AtIndex(seen + 1), show=False)
                cursor.owed = was_owed
            elif seen >= 0:
                # The frame just before the first one held may be gone, and its time with it.
                seen_ns = old.ts_ns(seen) if old.holds(seen) else old.ts_ns(old.first_seq) - 1
                cursor.go(AfterTime(seen_ns), show=False)
                cursor.owed = was_owed
            else:
                self.sink.notify(self.state(has_seeked=True))
            self._is_seek = False
        elif cursor.target is None:
            self.follow()
        if not log.next_seq:
            # Nothing of the new run is there yet: that is where the client stands.
            cursor.next_seq = 0
            self.sink.notify(self.state())
        self.wake()

    def wake(self) -> None:
        """Be driven at the next tick."""
        self.channel.ticker.wake(self)

    def crashed(self) -> None:
        """See `Ticked`: its client goes, and may come back and resume."""
        self.sink.end(CloseCode.INTERNAL, INTERNAL_REASON)

    # -- ticks

    def tick(self, now_s: float) -> float:
        """Deliver what is due; when to come again, inf if only news of the channel can tell."""
        if self.is_closed or not self.access.is_granted:
            return inf
        if self._group is not None:
            self.leave_group()
        at_s = self._tick(now_s)
        if at_s == inf and not self.is_waiting and self._needs_frames():
            self._wait()
        return at_s

    def _wait(self) -> None:
        """Wait for the log to grow, in the group of those who live alike if that is all."""
        cursor, channel = self.cursor, self.channel
        is_plain = (
            self._told.status == "live"
            and cursor.is_live
            and channel.is_growing
            and cursor.mode == "merge"
            and self._has_frames
            and not self._has_metrics
            and cursor.next_seq == channel.log.next_seq
        )
        if is_plain:
            group = channel.live_group(self._shape, max_fps=cursor.max_fps, lost=cursor.lost)
            if group.next_seq == cursor.next_seq or not group.members:
                group.next_seq = cursor.next_seq
                group.members[self] = self.sink.offer
                self._group = group
                return
        self.is_waiting = True
        channel.waiting[self] = None

    def leave_group(self) -> None:
        """Go on alone from the group's position."""
        if self._group is not None:
            self.cursor.next_seq = self._group.next_seq
            del self._group.members[self]
            self._group = None

    def _needs_frames(self) -> bool:
        cursor = self.cursor
        return not cursor.is_paused or cursor.target is not None or cursor.owed > 0

    def _tick(self, now_s: float) -> float:  # noqa: C901 - one tick of one viewer, read top down
        cursor, channel, sink = self.cursor, self.channel, self.sink
        log = channel.log
        if cursor.target is not None and not self._settle(log):
            return inf
        if not sink.can_take():
            return now_s + PERIOD_S
        if not self._told.is_introduced and log.epoch is not None:
            sink.notify(self.state())
        if self._snapshot_due and not self._send_snapshot(log, now_s):
            return self._snapshot_after_s
        if cursor.next_seq < log.first_seq:
            self._tell_lag(log)
        start = cursor.next_seq
        stop = cursor.due(log, now_s=now_s, is_growing=channel.is_growing)
        if stop > start:
            self._deliver(log, start, stop, now_s)
            if cursor.mode == "all":
                self._deliver_more(log, now_s)
        if cursor.wake_s == inf or self._told.status != "playing":
            self._tell_changes(log, now_s)
        # At rest the figures must be those of the frame in sight, not of one up to a second before.
        if self._has_metrics and (now_s >= self._metrics_after_s or cursor.is_paused):
            self._send_metrics(log, now_s)
        return cursor.wake_s

    def _deliver(self, log: FrameLog, start: int, stop: int, now_s: float) -> None:
        if self._has_frames:
            channel = self.channel
            data = channel.cache.get(
                log, channel.log_key, start, stop, self._shape, self.cursor.lost
            )
            self.sink.push(data)
            messages = 1 if self._shape.mode == "merge" else stop - start
            counters = channel.counters
            counters.frames_out += messages
            counters.bytes_out += len(data)
            counters.merged += stop - start - messages
        self.cursor.delivered(stop, log, now_s=now_s)

    def _deliver_more(self, log: FrameLog, now_s: float) -> None:
        """In `all` mode further chunks: as many as are due, and the socket and one tick take."""
        cursor = self.cursor
        for _ in range(_CHUNKS_A_TICK - 1):
            if not self.sink.can_take():
                return
            start = cursor.next_seq
            stop = cursor.due(log, now_s=now_s, is_growing=self.channel.is_growing)
            if stop <= start:
                return
            self._deliver(log, start, stop, now_s)

    def _settle(self, log: FrameLog) -> bool:
        """Arrive, if the log can tell where; False while it can't."""
        place = self.cursor.settle(log)
        if place is None:
            return False
        re, self._target_re = self._target_re, UNSET
        if isinstance(place, OutOfRange):
            self.sink.notify(self._told.out_of_range(re, self.channel.log))
            self.sink.notify(self.state(has_seeked=True))
            return True
        if place.recovered is not None:
            self._told.recovered = place.recovered
            self._told.owes_recovery = True
        goes_on_exactly = place.recovered is True
        if not goes_on_exactly:
            self._snapshot_due = self.viewing.has_snapshots and (
                self._is_seek or place.recovered is False
            )
        self.sink.notify(self.state(has_seeked=not goes_on_exactly))
        return True

    def _send_snapshot(self, log: FrameLog, now_s: float) -> bool:
        """Send the picture up to the cursor; False if the last one was too recent."""
        if now_s < self._snapshot_after_s:
            return False
        self._snapshot_due = False
        self._snapshot_after_s = now_s + SNAPSHOT_GAP_S
        stop = self.cursor.next_seq
        seq = stop - 1
        bars, equity = self.channel.snapshots.picture(stop)
        holds = log.holds(seq)
        self.sink.notify(
            Snapshot(
                sid=self._told.sid,
                seq=seq,
                ts=format_time(log.ts_ns(seq)) if holds else None,
                bars=msgspec.Raw(bars),
                equity=msgspec.Raw(equity),
                orders_total=log.stats(seq).orders if holds else 0,
            )
        )
        return True

    def _tell_lag(self, log: FrameLog) -> None:
        first = self.cursor.next_seq
        lost = self.cursor.skip_evicted(log)
        if lost:
            self.channel.counters.dropped += lost
            self.sink.notify(Lag(sid=self._told.sid, from_=first, to=first + lost - 1))

    def _tell_changes(self, log: FrameLog, now_s: float) -> None:
        if self._told.status == "live" and self.cursor.is_live and self.channel.is_growing:
            return
        status = self.status
        if status != self._told.status:
            if status in {"buffering", "ended"} and self._has_metrics:
                self._send_metrics(log, now_s)
            self.sink.notify(self.state())
        if status == "ended" and not self._told.is_end:
            # An answer to a command may have said "ended" before; the end itself is still news.
            self._told.is_end = True
            self.sink.notify(Ended(sid=self._told.sid, seq=log.next_seq - 1))

    def _send_metrics(self, log: FrameLog, now_s: float) -> None:
        seq = self.cursor.next_seq - 1
        if seq == self._metrics_seq or not log.holds(seq):
            return
        self._metrics_seq = seq
        self._metrics_after_s = now_s + METRICS_GAP_S
        figures = self.channel.figures(seq)
        self.sink.notify(Metrics(sid=self._told.sid, seq=seq, metrics=figures))
