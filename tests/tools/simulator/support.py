"""What the simulator's tests share: quick options, a player's side of the socket."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from hewston_bff.tools.simulator import SimulatorOptions
from tests.waiting import PATIENCE_S

PLAY = '{"t":"ctrl","cmd":"play"}'
HB_S = 0.03

QUICK = SimulatorOptions(play_silence_s=0.0, hb_interval_s=HB_S)


def decoded(text: str | bytes) -> Any:
    """The JSON value of a text."""
    return msgspec.json.decode(text)


async def texts(socket: aiohttp.ClientWebSocketResponse, *, count: int) -> list[str]:
    """The next messages that are neither heartbeat nor echo; fewer if the socket ends before."""
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
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
    async with asyncio.timeout(PATIENCE_S):
        while '"hb"' not in (text := await socket.receive_str()):
            found.append(text)
    return found
