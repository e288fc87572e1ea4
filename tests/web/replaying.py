"""A backend that answers everything with what it is given, and remembers what it was asked."""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from tests.recordings import RECORDINGS

Recording = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    raw_path: str
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class ReplayingBackend:
    """Answers with `status`, `headers` and `body`, or with whatever `handler` says."""

    url: str = ""
    status: int = 200
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes = b""
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    asked: list[Asked] = field(default_factory=list)

    def answer_with(
        self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """The answer from now on."""
        self.status, self.body = status, body
        self.headers = CIMultiDict(headers or {"Content-Type": "application/json"})

    def play(self, recording: Recording) -> None:
        """Answer as recorded."""
        content_type = recording.get("headers", {}).get("content-type", "application/json")
        headers = {} if content_type is None else {"Content-Type": content_type}
        location = recording.get("headers", {}).get("location")
        if location is not None:
            headers["Location"] = location.replace("http://127.0.0.1:8000", self.url)
        body = recording["body"]
        is_json = content_type == "application/json"
        self.answer_with(
            msgspec.json.encode(body) if is_json else body.encode(),
            status=recording["status"],
            headers=headers,
        )
        self.headers = CIMultiDict(headers)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The one handler."""
        if self.handler is not None:
            return await self.handler(request)
        self.asked.append(
            Asked(request.method, request.raw_path, request.headers, await request.read())
        )
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@asynccontextmanager
async def replaying() -> AsyncIterator[ReplayingBackend]:
    """A running one."""
    backend = ReplayingBackend()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", backend.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield backend
    finally:
        await runner.cleanup()


def rest_recordings() -> dict[str, Path]:
    """Name to file of all recorded answers; empty where there are none."""
    folder = RECORDINGS / "rest"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name.partition(".")[0]: path for path in files}


def load(path: Path) -> Recording:
    """One recording."""
    data = path.read_bytes()
    recording: Recording = msgspec.json.decode(
        gzip.decompress(data) if path.suffix == ".gz" else data
    )
    return recording
