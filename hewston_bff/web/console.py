"""The pages and the browser client: files of this package, served from memory."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

import structlog
from aiohttp import web

from hewston_bff.errors import NotFound
from hewston_bff.web.assets import Asset, asset_endpoint, send

logger = structlog.get_logger(__name__)

CHARTS = "vendor/lightweight-charts.mjs"
REDOC = "vendor/redoc.mjs"
"""What the build fetches; without them the pages say so and do what they can."""

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/plain",
    ".svg": "image/svg+xml",
}
_PLAIN = {"LICENSE", "LICENSE-redoc", "NOTICE"}
_FOLDERS = ("", "bus", "chart", "client", "docs", "jobs", "pages", "player", "ui", "vendor")
_OF_DOCS = {"redoc.mjs": REDOC, "LICENSE": "vendor/LICENSE-redoc"}
_DOCS = "docs/index.html"
_DOCS_OF_STREAMS = "docs/streams.html"
_LINK = re.compile(r'(?<= )(href|src)="(?!data:)([^"]+)"')

Console = dict[str, Asset]
"""Path below the console's folder → file. What is not in it is not served."""


CONSOLE = web.AppKey("console", Console)


def load_console() -> Console:
    """All files of the page and the client, read once."""
    console = dict(_assets(files("hewston_bff") / "console"))
    console[_DOCS_OF_STREAMS] = _one_level_down(console[_DOCS])
    if not {CHARTS, REDOC} <= console.keys():
        logger.warning("console.no_libraries", hint="fetch them: python scripts/build_console.py")
    return console


def _assets(root: Traversable) -> Iterator[tuple[str, Asset]]:
    for folder in _FOLDERS:
        place = root / folder if folder else root
        for file in place.iterdir() if place.is_dir() else ():
            content_type = _content_type(file.name)
            if content_type is not None and file.is_file():
                path = f"{folder}/{file.name}".lstrip("/")
                packed = place / f"{file.name}.gz"
                gzipped = packed.read_bytes() if packed.is_file() else None
                asset = Asset.of(file.read_bytes(), content_type=content_type, gzipped=gzipped)
                yield path, asset


def _content_type(name: str) -> str | None:
    """The type of a file by its name; None for what is not for browsers."""
    if name in _PLAIN:
        return "text/plain"
    return None if name.endswith(".d.mts") else _TYPES.get(PurePosixPath(name).suffix)


def _one_level_down(docs: Asset) -> Asset:
    """The page that is at `…/docs`, for `…/docs/streams`: its links are relative to the address."""

    def moved(link: re.Match[str]) -> str:
        name, target = link.groups()
        is_below = target.startswith("docs/")
        return f'{name}="{target.removeprefix("docs/") if is_below else f"../{target}"}"'

    assert docs.body is not None  # noqa: S101 - a page is small, so it is held as it is
    body = _LINK.sub(moved, docs.body.decode()).encode()
    return Asset.of(body, content_type=docs.content_type)


async def page(request: web.Request) -> web.Response:
    """`GET /`: the console."""
    return await _answer(request, "index.html")


async def console_file(request: web.Request) -> web.Response:
    """`GET /console/…`: what the page consists of."""
    return await _answer(request, request.match_info["path"])


async def client_file(request: web.Request) -> web.Response:
    """`GET /client/…`: the browser client, for other pages."""
    return await _answer(request, f"client/{request.match_info['name']}")


async def docs(request: web.Request) -> web.Response:
    """`GET /api/v1/docs`: a page that shows what is called over HTTP."""
    return await _answer(request, _DOCS)


async def docs_of_streams(request: web.Request) -> web.Response:
    """`GET /api/v1/docs/streams`: the same page for streams, with links relative to its address."""
    return await _answer(request, _DOCS_OF_STREAMS)


async def docs_file(request: web.Request) -> web.Response:
    """`GET /api/v1/docs/…`: what that page consists of, there also without a console."""
    name = request.match_info["name"]
    return await _answer(request, _OF_DOCS.get(name, f"docs/{name}"))


async def _answer(request: web.Request, path: str) -> web.Response:
    asset = request.app[CONSOLE].get(path)
    if asset is None:
        raise NotFound("no such file: the console is at /, its client at /client/hewston-bff.js")
    return await send(request, asset)


ENDPOINTS = (
    asset_endpoint(
        "get_docs",
        "/api/v1/docs",
        docs,
        summary="This document, for people",
        content_type="text/html",
        answer="The page.",
    ),
    asset_endpoint(
        "get_docs_of_streams",
        "/api/v1/docs/streams",
        docs_of_streams,
        summary="The document of the streams' messages, for people",
        content_type="text/html",
        answer="The page.",
    ),
    asset_endpoint(
        "get_docs_file",
        "/api/v1/docs/{name}",
        docs_file,
        summary="What these pages consist of",
        may_be_missing=True,
    ),
    asset_endpoint(
        "get_console",
        "/",
        page,
        summary="The console",
        content_type="text/html",
        answer="The page.",
        is_of_console=True,
        may_be_missing=True,
    ),
    asset_endpoint(
        "get_console_file",
        "/console/{path:.+}",
        console_file,
        summary="What the console consists of",
        is_of_console=True,
        may_be_missing=True,
    ),
    asset_endpoint(
        "get_client_file",
        "/client/{name}",
        client_file,
        summary="The browser client, for other pages",
        may_be_missing=True,
    ),
)
