"""The server under test in front of a simulated backend, both on real sockets, and a client."""

import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from hewston_bff.app import create_app
from hewston_bff.hub.hub import Hub
from hewston_bff.settings import Settings
from hewston_bff.tools.simulator import (
    RunningBackend,
    SimulatedBackend,
    SimulatedRun,
    SimulatorOptions,
    generated_run,
)
from hewston_bff.web.keys import HUB
from hewston_bff.web.routes import ENDPOINTS

Message = dict[str, Any]

QUICK = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3)
"""A backend for tests that cannot wait: its end is known within about a second."""


def program(name: str) -> str:
    """Where this program is. Where there is none the test fails in CI, and is skipped elsewhere."""
    # Servers lie where only root's shell looks.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"needs {name}")
    return path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Bff:
    """The running server."""

    url: str
    app: web.Application
    runner: web.AppRunner
    session: aiohttp.ClientSession

    @property
    def hub(self) -> Hub:
        return self.app[HUB]

    @property
    def port(self) -> int:
        port: int = self.runner.addresses[0][1]
        return port

    async def get(self, path: str, **options: Any) -> Message:
        """The JSON of an address."""
        async with self.session.get(self.url + path, **options) as response:
            body: Message = await response.json()
            return body

    async def totals(self) -> Message:
        """The hub's totals as its stats page tells them."""
        totals: Message = (await self.get("/api/v1/websocket/stats"))["websocket_stats"]
        return totals

    @asynccontextmanager
    async def viewer(self, path: str = "/api/v1/stream", **options: Any) -> AsyncIterator["Viewer"]:
        """A connected client."""
        async with self.session.ws_connect(self.url + path, autoping=False, **options) as ws:
            yield Viewer(ws)


@asynccontextmanager
async def serving(backend_url: str, *, port: int = 0, **settings: Any) -> AsyncIterator[Bff]:
    """The server in front of `backend_url`, with quick reconnects unless `settings` say otherwise.

    And over WebSockets: `play` and `hb` are what most tests count and pace. `endpoints`, among the
    settings, are those that it serves.
    """
    defaults: dict[str, Any] = {
        "bff_hub_backoff_base_seconds": 0.02,
        "bff_hub_backoff_cap_seconds": 0.1,
        "bff_upstream_transport": "ws",
    }
    endpoints = settings.pop("endpoints", ENDPOINTS)
    wanted = Settings(hewston_backend_url=backend_url, **(defaults | settings))
    app = create_app(wanted, endpoints=endpoints)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=3, access_log=None)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        yield Bff(f"http://127.0.0.1:{runner.addresses[0][1]}", app, runner, session)


@asynccontextmanager
async def stack(
    *runs: SimulatedRun, options: SimulatorOptions = QUICK, **settings: Any
) -> AsyncIterator[tuple[Bff, SimulatedBackend, RunningBackend]]:
    """A backend with `runs` (default: one day, `day`) and the server in front of it."""
    backend = SimulatedBackend(runs or (generated_run("day"),), options=options)
    async with backend.running() as running, serving(running.url, **settings) as bff:
        yield bff, backend, running


@dataclass
class Viewer:
    """A client that remembers what it was sent and checks the rule of continuity as it comes."""

    ws: aiohttp.ClientWebSocketResponse
    seen: list[Message] = field(default_factory=list)
    close_code: int | None = None
    _last: dict[int | None, int | None] = field(default_factory=dict)

    async def say(self, **message: Any) -> None:
        """Send one message."""
        await self.ws.send_str(msgspec.json.encode(message).decode())

    async def subscribe(self, run_id: str, **wishes: Any) -> Message:
        """Subscribe; the answer."""
        request_id = f"s{len(self.seen)}-{run_id}"
        await self.say(t="subscribe", id=request_id, run_id=run_id, **wishes)
        return await self.until(lambda m: m.get("re") == request_id)

    async def ctrl(self, cmd: str, **values: Any) -> Message:
        """Give a command; the answer."""
        request_id = len(self.seen) + 1_000
        await self.say(t="ctrl", id=request_id, cmd=cmd, **values)
        return await self.until(lambda m: m.get("re") == request_id)

    async def next(self) -> Message:
        """The next message; an empty one once the socket is closed."""
        while True:
            received = await self.ws.receive()
            if received.type is aiohttp.WSMsgType.PING:
                await self.ws.pong(received.data)
                continue
            if received.type is not aiohttp.WSMsgType.TEXT:
                self.close_code = self.ws.close_code
                return {}
            message: Message = msgspec.json.decode(received.data)
            self.seen.append(message)
            self._check(message)
            return message

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message to come that is `wanted`."""
        while message := await self.next():
            if wanted(message):
                return message
        msg = f"closed with {self.close_code} before it came; last: {self.seen[-3:]}"
        raise AssertionError(msg)

    async def until_end(self) -> list[Message]:
        """All frames up to the run's end."""
        await self.until(is_a("end"))
        return self.frames()

    async def until_closed(self) -> int | None:
        """The close code."""
        while await self.next():
            pass
        return self.close_code

    def frames(self, sid: int | None = None) -> list[Message]:
        """The frames seen, of one subscription if several are there."""
        return [m for m in self.seen if m["t"] == "frame" and sid in (None, m.get("sid"))]

    def of(self, kind: str) -> list[Message]:
        """The messages of a kind."""
        return [m for m in self.seen if m["t"] == kind]

    def _check(self, message: Message) -> None:
        """Continuity, the one rule a client can check."""
        sid, kind = message.get("sid"), message["t"]
        if kind == "frame":
            first = message.get("from", message["seq"])
            last = self._last.get(sid)
            assert last is None or first == last + 1, f"gap: {last} then {first}"
            self._last[sid] = message["seq"]
        elif kind in {"lag", "reset", "subscribed"} or message.get("seeked"):
            self._last[sid] = None


@asynccontextmanager
async def viewer_of(url: str) -> AsyncIterator[Viewer]:
    """A client of a server in another process."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as ws:
        yield Viewer(ws)


def is_a(kind: str, **members: Any) -> Callable[[Message], bool]:
    """Whether a message is of this kind and has these members."""

    def matches(message: Message) -> bool:
        return message["t"] == kind and all(message.get(k) == v for k, v in members.items())

    return matches


def sources(run: SimulatedRun) -> list[Message]:
    """A run's frames as the backend sends them."""
    return [msgspec.json.decode(frame) for frame in run.frames]


def without_ours(frame: Message) -> Message:
    """A frame as the backend had it, less what we add."""
    return {name: value for name, value in frame.items() if name not in {"sid", "seq"}}
