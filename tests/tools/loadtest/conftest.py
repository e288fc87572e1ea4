from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer
from yarl import URL

from tests.tools.loadtest.server import Behaviour, FrameServer

Start = Callable[[Behaviour], Awaitable[tuple[FrameServer, URL]]]


@pytest.fixture
def start(aiohttp_server: AiohttpServer) -> Start:
    """Starts a server of this behaviour: itself and its address."""

    async def started(behaviour: Behaviour) -> tuple[FrameServer, URL]:
        frames = FrameServer(behaviour)
        server: TestServer = await aiohttp_server(frames.app())
        return frames, server.make_url("/")

    return started
