"""Subscribers that want the same events in the same way, served together.

They have one pattern, mode, rate, `sid` and framing. What matches is gathered once, merged once and
framed once; then one loop writes it to all. As with live viewers of runs, this place sends while it
decides: a message costs each client one call.
"""

from math import floor, inf
from typing import Any, Final, NamedTuple

from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.log import EventLog
from hewston_bff.events.merging import Merge, Merged
from hewston_bff.hub.fan_out import Member, Offer, send_to_all
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.ticker import Ticker
from hewston_bff.ports import Framing
from hewston_bff.protocol.commands import EventMode

_EPSILON: Final = 1e-6
_MAX_BYTES: Final = 1 << 20
"""More than this is not written to all at once, as each transport may have to hold a copy of it:
each takes it at its own pace. A beat of two thousand merged quotes is less."""


class GroupKey(NamedTuple):
    """What its members have in common; `max_fps` is 0 in mode `all`."""

    mode: EventMode
    max_fps: float
    sid: int | None
    framing: Framing


class EventGroup:
    """Members whose place is the group's; `pending` is what matched since it was reached."""

    def __init__(
        self, log: EventLog[Any], key: GroupKey, *, ticker: Ticker, counters: Counters
    ) -> None:
        self._log = log
        self._key = key
        self._ticker = ticker
        self._counters = counters
        self._beat = -1
        self._sent = (log.ring.next, log.ring.last_id)
        self._is_latest = key.mode == "latest"
        self.members: dict[Member, Offer] = {}
        self.pending = Merge()
        self.scheduled = -1

    def gather(self, event: Event, *, is_mergeable: bool) -> bool:
        """Take an event that matches and is not in the log yet; whether it is the first pending."""
        is_first = not self.pending
        if is_first:
            self._sent = (self._log.ring.next, self._log.ring.last_id)
        self.pending.add(event, is_mergeable=is_mergeable and self._is_latest)
        return is_first

    def join(self, member: Member, offer: Offer) -> bool:
        """Take in a member that has all there is; whether it could, for something is pending."""
        if self.pending:
            return False
        self.members[member] = offer
        return True

    @property
    def place(self) -> tuple[int, EntryId]:
        """Up to which position, and id, all was sent to every member."""
        if self.pending:
            return self._sent
        return self._log.ring.next, self._log.ring.last_id

    def published(self, now_s: float) -> None:
        """Something is pending: send it now, or at the next beat."""
        if self._key.mode == "all":
            self.flush()
        else:
            self._ticker.schedule(self, self.beat_after(now_s))

    def beat_after(self, now_s: float) -> float:
        """When the next messages may go, at or after `now_s`."""
        return max(now_s, (self._beat + 1) / self._key.max_fps)

    def tick(self, now_s: float) -> float:
        """See `Ticked`."""
        self.keep_beat(now_s)
        return inf

    def keep_beat(self, now_s: float) -> None:
        """Send what is pending, if a beat has come since the last time."""
        if self._key.mode == "all":
            self.flush()
            return
        beat = floor(now_s * self._key.max_fps + _EPSILON)
        if beat > self._beat and self.pending:
            self._beat = beat
            self.flush()

    def flush(self) -> None:
        """Send what is pending to all members; those that do not take it leave."""
        pending = self.pending
        if not self.members or not pending:
            self.pending = Merge()
            return
        events = pending.result()
        data = framed(events, self._key)
        # While it is pending, whoever leaves does so at the position before it.
        if len(data) > _MAX_BYTES:
            self.dissolve()
            self.pending = Merge()
            return
        sent = send_to_all(self.members, data)
        self.pending = Merge()
        counters = self._counters
        counters.events_out += sent * len(events)
        counters.event_bytes_out += sent * len(data)
        counters.events_merged += sent * (pending.events - len(events))

    def crashed(self) -> None:
        """See `Ticked`: alone, the member at fault will crash by itself."""
        self.dissolve()
        self.pending = Merge()

    def dissolve(self) -> None:
        """Have every member leave, at the position up to which all was sent."""
        for member in tuple(self.members):
            member.leave_group()
            member.wake()


def framed(events: list[Merged], key: GroupKey) -> bytes:
    """The messages of these events, framed and joined."""
    frame, sid = key.framing.event, key.sid
    return b"".join([frame(event, n=n, sid=sid) for event, n in events])
