"""The client's document and its types: they compile, and they hold what the backend answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hewston_bff.tools.simulator import generated_run
from tests.console.support import CONSOLE
from tests.console.typescript import PAGES, compiled
from tests.support import stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.web.replaying import Recording, load, rest_recordings

DOCUMENT = (CONSOLE.parents[1] / "docs" / "client.md").read_text()
_BLOCK = re.compile(r"```(js|ts|tsx)\n(.*?)```", re.DOTALL)
_FORETOLD = re.compile(r"@ts-expect-error (.+)")


async def test_every_example_of_the_document_compiles(tmp_path: Path) -> None:
    blocks = _BLOCK.findall(DOCUMENT)
    assert len(blocks) >= 2
    sources = {f"example{n}.{kind}": text for n, (kind, text) in enumerate(blocks)}
    assert await compiled(tmp_path, sources) == ""


async def test_a_ported_page_meets_no_error_that_the_document_did_not_foretell(
    tmp_path: Path,
) -> None:
    straight = (PAGES / "straight.ts").read_text()
    section = DOCUMENT.partition("### What `tsc --strict` will say")[2].partition("\n## ")[0]
    foretold = set(re.findall(r"^\* \*\*(.+?)\*\*", section, re.MULTILINE))
    # Each expected error is one, and there is no other: the compiler says so of both.
    assert set(_FORETOLD.findall(straight)) == foretold
    sources = {name: (PAGES / name).read_text() for name in ("straight.ts", "ported.ts")}
    assert await compiled(tmp_path, sources) == ""


async def test_an_example_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    wrong = 'import { connect } from "./client/hewston-bff.js";\nconnect("").rest.run(1);\n'
    assert "TS2345" in await compiled(tmp_path, {"wrong.ts": wrong})


def _answers() -> Iterator[tuple[str, str, Recording]]:
    """Recorded answers with the names of their types."""
    kinds = {"list_": "RunList", "detail": "RunDetail", "post_": "CreatedRun"}
    kinds |= dict.fromkeys(("daily_", "hour_", "minute_", "decim_"), "BackendBars")
    for name, path in sorted(rest_recordings().items()):
        kind = next((kind for start, kind in kinds.items() if name.startswith(start)), None)
        recording = load(path)
        is_answer = recording["status"] in {200, 202} and isinstance(recording["body"], dict)
        if kind is not None and is_answer:
            yield name, kind, recording


RECORDED = list(_answers())


@pytest.mark.skipif(not RECORDED, reason="the recordings are not here")
async def test_what_the_backend_was_recorded_to_answer_is_of_these_types(tmp_path: Path) -> None:
    lines = ['import type * as Api from "./client/hewston-bff.js";']
    for number, (name, kind, recording) in enumerate(RECORDED):
        body = recording["body"]
        for rows in ("bars", "items"):
            if rows in body:
                body = body | {rows: body[rows][:20]}
        if kind == "RunDetail":
            body = body | {"symbol": None}  # filled in by the client
        # A literal must not have members that its type does not name; those of details may.
        text = msgspec.json.encode(body).decode()
        lines.append(f"export const answer{number}: Api.{kind} = {text}; // {name}")
    assert {kind for _, kind, _ in RECORDED} == {
        "RunList",
        "RunDetail",
        "CreatedRun",
        "BackendBars",
    }
    assert await compiled(tmp_path, {"recorded.ts": "\n".join(lines)}) == ""


async def test_what_this_server_answers_is_of_these_types(tmp_path: Path) -> None:
    chart = "symbol=AAPL&from=2024-01-02&to=2024-01-03&timeframe=1M&target_points=100"
    asked = {
        "/api/v1/backtests": "RunList",
        "/api/v1/bars/daily?symbol=AAPL": "BackendBars",
        f"/api/v1/chart-data?{chart}": "ChartData",
        "/api/v1/runs/day/complete?equity_points=100": "CompleteRun",
        "/api/v1/runs/day/status": "RunStatus",
        "/api/v1/features": "FeaturesPage",
        "/api/v1/topics?match=bus:*": "TopicsPage",
        "/api/v1/topics/bus:fills/last": 'TopicEvent & { t: "event" }',
    }
    lines = ['import type * as Api from "./client/hewston-bff.js";']
    async with stack(generated_run("day")) as (bff, _, _):
        tapes: list[TapeSource] = []
        bff.hub.events.register(tape_kind(tapes))
        tapes[0].open()
        tapes[0].publish("fills", "quotes")
        for number, (path, kind) in enumerate(asked.items()):
            text = msgspec.json.encode(await bff.get(path)).decode()
            lines.append(f"export const answer{number}: Api.{kind} = {text};")
    assert await compiled(tmp_path, {"answers.ts": "\n".join(lines)}) == ""
