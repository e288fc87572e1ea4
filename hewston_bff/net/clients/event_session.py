"""Clients by Server-Sent Events: how messages are written there, and the stream of one run."""

import asyncio
from collections.abc import Callable
from typing import Final

from hewston_bff.errors import BffError, ErrorCode
from hewston_bff.hub.hub import Hub
from hewston_bff.net.clients.client_writer import Outlet, OutletLimits
from hewston_bff.net.clock import now_ms
from hewston_bff.ports import Framing
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode
from hewston_bff.protocol.event_stream import event
from hewston_bff.protocol.ids import Epoch
from hewston_bff.protocol.notices import Bye, Closed, Ended, Err, Hb, Notice, encode

RETRY_MS: Final = 2_000

Pack = Callable[[bytes], bytes]
"""How a part of a body goes over the connection."""


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def as_it_is(data: bytes) -> bytes:
    """`data` as a part of an HTTP/1.0 body, which ends with the connection."""
    return data


def retry(after_ms: int) -> bytes:
    """What tells an `EventSource` how long to wait before it comes back."""
    return b"retry: %d\n\n" % after_ms


class EventFraming:
    """How `frame` messages of one run go over an event stream.

    The id is what `Last-Event-ID` brings back.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        """See `ports.Framing`."""
        return self._pack(event("frame", text, event_id=f"{epoch}:{seq}"))


class ManyEventFraming:
    """How `frame` messages of many runs go over an event stream.

    They have no id: one `Last-Event-ID` cannot say where several runs stood, and one that names
    them all would have to be written for each client. Who comes back subscribes with `resume`.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:  # noqa: ARG002 - the port's
        """See `ports.Framing`."""
        return self._pack(event("frame", text))


class EventWire:
    """The stream of one run: frames, errors and the end; a comment as heartbeat."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.framing: Framing = EventFraming(pack)

    def heartbeat(self) -> bytes:
        """See `outlet.Wire`."""
        return self.pack(b": hb\n\n")

    def ping(self) -> bytes | None:
        """See `outlet.Wire`."""
        return None


class ManyEventWire:
    """The stream of many runs: every message is an event, named as its `t`."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.framing: Framing = ManyEventFraming(pack)

    def message(self, notice: Notice) -> bytes:
        """See `session.SessionWire`."""
        name = str(notice.__struct_config__.tag)
        text = event(name, encode(notice))
        return self.pack(retry(notice.after_ms) + text if isinstance(notice, Bye) else text)

    def heartbeat(self) -> bytes:
        """See `outlet.Wire`: an event, for a comment is nothing that a page's watchdog sees."""
        return self.message(Hb(ts=now_ms()))

    def ping(self) -> bytes | None:
        """See `outlet.Wire`."""
        return None

    def farewell(self, code: CloseCode, reason: str) -> bytes:
        """See `session.SessionWire`."""
        return self.message(Closed(code=code, reason=reason))


_PACKS: Final[tuple[Pack, ...]] = (chunk, as_it_is)
EVENT_WIRES: Final = {pack: EventWire(pack) for pack in _PACKS}
MANY_EVENT_WIRES: Final = {pack: ManyEventWire(pack) for pack in _PACKS}
"""One of each for all clients: encoded frames are shared by their framing."""


class EventSession:
    """One browser's event stream of one run, and its subscription's sink."""

    def __init__(
        self,
        transport: asyncio.Transport,
        hub: Hub,
        *,
        limits: OutletLimits,
        jitter: float,
        pack: Pack = chunk,
    ) -> None:
        self._is_over = asyncio.Event()
        self._pack = pack
        wire = EVENT_WIRES[pack]
        self.outlet = Outlet(transport, hub, wire, limits=limits, jitter=jitter, end=self.end)
        self.framing = self.outlet.framing
        self.can_take = self.outlet.can_take
        self.push = self.outlet.push
        self.offer = self.outlet.offer

    def notify(self, notice: Notice) -> None:
        """See `ports.Sink`: of all messages only errors and the end are events here."""
        if isinstance(notice, Err):
            self.outlet.send_control(self._pack(event("err", encode(notice))))
        elif isinstance(notice, Ended):
            self.outlet.send_control(self._pack(event("end", encode(notice))))
            self._is_over.set()

    def end(self, code: CloseCode, reason: str) -> None:
        """Stop; the client comes back by itself with `Last-Event-ID`."""
        if code is CloseCode.INTERNAL and not self.outlet.is_ended:
            self.notify(Err(code=ErrorCode.INTERNAL, msg=reason))
        self.outlet.is_ended = True
        self._is_over.set()

    def crashed(self) -> None:
        """See `Ticked`."""
        self.end(CloseCode.INTERNAL, INTERNAL_REASON)

    def bye(self, *, after_ms: int) -> None:
        """Have the client come back after a while, and stop."""
        self.outlet.send_last(self._pack(retry(after_ms)))
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
