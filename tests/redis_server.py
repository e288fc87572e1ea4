"""A real Redis of the test's own, that can be killed, frozen and started again; and a bad line."""

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support import free_port, program


class RedisServer:
    """One server on one port, whichever process serves it."""

    def __init__(self, port: int, *options: str) -> None:
        """`options` of its command line win over ours."""
        self.port = port
        self._options = options
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, empty unless its options say otherwise, and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            *self._options,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        assert self._process.stdout is not None
        while b"eady to accept connections" not in (line := await self._process.stdout.readline()):
            assert line, "redis-server ended"

    async def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()

    def freeze(self) -> None:
        """Let connections live and nothing be answered: a black hole."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on, with what was asked in the meantime."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def redis_server(*options: str) -> AsyncIterator[RedisServer]:
    """A running server on a free port."""
    server = RedisServer(free_port(), *options)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def late_line(port: int, *, delay_s: Callable[[], float]) -> AsyncIterator[str]:
    """The address of a line to a local port on which each answer is late by `delay_s()`."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()

    async def carry_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                wait_s = delay_s()
                await asyncio.sleep(wait_s)
                writer.write(data)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            late = group.create_task(carry_late(far_reader, writer))
            await carry(reader, far_writer)
            late.cancel()
        far_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        await server.wait_closed()
