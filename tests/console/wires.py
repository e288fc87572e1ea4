"""A proxy in front of the server that does what bad networks do, and counts."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(?:^|\r\n\r\n|\})(GET|HEAD|POST) (\S+) HTTP/1\.[01]\r\n")
_NO_UPGRADE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Wires:
    """Passes bytes on. `passes_sockets`: whether a WebSocket's handshake gets through."""

    target: int
    passes_sockets: bool = True
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and address of each, but for handshakes."""
    handshakes: int = 0
    most_open: int = 0
    _open: int = 0
    _generation: int = 0

    def fall_silent(self) -> None:
        """From now on nothing passes on the connections that are open, and nobody is told."""
        self._generation += 1

    def count(self, start: str) -> int:
        """How many requests begin so."""
        return sum(one.startswith(start) for one in self.requests)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Wires"]:
        """Listen while the block lasts."""
        async with asyncio.TaskGroup() as group:
            serving: set[asyncio.Task[None]] = set()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                serving.add(group.create_task(self._serve(reader, writer)))

            async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
                self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                yield self
                for task in serving:
                    task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        writers = [writer]
        try:
            first = await reader.read(65_536)
            if b"upgrade: websocket" in first.lower():
                self.handshakes += 1
                if not self.passes_sockets:
                    writer.write(_NO_UPGRADE)
                    await writer.drain()
                    return
            else:
                self._note(first)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            writers.append(far_writer)
            far_writer.write(first)
            async with asyncio.TaskGroup() as group:
                generation = self._generation
                out = group.create_task(self._pump(reader, far_writer, generation, is_out=True))
                await self._pump(far_reader, writer, generation, is_out=False)
                out.cancel()
        except OSError:
            return
        finally:
            self._open -= 1
            for one in writers:
                one.transport.abort()

    def _note(self, data: bytes) -> None:
        for method, address in _REQUEST.findall(data):
            self.requests.append(f"{method.decode()} {address.decode()}")

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        generation: int,
        *,
        is_out: bool,
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if generation != self._generation:
                    continue
                if is_out:
                    self._note(data)
                writer.write(data)
                await writer.drain()
            if generation != self._generation:
                # The far end has gone, and the near one is not told.
                await asyncio.get_running_loop().create_future()
        except OSError:
            return
