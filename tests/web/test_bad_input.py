"""Every parameter that we check, at every address: what cannot be is refused by its name."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
import structlog

from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.endpoint import Tag
from hewston_bff.web.routes import ENDPOINTS
from tests.support import Bff, Message, free_port, serving
from tests.waiting import PATIENCE_S
from tests.web.documented import Documented
from tests.web.replaying import replaying

DOCUMENTED = Documented(openapi(ENDPOINTS))
SOCKETS = {"/api/v1/stream", "/api/v1/runs/{run_id}/stream", "/backtests/{run_id}/ws"}
GOOD = {"symbol": "AAPL", "timeframe": "1D", "from": "2024-01-02", "to": "2024-01-31"}
ALWAYS_BAD = (
    *(b"A" * 10_000, b"A\r\nX-Injected: 1", b"A\0", b"..", b"../..", b"A/../B", b"..%2F..", b"%2F"),
    *(b"\xff", b"\xc0\xae", b"\xed\xa0\x80", "\u0661\ufeff\u202e".encode(), b"{}", b"' OR 1=1"),
)
FINE = {"symbol": (b"%2F", b"{}", b"' OR 1=1"), "subscribe": (b"perhaps", b"2")}
"""Odd, but a symbol may be any printable text, escaped; and these are ids that a run could have."""
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


class Parameter(NamedTuple):
    """One that we check ourselves, in `query`, `path` or `header`."""

    method: str
    path: str
    place: str
    name: str
    schema: Message
    is_required: bool
    is_passed_on: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}"


def _checked() -> Iterator[Parameter]:
    for method, path in sorted(DOCUMENTED.operations()):
        operation = DOCUMENTED.document["paths"][path][method]
        is_passed_on = bool({Tag.BACKEND, Tag.UNPREFIXED} & set(operation["tags"]))
        for one in operation["parameters"]:
            schema = DOCUMENTED.resolved(one["schema"])
            parameter = Parameter(
                method,
                path,
                one["in"],
                one["name"],
                schema,
                one.get("required", False),
                is_passed_on,
            )
            if one["name"] in {"run_id", "symbol"} or not is_passed_on:
                yield parameter


def _is_text(parameter: Parameter) -> bool:
    """Whether anything goes: names of files, and tags."""
    return parameter.schema == {"type": "string"}


CHECKED = [parameter for parameter in _checked() if not _is_text(parameter)]


def bad_values(schema: Message) -> Iterator[bytes]:
    """What a parameter of this schema cannot be."""
    yield from ALWAYS_BAD
    kinds = schema.get("anyOf", [schema])
    if "enum" in schema:
        yield from (b"", b"nothing", schema["enum"][0].encode() + b" ")
    for kind in kinds:
        if kind.get("type") in {"integer", "number"}:
            yield from (b"1_0", b"0x10", b"nan", b"inf", "\u0665\u0660\u0660".encode())
            yield from (
                str(bound + step).encode()
                for bound, step in ((kind.get("minimum"), -1), (kind.get("maximum"), 1))
                if bound is not None
            )
        # A list of run ids takes any word that can be one.
        is_open = kind.get("type") == "array" and "enum" not in kind["items"]
        if kind.get("type") in {"boolean", "array"} and not is_open:
            yield from (b"", b"perhaps", b"2", b"frames,nothing")
        if ":" in kind.get("pattern", ""):
            yield from (b":1", b"a:", b"a:1e3", b"a:-1", b"a:" + b"1" * 16, b"a:\xd9\xa5", b"a:1 2")
        if kind.get("format") == "date":
            yield from (b"", b"2024-13-01", b"2024-1-1", b"1704067200", b"2024-01-02T00:00:00Z")


async def refusals(bff: Bff, parameter: Parameter) -> None:
    """Ask with each bad value; assert that each is refused, and by name."""
    for value in bad_values(parameter.schema):
        if value in FINE.get(parameter.name, ()):
            continue
        await _assert_refused(bff, parameter, [value])
    if parameter.place == "query" and not parameter.is_passed_on:
        if _is_repeated(parameter):
            return
        good = GOOD.get(parameter.name, str(parameter.schema.get("default", 1)).lower()).encode()
        await _assert_refused(bff, parameter, [good, good])
        if parameter.is_required:
            await _assert_refused(bff, parameter, [])


def _is_repeated(parameter: Parameter) -> bool:
    """Whether it may be there more than once: a list that is not one value with commas."""
    return parameter.schema.get("type") == "array" and "enum" not in parameter.schema["items"]


async def _assert_refused(bff: Bff, parameter: Parameter, values: list[bytes]) -> None:
    status, body = await _ask(bff, parameter, values)
    told = f"{parameter}: {[value[:40] for value in values]} → {status} {body[:300]!r}"
    assert 400 <= status < 500, told
    assert b"Traceback" not in body, told
    assert len(body) < 1_000, told
    if status == 422:
        assert parameter.name.encode() in body, told


async def _ask(bff: Bff, parameter: Parameter, values: list[bytes]) -> tuple[int, bytes]:
    """Status and body of a request that has the parameter so often, and else what is needed."""
    path, headers = parameter.path, b""
    query = list(GOOD.items()) if "timeframe" in _names(parameter) else []
    pairs = [f"{name}={value}" for name, value in query if name != parameter.name]
    if parameter.place == "query":
        pairs += [f"{parameter.name}={quote(value, safe='')}" for value in values]
    elif parameter.place == "path":
        path = path.replace("{run_id}", quote(values[0], safe="").replace(".", "%2E"))
    else:
        value = values[0].replace(b"\r\n", b"").replace(b"\0", b"")
        headers = b"%b: %b\r\n" % (parameter.name.encode(), value)
    if parameter.path in SOCKETS:
        headers += UPGRADE
    target = "?".join([path.replace("{run_id}", "day"), "&".join(pairs)])
    reader, writer = await asyncio.open_connection("127.0.0.1", bff.port)
    try:
        line = f"{parameter.method.upper()} {target} HTTP/1.1\r\nHost: x\r\n"
        writer.write(line.encode() + headers + b"\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or b"0")
        return int(answer.split()[1]), await reader.readexactly(length)
    finally:
        writer.close()


def _names(parameter: Parameter) -> set[str]:
    listed = DOCUMENTED.parameters(parameter.method, parameter.path, place="query")
    return {one["name"] for one in listed}


@pytest.mark.parametrize("parameter", CHECKED, ids=str)
async def test_a_bad_value_is_refused_by_name_and_the_backend_hears_nothing(
    parameter: Parameter, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {
        "bff_rate_aggregated_per_minute": 0,
        "bff_rate_proxied_per_minute": 0,
        # Nobody listens there: for a request Redis is not asked either.
        "bff_jobs_url": f"redis://127.0.0.1:{free_port()}/0",
    }
    async with replaying() as backend, serving(backend.url, **settings) as bff:
        with structlog.testing.capture_logs() as logged:
            await refusals(bff, parameter)
        assert backend.asked == []
        told = [entry for entry in logged if entry["event"] != "jobs.redis_down"]
        assert {entry["log_level"] for entry in told} <= {"info"}
        assert not [record for record in caplog.records if record.exc_info]


def test_all_that_the_contract_has_is_checked() -> None:
    assert {(one.place, one.name) for one in CHECKED} >= {
        ("path", "run_id"),
        ("header", "Last-Event-ID"),
        *(("query", name) for name in ("symbol", "timeframe", "from", "to", "target_points")),
        *(("query", name) for name in ("rth_only", "layout", "equity_points")),
        *(("query", f"include_{part}") for part in ("orders", "equity", "metrics")),
        *(("query", name) for name in ("speed", "max_fps", "mode", "paused", "updates")),
    }


@pytest.mark.parametrize(
    "path",
    ["chart-data?" + urlencode(GOOD), "stream"]
    + [f"runs/day/{end}" for end in ("complete", "status", "frames", "events", "stream")],
)
async def test_credentials_that_are_not_utf8_are_refused_and_never_sent_on_as_others(
    path: str,
) -> None:
    upgrade = UPGRADE if path.endswith("stream") else b"Connection: close\r\n"
    async with replaying() as backend, serving(backend.url) as bff:
        for name in (b"Authorization", b"Cookie"):
            reader, writer = await asyncio.open_connection("127.0.0.1", bff.port)
            line = f"GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\n".encode()
            writer.write(b"%b%b%b: token\xff\r\n\r\n" % (line, upgrade, name))
            async with asyncio.timeout(PATIENCE_S):
                answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            assert answer.startswith(b"HTTP/1.1 422 "), (name, answer)
        assert backend.asked == []
