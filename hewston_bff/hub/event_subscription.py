"""One client's subscription to events: it sends what its cursor takes."""

from collections.abc import Callable
from math import floor, inf
from typing import Final

from msgspec import UNSET

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError, InvalidRequest
from hewston_bff.events.cursor import EventCursor, LostEvents
from hewston_bff.events.event import FIRST_ID
from hewston_bff.events.merging import Merged
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.event_control import begin_of, pattern_of
from hewston_bff.hub.event_group import EventGroup, GroupKey, framed
from hewston_bff.hub.event_opening import EventOpening, Spawn
from hewston_bff.hub.ticker import PERIOD_S
from hewston_bff.ports import Sink
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode
from hewston_bff.protocol.commands import Ctrl, RequestId, SubscribeEvents
from hewston_bff.protocol.event_messages import (
    EventsLag,
    EventsState,
    EventsStatus,
    EventsSubscribed,
)

_CHUNKS_A_TICK: Final = 8
_EPSILON: Final = 1e-6


class EventSubscription:
    """A listener with a client; called by the ticker, its client and the channel."""

    def __init__(
        self,
        channel: EventChannel,
        sink: Sink,
        *,
        sid: int | None,
        request: SubscribeEvents,
        caller: ApiCaller,
        spawn: Spawn,
        refused: "Callable[[EventSubscription, BffError], None]",
    ) -> None:
        """Subscribe as `request` says.

        Raises:
            InvalidRequest: topic, `from` or `resume` is invalid.
        """
        mode = request.mode or channel.kind.default_mode
        self.cursor = EventCursor(pattern_of(request), mode)
        self.channel = channel
        self.sink = sink
        self.sid = sid
        self.request = request
        self.is_answered = False
        self.scheduled = -1
        self._caller = caller
        self._spawn = spawn
        self._refused = refused
        self._opening = EventOpening(
            channel,
            self.cursor,
            begin_of(request, mode),
            spawn=spawn,
            wake=self.wake,
            lag=self._lag,
        )
        self._is_closed = False
        self._is_paused = request.paused
        self._has_told_recovery = False
        self._announced: EventsStatus | None = None
        self._beat = -1
        self._group: EventGroup | None = None
        max_fps = request.max_fps if mode == "latest" else 0.0
        self._key = GroupKey(mode, max_fps, sid, sink.framing)

    # -- its client

    @property
    def request_id(self) -> RequestId | None:
        """The id of the request, by which it is answered."""
        return self.request.id

    def answer(self) -> None:
        """Answer `subscribe`, once; add the state of the source where that is news."""
        if self.is_answered:
            return
        self.is_answered = True
        if self.channel.is_open:
            self._opening.begin(is_early=False)
        self._announced = self.status
        kind = self.channel.kind
        matches = self.channel.matcher(self.cursor.pattern).topics
        self.sink.notify(
            EventsSubscribed(
                re=UNSET if self.request.id is None else self.request.id,
                sid=UNSET if self.sid is None else self.sid,
                topic=self.request.topic,
                status=self.status,
                mode=self.cursor.mode,
                max_fps=self.request.max_fps,
                position=self._position,
                recovered=self._opening.recovered,
                matches=matches,
                broad=True if matches > kind.broad else UNSET,
            )
        )
        self._has_told_recovery = self._opening.recovered is not None
        if self.channel.link_state.status != "up" or kind.is_simulated:
            self.sink.notify(self.channel.news())
        self.wake()

    def obey(self, ctrl: Ctrl) -> None:
        """Obey a command, and answer it.

        Raises:
            InvalidRequest: events know no such command.
        """
        match ctrl.cmd:
            case "pause":
                self.leave_group()
                self._is_paused = True
            case "play":
                self._is_paused = False
            case "live":
                self._is_paused = False
                self.leave_group()
                self._opening.stop()
                if self._opening.has_begun:
                    self.cursor.go_live(self.channel.log)
            case _:
                raise InvalidRequest("a topic of events knows `pause`, `play` and `live` only")
        self._announce(ctrl.id)
        self.wake()

    def close(self) -> None:
        """Take no more events."""
        self._is_closed = True
        self.leave_group()
        self._opening.stop()

    # -- its channel

    def opened(self) -> None:
        """See `EventListener`."""
        if not self.is_answered or self._opening.has_begun:
            return
        self._opening.begin(is_early=True)
        self._announce()
        self.wake()

    def check(self) -> None:
        """See `EventListener`."""
        refusal = self.channel.kind.refusal(self._caller)
        if refusal is not None:
            self._refused(self, refusal)

    # -- where it stands

    @property
    def status(self) -> EventsStatus:
        """The status, as the protocol has it."""
        if self._is_paused:
            return "paused"
        if not self._opening.has_begun:
            return "buffering"
        is_current = self._group is not None or self.cursor.is_current(self.channel.log)
        return "live" if is_current and not self._opening.is_reading else "playing"

    @property
    def _position(self) -> str | None:
        if not self._opening.has_begun:
            return None
        if self._opening.is_reading:
            return str(self._opening.sent_id)
        last_id = self.cursor.last_id if self._group is None else self._group.place[1]
        return str(last_id)

    # -- ticks (see `Ticked`)

    def wake(self) -> None:
        """Be driven at the next tick."""
        self.channel.ticker.wake(self)

    def crashed(self) -> None:
        """See `Ticked`: closes the client, which may reconnect and resume."""
        self.sink.end(CloseCode.INTERNAL, INTERNAL_REASON)

    def tick(self, now_s: float) -> float:
        """Deliver what is due; returns when to be driven again, inf if only news can tell."""
        opening = self._opening
        if self._is_closed or self._is_paused or not opening.has_begun or self._group is not None:
            return inf
        if opening.recovered is not None and not self._has_told_recovery:
            self._announce()
        if self.cursor.mode == "latest" and not self.cursor.owed and not opening.is_reading:
            # On the beats of all who want the same: so they can be served together.
            beat = floor(now_s * self._key.max_fps + _EPSILON)
            if beat <= self._beat:
                return (self._beat + 1) / self._key.max_fps
            self._beat = beat
        return self._deliver(now_s)

    def _deliver(self, now_s: float) -> float:
        for _ in range(_CHUNKS_A_TICK):
            if not self.sink.can_take():
                return now_s + PERIOD_S
            if self._opening.is_reading and not self.cursor.owed:
                self._opening.sent()
                return inf
            taken = self.cursor.take(self.channel.log)
            if taken.lost is not None:
                self._lag(taken.lost)
            elif taken.events:
                self._push(taken.events)
            elif taken.is_all:
                return self._settle(now_s)
            else:
                break
        return now_s + PERIOD_S

    def _settle(self, now_s: float) -> float:
        """All is sent: join those who wait for the same."""
        if self._announced != "live":
            self._announce()
        if self.cursor.skip_until > FIRST_ID:
            # Its client is ahead of us: until we are level, each event has to be looked at.
            return now_s + PERIOD_S
        group = self.channel.group(self.cursor.pattern, self._key)
        group.keep_beat(now_s)
        if not group.join(self, self.sink.offer):
            return group.beat_after(now_s + PERIOD_S)
        self._group = group
        return inf

    def leave_group(self) -> bool:
        """Leave the group at its position; whether it was in one."""
        if self._group is None:
            return False
        self.cursor.moved(*self._group.place)
        del self._group.members[self]
        self._group = None
        return True

    def _push(self, events: list[Merged]) -> None:
        data = framed(events, self._key)
        self.sink.push(data)
        counters = self.channel.counters
        counters.events_out += len(events)
        counters.event_bytes_out += len(data)
        counters.events_merged += sum(each.n - 1 for each in events)

    # -- notices

    def _announce(self, re: RequestId | None = None) -> None:
        self._announced = self.status
        recovered = None if self._has_told_recovery else self._opening.recovered
        self._has_told_recovery = self._opening.recovered is not None
        self.sink.notify(
            EventsState(
                re=UNSET if re is None else re,
                sid=UNSET if self.sid is None else self.sid,
                topic=self.request.topic,
                status=self.status,
                position=self._position,
                recovered=UNSET if recovered is None else recovered,
            )
        )

    def _lag(self, missing: LostEvents) -> None:
        self.sink.notify(
            EventsLag(
                sid=UNSET if self.sid is None else self.sid,
                topic=self.request.topic,
                after=str(missing.lost.after),
                until=str(missing.lost.until),
                reason=missing.reason,
            )
        )
