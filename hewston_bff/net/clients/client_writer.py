"""What goes out to one client: two lanes over one transport, and signs of life.

Control messages are ordered and bounded; data is only taken while the transport is below its
high-water mark, so a slow client has at most one span pending, and that is a cursor's position.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from hewston_bff.hub.hub import Hub
from hewston_bff.net.clients.carriers import ClientCarrier
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """Bounds of what one client is sent; bytes, messages, seconds."""

    high_water_bytes: int = 65_536
    control_lane: int = 256
    heartbeat_s: float = 5.0
    ping_s: float = 25.0
    dead_after_s: float = 60.0
    stalled_after_s: float = 30.0


CHECK_S = 0.5


class ClientWriter:
    """What writes to one client. Synchronous throughout: nobody waits for a client."""

    def __init__(
        self,
        transport: asyncio.Transport,
        hub: Hub,
        carrier: ClientCarrier,
        *,
        limits: WriterLimits,
        jitter: float,
        heartbeat: Callable[[], bytes],
        end: Callable[[CloseCode, str], None],
    ) -> None:
        """`heartbeat`: what says that we are here; empty while nothing may be said."""
        self._transport = transport
        self._hub = hub
        self._carrier = carrier
        self._limits = limits
        self._high_water_bytes = limits.high_water_bytes
        self._jitter = jitter
        self._heartbeat_s = limits.heartbeat_s * (0.9 + 0.2 * jitter)
        self._heartbeat = heartbeat
        self._end = end
        self._lane: deque[bytes] = deque()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self.is_ended = False
        self._has_sent = True
        self._sent_s = self._heard_s = self._progress_s = self._pinged_s = hub.ticker.next_s
        self._taken = -1
        self.scheduled = -1

    def crashed(self) -> None:
        """See `Ticked`."""
        self._end(CloseCode.INTERNAL, INTERNAL_REASON)

    def can_take(self) -> bool:
        """See `ports.Sink`."""
        transport = self._transport
        if self.is_ended or transport.is_closing():
            return False
        if self._gathered_bytes >= self._high_water_bytes:
            self.flush()
        if transport.get_write_buffer_size() >= self._high_water_bytes:
            return False
        return not self._lane or self._empty_lane()

    def offer(self, data: bytes) -> bool:
        """See `ports.Sink`. The hot path of live viewers: one call, and the transport's."""
        transport = self._transport
        if (
            self._gathered
            or self._lane
            or self.is_ended
            or transport.is_closing()
            or transport.get_write_buffer_size() >= self._high_water_bytes
        ):
            if not self.can_take():
                return False
            self.push(data)
            return True
        self._has_sent = True
        transport.write(data)
        return True

    def push(self, data: bytes) -> None:
        """See `ports.Sink`."""
        # Written at the end of the tick: what is due on one socket goes out in one write, and the
        # writes of all sockets one after the other, which costs the kernel less than in between.
        self._has_sent = True
        if not self._gathered:
            self._hub.unflushed.append(self)
        self._gathered.append(data)
        self._gathered_bytes += len(data)

    def send_control(self, data: bytes) -> None:
        """A framed control message: now if it can be, else in order and bounded."""
        if self.is_ended or self._transport.is_closing():
            return
        if self._gathered:
            self._gathered.append(data)
            self._gathered_bytes += len(data)
        elif self.can_take():
            self._has_sent = True
            self._transport.write(data)
        elif len(self._lane) < self._limits.control_lane:
            self._lane.append(data)
        else:
            self._end(CloseCode.STALLED, "the control lane is full: read faster")

    def send_last(self, data: bytes) -> None:
        """A control message before the end: written after all that waits, whatever the mark."""
        if self.is_ended or self._transport.is_closing():
            return
        self.flush()
        self._transport.write(b"".join((*self._lane, data)))
        self._lane.clear()

    def pong(self, data: bytes) -> None:
        """Answer a ping, unless the client takes nothing: answers would pile up here."""
        if self.can_take():
            self._transport.write(data)

    def flush(self) -> None:
        """See `ports.Flushable`."""
        gathered, self._gathered = self._gathered, []
        self._gathered_bytes = 0
        if gathered and not self._transport.is_closing():
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _empty_lane(self) -> bool:
        """Write what waits, as far as the mark allows; whether all of it went."""
        self._has_sent = True
        lane, transport = self._lane, self._transport
        while lane:
            if transport.get_write_buffer_size() >= self._high_water_bytes:
                return False
            transport.write(lane.popleft())
        return True

    def heard(self) -> None:
        """Something came from the client."""
        self._heard_s = self._hub.ticker.next_s

    # -- twice a second

    def start(self) -> None:
        """Have the ticker look after this client; clients are spread over the ticks."""
        self._hub.ticker.schedule(self, self._hub.ticker.next_s + CHECK_S * self._jitter)

    def tick(self, now_s: float) -> float:
        """Heartbeat, ping, and whether the client still lives and reads."""
        if self.is_ended or self._transport.is_closing():
            return inf
        if not self._is_well(now_s):
            return inf
        self._speak(now_s)
        # What was just written is no progress of the client's.
        self._taken = self._transport.get_write_buffer_size()
        return now_s + CHECK_S

    def _is_well(self, now_s: float) -> bool:
        """Whether the client lives and reads; if not, its end is begun."""
        limits = self._limits
        if self._carrier.hears_client and now_s - self._heard_s > limits.dead_after_s:
            self._end(CloseCode.STALLED, "nothing was heard of the client")
            return False
        pending = self._transport.get_write_buffer_size()
        if pending == 0 or pending != self._taken:
            # Any change of what is pending is progress: while it is there, nothing new is pushed.
            self._progress_s = now_s
        elif now_s - self._progress_s > limits.stalled_after_s:
            self._end(CloseCode.STALLED, "the client takes nothing")
            return False
        return True

    def _speak(self, now_s: float) -> None:
        if self._lane:
            self.can_take()
        if self._has_sent:
            self._has_sent, self._sent_s = False, now_s
        elif now_s - self._sent_s >= self._heartbeat_s - CHECK_S / 2:
            heartbeat = self._heartbeat()
            if heartbeat:
                self.send_control(heartbeat)
        if now_s - self._pinged_s >= self._limits.ping_s:
            self._pinged_s = now_s
            if self._carrier.ping:
                # Also above the mark: who is always behind is slow, but not dead.
                self._transport.write(self._carrier.ping)
