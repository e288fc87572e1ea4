"""Live viewers with the same options, served together: one span, one loop over their sockets.

A viewer whose playhead is at the edge of a growing topic needs no decision of its own. While it
stays there it is in a group, and the group's position is its position; a command, or a client that
takes no data, takes it out. This is the only place that sends while it decides, instead of
returning a decision: a message costs one call of the client's `offer`, and no new object.
"""

from collections.abc import Callable
from math import floor, inf
from typing import Protocol

from hewston_bff.hub.channel import Channel
from hewston_bff.hub.span_cache import Shape, SpanCache
from hewston_bff.hub.ticker import Ticked, contain

_EPSILON = 1e-6

Offer = Callable[[bytes], bool]
"""Writes data to a client unless it is slow or closing; whether it did."""


class GrowingTopic(Protocol):
    """An audience, as a group sees it."""

    channel: Channel
    log_key: int
    cache: SpanCache


class Member(Ticked, Protocol):
    """A viewer that can stand in a group."""

    def leave_group(self) -> bool:
        """Leave the group at its position; whether it was in one."""

    def wake(self) -> None:
        """Be driven at the next tick."""


class LiveGroup:
    """Viewers at the edge with the same `max_fps`, shape and count of lost frames."""

    def __init__(self, of: GrowingTopic, *, shape: Shape, max_fps: float, lost: int) -> None:
        self._of = of
        self._shape = shape
        self._max_fps = max_fps
        self._lost = lost
        self._beat = -1
        self.next_seq = of.channel.log.next_seq
        self.members: dict[Member, Offer] = {}
        self.scheduled = -1

    def tick(self, now_s: float) -> float:
        """Send all members what came since the last beat; live cursors share the same beats."""
        of, start = self._of, self.next_seq
        channel = of.channel
        log = channel.log
        stop = log.next_seq
        if not channel.is_growing or start < log.first_seq:
            self.dissolve()
            return inf
        if stop <= start or not self.members:
            return inf
        beat = floor(now_s * self._max_fps + _EPSILON)
        if beat <= self._beat:
            return (self._beat + 1) / self._max_fps
        self._beat = beat
        data = of.cache.get(channel, of.log_key, start, stop, self._shape, self._lost)
        self._send(data)
        self.next_seq = stop
        sent = len(self.members)
        counters = channel.counters
        counters.frames_out += sent
        counters.bytes_out += sent * len(data)
        counters.merged += sent * (stop - start - 1)
        return inf

    def _send(self, data: bytes) -> None:
        """Offer `data` to all members; those that do not take it leave, those that raise end."""
        slow: list[Member] = []
        broken: list[tuple[Member, Exception]] = []
        for member, offer in self.members.items():
            # Inside the loop: members that were served already must not be served again.
            try:
                if not offer(data):
                    slow.append(member)
            except Exception as error:  # noqa: BLE001 - one viewer's bug must not hit others
                broken.append((member, error))
        for member in slow:
            member.leave_group()
            member.wake()
        for member, trouble in broken:
            member.leave_group()
            contain(member, "viewer.crashed", trouble)

    def crashed(self) -> None:
        """See `Ticked`: alone, the member at fault will crash by itself."""
        self.dissolve()

    def dissolve(self) -> None:
        """Have every member leave."""
        for member in tuple(self.members):
            member.leave_group()
            member.wake()
