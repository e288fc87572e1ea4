"""A server that says to each stream what a script says: for messages that are hard to provoke."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import WSMsgType, web

from tests.support import Message

HELLO: Message = {
    "t": "hello",
    "v": 1,
    "session": "s",
    "hb_ms": 5_000,
    "limits": {"subscriptions": 128, "message_bytes": 65_536, "messages_per_s": 50, "max_fps": 60},
}
_SUBSCRIBED: Message = {
    "t": "subscribed",
    "sid": 1,
    "epoch": "e",
    "first": 0,
    "last": 9,
    "complete": True,
    "seq": -1,
    "status": "playing",
    "speed": 60,
    "max_fps": 30,
    "mode": "merge",
    "recovered": None,
}


@asynccontextmanager
async def scripted(then: Sequence[Message]) -> AsyncIterator[str]:
    """Its address: a socket that answers one subscription, and goes on with `then`."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("hewston.bff.v1",))
        await ws.prepare(request)
        await ws.send_str(msgspec.json.encode(HELLO).decode())
        async for received in ws:
            asked = msgspec.json.decode(received.data) if received.type is WSMsgType.TEXT else {}
            if asked.get("t") == "subscribe":
                answer = _SUBSCRIBED | {"re": asked["id"], "run_id": asked["run_id"]}
                for message in (answer, *then):
                    await ws.send_str(msgspec.json.encode(message).decode())
        return ws

    app = web.Application()
    app.router.add_get("/api/v1/stream", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
