"""One client on a raw transport: as little work a message as Python allows.

All clients share one receive buffer: each reads what it got before the next is called.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic_ns, time_ns

from hewston_bff.tools.loadtest import notices
from hewston_bff.tools.loadtest.events import ChunkReader, EventReader, StreamEvent
from hewston_bff.tools.loadtest.peek import FRAME_STARTS, Peek, peek
from hewston_bff.tools.loadtest.plan import PLAY, ClientTarget
from hewston_bff.tools.loadtest.record import UNKNOWN, StreamRecord
from hewston_bff.tools.loadtest.tally import Tally
from hewston_bff.tools.loadtest.topic_stream import EVENT_STARTS, TopicStream, peek_event
from hewston_bff.tools.loadtest.wire import (
    BadReply,
    FrameReader,
    Head,
    Opcode,
    accepts,
    client_frame,
    parse_head,
    request,
    upgrade_headers,
)

REPLAY_AFTER_S = 0.5
"""From the end of a run to the `play` that starts it over: no flood of control messages."""

_LATENCY_LIMIT_NS = 600 * 10**9


class ReceiveBuffer:
    """Where the loop puts what arrives, shared by the clients of one loop."""

    def __init__(self, size: int = 1 << 18) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What the clients of one load test have in common; `headers` go with every handshake."""

    headers: Mapping[str, str]
    tally: Tally
    buffer: ReceiveBuffer = field(default_factory=ReceiveBuffer)


class Client(asyncio.BufferedProtocol):
    """A client up to the end of the HTTP handshake; what follows is for the classes below.

    `opened` says "" when the server has let it in, or in a word or two why not; `closed` tells
    that the socket is gone. `streams` has one record for each run of `target`.
    """

    def __init__(
        self, target: ClientTarget, *, streams: list[StreamRecord], shared: Shared
    ) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._target = target
        self._headers = dict(shared.headers)
        self._streams = streams
        self._tally = shared.tally
        self._buffer = shared.buffer
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._take: Callable[[bytes | bytearray, int], None] = self._take_head
        self._is_in = False
        self._is_leaving = False
        self._close_code = "dropped"
        self._now_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy: TCP gives no other
        self._transport = transport
        transport.write(request(self._target.path, self._headers))

    def get_buffer(self, _sizehint: int) -> memoryview:
        """The shared buffer."""
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        self._now_ns = monotonic_ns()
        self._tally.wire_bytes += nbytes
        try:
            self._take(self._buffer.data, nbytes)
        except BadReply as exc:
            self._tally.errors[str(exc)] += 1
            self._close_code = "bad reply"
            self.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone, by whoever's will."""
        if self._is_in and not self._is_leaving:
            self._tally.closed[self._close_code] += 1
        self._answer("closed before an answer")
        for stream in self._streams:
            stream.leave()
        self._gone()

    def leave(self) -> None:
        """Go, politely; `closed` tells when."""
        self._is_leaving = True
        if self._transport is None:
            self._gone()
            return
        self._say_goodbye()
        self._transport.close()

    def abort(self) -> None:
        """Go at once."""
        if self._transport is not None:
            self._transport.abort()

    def _take_head(self, data: bytes | bytearray, size: int) -> None:
        self._head += data[:size]
        head = parse_head(self._head)
        if head is None:
            return
        if not self._is_welcome(head):
            self._answer(f"HTTP {head.status}")
            self.abort()
            return
        self._is_in = True
        self._tally.connected += 1
        self._answer("")
        self._start(head)
        rest, self._head = self._head[head.size :], b""
        if rest:
            self._take(rest, len(rest))

    def _gone(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _answer(self, refusal: str) -> None:
        # Done already, or cancelled by who waited no longer.
        if not self.opened.done():
            self.opened.set_result(refusal)

    def _is_welcome(self, head: Head) -> bool:
        raise NotImplementedError

    def _start(self, head: Head) -> None:
        raise NotImplementedError

    def _say_goodbye(self) -> None:
        """Tell the server, where there are words for it."""

    def _note(self, stream: StreamRecord, frame: Peek) -> None:
        _, first, seq, count, dropped, sent_ns = frame
        now_ns = self._now_ns
        gap_ns = stream.frame(first, seq, count, dropped, now_ns)
        if gap_ns != UNKNOWN:
            self._tally.gaps.append(gap_ns)
        # A stamp from another machine's clock tells nothing.
        if sent_ns >= 0 and 0 <= now_ns - sent_ns < _LATENCY_LIMIT_NS:
            self._tally.latencies.append(now_ns - sent_ns)


class SocketClient(Client):
    """A client of the WebSocket endpoints; answers pings, and `play`s again at a run's end."""

    def __init__(
        self,
        target: ClientTarget,
        *,
        streams: list[StreamRecord],
        shared: Shared,
        topics: Sequence[TopicStream] = (),
    ) -> None:
        super().__init__(target, streams=streams, shared=shared)
        self._key = os.urandom(16)
        self._headers |= upgrade_headers(self._key)
        # The endpoints of one run need no sid; the others tell theirs before the first frame.
        self._by_sid = {-1: streams[0]} if len(streams) == 1 else {}
        self._topics = topics
        self._topics_by_sid: dict[int, TopicStream] = {}
        self._reader = FrameReader(on_message=self._on_message, on_control=self._on_control)

    def _is_welcome(self, head: Head) -> bool:
        return accepts(head, self._key)

    def _start(self, _head: Head) -> None:
        self._take = self._reader.feed
        for message in self._target.opening:
            self._send(Opcode.TEXT, message)

    def _say_goodbye(self) -> None:
        if self._is_in:
            self._send(Opcode.CLOSE, (1000).to_bytes(2, "big"))

    def _send(self, opcode: Opcode, payload: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(client_frame(opcode, payload, mask=os.urandom(4)))

    def _on_message(self, data: bytes | bytearray, start: int, stop: int) -> None:
        if not data.startswith(FRAME_STARTS, start, stop):
            if data.startswith(EVENT_STARTS, start, stop):
                self._on_event(data, start, stop)
            else:
                self._on_notice(bytes(data[start:stop]))
            return
        frame = peek(data, start, stop)
        stream = self._by_sid.get(frame.sid)
        if stream is None:
            self._tally.errors["frame of an unknown sid"] += 1
        else:
            self._note(stream, frame)

    def _on_event(self, data: bytes | bytearray, start: int, stop: int) -> None:
        event = peek_event(data, start, stop)
        stream = None if event is None else self._topics_by_sid.get(event.sid)
        if event is None or stream is None:
            self._tally.errors["event of an unknown sid"] += 1
            return
        stream.event(event, self._now_ns)
        latency_ns = time_ns() - event.id[0] * 1_000_000
        # Of another machine's clock, or old: it tells nothing of the way here.
        if 0 <= latency_ns < _LATENCY_LIMIT_NS:
            self._tally.event_latencies.append(latency_ns)

    def _on_notice(self, data: bytes) -> None:
        try:
            notice = notices.decode(data)
        except notices.NotJson:
            self._tally.errors[notices.NOT_JSON] += 1
            return
        self._tally.others += not isinstance(notice, notices.OddFrame)
        match notice:
            case notices.ErrNotice(code=code):
                self._tally.errors[code] += 1
            case notices.SubscribedNotice():
                self._on_subscribed(notice)
            case None:
                pass
            case _ if notice.sid in self._topics_by_sid:
                self._on_topic_notice(self._topics_by_sid[notice.sid], notice)
            case _:
                self._on_stream_notice(notice)

    def _on_subscribed(self, notice: notices.SubscribedNotice) -> None:
        re, sid, runs = notice.re, notice.sid, len(self._streams)
        if isinstance(re, int) and 0 <= re < runs:
            self._by_sid[sid] = self._streams[re]
        elif isinstance(re, int) and runs <= re < runs + len(self._topics):
            self._topics_by_sid[sid] = self._topics[re - runs]
        elif runs == 1:
            self._by_sid[sid] = self._streams[0]

    def _on_topic_notice(self, topics: TopicStream, notice: object) -> None:
        if isinstance(notice, notices.LagNotice):
            topics.lag()
        elif isinstance(notice, notices.StateNotice):
            topics.is_buffering = notice.status == "buffering"

    def _on_stream_notice(
        self,
        notice: notices.OddFrame
        | notices.StateNotice
        | notices.LagNotice
        | notices.ResetNotice
        | notices.EndNotice,
    ) -> None:
        stream = self._by_sid.get(notice.sid)
        if stream is None:
            return
        match notice:
            case notices.OddFrame():
                first = notice.seq if notice.from_ is None else notice.from_
                numbers = (notice.n, notice.dropped, notice.sent_ns)
                self._note(stream, Peek(notice.sid, first, notice.seq, *numbers))
            case notices.StateNotice(status=status, seeked=seeked):
                stream.is_buffering = status == "buffering"
                if seeked:
                    stream.jump()
            case notices.ResetNotice():
                stream.jump()
            case notices.LagNotice(from_=first, to=last):
                stream.lag(first, last)
            case notices.EndNotice(sid=sid):
                stream.end()
                self._loop.call_later(REPLAY_AFTER_S, self._play_again, sid)

    def _play_again(self, sid: int) -> None:
        if not self._is_leaving:
            number = b"" if sid < 0 else b',"sid":%d' % sid
            self._send(Opcode.TEXT, PLAY[:-1] + number + b"}")

    def _on_control(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.PING:
            self._send(Opcode.PONG, payload)
        elif opcode is Opcode.CLOSE:
            self._close_code = str(int.from_bytes(payload[:2], "big")) if payload else "no code"
            self._send(Opcode.CLOSE, payload[:2])
            if self._transport is not None:
                self._transport.close()


class EventsClient(Client):
    """A client of the Server-Sent Events."""

    def __init__(
        self, target: ClientTarget, *, streams: list[StreamRecord], shared: Shared
    ) -> None:
        super().__init__(target, streams=streams, shared=shared)
        self._headers |= {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        self._chunks: ChunkReader | None = None
        self._events = EventReader(on_event=self._on_event)

    def _is_welcome(self, head: Head) -> bool:
        kind = head.headers.get("content-type", "")
        return head.status == 200 and kind.startswith("text/event-stream")

    def _start(self, head: Head) -> None:
        self._take = self._take_body
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunks = ChunkReader()

    def _take_body(self, data: bytes | bytearray, size: int) -> None:
        body = bytes(data[:size])
        if self._chunks is None:
            self._events.feed(body)
            return
        self._events.feed(self._chunks.feed(body))
        # The connection itself may stay, for a next request: there is none.
        if self._chunks.is_over and self._transport is not None:
            self._transport.close()

    def _on_event(self, event: StreamEvent) -> None:
        stream = self._streams[0]
        if event.name == "frame":
            self._note(stream, peek(event.data, 0, len(event.data)))
            return
        self._tally.others += 1
        if event.name == "end":
            stream.end()
            self._close_code = "end of the run"
        elif event.name in {"err", "error"}:
            self._on_error(event.data)

    def _on_error(self, data: bytes) -> None:
        try:
            notice = notices.decode(data)
        except notices.NotJson:
            notice = None
        code = notice.code if isinstance(notice, notices.ErrNotice) else "error event"
        self._tally.errors[code] += 1
