"""The platform's backend over HTTP: what it says of runs, and the streams it plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import aiohttp
import msgspec
import structlog

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendUnavailable, Forbidden, RunNotFound, Unauthorized
from hewston_bff.net.backend.connections import Connections, is_unreachable
from hewston_bff.net.backend.sse import NoEventStream, open_sse
from hewston_bff.net.backend.transport_choice import Transport, TransportChoice
from hewston_bff.net.backend.ws import open_ws
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.identity import MEMBERS as IDENTITY_MEMBERS
from hewston_bff.topics.run.identity import identity_in
from hewston_bff.topics.run.ports import LinkLost, LinkRefused, Upstream
from hewston_bff.topics.run.run_span import run_days

logger = structlog.get_logger(__name__)

_DETAIL_BYTES = 1 << 20
_REFUSALS = {
    401: Unauthorized("the backend wants credentials: send an Authorization header or a token"),
    403: Forbidden("the backend does not allow you this run"),
    404: RunNotFound("the backend has no such run: check the id"),
}


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """Where the backend is and how patient we are; seconds and bytes."""

    url: str
    transport: Literal["auto", "ws", "sse"] = "auto"
    request_s: float = 30.0
    connect_s: float = 35.0
    message_bytes: int = 1 << 20


class _Detail(msgspec.Struct):
    status: str | None = None
    progress: float | None = None
    created_at: msgspec.Raw = msgspec.Raw(b"")
    code_hash: msgspec.Raw = msgspec.Raw(b"")
    input_hash: msgspec.Raw = msgspec.Raw(b"")
    run_from: msgspec.Raw = msgspec.Raw(b"")
    run_to: msgspec.Raw = msgspec.Raw(b"")


_DECODE_DETAIL = msgspec.json.Decoder(_Detail)


class HttpBackend:
    """The hub's backend port."""

    def __init__(
        self,
        options: BackendOptions,
        *,
        connections: Connections,
        activity: BackendActivity | None = None,
    ) -> None:
        self._options = options
        self._requests = connections.pooled
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

    async def describe(self, run_id: RunId, credentials: Credentials) -> RunDescription:
        """See `ports.Backend`."""
        url = f"{self._options.url}/backtests/{run_id}"
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        try:
            async with asyncio.timeout(self._options.request_s):
                with self._activity.asking():
                    detail = await self._ask(url, credentials)
                self._activity.alive()
                return replace(detail, asked_s=asked_s, told_s=loop.time())
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            if is_unreachable(exc):
                self._activity.lost()
            raise BackendUnavailable("the backend does not answer; we keep trying") from exc

    async def _ask(self, url: str, credentials: Credentials) -> RunDescription:
        async with self._requests.get(
            url, headers=credentials.headers(), allow_redirects=False
        ) as response:
            if response.status in _REFUSALS:
                refusal = _REFUSALS[response.status]
                raise type(refusal)(refusal.message)
            if response.status != 200:
                msg = f"the backend answered {response.status}; we keep trying"
                raise BackendUnavailable(msg)
            body = await _read(response)
            try:
                detail = _DECODE_DETAIL.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
                raise BackendUnavailable("the backend's answer makes no sense") from exc
            identity = identity_in({name: getattr(detail, name) for name in IDENTITY_MEMBERS})
            days = run_days(bytes(detail.run_from), bytes(detail.run_to))
            return RunDescription(detail.status, detail.progress, identity, days=days)

    async def state(self, *, within_s: float) -> Literal["ok", "degraded", "down"]:
        """How it answers `/healthz`; silence alone is not "down", for it may be deaf."""
        try:
            async with (
                asyncio.timeout(within_s),
                self._requests.get(f"{self._options.url}/healthz") as response,
            ):
                self._activity.alive()
                return "ok" if response.status == 200 else "degraded"
        except TimeoutError:
            return "degraded"
        except (aiohttp.ClientError, OSError):
            return "down"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _DETAIL_BYTES:
            raise BackendUnavailable("the backend says too much of this run; we keep trying")
    return bytes(body)
