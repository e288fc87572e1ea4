"""`WS /backtests/{id}/ws`: a run over a WebSocket, with the real backend's habits."""

import asyncio
import struct
from collections.abc import Sequence

import msgspec
from aiohttp import WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from hewston_bff.tools.simulator import faults
from hewston_bff.tools.simulator.player import ConnectionOver
from hewston_bff.tools.simulator.stream_context import BROKEN_RELEASE, StreamContext
from hewston_bff.tools.simulator.text import END, HEARTBEAT, parsed, spaced_json, stream_error

_COMMANDS = frozenset({"play", "pause", "seek", "speed"})
_CLOSE_TIMEOUT_S = 1.0
_TEXT, _BINARY = 0x81, 0x82
_SHORT, _MEDIUM = 126, 1 << 16


class SocketStream:
    """One WebSocket. Nothing but heartbeats flows before `play`; every `play` plays it all."""

    def __init__(self, context: StreamContext) -> None:
        self._context = context
        self._socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, timeout=_CLOSE_TIMEOUT_S
        )
        self._writer: AbstractStreamWriter | None = None
        self._plays: asyncio.Queue[None] = asyncio.Queue()
        self._is_silent = False
        self._heard_s = 0.0

    async def serve(self) -> web.StreamResponse:
        """Upgrade and serve until the client or a fault ends it; a cancellation aborts it."""
        self._writer = await self._socket.prepare(self._context.request)
        self._heard()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._send_heartbeats(), name="heartbeats"),
                    group.create_task(self._play_all(), name="player"),
                    group.create_task(self._send_pings(), name="pings"),
                ]
                await self._read_all()
                for task in tasks:
                    task.cancel()
            if not self._socket.closed:
                await self._socket.close()
        finally:
            if not self._socket.closed:
                self._context.abort()
        return self._socket

    # -- Sink ---------------------------------------------------------------------------------

    def write(self, messages: Sequence[bytes]) -> None:
        """Text messages, each in a frame of its own, in one write."""
        parts: list[bytes] = []
        for message in messages:
            parts += (_header(_TEXT, len(message)), message)
        self._write(b"".join(parts))

    def write_binary(self, data: bytes) -> None:
        """One binary message."""
        self._write(_header(_BINARY, len(data)) + data)

    async def drain(self) -> None:
        """Wait while the transport's buffer is over its high-water mark."""
        if self._writer is not None:
            await self._writer.drain()

    async def cut(self) -> None:
        """Abort once the kernel has everything: the reader gets it, then an end of file."""
        self._context.expect_empty_buffer()
        await self.drain()
        self._context.abort()

    async def close(self, code: int) -> None:
        """Say goodbye; the reading loop then ends."""
        await self._socket.close(code=code)

    def fall_silent(self) -> None:
        """No frames, heartbeats, pongs, echoes or goodbyes any more."""
        self._is_silent = True

    # -- the parts ----------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        transport = self._context.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the reader is gone")
        transport.write(data)
        self._context.recorder.bytes_sent += len(data)

    async def _say(self, message: bytes) -> None:
        await self._context.gate.pass_by()
        if not self._is_silent:
            self.write([message])
            await self.drain()

    async def _send_heartbeats(self) -> None:
        if self._context.has(faults.NoHeartbeat):
            return
        try:
            while True:
                await asyncio.sleep(self._context.options.hb_interval_s)
                await self._say(HEARTBEAT)
        except ConnectionError:
            return

    async def _send_pings(self) -> None:
        interval_s = self._context.options.ping_interval_s
        if interval_s is None:
            return
        try:
            while True:
                await asyncio.sleep(interval_s)
                await self._context.gate.pass_by()
                if asyncio.get_running_loop().time() - self._heard_s > 1.5 * interval_s:
                    self._context.abort()
                    return
                if not self._is_silent:
                    await self._socket.ping()
        except ConnectionError:
            return

    async def _play_all(self) -> None:
        """Each queued play in turn, from frame 0."""
        errors = sum(
            fault.times for fault in self._context.script if isinstance(fault, faults.StreamError)
        )
        player = self._context.player(self, pace=self._context.options.flood_frames_per_s)
        try:
            while True:
                await self._plays.get()
                refusal = self._context.refusal()
                if errors > 0:
                    errors -= 1
                    refusal = BROKEN_RELEASE
                live = self._context.live()
                if refusal is not None or live is None:
                    await self._say(stream_error(refusal or ""))
                    continue
                await self._context.load(live)
                await player.play(live)
                if self._context.has(faults.EndMessage):
                    await self._say(END)
        except (ConnectionError, ConnectionOver):
            return

    async def _read_all(self) -> None:
        """Serve messages until the connection ends; one that kills it aborts it."""
        while True:
            message = await self._socket.receive()
            self._heard()
            if message.type in {WSMsgType.CLOSED, WSMsgType.ERROR}:
                return
            is_goodbye = message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING}
            if self._is_silent:
                if is_goodbye:
                    await self._context.wait_until_gone()
                continue
            # a busy backend reads nothing, not even a goodbye
            await self._context.gate.pass_by()
            self._heard()
            if is_goodbye:
                return
            try:
                await self._answer(message)
            except ConnectionError:
                return

    def _heard(self) -> None:
        self._heard_s = asyncio.get_running_loop().time()

    async def _answer(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            await self._command(message.data)
        elif message.type is WSMsgType.BINARY:
            self._context.seen.other_messages += 1
            self._context.abort()
        elif message.type is WSMsgType.PING and not self._context.has(faults.NoPong):
            await self._socket.pong(message.data)

    async def _command(self, text: str) -> None:
        try:
            message = parsed(text)
        except msgspec.DecodeError:
            self._context.seen.other_messages += 1
            await self._say(stream_error("invalid JSON", code="VALIDATION"))
            return
        is_play = isinstance(message, dict) and message.get("cmd") == "play"
        if not is_play or message.get("t") != "ctrl":
            self._context.seen.other_messages += 1
        if not isinstance(message, dict):
            self._context.abort()
        elif message.get("t") != "ctrl":
            await self._say(stream_error("unsupported message", code="VALIDATION"))
        elif message.get("cmd") not in _COMMANDS:
            await self._say(stream_error("invalid ctrl.cmd", code="VALIDATION"))
        else:
            if is_play:
                self._context.seen.plays += 1
                self._plays.put_nowait(None)
            await self._say(spaced_json({**message, "echo": True}))


def _header(first_byte: int, length: int) -> bytes:
    """The header of an unmasked, unfragmented WebSocket frame. Source: RFC 6455 section 5.2."""
    if length < _SHORT:
        return bytes((first_byte, length))
    if length < _MEDIUM:
        return struct.pack("!BBH", first_byte, 126, length)
    return struct.pack("!BBQ", first_byte, 127, length)
