"""Live viewers with the same options, served together: one span, one loop over their sockets.

A viewer whose playhead is at the edge of a growing topic needs no decision of its own. While it
stays there it is in a group, and the group's position is its position; a command, or a client that
takes no data, takes it out. This is the only place that sends while it decides, instead of
returning a decision: a message costs one call of the client's `offer`, and no new object.
"""

from math import floor, inf
from typing import Protocol

from hewston_bff.hub.channel import Channel
from hewston_bff.hub.fan_out import Member, Offer, send_to_all
from hewston_bff.hub.span_cache import Shape, SpanCache

_EPSILON = 1e-6


class GrowingTopic(Protocol):
    """An audience, as a group sees it."""

    channel: Channel
    log_key: int
    cache: SpanCache


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
        sent = send_to_all(self.members, data)
        self.next_seq = stop
        counters = channel.counters
        counters.frames_out += sent
        counters.bytes_out += sent * len(data)
        counters.merged += sent * (stop - start - 1)
        return inf

    def crashed(self) -> None:
        """See `Ticked`: alone, the member at fault will crash by itself."""
        self.dissolve()

    def dissolve(self) -> None:
        """Have every member leave."""
        for member in tuple(self.members):
            member.leave_group()
            member.wake()
