"""Subscriptions of the browser client: what they tell, and that they go when they are over."""

import asyncio
from pathlib import Path

import msgspec

from hewston_bff.tools.simulator import generated_run
from tests.console.scripted import scripted
from tests.console.support import CLIENT, node_client
from tests.support import Message, program, stack

_FORGOTTEN = Path(__file__).with_name("forgotten.mjs")


def _frame(seq: int) -> Message:
    return {"t": "frame", "sid": 1, "seq": seq, "ts": f"2024-03-01T14:3{seq}:00Z", "dropped": 0}


def _run(frames: int, **reasons: int) -> Message:
    skipped = {"frames": frames, "reasons": reasons}
    news = {
        "run_id": "day",
        "status": "DONE",
        "progress": None,
        "updated_at": "2024-03-01T15:00:00Z",
    }
    return {"t": "run", **news, "skipped": skipped}


async def test_frames_that_were_skipped_are_an_event_in_either_form() -> None:
    err: Message = {"t": "err", "sid": 1, "code": "FRAMES_SKIPPED", "msg": "4 frames were skipped"}
    details = {"frames": 4, "reasons": {"malformed": 1, "time_unreadable": 3}}
    script = [
        _run(1, malformed=1),
        _run(1, malformed=1),
        _run(2, malformed=1, time_unreadable=1),
        _frame(0),
        err | {"details": details},
        _frame(1),
    ]
    async with scripted(script) as url, node_client(url, {"day": {}}) as client:
        await client.until(lambda line: line[1] == "frame" and line[2] == 1)
        assert [line[2] for line in client.of("skipped")] == [
            {"frames": 1, "reasons": {"malformed": 1}},
            {"frames": 2, "reasons": {"malformed": 1, "time_unreadable": 1}},
            details,
        ]
        assert not client.of("error")
        assert len(client.of("run")) == 3


async def test_another_run_by_the_same_name_counts_anew() -> None:
    reset: Message = {"t": "reset", "sid": 1, "epoch": "f", "reason": "upstream_diverged"}
    script = [_run(1, malformed=1), reset, _run(1, malformed=1), _frame(0)]
    async with scripted(script) as url, node_client(url, {"day": {}}) as client:
        await client.event("frame")
        assert len(client.of("skipped")) == 2


async def test_a_subscription_that_failed_is_kept_by_nobody() -> None:
    transports = ("websocket", "events", "backend")
    async with stack(generated_run("day")) as (bff, _, _):
        process = await asyncio.create_subprocess_exec(
            *(program("node"), "--expose-gc", "--experimental-websocket", "--no-warnings"),
            *(str(_FORGOTTEN), CLIENT.as_uri(), bff.url, "5", *transports),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    held = dict(msgspec.json.decode(line) for line in out.splitlines())
    # The last one may still be on the engine's stack.
    assert held.keys() == set(transports)
    assert all(count <= 1 for count in held.values()), held
