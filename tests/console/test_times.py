"""Times as the browser client reads them, in New York."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tests.console.support import CLIENT
from tests.support import program

_SCRIPT = Path(__file__).with_name("times.mjs")
_1430_MS = 1_709_303_400_000  # date -u -d 2024-03-01T14:30:00Z +%s000


async def _read(pairs: Sequence[tuple[Any, Any]], *, zone: str = "America/New_York") -> list[Any]:
    """For each pair [ms of the first, how the first compares with the second]."""
    process = await asyncio.create_subprocess_exec(
        program("node"),
        str(_SCRIPT),
        (CLIENT.parent / "time.js").as_uri(),
        env=os.environ | {"TZ": zone},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    lines = b"".join(msgspec.json.encode(pair) + b"\n" for pair in pairs)
    out, _ = await process.communicate(lines)
    return [msgspec.json.decode(line) for line in out.splitlines()]


async def test_a_time_without_a_zone_is_utc_wherever_the_browser_is() -> None:
    forms: dict[Any, float | None] = {
        "2024-03-01T14:30:00": _1430_MS,
        "2024-03-01 14:30": _1430_MS,
        "2024-03-01T14:30:00Z": _1430_MS,
        "2024-03-01T09:30:00-05:00": _1430_MS,
        "2024-03-01T20:00:00+0530": _1430_MS,
        "2024-03-01T14:30:00.25": _1430_MS + 250,
        "2024-03-01": _1430_MS - (14 * 60 + 30) * 60_000,
        "1969-12-31T23:59:59.5Z": -500,
        1_709_303_400: _1430_MS,
        1_709_303_400_000: _1430_MS,
        "1709303400000000": _1430_MS,
        "1709303400000000000": _1430_MS,
        1_709_303_400.5: _1430_MS + 500,
        "1709303400.25": _1430_MS + 250,
        "1.7093034e9": _1430_MS,
        "20240301T143000": _1430_MS,
        "20240301": _1430_MS - (14 * 60 + 30) * 60_000,
        86_400: 86_400_000,
        **dict.fromkeys(
            ("", "soon", "2024", "86400", "2024-02-30T00:00:00", "2024-03-01T24:61:00", None, True)
        ),
    }
    read = await _read([(form, form) for form in forms])
    assert [ms for ms, _ in read] == list(forms.values())


async def test_any_time_of_any_zone_is_the_instant_that_python_reads() -> None:
    chance = Random(7)
    moments = [
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=chance.randrange(4 * 10**12))
        for _ in range(200)
    ]
    zones = [timezone(timedelta(minutes=chance.randrange(-720, 720))) for _ in moments]
    texts = [
        moment.astimezone(zone).isoformat() for moment, zone in zip(moments, zones, strict=True)
    ]
    read = await _read(
        [(text, moment.isoformat()) for text, moment in zip(texts, moments, strict=True)]
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert read == [[(moment - epoch) / timedelta(milliseconds=1), 0] for moment in moments]


async def test_times_compare_as_instants_to_the_nanosecond() -> None:
    read = await _read(
        [
            ("2024-03-01T14:30:00.0000001Z", "2024-03-01T14:30:00.0000002Z"),
            ("2024-03-01T14:30:00.1Z", "2024-03-01T14:30:00Z"),
            ("2024-03-01T14:30:00.10Z", "2024-03-01T14:30:00.1+00:00"),
            ("2024-03-01T14:30:00Z", 1_709_303_400),
            ("soon", 0),
        ]
    )
    assert [order for _, order in read] == [-1, 1, 0, 0, None]
