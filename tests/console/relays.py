"""Relays in front of the server that do to connections what bad networks do."""

import asyncio
import random
import re
import socket
import struct
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

_REQUEST = re.compile(rb"(?:^|\r\n\r\n|\})(GET|HEAD|POST) (\S+) HTTP/1\.[01]\r\n")
_NO_UPGRADE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LINGER_NOTHING = struct.pack("ii", 1, 0)

Pump = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@dataclass
class Relay:
    """Listens, and connects each who comes to `target`; what passes is its subclass's."""

    target: int
    url: str = field(default="", kw_only=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
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
        writers = [writer]
        try:
            first = await self._first(reader, writer)
            if first is None:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            writers.append(far_writer)
            far_writer.write(first)
            outward, inward = self._pumps()
            async with asyncio.TaskGroup() as group:
                out = group.create_task(_until_broken(outward, reader, far_writer))
                await _until_broken(inward, far_reader, writer)
                out.cancel()
        except OSError:
            return
        finally:
            for one in writers:
                self._end(one.transport)

    async def _first(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bytes | None:
        """What was read before the server is asked; None: it is not asked at all."""
        return b""

    @abstractmethod
    def _pumps(self) -> tuple[Pump, Pump]:
        """What passes bytes on in one connection: to the server, and from it."""

    def _end(self, transport: asyncio.WriteTransport) -> None:
        transport.abort()


async def _until_broken(
    pump: Pump, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(OSError):
        await pump(reader, writer)


# -- connections that break


@dataclass
class Proxy(Relay):
    """Resets connections after a number of bytes chosen by `next_cut`."""

    next_cut: Callable[[], int | None]
    cuts: int = 0

    def _pumps(self) -> tuple[Pump, Pump]:
        return partial(self._pump, limit=None), partial(self._pump, limit=self.next_cut())

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limit: int | None
    ) -> None:
        passed = 0
        while data := await reader.read(4_096):
            passed += len(data)
            if limit is not None and passed > limit:
                writer.write(data[: len(data) // 2])
                self.cuts += 1
                return
            writer.write(data)
            await writer.drain()

    def _end(self, transport: asyncio.WriteTransport) -> None:
        reset(transport)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a connection as a cut cable would: no orderly end, what was written may be lost."""
    opened: socket.socket = transport.get_extra_info("socket")
    if not transport.is_closing():
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
    transport.abort()


def random_cuts(*, seed: int, count: int, most_bytes: int) -> Callable[[], int | None]:
    """After how many bytes each connection is cut; None once there were `count`."""
    chance = random.Random(seed)
    left = iter([chance.randrange(most_bytes) for _ in range(count)])
    return lambda: next(left, None)


# -- connections that are watched, refused or fall silent


@dataclass
class Wires(Relay):
    """Counts what passes. `passes_sockets`: whether a WebSocket's handshake gets through."""

    passes_sockets: bool = True
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            await super()._serve(reader, writer)
        finally:
            self._open -= 1

    async def _first(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        first = await reader.read(65_536)
        if b"upgrade: websocket" not in first.lower():
            self._note(first)
            return first
        self.handshakes += 1
        if self.passes_sockets:
            return first
        writer.write(_NO_UPGRADE)
        await writer.drain()
        return None

    def _note(self, data: bytes) -> None:
        for method, address in _REQUEST.findall(data):
            self.requests.append(f"{method.decode()} {address.decode()}")

    def _pumps(self) -> tuple[Pump, Pump]:
        pump = partial(self._pump, generation=self._generation)
        return partial(pump, is_out=True), partial(pump, is_out=False)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        generation: int,
        is_out: bool,
    ) -> None:
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
