"""The documents, made when they are first asked for, and served."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from hewston_bff.web.assets import FILE_KNOWN, Asset, send
from hewston_bff.web.contract.asyncapi import asyncapi
from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.contract.schemas import JsonObject
from hewston_bff.web.endpoint import IF_NONE_MATCH, JSON, ApiAnswer, Endpoint, Tag

Make = Callable[[Sequence[Endpoint]], JsonObject]


class Documents:
    """The documents of these endpoints; each is made once, as making one takes 0.1 s and more."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._assets: dict[Make, Asset] = {}
        self._lock = asyncio.Lock()

    async def get(self, make: Make) -> Asset:
        """The document that `make` makes. A cancellation loses the work, nothing else."""
        async with self._lock:
            if make not in self._assets:
                # In a thread: the loop has ticks to keep.
                self._assets[make] = await asyncio.to_thread(self._asset, make)
            return self._assets[make]

    def _asset(self, make: Make) -> Asset:
        return Asset.of(msgspec.json.encode(make(self._endpoints)), content_type=JSON)


DOCUMENTS = web.AppKey("documents", Documents)


async def openapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/openapi.json`."""
    return send(request, await request.app[DOCUMENTS].get(openapi))


async def asyncapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/asyncapi.json`."""
    return send(request, await request.app[DOCUMENTS].get(asyncapi))


ENDPOINTS = (
    Endpoint(
        name="get_openapi",
        path="/api/v1/openapi.json",
        handler=openapi_json,
        tag=Tag.PAGES,
        summary="This document",
        headers=(IF_NONE_MATCH,),
        answers=(ApiAnswer(200, "OpenAPI 3.1."), FILE_KNOWN),
    ),
    Endpoint(
        name="get_asyncapi",
        path="/api/v1/asyncapi.json",
        handler=asyncapi_json,
        tag=Tag.PAGES,
        summary="The document of the streams' messages",
        headers=(IF_NONE_MATCH,),
        answers=(ApiAnswer(200, "AsyncAPI 3."), FILE_KNOWN),
    ),
)
