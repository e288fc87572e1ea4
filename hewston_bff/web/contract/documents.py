"""The documents, made when they are first asked for, and served."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec
from aiohttp import web

from hewston_bff.web.assets import Asset, asset_endpoint, send
from hewston_bff.web.endpoint import JSON, Endpoint

DocumentName = Literal["openapi", "asyncapi"]


class Documents:
    """The documents of these endpoints; each is made once, as making one takes 0.1 s and more."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._assets: dict[DocumentName, Asset] = {}
        self._lock = asyncio.Lock()

    async def get(self, name: DocumentName) -> Asset:
        """The document of this name. A cancellation loses the work, nothing else."""
        async with self._lock:
            if name not in self._assets:
                # In a thread: the loop has ticks to keep.
                self._assets[name] = await asyncio.to_thread(_made, name, self._endpoints)
            return self._assets[name]


def _made(name: DocumentName, endpoints: Sequence[Endpoint]) -> Asset:
    # ruff: noqa: PLC0415 - what makes them is loaded with the first that is asked for
    if name == "openapi":
        from hewston_bff.web.contract.openapi import openapi

        document = openapi(endpoints)
    else:
        from hewston_bff.web.contract.asyncapi import asyncapi

        document = asyncapi(endpoints)
    return Asset.of(msgspec.json.encode(document), content_type=JSON)


DOCUMENTS = web.AppKey("documents", Documents)


async def openapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/openapi.json`."""
    return await send(request, await request.app[DOCUMENTS].get("openapi"))


async def asyncapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/asyncapi.json`."""
    return await send(request, await request.app[DOCUMENTS].get("asyncapi"))


ENDPOINTS = (
    asset_endpoint(
        "get_openapi",
        "/api/v1/openapi.json",
        openapi_json,
        summary="This document",
        content_type=JSON,
        answer="OpenAPI 3.1.",
    ),
    asset_endpoint(
        "get_asyncapi",
        "/api/v1/asyncapi.json",
        asyncapi_json,
        summary="The document of the streams' messages",
        content_type=JSON,
        answer="AsyncAPI 3.",
    ),
)
