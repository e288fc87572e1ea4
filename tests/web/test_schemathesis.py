"""Requests made up from the OpenAPI document, valid ones and others, against the real server."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from hewston_bff.tools.simulator import generated_run
from hewston_bff.web.endpoint import Tag
from tests.platform_service import platform_service, says
from tests.redis_server import redis_server
from tests.support import stack
from tests.topics.ticker_tape import tape_kind

NOT_OURS = (Tag.BACKEND, Tag.UNPREFIXED, Tag.STREAMS, Tag.ACCOUNT, Tag.JOBS, Tag.TOPICS)
LIMITS = ("bff_rate_aggregated_per_minute", "bff_rate_proxied_per_minute")
SHAPES = "status_code_conformance,content_type_conformance,response_schema_conformance"
RUN = (
    *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--warnings", "off"),
    *("--generation-deterministic", "--phases", "examples,coverage,fuzzing"),
    *("--request-timeout", "10"),
)
_NAMELESS = "positive_data_acceptance,negative_data_rejection"
"""Which patterns, and which types of jobs there are no schema can say; and parameters without a
name in the document are ignored, as it says itself."""
EXAMPLES = ("--max-examples", "10")
FEW_EXAMPLES = ("--max-examples", "4")
"""Where what is asked goes elsewhere: of what we make of it, a few tell enough."""


@pytest.mark.parametrize(
    "options",
    [
        # Streams have no end, and sockets refuse all that asks for no upgrade. That `from` is not
        # after `to` no schema can say.
        pytest.param(
            [
                *(part for tag in NOT_OURS for part in ("--exclude-tag", tag)),
                *("--exclude-checks", "positive_data_acceptance"),
                *EXAMPLES,
            ],
            id="ours",
        ),
        # What the backend makes of it is its own; it must only be documented. Without the prefix
        # it is the same code.
        pytest.param(
            ["--include-tag", Tag.BACKEND, "--checks", SHAPES, *FEW_EXAMPLES],
            id="backend",
        ),
        # The same holds for what the market-connectivity service makes of it.
        pytest.param(
            ["--include-tag", Tag.ACCOUNT, "--checks", SHAPES, *FEW_EXAMPLES], id="account"
        ),
    ],
)
async def test_whatever_is_asked_the_answer_is_as_documented(
    options: list[str], tmp_path: Path
) -> None:
    await _ask_anything(options, tmp_path)


async def test_whatever_is_asked_of_topics_the_answer_is_as_documented(tmp_path: Path) -> None:
    options = ["--include-tag", Tag.TOPICS, "--exclude-checks", _NAMELESS, *FEW_EXAMPLES]
    await _ask_anything(options, tmp_path)


async def test_whatever_is_asked_of_jobs_the_answer_is_as_documented(tmp_path: Path) -> None:
    async with redis_server() as redis:
        options = ["--include-tag", Tag.JOBS, "--exclude-checks", _NAMELESS, *FEW_EXAMPLES]
        await _ask_anything(options, tmp_path, bff_jobs_url=redis.url)


async def _ask_anything(options: list[str], folder: Path, **settings: Any) -> None:
    unlimited: dict[str, Any] = dict.fromkeys(LIMITS, 0)
    async with (
        platform_service() as service,
        stack(
            generated_run("demo-day"),
            bff_mcp_url=service.url,
            bff_mcp_username="desk",
            bff_mcp_password="pw",
            bff_mcp_orders=True,
            **unlimited,
            **settings,
        ) as (bff, _, _),
    ):
        bff.hub.events.register(tape_kind([]))
        service.answer = says({"token": "t", "items": [1, 2]})
        process = await asyncio.create_subprocess_exec(
            *(*RUN, *options, f"{bff.url}/api/v1/openapi.json"),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, told.decode()
    assert b"No issues found" in told
