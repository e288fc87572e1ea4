"""The proxy passes everything on as it is, and only that."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tests.support import Bff, serving
from tests.waiting import PATIENCE_S
from tests.web.replaying import ReplayingBackend, replaying

RUN = "/backtests/run-1"


@pytest.fixture(name="backend")
async def _backend() -> AsyncIterator[ReplayingBackend]:
    async with replaying() as backend:
        backend.answer_with(b'{"a":1}')
        yield backend


@pytest.fixture(name="bff")
async def _bff(backend: ReplayingBackend) -> AsyncIterator[Bff]:
    async with serving(backend.url, bff_request_bytes=2_048) as bff:
        yield bff


async def _speak(bff: Bff, head: str) -> bytes:
    """What is answered to raw bytes, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(bff.url).port)
    writer.write(head.encode("latin-1"))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=2&limit=1",
        "b=2&a=1",
        "from=2024-01-01T00:00:00%2B00:00&x=a+b%20c",
        "x=%E2%9C%93&y=%ff&z=%2F..%2F&&=&;",
        "symbol=BRK%2FB&symbol=%5EGSPC",
        "q='*!()[]|^`{}\"<>\\",
    ],
)
async def test_the_query_goes_out_character_for_character(
    backend: ReplayingBackend, bff: Bff, query: str
) -> None:
    url = URL(f"{bff.url}/api/v1/backtests?{query}", encoded=True)
    async with bff.session.get(url) as response:
        assert response.status == 200
    assert backend.asked[0].raw_path == f"/backtests?{query}"


async def test_only_the_headers_of_the_contract_pass_each_way(
    backend: ReplayingBackend, bff: Bff
) -> None:
    passed = {
        "Authorization": "Bearer t",
        "Cookie": "a=1; b=2",
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/json;q=0.5",
        "Accept-Encoding": "br, gzip;q=0.1",
        "Accept-Language": "de",
        "If-None-Match": 'W/"x"',
        "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT",
        "Idempotency-Key": "k1",
        "X-Idempotency-Key": "k2",
        "User-Agent": "a browser/1.0",
    }
    kept_back = {
        "X-Custom": "1",
        "Origin": "http://localhost:5173",
        "Referer": "http://x/",
        "TE": "trailers",
        "Proxy-Authorization": "Basic x",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
        "Forwarded": "for=6.6.6.6",
        "Connection": "x-custom",
    }
    backend.answer_with(
        b"{}",
        headers={
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "ETag": '"e"',
            "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT",
            "Retry-After": "7",
            "Vary": "Accept",
            "WWW-Authenticate": "Bearer",
            "X-Secret": "no",
            "Server": "backend",
            "Access-Control-Allow-Origin": "http://evil.example",
        },
    )
    backend.headers.add("Set-Cookie", "a=1; Path=/")
    backend.headers.add("Set-Cookie", "b=2; HttpOnly")
    async with bff.session.get(
        bff.url + RUN, headers={**passed, **kept_back, "X-Correlation-ID": "my-id"}
    ) as response:
        heard = response.headers
    asked = backend.asked[0].headers
    assert {name: asked[name] for name in passed} == passed
    assert asked["X-Correlation-ID"] == "my-id"
    assert asked["X-Forwarded-For"] == "127.0.0.1"
    assert asked["X-Forwarded-Proto"] == "http"
    assert asked["X-Forwarded-Host"] == URL(bff.url).authority
    assert asked["X-Forwarded-By"] == "hewston-bff"
    ours = {f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "By")}
    assert set(asked) == {*passed, *ours, "X-Correlation-ID", "Host"}
    assert heard.getall("Set-Cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
    assert heard["X-Correlation-ID"] == "my-id"
    assert heard["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "X-Secret" not in heard
    assert heard["Server"] != "backend"
    for name in ("Cache-Control", "ETag", "Last-Modified", "Retry-After", "WWW-Authenticate"):
        assert heard[name] == backend.headers[name]


async def test_headers_that_are_named_as_those_of_a_hop_go_no_further(
    backend: ReplayingBackend, bff: Bff
) -> None:
    backend.headers.add("Connection", "close, Set-Cookie")
    backend.headers.add("Set-Cookie", "a=1")
    named = {"Connection": "X-Idempotency-Key , ACCEPT", "X-Idempotency-Key": "k", "Accept": "x/y"}
    async with bff.session.get(bff.url + RUN, headers={**named, "Idempotency-Key": "k"}) as answer:
        assert "Set-Cookie" not in answer.headers
    asked = backend.asked[0].headers
    assert not {"X-Idempotency-Key", "Accept", "Connection"} & set(asked)
    assert asked["Idempotency-Key"] == "k"


async def test_nothing_is_added_to_what_a_client_did_not_say(
    backend: ReplayingBackend, bff: Bff
) -> None:
    head = f"GET {RUN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await _speak(bff, head)).startswith(b"HTTP/1.1 200 ")
    asked = backend.asked[0].headers
    assert not {"Accept", "Accept-Encoding", "User-Agent", "Content-Type"} & set(asked)


async def test_trusted_proxies_are_believed_and_named(backend: ReplayingBackend) -> None:
    async with serving(backend.url, bff_trusted_proxies="127.0.0.0/8") as bff:
        said = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "app.example",
        }
        async with bff.session.get(bff.url + RUN, headers=said) as response:
            assert response.status == 200
        asked = backend.asked[0].headers
        assert asked["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"
        assert asked["X-Forwarded-Proto"] == "https"
        assert asked["X-Forwarded-Host"] == "app.example"


async def test_an_encoded_body_passes_as_it_is(backend: ReplayingBackend, bff: Bff) -> None:
    packed = gzip.compress(b'{"a":1}' * 100)
    backend.answer_with(
        packed, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}
    )
    async with bff.session.get(bff.url + RUN, auto_decompress=False) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Length"] == str(len(packed))
        assert await response.read() == packed


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("br, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
    ],
)
async def test_a_large_body_is_compressed_for_who_takes_it(
    backend: ReplayingBackend, bff: Bff, accept: str, coding: str | None
) -> None:
    body = b'{"bars":[' + b",".join(b'{"t":%d}' % n for n in range(20_000)) + b"]}"
    backend.answer_with(body, headers={"Content-Type": "application/json", "ETag": '"a"'})
    request = bff.session.get(
        bff.url + "/bars/minute?symbol=A",
        headers={"Accept-Encoding": accept},
        auto_decompress=False,
    )
    async with request as response:
        sent = await response.read()
        assert response.headers.get("Content-Encoding") == coding
        if coding:
            assert response.headers["ETag"] == 'W/"a"'
            assert "Accept-Encoding" in response.headers["Vary"]
            assert len(sent) < len(body) / 3
            assert gzip.decompress(sent) == body
        else:
            assert response.headers["ETag"] == '"a"'
            assert sent == body


async def test_small_bodies_images_and_heads_are_not_compressed(
    backend: ReplayingBackend, bff: Bff
) -> None:
    large = b"x" * 200_000
    for body, content_type in ((b"{}", "application/json"), (large, "image/png")):
        backend.answer_with(body, headers={"Content-Type": content_type})
        async with bff.session.get(bff.url + RUN, auto_decompress=False) as response:
            assert "Content-Encoding" not in response.headers
            assert await response.read() == body
    backend.answer_with(large, headers={"Content-Type": "application/json"})
    async with bff.session.head(bff.url + RUN) as response:
        assert "Content-Encoding" not in response.headers


async def test_the_backends_health_is_passed_on(backend: ReplayingBackend, bff: Bff) -> None:
    backend.answer_with(b'{"status":"ok"}')
    async with bff.session.get(bff.url + "/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    assert [asked.raw_path for asked in backend.asked] == ["/healthz"]


async def test_an_answer_is_streamed_both_ways(backend: ReplayingBackend, bff: Bff) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert await request.content.readany() == b"one"
        first.set()
        assert await request.content.read() == b"two"
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"three")
        await second.wait()
        await response.write(b"four")
        return response

    async def upload() -> AsyncIterator[bytes]:
        yield b"one"
        await first.wait()
        yield b"two"

    backend.handler = handler
    async with (
        asyncio.timeout(PATIENCE_S),
        bff.session.post(bff.url + "/backtests", data=upload()) as response,
    ):
        assert await response.content.readany() == b"three"
        second.set()
        assert await response.content.read() == b"four"


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize(
    ("location", "ours"),
    [
        ("{backend}/backtests/x?a=%2F#f", "{bff}{prefix}/backtests/x?a=%2F#f"),
        ("/backtests/x", "{bff}{prefix}/backtests/x"),
        ("x?a=1", "{bff}{prefix}/backtests/x?a=1"),
        ("https://elsewhere.example/a", "https://elsewhere.example/a"),
        ("http://[", "http://["),
    ],
)
async def test_a_location_of_the_backend_becomes_ours(
    backend: ReplayingBackend, bff: Bff, prefix: str, location: str, ours: str
) -> None:
    names = {"backend": backend.url, "bff": bff.url, "prefix": prefix}
    backend.answer_with(b"", status=307, headers={"Location": location.format(**names)})
    url = f"{bff.url}{prefix}/backtests/"
    async with bff.session.get(url, allow_redirects=False) as response:
        assert response.status == 307
        assert response.headers["Location"] == ours.format(**names)
    assert backend.asked[0].raw_path == "/backtests/"


@pytest.mark.parametrize("key", ["Idempotency-Key", "X-Idempotency-Key"])
async def test_a_post_goes_out_once_with_its_body_and_key(
    backend: ReplayingBackend, bff: Bff, key: str
) -> None:
    backend.answer_with(b"no", status=503)
    async with bff.session.post(
        bff.url + "/backtests", data=b"{\xff\x00", headers={key: "k"}
    ) as response:
        assert (response.status, await response.read()) == (503, b"no")
    (asked,) = backend.asked
    assert asked.body == b"{\xff\x00"
    assert asked.headers[key] == "k"
    assert asked.headers["Content-Length"] == "3"


async def test_a_head_goes_out_as_a_head(backend: ReplayingBackend, bff: Bff) -> None:
    async with bff.session.head(bff.url + RUN, headers={"Origin": "http://x"}) as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == "7"
    assert backend.asked[0].method == "HEAD"


async def test_a_packed_request_body_arrives_unpacked(backend: ReplayingBackend, bff: Bff) -> None:
    body = gzip.compress(b"x" * 2_000)
    headers = {"Content-Encoding": "gzip"}
    async with bff.session.post(bff.url + "/backtests", data=body, headers=headers) as response:
        assert response.status == 200
    assert backend.asked[0].body == b"x" * 2_000


# -- limits and refusals


@pytest.mark.parametrize("packing", ["plain", "chunked", "gzip"])
async def test_a_body_over_the_limit_is_refused(
    backend: ReplayingBackend, bff: Bff, packing: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000

    headers = {"Content-Encoding": "gzip"} if packing == "gzip" else {}
    for _ in range(6):  # more often than it takes to open the breaker
        data = {"plain": b"x" * 2_049, "chunked": chunks(), "gzip": gzip.compress(b"x" * 2_049)}
        async with bff.session.post(
            bff.url + "/backtests", data=data[packing], headers=headers
        ) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert backend.asked == []


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize(
    "path",
    [
        "/backtests/%00",
        "/backtests/a%0d%0ab",
        "/backtests/..%2F..",
        "/backtests/a%2Fws",
        "/backtests/%ff",
        "/backtests/" + "a" * 129,
        "/backtests/%E2%9C%93",
        "/bars/daily?symbol=..%2FAAPL",
        "/bars/daily?symbol=A%00",
        "/bars/daily?symbol=A%0D%0AX:y",
        "/bars/daily?symbol=%ff",
        "/bars/daily?symbol=/etc",
        "/bars/daily?symbol=A//B",
        "/bars/daily?symbol=AAPL&symbol=..",
        "/bars/daily?%73ymbol=..",
        "/bars/hour?symbol=",
        "/bars/minute?symbol=" + "A" * 65,
        "/backtests?symbol=A+",
    ],
)
async def test_what_cannot_be_is_refused_before_the_backend_hears_of_it(
    backend: ReplayingBackend,
    bff: Bff,
    prefix: str,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bff.session.get(URL(bff.url + prefix + path, encoded=True)) as response:
        assert response.status == 422
        error = (await response.json())["error"]
    assert error["code"] == "VALIDATION"
    assert error["message"].startswith(("run_id:", "symbol:"))
    assert backend.asked == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "target",
    [
        "/backtests?x=\x00",
        "/backtests?x=\x01",
        "/backtests?x=\xff",
        "/backtests?x=caf\xc3\xa9",
        "/backtests?symbol=" + "A" * 10_000,
        "/backtests/" + "a" * 10_000,
        "/backtests?x=\x7f",
    ],
)
async def test_bytes_that_are_no_url_are_refused(
    backend: ReplayingBackend, bff: Bff, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await _speak(bff, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:300]
    assert backend.asked == []
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "header", ["Authorization: \xff", "Cookie: a=\xe9", "User-Agent: caf\xe9", "Accept: \xff"]
)
async def test_a_header_that_is_not_utf8_is_refused_by_name(
    backend: ReplayingBackend, bff: Bff, header: str
) -> None:
    head = f"GET {RUN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n"
    answer = await _speak(bff, head)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert header.partition(":")[0].encode() in answer.partition(b"\r\n\r\n")[2]
    assert backend.asked == []


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Content-Length: +3\r\n\r\nabc",
    ],
)
async def test_ambiguous_framing_is_refused(
    backend: ReplayingBackend, bff: Bff, framing: str
) -> None:
    answer = await _speak(bff, f"POST /backtests HTTP/1.1\r\nHost: x\r\n{framing}")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert backend.asked == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_passed_on(
    backend: ReplayingBackend, bff: Bff, method: str
) -> None:
    async with bff.session.request(method, bff.url + "/backtests") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) >= {"GET", "POST"}
        assert (await response.json())["error"]["code"] == "METHOD_NOT_ALLOWED"
    async with bff.session.options(bff.url + "/backtests") as response:
        assert response.status == 204
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert backend.asked == []


# -- the other side in trouble


async def test_errors_of_the_backend_pass_unchanged(backend: ReplayingBackend, bff: Bff) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    backend.answer_with(b"Internal Server Error", status=500, headers=headers)
    for _ in range(3):
        async with bff.session.get(bff.url + RUN) as response:
            assert response.status == 500
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert await response.read() == b"Internal Server Error"


async def test_a_deaf_backend_is_a_timeout_and_a_dead_one_unavailable(
    backend: ReplayingBackend, unused_tcp_port: int
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    backend.handler = handler
    async with serving(backend.url, bff_backend_timeout=0.1) as bff:
        body = await bff.get(RUN)
        assert body["error"]["code"] == "BACKEND_TIMEOUT"
    async with serving(
        f"http://127.0.0.1:{unused_tcp_port}", bff_backend_breaker_failures=2
    ) as bff:
        codes, retry_after = [], None
        for _ in range(3):
            async with bff.session.get(bff.url + RUN) as response:
                body = await response.json()
                codes.append((response.status, body["error"]["code"]))
                assert body["error"]["correlation_id"] == response.headers["X-Correlation-ID"]
                retry_after = response.headers.get("Retry-After")
        assert codes == [
            (502, "BACKEND_UNAVAILABLE"),
            (502, "BACKEND_UNAVAILABLE"),
            (503, "BUSY"),
        ]
        assert retry_after == "2"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_half_an_answer_does_not_look_like_a_whole_one(
    backend: ReplayingBackend, bff: Bff, *, is_chunked: bool
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if not is_chunked:
            response.content_length = 100
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    backend.handler = handler
    async with bff.session.get(bff.url + RUN) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    backend.handler = None
    assert await bff.get(RUN) == {"a": 1}


async def test_a_body_that_stops_coming_is_cut_off(backend: ReplayingBackend) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.Event().wait()
        return response

    backend.handler = handler
    async with (
        serving(backend.url, bff_backend_timeout=1.0) as bff,
        bff.session.get(bff.url + RUN) as response,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_client_that_leaves_ends_its_request(
    backend: ReplayingBackend, bff: Bff, *, has_begun: bool
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            if has_begun:
                await response.prepare(request)
                await response.write(b"x")
            begun.set()
            await asyncio.Event().wait()
        finally:
            over.set()
        return response

    backend.handler = handler
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(bff.url).port)
    writer.write(f"GET {RUN} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        if has_begun:
            await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        await over.wait()


async def test_a_client_that_leaves_while_it_sends_ends_its_request(
    backend: ReplayingBackend, bff: Bff
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            await request.content.readany()
            begun.set()
            await request.read()
            seen.append("a whole body")
        finally:
            over.set()
        return web.Response()

    seen: list[str] = []
    backend.handler = handler
    _, writer = await asyncio.open_connection("127.0.0.1", URL(bff.url).port)
    writer.write(b"POST /backtests HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na")
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        writer.transport.abort()
        await over.wait()
    assert not seen
    backend.handler = None
    assert await bff.get(RUN) == {"a": 1}
