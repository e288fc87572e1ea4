"""A tiny server that speaks the stream protocol, as the other side of the load test and of watch.

It plays made-up frames at a steady pace; what goes wrong is data (`Behaviour`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any

import msgspec
from aiohttp import web

Json = dict[str, Any]
Send = Callable[[bytes], Awaitable[None]]


@dataclass(kw_only=True)
class Behaviour:
    """How the server plays, and what it does wrong.

    `frames`: source frames in a run; `width` of them in a message. `between`: extra messages that
    come before the frame message of that index. `stop_after` messages it falls silent,
    `close_after` it closes with `close_code`. `refuse`: HTTP status instead of an upgrade, by
    attempt; 0 lets in.
    """

    period_s: float = 0.002
    frames: int = 1_000_000
    width: int = 1
    skip_at: int | None = None
    between: dict[int, list[Json]] = field(default_factory=dict)
    stop_after: int | None = None
    close_after: int | None = None
    close_code: int = 1012
    refuse: list[int] = field(default_factory=list)
    is_stamped: bool = False
    is_spaced: bool = False
    are_sids_told: bool = True
    errors_for: dict[str, str] = field(default_factory=dict)
    runs: list[Json] = field(default_factory=list)
    list_status: int = 200


def ts(seq: int) -> str:
    """The made-up time of a frame."""
    return f"2024-03-{seq // 1440 % 28 + 1:02d}T{seq // 60 % 24:02d}:{seq % 60:02d}:00Z"


def frame(first: int, seq: int, *, sid: int | None = None, sent_ns: int | None = None) -> Json:
    """A frame message that covers `first` to `seq`."""
    message: Json = {"t": "frame"}
    if sid is not None:
        message["sid"] = sid
    if first != seq:
        message["from"] = first
    message["seq"] = seq
    if first != seq:
        message |= {"n": seq - first + 1, "ts0": ts(first)}
    message |= {
        "ts": ts(seq),
        "ohlc": {"o": 100.0, "h": 101.5, "l": 99.5, "c": 101.0, "v": 1200},
        "orders": [],
        "equity": {"ts": ts(seq), "value": 100_000.0 + seq},
        "dropped": 0,
    }
    if sent_ns is not None:
        message["sent_ns"] = sent_ns
    return message


class Cursor:
    """Where one subscription stands."""

    def __init__(self, *, sid: int | None, start: int, is_playing: bool) -> None:
        self.sid = sid
        self.next_seq = start
        self.is_playing = asyncio.Event()
        self.messages = 0
        self.speed = 60.0
        if is_playing:
            self.is_playing.set()

    def numbered(self, message: Json) -> Json:
        return message if self.sid is None else {**message, "sid": self.sid}


class FrameServer:
    """The server; `received` are the clients' messages, `requests` their paths and headers."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.received: list[Json] = []
        self.requests: list[web.Request] = []
        self.pongs = 0
        self.is_told = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/stream", self._stream)
        app.router.add_get("/api/v1/runs/{run_id}/stream", self._run)
        app.router.add_get("/api/v1/runs/{run_id}/events", self._events)
        app.router.add_get("/backtests/{run_id}/ws", self._backend)
        app.router.add_get("/backtests", self._list)
        return app

    async def heard(self) -> None:
        """Wait until a client has answered a ping: it reads what we send."""
        while not self.pongs:
            self.is_told.clear()
            await self.is_told.wait()

    async def told(self, *commands: str) -> None:
        """Wait until the clients have sent these `ctrl` commands, in this order."""
        while [one["cmd"] for one in self.received if one["t"] == "ctrl"] != list(commands):
            self.is_told.clear()
            await self.is_told.wait()

    async def _list(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        body = msgspec.json.encode({"items": self.behaviour.runs})
        return web.Response(body=body, status=self.behaviour.list_status)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self._socket(request) as ws:
            await ws.send_str('{"t":"hello","v":1}')
            async with asyncio.TaskGroup() as group:
                players: list[asyncio.Task[None]] = []
                cursors: dict[int | None, Cursor] = {}
                async for message in self._messages(ws):
                    if message["t"] == "subscribe":
                        cursor = Cursor(sid=len(cursors) + 1, start=0, is_playing=True)
                        cursors[cursor.sid] = cursor
                        players.append(group.create_task(self._subscribed(ws, message, cursor)))
                    elif message["t"] == "ctrl":
                        await self._ctrl(ws, message, cursors[message.get("sid", 1)])
                for player in players:
                    player.cancel()
            return ws

    async def _subscribed(self, ws: web.WebSocketResponse, message: Json, cursor: Cursor) -> None:
        code = self.behaviour.errors_for.get(message["run_id"])
        if code is not None:
            await self._send(ws, {"t": "err", "re": message["id"], "code": code, "msg": "no"})
            return
        if self.behaviour.are_sids_told:
            told = {"t": "subscribed", "re": message["id"], "run_id": message["run_id"]}
            await self._send(ws, cursor.numbered(told))
        await self._play(ws, cursor)

    async def _run(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        start = query.get("from", "0")
        cursor = Cursor(
            sid=None,
            start=int(start) if start.isdecimal() else 0,
            is_playing=query.get("paused") != "true",
        )
        return await self._one(request, cursor, is_subscribed=True)

    async def _backend(self, request: web.Request) -> web.StreamResponse:
        cursor = Cursor(sid=None, start=0, is_playing=False)
        return await self._one(request, cursor, is_subscribed=False)

    async def _one(
        self, request: web.Request, cursor: Cursor, *, is_subscribed: bool
    ) -> web.StreamResponse:
        if self.behaviour.refuse and (status := self.behaviour.refuse.pop(0)):
            self.requests.append(request)
            return web.Response(status=status)
        async with self._socket(request) as ws:
            if is_subscribed:
                last = self.behaviour.frames - 1
                subscribed = {"epoch": "e", "first": 0, "last": last, "complete": True, "seq": -1}
                more = {"status": "playing", "speed": 60, "max_fps": 30, "mode": "merge"}
                await self._send(ws, {"t": "subscribed", "run_id": "r", **subscribed, **more})
            async with asyncio.TaskGroup() as group:
                player = group.create_task(self._play(ws, cursor))
                async for message in self._messages(ws):
                    if message["t"] == "ctrl":
                        await self._ctrl(ws, message, cursor)
                player.cancel()
            return ws

    async def _ctrl(self, ws: web.WebSocketResponse, message: Json, cursor: Cursor) -> None:
        is_seeked = False
        match message["cmd"]:
            case "pause":
                cursor.is_playing.clear()
            case "play":
                if cursor.next_seq >= self.behaviour.frames:
                    cursor.next_seq, is_seeked = 0, True
                cursor.is_playing.set()
            case "seek":
                cursor.next_seq, is_seeked = message["pos"], True
            case "speed":
                cursor.speed = message["val"]
            case _:
                pass
        await self._send(ws, cursor.numbered(self._state(cursor, is_seeked=is_seeked)))

    def _state(self, cursor: Cursor, *, is_seeked: bool) -> Json:
        edge = self.behaviour.frames - 1
        return {
            "t": "state",
            "status": "playing" if cursor.is_playing.is_set() else "paused",
            "seq": cursor.next_seq - 1,
            "ts": ts(cursor.next_seq),
            "speed": cursor.speed,
            "frames_per_s": 30 * cursor.speed,
            "live_edge": edge,
            "behind": edge - cursor.next_seq + 1,
            "seeked": is_seeked,
        }

    async def _play(self, ws: web.WebSocketResponse, cursor: Cursor) -> None:
        how = self.behaviour
        while not ws.closed:
            await cursor.is_playing.wait()
            for extra in how.between.get(cursor.messages, []):
                await self._send(ws, cursor.numbered(extra))
            if cursor.messages == how.stop_after:
                return
            if cursor.messages == how.close_after:
                await ws.close(code=how.close_code)
                return
            await self._send(ws, self._next(cursor))
            if cursor.next_seq >= how.frames:
                cursor.is_playing.clear()
                await self._send(ws, cursor.numbered({"t": "end", "seq": how.frames - 1}))
            await asyncio.sleep(how.period_s)

    def _next(self, cursor: Cursor) -> Json:
        how = self.behaviour
        first = cursor.next_seq + (cursor.messages == how.skip_at)
        seq = min(first + how.width, how.frames) - 1
        cursor.next_seq = seq + 1
        cursor.messages += 1
        sent_ns = monotonic_ns() if how.is_stamped else None
        return frame(first, seq, sid=cursor.sid, sent_ns=sent_ns)

    async def _send(self, ws: web.WebSocketResponse, message: Json) -> None:
        text = msgspec.json.encode(message)
        if self.behaviour.is_spaced:
            text = text.replace(b'":', b'": ').replace(b',"', b', "')
        if not ws.closed:
            try:
                await ws.send_str(text.decode())
            except ConnectionError:
                return

    @asynccontextmanager
    async def _socket(self, request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
        self.requests.append(request)
        ws = web.WebSocketResponse(compress=False, autoping=False)
        await ws.prepare(request)
        await ws.ping(b"are you there")
        yield ws

    async def _messages(self, ws: web.WebSocketResponse) -> AsyncIterator[Json]:
        async for message in ws:
            if message.type is web.WSMsgType.PONG:
                self.pongs += message.data == b"are you there"
                self.is_told.set()
            elif message.type is web.WSMsgType.TEXT:
                self.received.append(msgspec.json.decode(message.data))
                self.is_told.set()
                yield self.received[-1]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.behaviour.refuse and (status := self.behaviour.refuse.pop(0)):
            return web.Response(status=status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n: a comment\n\n")
        how, seq = self.behaviour, 0
        try:
            while seq < how.frames:
                text = msgspec.json.encode(frame(seq, seq))
                await response.write(b"event: frame\nid: e:%d\ndata: %b\n\n" % (seq, text))
                seq += 1
                await asyncio.sleep(how.period_s)
            await response.write(b'event: err\ndata: {"t":"err","code":"RANGE"}\n\n')
            await response.write(b"event: end\ndata: {}\n\n")
        except ConnectionError:
            pass
        return response
