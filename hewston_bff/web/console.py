"""The console's page and the browser client: files of this package, served from memory."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Self

import structlog
from aiohttp import hdrs, web

from hewston_bff.errors import NotFound

logger = structlog.get_logger(__name__)

CHARTS = "vendor/lightweight-charts.mjs"
"""What the build fetches; without it the page says so and draws no charts."""

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/plain",
    ".svg": "image/svg+xml",
}
_PLAIN = {"LICENSE", "NOTICE"}
_FOLDERS = ("", "client", "vendor")
_GZIP_FROM_BYTES = 1_000

# The charts style what they draw; all other code and data is ours, from here.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    hdrs.CACHE_CONTROL: "no-cache",  # kept, but asked for again: an upgrade shows at once
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent; `gzipped` is None where that saves nothing."""

    body: bytes
    gzipped: bytes | None
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, *, content_type: str) -> Self:
        """An asset of these bytes."""
        gzipped = gzip.compress(body, mtime=0) if len(body) >= _GZIP_FROM_BYTES else None
        return cls(body, gzipped, content_type, blake2b(body, digest_size=12).hexdigest())


Console = dict[str, Asset]
"""Path below the console's folder → file. What is not in it is not served."""


CONSOLE = web.AppKey("console", Console)


def load_console() -> Console:
    """All files of the page and the client, read once."""
    console = dict(_assets(files("hewston_bff") / "console"))
    if CHARTS not in console:
        logger.warning("console.no_charts", hint="build it: python scripts/build_console.py")
    return console


def _assets(root: Traversable) -> Iterator[tuple[str, Asset]]:
    for folder in _FOLDERS:
        place = root / folder if folder else root
        for file in place.iterdir() if place.is_dir() else ():
            content_type = _content_type(file.name)
            if content_type is not None and file.is_file():
                path = f"{folder}/{file.name}".lstrip("/")
                yield path, Asset.of(file.read_bytes(), content_type=content_type)


def _content_type(name: str) -> str | None:
    """The type of a file by its name; None for what is not for browsers."""
    if name in _PLAIN:
        return "text/plain"
    return None if name.endswith(".d.mts") else _TYPES.get(PurePosixPath(name).suffix)


async def page(request: web.Request) -> web.Response:
    """`GET /`: the console."""
    return _answer(request, "index.html")


async def console_file(request: web.Request) -> web.Response:
    """`GET /console/…`: what the page consists of."""
    return _answer(request, request.match_info["path"])


async def client_file(request: web.Request) -> web.Response:
    """`GET /client/…`: the browser client, for other pages."""
    return _answer(request, f"client/{request.match_info['name']}")


def _answer(request: web.Request, path: str) -> web.Response:
    asset = request.app[CONSOLE].get(path)
    if asset is None:
        raise NotFound("no such file: the console is at /, its client at /client/hewston-bff.js")
    is_known = any(tag.value in {asset.etag, "*"} for tag in request.if_none_match or ())
    response = web.Response(status=304 if is_known else 200, headers=_HEADERS)
    # Weak: the same text may come compressed or not.
    response.headers[hdrs.ETAG] = f'W/"{asset.etag}"'
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    if not is_known:
        response.content_type, response.charset = asset.content_type, "utf-8"
        if asset.gzipped and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
            response.body = asset.gzipped
        else:
            response.body = asset.body
    return response
