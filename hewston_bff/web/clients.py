"""Who is connected: counted, limited, and told when we go."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import random
from typing import Protocol

from hewston_bff.errors import Busy, RateLimited
from hewston_bff.net.clients.client_writer import ClientWriter


class ConnectedClient(Protocol):
    """A session of any endpoint."""

    writer: ClientWriter

    def bye(self, *, after_ms: int) -> None:
        """Say that we are going, and go."""


@dataclass(slots=True)
class Clients:
    """All open streams. `is_draining`: no new ones are taken."""

    max_sockets: int
    max_per_address: int
    is_draining: bool = False
    open: set[ConnectedClient] = field(default_factory=set)
    _addresses: Counter[str] = field(default_factory=Counter)
    _reserved: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the next one would be too many."""
        return self._reserved >= self.max_sockets

    @contextmanager
    def slot(self, address: str) -> Iterator[None]:
        """Hold a slot for one stream, from before its handshake until it is gone.

        Raises:
            Busy: we are going, or full.
            RateLimited: too many from this address.
        """
        if self.is_draining:
            raise Busy("restarting: come back in a moment", retry_after_s=2)
        if self.is_full:
            raise Busy("connection limit reached: try again later", retry_after_s=10)
        if self._addresses[address] >= self.max_per_address:
            msg = "connection limit of this address reached: close a stream first"
            raise RateLimited(msg, retry_after_s=10)
        self._reserved += 1
        self._addresses[address] += 1
        try:
            yield
        finally:
            self._reserved -= 1
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    @contextmanager
    def joined(self, client: ConnectedClient) -> Iterator[None]:
        """Have `client` counted and told of a drain."""
        self.open.add(client)
        try:
            yield
        finally:
            self.open.discard(client)

    def drain(self) -> None:
        """Take no more, and tell everyone to come back, spread over a while."""
        self.is_draining = True
        spread_ms = 500 + 2 * len(self.open)
        for client in tuple(self.open):
            client.bye(after_ms=int(500 + random() * spread_ms))  # noqa: S311 - spread, not secrecy
