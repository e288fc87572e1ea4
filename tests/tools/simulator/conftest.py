"""Fixtures of the simulator's tests: a served backend and a client at its address."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from hewston_bff.tools.simulator import RunningBackend, SimulatedBackend

Serve = Callable[[SimulatedBackend], Awaitable[tuple[RunningBackend, aiohttp.ClientSession]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a backend and gives it with a client session bound to its address."""
    async with AsyncExitStack() as stack:

        async def start(
            backend: SimulatedBackend,
        ) -> tuple[RunningBackend, aiohttp.ClientSession]:
            running = await stack.enter_async_context(backend.running())
            session = await stack.enter_async_context(aiohttp.ClientSession(running.url))
            return running, session

        yield start
