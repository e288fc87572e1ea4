"""Files and documents that do not change while we run: served from memory, known by a tag."""

import asyncio
import gzip
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from aiohttp import hdrs, web

from hewston_bff.errors import NotFound
from hewston_bff.web.endpoint import IF_NONE_MATCH, ApiAnswer, Endpoint, RequestHandler, Tag

_GZIP_FROM_BYTES = 1_000
_HELD_PACKED_FROM_BYTES = 1 << 17

# Charts and Redoc style what they draw, Redoc with a font of its own; all other code and data is
# ours, from here.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
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
    """One file, ready to be sent. `gzipped` is None where that saves nothing.

    `body` is None where that is so much that only `gzipped` is held: most browsers take that.
    """

    body: bytes | None
    gzipped: bytes | None
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, *, content_type: str, gzipped: bytes | None = None) -> Self:
        """An asset of these bytes, compressed here unless they are already."""
        if gzipped is None and len(body) >= _GZIP_FROM_BYTES:
            gzipped = gzip.compress(body, mtime=0)
        is_held = gzipped is None or len(body) < _HELD_PACKED_FROM_BYTES
        etag = blake2b(body, digest_size=12).hexdigest()
        return cls(body if is_held else None, gzipped, content_type, etag)

    async def plain(self) -> bytes:
        """The bytes as they were."""
        if self.body is not None:
            return self.body
        assert self.gzipped is not None  # noqa: S101 - see `of`
        return await asyncio.to_thread(gzip.decompress, self.gzipped)


async def send(request: web.Request, asset: Asset) -> web.Response:
    """The asset, or 304 for who has it."""
    is_known = any(tag.value in {asset.etag, "*"} for tag in request.if_none_match or ())
    response = web.Response(status=304 if is_known else 200, headers=_HEADERS)
    # Weak: the same text may come compressed or not.
    response.headers[hdrs.ETAG] = f'W/"{asset.etag}"'
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    if not is_known:
        response.content_type = asset.content_type
        if asset.content_type.startswith("text/"):
            response.charset = "utf-8"
        if asset.gzipped and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
            response.body = asset.gzipped
        else:
            response.body = await asset.plain()
    return response


def asset_endpoint(
    name: str,
    path: str,
    handler: RequestHandler,
    *,
    summary: str,
    content_type: str = "*/*",
    answer: str = "The file.",
    is_of_console: bool = False,
    may_be_missing: bool = False,
) -> Endpoint:
    """The declaration of an endpoint that sends an asset."""
    return Endpoint(
        name=name,
        path=path,
        handler=handler,
        tag=Tag.PAGES,
        summary=summary,
        headers=(IF_NONE_MATCH,),
        answers=(
            ApiAnswer(200, answer, None, content_type),
            ApiAnswer(304, "What the caller has is the file.", None, None),
        ),
        errors=(NotFound,) if may_be_missing else (),
        is_of_console=is_of_console,
    )
