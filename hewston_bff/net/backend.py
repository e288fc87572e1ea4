"""The platform's backend over HTTP: what it says of runs, and the streams it plays."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Literal

import aiohttp
import msgspec

from hewston_bff.core.ids import RunId
from hewston_bff.core.run_identity import MEMBERS as IDENTITY_MEMBERS
from hewston_bff.core.run_identity import identity_in
from hewston_bff.errors import BackendUnavailable, Forbidden, RunNotFound, Unauthorized
from hewston_bff.hub.ports import Credentials, RunDetail, Upstream
from hewston_bff.net.connections import Connections
from hewston_bff.net.upstream_sse import open_sse
from hewston_bff.net.upstream_ws import open_ws

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
    transport: str = "ws"
    request_s: float = 30.0
    connect_s: float = 35.0
    message_bytes: int = 1 << 20


class _Detail(msgspec.Struct):
    status: str | None = None
    progress: float | None = None
    created_at: msgspec.Raw = msgspec.Raw(b"")
    code_hash: msgspec.Raw = msgspec.Raw(b"")
    input_hash: msgspec.Raw = msgspec.Raw(b"")


_DECODE_DETAIL = msgspec.json.Decoder(_Detail)


class HttpBackend:
    """The hub's backend port."""

    def __init__(self, options: BackendOptions, *, connections: Connections) -> None:
        self._options = options
        self._requests = connections.pooled
        self._streams = connections.fresh

    def open_stream(
        self, run_id: RunId, credentials: Credentials
    ) -> AbstractAsyncContextManager[Upstream]:
        """See `ports.Backend`."""
        options = self._options
        if options.transport == "sse":
            url = f"{options.url}/backtests/{run_id}/stream"
            return open_sse(
                self._streams, url, credentials, options.connect_s, options.message_bytes
            )
        url = f"{options.url}/backtests/{run_id}/ws"
        return open_ws(self._streams, url, credentials, options.connect_s, options.message_bytes)

    async def run_detail(self, run_id: RunId, credentials: Credentials) -> RunDetail:
        """See `ports.Backend`."""
        url = f"{self._options.url}/backtests/{run_id}"
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        try:
            async with asyncio.timeout(self._options.request_s):
                detail = await self._ask(url, credentials)
                return replace(detail, asked_s=asked_s, told_s=loop.time())
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise BackendUnavailable("the backend does not answer; we keep trying") from exc

    async def _ask(self, url: str, credentials: Credentials) -> RunDetail:
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
            return RunDetail(detail.status, detail.progress, identity)

    async def state(self, *, within_s: float) -> Literal["ok", "degraded", "down"]:
        """How it answers `/healthz`; silence alone is not "down", for it may be deaf."""
        try:
            async with (
                asyncio.timeout(within_s),
                self._requests.get(f"{self._options.url}/healthz") as response,
            ):
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
