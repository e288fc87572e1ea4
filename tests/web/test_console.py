"""The console's files: what is served, as what, with which headers, and what is not."""

import gzip

import pytest

from tests.support import stack


async def test_the_page_and_the_client_are_served_with_their_types() -> None:
    async with stack() as (bff, _, _):
        for path, content_type in (
            ("/", "text/html"),
            ("/client/hewston-bff.js", "text/javascript"),
            ("/client/hewston-bff.d.ts", "text/plain"),
            ("/client/messages.d.ts", "text/plain"),
            ("/console/player/player.js", "text/javascript"),
            ("/console/client/hewston-bff.js", "text/javascript"),
            ("/api/v1/docs", "text/html"),
            ("/api/v1/docs/streams", "text/html"),
            ("/api/v1/docs/docs.js", "text/javascript"),
        ):
            async with bff.session.get(bff.url + path) as response:
                assert response.status == 200
                assert response.content_type == content_type
                assert response.charset == "utf-8"
                assert await response.text()


@pytest.mark.parametrize("path", ["/", "/client/hewston-bff.js"])
async def test_no_code_of_others_runs_and_nobody_frames_the_page(path: str) -> None:
    async with stack() as (bff, _, _), bff.session.get(bff.url + path) as response:
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'self'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_page_that_is_known_is_not_sent_again() -> None:
    async with stack() as (bff, _, _):
        async with bff.session.get(bff.url + "/") as first:
            etag = first.headers["ETag"]
        async with bff.session.get(bff.url + "/", headers={"If-None-Match": etag}) as again:
            assert again.status == 304
            assert await again.read() == b""
            assert again.headers["ETag"] == etag


async def test_files_are_compressed_for_those_who_take_it() -> None:
    async with stack() as (bff, _, _):
        url = bff.url + "/client/mux.js"
        plain = {"Accept-Encoding": "identity"}
        async with bff.session.get(url, headers=plain) as response:
            assert "Content-Encoding" not in response.headers
            body = await response.read()
        packed = {"Accept-Encoding": "gzip"}
        async with bff.session.get(url, headers=packed, auto_decompress=False) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Vary"] == "Accept-Encoding"
            assert gzip.decompress(await response.read()) == body


@pytest.mark.parametrize(
    "path",
    [
        "/console/package.json",
        "/console/tsconfig.json",
        "/console/vendor/made-of",
        "/console/vendor/redoc.mjs.gz",
        "/api/v1/docs/redoc.d.mts",
        "/api/v1/docs/..%2findex.html",
        "/console/nothing.js",
        "/console/..%2f..%2fsettings.py",
        "/console/%2e%2e/settings.py",
        "/client/..%2findex.html",
    ],
)
async def test_only_files_for_browsers_are_served(path: str) -> None:
    async with stack() as (bff, _, _), bff.session.get(bff.url + path) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "NOT_FOUND"


async def test_a_configured_page_may_import_the_client() -> None:
    async with stack() as (bff, _, _):
        origin = {"Origin": "http://localhost:5173"}
        async with bff.session.get(bff.url + "/client/mux.js", headers=origin) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"


async def test_switched_off_the_console_is_gone_and_the_client_is_not() -> None:
    async with stack(bff_console_enabled=False) as (bff, _, _):
        for path, status in (("/", 404), ("/console/main.js", 404), ("/client/mux.js", 200)):
            async with bff.session.get(bff.url + path) as response:
                assert response.status == status
