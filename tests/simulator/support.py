"""What the simulator's tests share: quick options, a player's side of the socket."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hewston_bff.simulator import SimulatorOptions

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared/recordings"
PLAY = '{"t":"ctrl","cmd":"play"}'
HB_S = 0.03

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of a real backend are not on this machine"
)


QUICK = SimulatorOptions(play_silence_s=0.0, hb_interval_s=HB_S)


def decoded(text: str | bytes) -> Any:
    """The JSON value of a text."""
    return msgspec.json.decode(text)


async def texts(socket: aiohttp.ClientWebSocketResponse, *, count: int) -> list[str]:
    """The next messages that are neither heartbeat nor echo; fewer if the socket ends before."""
    found: list[str] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            if '"hb"' not in message.data and '"echo"' not in message.data:
                found.append(message.data)
    return found


async def rest_of(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Everything until the socket ends."""
    return await texts(socket, count=1_000_000)


async def next_heartbeat(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """What comes before the next heartbeat."""
    found: list[str] = []
    async with asyncio.timeout(10):
        while '"hb"' not in (text := await socket.receive_str()):
            found.append(text)
    return found
