"""Ready frames straight to the transport, beside the frames that aiohttp writes itself."""

import random

import aiohttp
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st
from pytest_aiohttp import AiohttpServer

from hewston_bff.net.clients.ws_frames import pong_frame, prepare_transport, text_frame

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 200_000)


async def test_raw_frames_and_those_of_aiohttp_arrive_whole_and_in_order(
    aiohttp_server: AiohttpServer,
) -> None:
    chance = random.Random(3)
    script = [(chance.choice("rwp"), chance.choice(SIZES), n) for n in range(400)]

    async def talk(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, autoping=False)
        await ws.prepare(request)
        transport = request.transport
        assert transport is not None
        prepare_transport(transport, high_water_bytes=65_536)
        for how, size, n in script:
            text = f"{n}:" + "x" * size
            if how == "r":
                transport.write(text_frame(text.encode()))
            elif how == "w":
                await ws.send_str(text)
            else:
                transport.write(pong_frame(str(n).encode()))
                await ws.ping(str(n).encode())
        await ws.close(code=4321, message=b"done")
        return ws

    app = web.Application()
    app.router.add_get("/", talk)
    server = await aiohttp_server(app)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(server.make_url("/"), autoping=False, max_msg_size=0) as ws:
            for how, size, n in script:
                message = await ws.receive()
                if how == "p":
                    assert (message.type, message.data) == (WSMsgType.PONG, str(n).encode())
                    message = await ws.receive()
                    assert (message.type, message.data) == (WSMsgType.PING, str(n).encode())
                else:
                    assert message.data == f"{n}:" + "x" * size
            closing = await ws.receive()
            assert (closing.type, ws.close_code) == (WSMsgType.CLOSE, 4321)


@given(st.binary(max_size=70_000))
def test_a_text_frame_says_its_length_as_the_protocol_wants(payload: bytes) -> None:
    frame = text_frame(payload)
    head = 2 if len(payload) < 126 else 4 if len(payload) < 65_536 else 10
    assert frame[0] == 0x81
    assert frame[1] == (len(payload) if head == 2 else 126 if head == 4 else 127)
    assert head == 2 or int.from_bytes(frame[2:head]) == len(payload)
    assert frame[head:] == payload
