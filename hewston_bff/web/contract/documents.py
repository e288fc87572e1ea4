"""The documents, served."""

from functools import cache
from typing import NamedTuple

import msgspec
from aiohttp import web

from hewston_bff.web.assets import Asset, send
from hewston_bff.web.contract.asyncapi import asyncapi
from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.contract.operation import JSON
from hewston_bff.web.contract.schemas import JsonObject


class Documents(NamedTuple):
    """All that we are described by."""

    openapi: Asset
    asyncapi: Asset


DOCUMENTS = web.AppKey("documents", Documents)


@cache
def documents() -> Documents:
    """The documents of this version: always the same, so they are made once a process."""
    return Documents(_asset(openapi()), _asset(asyncapi()))


def _asset(document: JsonObject) -> Asset:
    return Asset.of(msgspec.json.encode(document), content_type=JSON)


async def openapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/openapi.json`."""
    return send(request, request.app[DOCUMENTS].openapi)


async def asyncapi_json(request: web.Request) -> web.Response:
    """`GET /api/v1/asyncapi.json`."""
    return send(request, request.app[DOCUMENTS].asyncapi)
