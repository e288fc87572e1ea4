"""File descriptors: how many streams they suffice for, and what happens when none is left.

Each connection needs one, and so does all that serves it: the backend's connections, files, Redis.
Streams stay below the limit by a reserve. What else connects is refused in a few words once even
that is used up, so that a flood of clients ends with the flood and not with the service.
"""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EMFILE, ENFILE
from typing import Any

import structlog

logger = structlog.get_logger(__name__)

_SHARE = 4
_LEAST_RESERVE, _MOST_RESERVE = 32, 256
_SPARE = 8
_AT_ONCE = 128
_SAY_EVERY_S = 10.0
_SHORT_FOR_S = 5.0
_APART_S = 0.2
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


def room_for_streams() -> int | None:
    """How many streams this process may have open, by `RLIMIT_NOFILE`; None: unlimited.

    A quarter of the descriptors, 32 at least and 256 at most, is kept for everything else.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    reserve = min(_MOST_RESERVE, max(_LEAST_RESERVE, limit // _SHARE))
    return max(1, limit - reserve)


@dataclass(slots=True)
class Descriptors:
    """Refuses connections with 503 while the process has no descriptor left to accept them."""

    _spare: list[int] = field(default_factory=list)
    _refused: int = 0
    _short_at_s: float = float("-inf")
    _said_at_s: float = float("-inf")

    def is_short(self) -> bool:
        """Whether connections were refused in the last seconds."""
        return asyncio.get_running_loop().time() - self._short_at_s < _SHORT_FOR_S

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold some descriptors back, and use them to refuse, while the block lasts."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error, listening = context.get("exception"), context.get("socket")
            is_short = isinstance(error, OSError) and error.errno in {EMFILE, ENFILE}
            if is_short and listening is not None:
                self._refuse(listening.fileno(), loop.time())
            elif before is not None:
                before(loop, context)
            else:
                loop.default_exception_handler(context)

        self._refill()
        loop.set_exception_handler(handle)
        try:
            yield
        finally:
            loop.set_exception_handler(before)
            self._release()

    def _refuse(self, listening: int, now_s: float) -> None:
        """Answer waiting connections with 503, and log that at most every ten seconds."""
        # asyncio tries, and fails, as often as its backlog is long, at the same moment.
        if now_s - self._short_at_s < _APART_S:
            return
        self._short_at_s = now_s
        self._release()
        try:
            with suppress(OSError), socket.socket(fileno=os.dup(listening)) as listener:
                for _ in range(_AT_ONCE):
                    client, _ = listener.accept()
                    self._refused += 1
                    with client, suppress(OSError):
                        client.settimeout(0)
                        client.send(_REFUSAL)
                        client.shutdown(socket.SHUT_WR)
                        # What it asked is read: unread it would make a reset of our answer.
                        client.recv(1 << 16)
        finally:
            self._refill()
        if self._refused and now_s - self._said_at_s >= _SAY_EVERY_S:
            self._said_at_s = now_s
            logger.error(
                "descriptors.exhausted",
                refused=self._refused,
                hint="raise the limit (ulimit -n), or lower BFF_WS_SOCKETS",
            )

    def _refill(self) -> None:
        with suppress(OSError):
            while len(self._spare) < _SPARE:
                self._spare.append(os.open(os.devnull, os.O_RDONLY))

    def _release(self) -> None:
        while self._spare:
            os.close(self._spare.pop())
