"""One client of the event-stream door: the same frames, one way only."""

import asyncio
from typing import Final

from hewston_bff.core.event_stream import event
from hewston_bff.core.ids import Epoch
from hewston_bff.core.messages import CloseCode, Ended, Err, Notice, encode
from hewston_bff.errors import BffError
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.ports import Framing
from hewston_bff.net.outlet import Outlet, OutletLimits

RETRY_MS: Final = 2_000


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class EventFraming:
    """How `frame` messages go over an event stream; the id is what `Last-Event-ID` brings back."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """See `ports.Framing`."""
        return chunk(event("frame", text, event_id=f"{epoch}:{seq}"))


class _EventWire:
    framing: Framing = EventFraming()

    def heartbeat(self) -> bytes:
        return chunk(b": hb\n\n")

    def ping(self) -> bytes | None:
        return None


_WIRE = _EventWire()


class EventSession:
    """One browser's event stream, and its subscription's sink."""

    def __init__(
        self, transport: asyncio.Transport, hub: Hub, *, limits: OutletLimits, jitter: float
    ) -> None:
        self._is_over = asyncio.Event()
        self.outlet = Outlet(transport, hub, _WIRE, limits=limits, jitter=jitter, end=self.end)
        self.framing = self.outlet.framing
        self.can_take = self.outlet.can_take
        self.push = self.outlet.push
        self.offer = self.outlet.offer

    def notify(self, notice: Notice) -> None:
        """See `ports.Sink`: of all messages only errors and the end are events here."""
        if isinstance(notice, Err):
            self.outlet.send_control(chunk(event("err", encode(notice))))
        elif isinstance(notice, Ended):
            self.outlet.send_control(chunk(event("end", encode(notice))))
            self._is_over.set()

    def end(self, code: CloseCode, reason: str) -> None:  # noqa: ARG002 - there is no close code here
        """Stop; the client comes back by itself with `Last-Event-ID`."""
        self.outlet.is_ended = True
        self._is_over.set()

    def bye(self, *, after_ms: int) -> None:
        """Have the client come back after a while, and stop."""
        self.outlet.send_last(chunk(b"retry: %d\n\n" % after_ms))
        self.end(CloseCode.SERVICE_RESTART, "restarting")

    def refused(self, error: BffError, *, sid: int | None, re: object) -> None:  # noqa: ARG002
        """The backend does not allow it (any more)."""
        self.notify(Err(code=error.code, msg=error.message))
        self.end(CloseCode.FORBIDDEN, error.message)

    async def serve(self) -> None:
        """Wait until the stream is over; cancelled when the client goes."""
        # EventSource cannot pong: that it takes what we send is its sign of life.
        self.outlet.is_listened_to = False
        self.outlet.start()
        await self._is_over.wait()
