"""The platform's backend over HTTP: what it says of runs, and the streams it plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import aiohttp
import structlog

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendUnavailable, Subject, backend_error
from hewston_bff.net.backend.connections import Connections
from hewston_bff.net.backend.requests import BackendRequests
from hewston_bff.net.backend.sse import NoEventStream, open_sse
from hewston_bff.net.backend.transport_choice import Transport, TransportChoice
from hewston_bff.net.backend.ws import open_ws
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.description import (
    MalformedDescription,
    RunDescription,
    parse_description,
)
from hewston_bff.topics.run.ports import LinkLost, LinkRefused, Upstream

logger = structlog.get_logger(__name__)

_DESCRIPTION_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """Where the backend is and how patient we are; seconds and bytes."""

    url: str
    transport: Literal["auto", "ws", "sse"] = "auto"
    connect_s: float = 35.0
    message_bytes: int = 1 << 20


class HttpBackend:
    """See `ports.Backend` of runs."""

    def __init__(
        self,
        options: BackendOptions,
        *,
        connections: Connections,
        requests: BackendRequests,
        activity: BackendActivity | None = None,
    ) -> None:
        self._options = options
        self._requests = requests
        self._pooled = connections.pooled
        self._streams = connections.streams
        self._activity = activity or BackendActivity()
        self._choice = TransportChoice()

    def open_stream(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        """See `ports.Backend`."""
        match self._options.transport:
            case "sse":
                return self._open_only_sse(run_id, credentials)
            case "ws":
                return self._open_ws(run_id, credentials)
            case "auto":
                return self._open_auto(run_id, credentials)

    def _open_sse(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        options = self._options
        url = f"{options.url}/backtests/{run_id}/stream"
        return open_sse(self._streams, url, credentials, options.connect_s, options.message_bytes)

    def _open_ws(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        options = self._options
        url = f"{options.url}/backtests/{run_id}/ws"
        return open_ws(self._streams, url, credentials, options.connect_s, options.message_bytes)

    @asynccontextmanager
    async def _open_only_sse(
        self, run_id: RunId, credentials: Credentials
    ) -> AsyncIterator[Upstream]:
        try:
            async with self._open_sse(run_id, credentials) as upstream:
                yield upstream
        except NoEventStream as exc:
            if exc.status == 404:
                raise LinkRefused(404) from exc
            raise

    @asynccontextmanager
    async def _open_auto(self, run_id: RunId, credentials: Credentials) -> AsyncIterator[Upstream]:
        """Events where the backend has them, else a WebSocket; what happens is remembered."""
        choice, loop = self._choice, asyncio.get_running_loop()
        is_found_out = False
        if choice.choose(run_id, now_s=loop.time()) is Transport.SSE:
            try:
                async with self._open_sse(run_id, credentials) as upstream:
                    yield upstream
            except NoEventStream as exc:
                is_found_out = True
                logger.info("upstream.no_events", run_id=run_id, reason=str(exc))
            except LinkLost as lost:
                if not lost.is_unreachable:
                    choice.sse_failed(run_id, now_s=loop.time())
                raise
            else:
                choice.sse_worked(run_id)
                return
        try:
            async with self._open_ws(run_id, credentials) as upstream:
                if is_found_out:
                    choice.sse_is_absent(now_s=loop.time())
                yield upstream
        except LinkLost:
            choice.ws_failed(run_id)
            raise

    async def describe(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float, is_retried: bool
    ) -> RunDescription:
        """See `ports.Describer`."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        response = await self._requests.get(
            f"/backtests/{run_id}",
            credentials=credentials,
            deadline_s=deadline_s,
            max_bytes=_DESCRIPTION_BYTES,
            is_retried=is_retried,
        )
        if response.status != 200:
            raise backend_error(response.status, Subject.RUN)
        try:
            return parse_description(run_id, response.body, asked_s=asked_s, told_s=loop.time())
        except MalformedDescription as exc:
            raise BackendUnavailable("the backend's answer makes no sense: try again") from exc

    async def state(self, *, within_s: float) -> Literal["ok", "degraded", "down"]:
        """How it answers `/healthz`; silence alone is not "down", for it may be deaf."""
        try:
            async with (
                asyncio.timeout(within_s),
                self._pooled.get(f"{self._options.url}/healthz") as response,
            ):
                self._activity.alive()
                return "ok" if response.status == 200 else "degraded"
        except TimeoutError:
            return "degraded"
        except (aiohttp.ClientError, OSError):
            return "down"
