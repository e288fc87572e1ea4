"""`GET /backtests/{id}/stream`: a run as Server-Sent Events."""

from collections.abc import Sequence

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from hewston_bff.tools.simulator import faults
from hewston_bff.tools.simulator.player import ConnectionOver
from hewston_bff.tools.simulator.stream_context import BROKEN_RELEASE, StreamContext
from hewston_bff.tools.simulator.text import stream_error


class EventStream:
    """One SSE answer: all frames, then `event: end`, then it closes."""

    def __init__(self, context: StreamContext) -> None:
        self._context = context
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
            }
        )
        self._writer: AbstractStreamWriter | None = None
        self._unsent = bytearray()
        self._is_silent = False

    async def serve(self) -> web.StreamResponse:
        """Answer until the run, the client or a fault ends it."""
        self._writer = await self._response.prepare(self._context.request)
        try:
            refusal = self._context.refusal()
            if self._context.has(faults.StreamError):
                refusal = BROKEN_RELEASE
            live = self._context.live()
            if refusal is not None or live is None:
                await self._event(b"error", stream_error(refusal or ""))
                return self._response
            await self._context.load(live)
            player = self._context.player(self, pace=self._context.options.sse_frames_per_s)
            await player.play(live)
            await self._event(b"end", b"{}")
        except ConnectionOver:
            if self._is_silent:
                await self._context.wait_until_gone()
        except ConnectionError:
            self._context.abort()
        return self._response

    # -- Sink ---------------------------------------------------------------------------------

    def write(self, messages: Sequence[bytes]) -> None:
        """One `frame` event a message, in one chunk."""
        self._unsent += b"".join(b"event: frame\ndata: " + each + b"\n\n" for each in messages)

    def write_binary(self, data: bytes) -> None:
        """Bytes that are no text, as the data of an event."""
        self.write([data])

    async def drain(self) -> None:
        """Hand over what was written; wait while the transport's buffer is over its mark."""
        data, self._unsent = bytes(self._unsent), bytearray()
        if self._context.is_gone:
            raise ConnectionResetError("the reader is gone")
        if data:
            self._context.recorder.bytes_sent += len(data)
            await self._response.write(data)
        if self._writer is not None:
            await self._writer.drain()

    async def cut(self) -> None:
        """Abort once the kernel has everything."""
        self._context.expect_empty_buffer()
        await self.drain()
        self._context.abort()

    async def close(self, code: int) -> None:  # noqa: ARG002 - SSE has no codes
        """End the answer without `event: end`."""
        await self.drain()

    def fall_silent(self) -> None:
        """Nothing more, but the connection stays."""
        self._is_silent = True

    async def _event(self, name: bytes, data: bytes) -> None:
        self._unsent += b"event: " + name + b"\ndata: " + data + b"\n\n"
        await self.drain()
