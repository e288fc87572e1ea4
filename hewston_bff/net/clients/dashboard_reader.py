"""What a dashboard says on its socket: pings, and texts that mean nothing to us."""

import msgspec
from aiohttp import WSMsgType, web

from hewston_bff.net.clients.session import Session
from hewston_bff.net.clients.ws_frames import pong_frame
from hewston_bff.protocol.dashboard_messages import MAX_TEXT, DashboardError, DashboardPong

_PONG = msgspec.json.encode(DashboardPong())
_TOO_LONG = msgspec.json.encode(
    DashboardError(f"the message is too long: send at most {MAX_TEXT} characters")
)
_NO_JSON = msgspec.json.encode(DashboardError("the message is no JSON: send one JSON object"))


class DashboardReader:
    """Reads one dashboard's socket; answers pings and what cannot be read, ignores the rest."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(self, ws: web.WebSocketResponse) -> None:
        """Read until it closes. A cancellation loses no message."""
        while True:
            message = await ws.receive()
            self._session.writer.heard()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._answer(bytes(message.data))
                case WSMsgType.PING:
                    self._session.writer.pong(pong_frame(bytes(message.data)))
                case WSMsgType.PONG:
                    pass
                case _:
                    return

    def _answer(self, data: bytes) -> None:
        reply = _reply(data)
        if reply:
            self._session.say(reply)


def _reply(data: bytes) -> bytes:
    if len(data) > MAX_TEXT:
        return _TOO_LONG
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NO_JSON
    return _PONG if isinstance(said, dict) and said.get("type") == "ping" else b""
