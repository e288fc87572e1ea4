#!/usr/bin/env python3
"""Mutated client messages by the million: nothing escapes, and nobody else notices.

    scripts/fuzz_messages.py                             100 000, on each kind of socket in turn
    scripts/fuzz_messages.py --count 1000000 --seed 7

Server, simulated backend and attackers share this process; the sockets are real. A bystander
watches a run meanwhile: it must miss no frame. Exits with 1 if a socket ended in a way that the
protocol does not foresee, an internal error was reported, or the bystander was disturbed.
"""

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic

import aiohttp
import msgspec
from aiohttp import WSMsgType, web

from hewston_bff.app import CRASHED, create_app
from hewston_bff.log_setup import configure_logging
from hewston_bff.settings import Settings
from hewston_bff.tasks import running
from hewston_bff.tools.simulator import SimulatedBackend, SimulatorOptions, default_runs

ENDPOINTS = ("/api/v1/stream", "/api/v1/runs/demo-month/stream", "/backtests/demo-day/ws")
EXAMPLES = (
    b'{"t":"subscribe","id":1,"run_id":"demo-day","from":"start","speed":60,"max_fps":30}',
    b'{"t":"subscribe","id":"b","run_id":"demo-month","mode":"all","speed":0,"updates":["frames"]}',
    b'{"t":"subscribe","run_id":"demo-day","resume":{"epoch":"9f2c41d0a7be","seq":41},"paused":true}',
    b'{"t":"ctrl","id":4,"sid":1,"cmd":"seek","pos":120}',
    b'{"t":"ctrl","id":4,"sid":1,"cmd":"seek","ts":"2024-03-01T14:30:00Z"}',
    b'{"t":"ctrl","cmd":"speed","val":1e3}',
    b'{"t":"ctrl","cmd":"step","val":-20}',
    b'{"t":"ctrl","cmd":"live"}',
    b'{"t":"ctrl","cmd":"play"}',
    b'{"t":"unsubscribe","id":3,"sid":1}',
    b'{"t":"ping","ts":1735689600000}',
    b'{"t":"hb"}',
)
WELL_FORMED = b'{"t":"hb"}'
BITS = (
    b"null",
    b"-1",
    b"1e999",
    b"9" * 40,
    b'"\\u0000"',
    b"[[",
    b"{}",
    b"\xff",
    b"\xf0\x9f\x98\x80",
)
FORESEEN = {None, 1000, 1009, 4008, 4400, 4403, 4408, 4429}
A_BATCH = 50
"""Messages after which an attacker reads what came back."""
A_SOCKET = 2_000
"""Messages after which an attacker comes back on a new socket."""


def mutated(chance: random.Random) -> bytes:
    """An example with some bytes overwritten, cut out, doubled or replaced by something nasty."""
    data = bytearray(chance.choice(EXAMPLES))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        stop = at + chance.randint(0, 6)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes((chance.randrange(256),))
            case 1:
                del data[at:stop]
            case 2:
                data[at:at] = data[at:stop]
            case _:
                data[at:stop] = chance.choice(BITS)
    return bytes(data)


@dataclass
class Findings:
    """What became of it."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    closes: Counter[int | None] = field(default_factory=Counter)
    watched: int = 0
    longest_gap_s: float = 0.0
    gaps: list[str] = field(default_factory=list)

    @property
    def troubles(self) -> list[str]:
        """What should not have been."""
        found = [f"closed with {code}" for code in self.closes if code not in FORESEEN]
        if self.answers["INTERNAL"]:
            found.append(f"{self.answers['INTERNAL']} internal errors")
        return found + self.gaps


async def attack(
    session: aiohttp.ClientSession, url: str, chance: random.Random, *, count: int, found: Findings
) -> None:
    """Send up to `count` mutated messages on one socket, reading all that comes back."""
    async with session.ws_connect(url, max_msg_size=0) as ws:
        with suppress(ConnectionError):
            for n in range(1, count + 1):
                await ws.send_frame(mutated(chance), WSMsgType.TEXT)
                # Three malformed ones in a row would end it at once.
                await ws.send_frame(WELL_FORMED, WSMsgType.TEXT)
                found.sent += 1
                if n % A_BATCH == 0 and not await catch_up(ws, n, found):
                    break
            await ws.close()
    found.closes[ws.close_code] += 1


async def catch_up(ws: aiohttp.ClientWebSocketResponse, n: int, found: Findings) -> bool:
    """Read and count all that comes until a ping is answered; False if the socket closed first."""
    await ws.send_str(f'{{"t":"ping","ts":{n}}}')
    async for message in ws:
        answer = msgspec.json.decode(message.data)
        kind = answer["code"] if answer["t"] == "err" else answer["t"]
        found.answers[kind] += 1
        if kind == "pong" and answer["ts"] == n:
            return True
    return False


async def watch(session: aiohttp.ClientSession, url: str, found: Findings) -> None:
    """The bystander: every frame in order, whatever others do."""
    async with session.ws_connect(f"{url}/api/v1/runs/demo-year/stream?speed=1") as ws:
        last, last_s = -1, monotonic()
        async for message in ws:
            frame = msgspec.json.decode(message.data)
            if frame["t"] != "frame":
                continue
            first, now_s = frame.get("from", frame["seq"]), monotonic()
            if first != last + 1:
                found.gaps.append(f"the bystander saw {first} after {last}")
            if found.watched:
                found.longest_gap_s = max(found.longest_gap_s, now_s - last_s)
            last, last_s = frame["seq"], now_s
            found.watched += 1
    found.gaps.append(f"the bystander was closed with {ws.close_code}")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, web.Application]]:
    """Backend and server, with no limit on how fast one client may talk."""
    backend = SimulatedBackend(default_runs(), options=SimulatorOptions(play_silence_s=0.05))
    async with backend.running() as upstream:
        settings = Settings(
            hewston_backend_url=upstream.url, bff_ws_messages_per_second=1_000_000_000
        )
        app = create_app(settings)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", app
        finally:
            await runner.cleanup()


async def fuzz(*, count: int, seed: int) -> Findings:
    """Attack until `count` messages were sent."""
    found, chance = Findings(), random.Random(seed)  # noqa: S311 - seeded, to be repeated
    async with serving() as (url, app), aiohttp.ClientSession() as session:

        def crashed(error: BaseException) -> None:
            found.gaps.append(f"the bystander stopped: {error!r}")

        async with running(watch(session, url, found), name="bystander", crashed=crashed):
            for endpoint in cycle(ENDPOINTS):
                batch = min(A_SOCKET, count - found.sent)
                if batch <= 0:
                    break
                await attack(session, url + endpoint, chance, count=batch, found=found)
        found.gaps.extend(f"the hub crashed: {error!r}" for error in app[CRASHED])
    return found


def main() -> int:
    """The exit code: 0 if nothing escaped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    configure_logging(level="ERROR", fmt="console")
    found = asyncio.run(fuzz(count=options.count, seed=options.seed))
    print(f"{found.sent} messages on {found.closes.total()} sockets, seed {options.seed}")
    print("answers:", dict(found.answers.most_common()))
    print("closed with:", dict(found.closes.most_common()))
    print(f"bystander: {found.watched} frames, longest gap {found.longest_gap_s * 1e3:.0f} ms")
    print("\n".join(found.troubles) or "nothing escaped")
    return 1 if found.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
