"""One subscription of one client: it sends what its viewer decides."""

from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from hewston_bff.errors import BffError
from hewston_bff.hub.audience import Audience
from hewston_bff.hub.channel import FailureNews, ResetNews, SkippedNews
from hewston_bff.hub.control import cursor_command
from hewston_bff.hub.live_group import LiveGroup
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.ticker import PERIOD_S
from hewston_bff.hub.viewer import SubscriptionOptions, Viewer
from hewston_bff.ports import Sink
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode
from hewston_bff.protocol.commands import Ctrl, RequestId
from hewston_bff.protocol.notices import Notice
from hewston_bff.protocol.updates import Updates

_CHUNKS_A_TICK: Final = 8
_QUIETLY: Final = frozenset({None, "up", "complete"})
"""States of the connection to the source that a new viewer need not hear of."""


class Subscription:
    """A listener with a client; called by the ticker, its client and the audience."""

    def __init__(
        self,
        audience: Audience,
        permit: Permit,
        sink: Sink,
        *,
        options: SubscriptionOptions,
        refused: "Callable[[Subscription, BffError], None]",
    ) -> None:
        self.audience = audience
        self.permit = permit
        self.sink = sink
        self.options = options
        self.viewer = Viewer(audience.channel, permit, options)
        self.is_answered = False
        self.is_waiting = False
        self.is_closed = False
        self.scheduled = -1
        self._refused = refused
        self._channel = audience.channel
        self._cache = audience.cache
        self._group: LiveGroup | None = None
        self._shape = audience.cache.shape(
            sink.framing,
            sid=options.sid,
            updates=options.updates,
            mode=options.request.mode,
        )
        self._has_frames = options.updates.has_frames
        self._has_heard_of_skips = False

    # -- its client

    def answer(self) -> None:
        """Answer `subscribe`, once; add the state of topic and source where that is news."""
        if self.is_answered:
            return
        self.is_answered = True
        channel = self.audience.channel
        self._notify(self.viewer.begin(self._now_s))
        upstream = None if channel.link.status in _QUIETLY else channel.link_news()
        if upstream is not None:
            self.sink.notify(upstream)
        can_hear = self.wants_status and self.permit.is_granted
        status = self.audience.status_news() if can_hear else None
        if status is not None:
            self.sink.notify(status)
        self._has_heard_of_skips = status is not None and self.reads_status
        if not self._has_heard_of_skips:
            self.introduce_skips()
        if channel.failure is not None and channel.link.status == "failed":
            self.sink.notify(self.viewer.failed(channel.failure))
        self.wake()

    @property
    def request_id(self) -> RequestId | None:
        """The id of the request, by which it is answered."""
        return self.options.request.id

    @property
    def sid(self) -> int | None:
        """Its number, where subscriptions have one."""
        return self.options.sid

    def obey(self, ctrl: Ctrl) -> None:
        """Obey a command, and answer it.

        Raises:
            InvalidRequest: a value is missing or out of range.
        """
        command = cursor_command(ctrl, self.viewer.cursor.mode)
        was_in_group = self.leave_group()
        reply = self.viewer.command(command, ctrl.id, self._now_s)
        self._notify(reply.notices)
        if reply.wakes or was_in_group:
            self.wake()

    def introduce_skips(self) -> None:
        """Tell a viewer that joined late what the log lacks, once it has permission."""
        if not self.permit.is_granted:
            return
        self._has_heard_of_skips = True
        skipped = self.audience.channel.skipped
        if skipped is None:
            return
        status = self.audience.status_news() if self.reads_status else None
        self._notify(self.viewer.skipped(skipped) if status is None else [status])

    def close(self) -> None:
        """Take no more records."""
        self.leave_group()
        self.audience.stop_waiting(self)
        self.is_closed = True

    # -- its audience (see `Listener`)

    @property
    def wants_status(self) -> bool:
        """See `Listener`."""
        return Updates.RUN in self.options.updates

    @property
    def reads_status(self) -> bool:
        """See `Listener`."""
        return self.wants_status and self.options.is_introduced

    def needs(self) -> range:
        """See `Listener`."""
        needs = self.viewer.cursor.needs()
        return needs if self._group is None else range(self._group.next_seq, needs.stop)

    def permitted(self) -> None:
        """See `Listener`."""
        if not self.is_answered:
            self.answer()
            return
        if not self._has_heard_of_skips:
            self.introduce_skips()
        self.wake()

    def suspended(self) -> None:
        """See `Listener`."""
        self.leave_group()
        self.viewer.cursor.playhead.stop()
        if self.is_answered:
            self.sink.notify(self.viewer.state(self._now_s))

    def refused(self, error: BffError) -> None:
        """See `Listener`: its client decides whether to close."""
        self._refused(self, error)

    def hear(self, news: ResetNews | SkippedNews | FailureNews) -> None:
        """See `Listener`."""
        if not self.is_answered:
            return
        match news:
            case ResetNews():
                self.leave_group()
                self._notify(self.viewer.reset(news, self._now_s))
                self.wake()
            case SkippedNews(skipped):
                self._notify(self.viewer.skipped(skipped))
            case FailureNews(failure):
                self.sink.notify(self.viewer.failed(failure))

    # -- ticks (see `Ticked`)

    def wake(self) -> None:
        """Be driven at the next tick."""
        self.audience.ticker.wake(self)

    def crashed(self) -> None:
        """See `Ticked`: closes the client, which may reconnect and resume."""
        self.sink.end(CloseCode.INTERNAL, INTERNAL_REASON)

    def tick(self, now_s: float) -> float:
        """Deliver what is due; returns when to be driven again, inf if only news can tell."""
        if self.is_closed or not self.permit.is_granted:
            return inf
        if self._group is not None:
            self.leave_group()
        if self.viewer.cursor.target is not None and self._is_on_its_way(now_s):
            at_s = inf
        elif not self.sink.can_take():
            return now_s + PERIOD_S
        else:
            at_s = self._deliver(now_s)
        if at_s == inf and not self.is_waiting and self.viewer.needs_records:
            self._wait()
        return at_s

    def _is_on_its_way(self, now_s: float) -> bool:
        """Whether the log cannot locate the cursor's target yet."""
        cursor = self.viewer.cursor
        if cursor.target is None:
            return False
        self._notify(self.viewer.arrive(now_s))
        return cursor.target is not None

    def _deliver(self, now_s: float) -> float:
        viewer = self.viewer
        cursor = viewer.cursor
        notices, start, stop, again_s = viewer.tick(now_s)
        if notices:
            self._notify(notices)
        if again_s is not None:
            return again_s
        if stop > start:
            self._push(start, stop)
            if cursor.mode == "all":
                self._push_more(now_s)
        if cursor.wake_s == inf or viewer.announced.status != "playing" or viewer.has_metrics:
            self._notify(viewer.after(now_s))
        return cursor.wake_s

    def _push(self, start: int, stop: int) -> None:
        if not self._has_frames:
            return
        audience, shape, channel = self.audience, self._shape, self._channel
        lost = self.viewer.cursor.lost
        data = self._cache.get(channel, audience.log_key, start, stop, shape, lost)
        self.sink.push(data)
        messages = 1 if shape.mode == "merge" else stop - start
        counters = channel.counters
        counters.frames_out += messages
        counters.bytes_out += len(data)
        counters.merged += stop - start - messages

    def _push_more(self, now_s: float) -> None:
        """In `all` mode: send further chunks, as far as due, the socket and one tick allow."""
        for _ in range(_CHUNKS_A_TICK - 1):
            if not self.sink.can_take():
                return
            _, start, stop, _ = self.viewer.tick(now_s)
            if stop <= start:
                return
            self._push(start, stop)

    def _wait(self) -> None:
        """Wait for the log to grow; join a live group if that is all this viewer needs."""
        viewer, audience = self.viewer, self.audience
        if viewer.is_plainly_live:
            cursor = viewer.cursor
            group = audience.live_group(self._shape, max_fps=cursor.max_fps, lost=cursor.lost)
            if group.next_seq == cursor.next_seq or not group.members:
                group.next_seq = cursor.next_seq
                group.members[self] = self.sink.offer
                self._group = group
                return
        audience.wait(self)

    def leave_group(self) -> bool:
        """Leave the live group at its position; whether it was in one."""
        if self._group is None:
            return False
        self.viewer.cursor.next_seq = self._group.next_seq
        del self._group.members[self]
        self._group = None
        return True

    def _notify(self, notices: Iterable[Notice]) -> None:
        notify = self.sink.notify
        for notice in notices:
            notify(notice)

    @property
    def _now_s(self) -> float:
        return self.audience.ticker.next_s
