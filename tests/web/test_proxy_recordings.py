"""Every recorded answer comes through the proxy as it would come directly."""

from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from yarl import URL

from tests.recordings import needs_recordings
from tests.support import Bff, serving
from tests.web.replaying import (
    Recording,
    ReplayingBackend,
    load,
    replaying,
    rest_recordings,
)

RECORDED = rest_recordings()

ID_RULE = "the run id can't be one: refused before the backend hears of it"
SYMBOL_RULE = "the symbol can't be one: refused before the backend hears of it"
NOT_OURS = "the address or method is not in the table of what is passed on"
CORS = "preflights and OPTIONS are answered here, for the origins configured here"
OTHERWISE: dict[str, tuple[int | None, str]] = {
    "bars_post": (405, NOT_OURS),
    "bars_root": (404, NOT_OURS),
    "cors_preflight_ok": (200, CORS),
    "cors_preflight_post": (200, CORS),
    "daily_10k_symbol": (422, SYMBOL_RULE),
    "daily_300_symbol": (422, SYMBOL_RULE),
    "detail_badutf8": (422, ID_RULE),
    "detail_dotdot_enc": (422, ID_RULE),
    "detail_dotdot_raw": (404, NOT_OURS),
    "detail_nul": (422, ID_RULE),
    "detail_slash_enc": (422, ID_RULE),
    "detail_sql": (422, ID_RULE),
    "detail_utf8": (422, ID_RULE),
    "healthz_post": (405, NOT_OURS),
    "list_delete": (405, NOT_OURS),
    "list_put": (405, NOT_OURS),
    "minute_traversal_fill": (422, SYMBOL_RULE),
    "openapi": (404, NOT_OURS),
    "options_nocors": (204, CORS),
    "root": (None, "the first page is our own"),
    "sub_fills": (404, NOT_OURS),
    "sub_manifest": (404, NOT_OURS),
    "sub_orders": (404, NOT_OURS),
    "ws_plain_get": (422, "the address is the playback's own and speaks WebSocket"),
}
"""What is not passed through: our status, and why."""
MOVED = {"detail_trailing", "list_trailing_slash"}
"""Passed through but for `Location`, which names our address instead of the backend's."""

pytestmark = needs_recordings


@pytest.fixture(name="backend")
async def _backend() -> AsyncIterator[ReplayingBackend]:
    async with replaying() as backend:
        yield backend


@pytest.fixture(name="bff")
async def _bff(backend: ReplayingBackend) -> AsyncIterator[Bff]:
    async with serving(backend.url) as bff:
        yield bff


async def _ask(
    session: aiohttp.ClientSession, base: str, recording: Recording
) -> tuple[int, str | None, bytes, str | None]:
    request = recording["request"]
    path = request["path"].replace("<new>", "new")
    if path.endswith("...(10019 chars)"):
        path = "/bars/daily?symbol=" + "A" * 10_000
    body = request.get("body")
    async with session.request(
        request["method"],
        URL(base + path, encoded=True),
        # Large bodies are packed here for who takes it, which the backend does not do.
        headers={"Accept-Encoding": "identity", **request.get("headers", {})},
        data=body if body is None or isinstance(body, str) else msgspec.json.encode(body),
        allow_redirects=False,
        auto_decompress=False,
    ) as response:
        headers = response.headers
        return (
            response.status,
            headers.get("Content-Type"),
            await response.read(),
            headers.get("Location"),
        )


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("name", sorted(RECORDED.keys() - OTHERWISE.keys()))
async def test_an_answer_is_the_same_direct_and_through_us(
    backend: ReplayingBackend, bff: Bff, name: str, prefix: str
) -> None:
    if prefix and name.startswith("healthz"):
        pytest.skip("the backend's health is at one address alone")
    recording = load(RECORDED[name])
    backend.play(recording)
    *direct, location = await _ask(bff.session, backend.url, recording)
    *through, moved = await _ask(bff.session, bff.url + prefix, recording)
    assert through == direct
    assert direct[0] == recording["status"]
    if name in MOVED:
        assert location is not None
        assert moved == location.replace(backend.url, bff.url + prefix)
    else:
        assert moved == location is None
    first, second = backend.asked
    assert (second.method, second.raw_path, second.body) == (
        first.method,
        first.raw_path,
        first.body,
    )


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("name", sorted(RECORDED.keys() & OTHERWISE.keys()))
async def test_what_is_refused_or_answered_here_never_reaches_the_backend(
    backend: ReplayingBackend, bff: Bff, name: str, prefix: str
) -> None:
    recording = load(RECORDED[name])
    if name.startswith(("healthz", "openapi", "root")):
        prefix = ""
    status, *_ = await _ask(bff.session, bff.url + prefix, recording)
    if name == "ws_plain_get" and prefix:
        assert status == 404
    else:
        assert status == (OTHERWISE[name][0] or status)
    assert backend.asked == []
