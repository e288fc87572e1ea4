"""The viewer's connection: at the endpoint of one run, back again after a loss, where it was."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
from yarl import URL

from hewston_bff.tools.viewer.messages import ByeMessage, ErrMessage, decode
from hewston_bff.tools.viewer.model import WatchModel

HEARTBEAT_LIMIT_S = 30.0
"""The server says something every 5 s: after this silence it is gone."""
ANSWER_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 4.0
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 15.0
NORMAL_CLOSE = 1000
FIRST_FINAL_CLOSE = 4400
"""Close codes from here on, and 1000, mean: don't come back. Source: stream protocol v1."""

_REFUSALS = {
    401: "wants (other) credentials: pass --token",
    403: "does not let you see this run",
    404: "knows no such run",
}
_FINAL_ERRORS = frozenset({"RUN_NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN"})


class ViewerRefused(Exception):
    """The server will not show this run, or is not there; the text says which."""

    def __init__(self, url: URL, problem: str) -> None:
        super().__init__(f"{url} {problem}")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to watch, and how; None is the server's default."""

    run_id: str
    url: URL
    speed: float | None = None
    start: str | None = None
    max_fps: float | None = None
    token: str | None = field(default=None, repr=False)


class Feed:
    """Keeps a model up to date; `on_change` is called after each message and at each turn."""

    def __init__(self, wish: Wish, *, model: WatchModel, on_change: Callable[[], None]) -> None:
        self._wish = wish
        self._model = model
        self._on_change = on_change
        self._commands: asyncio.Queue[bytes] = asyncio.Queue()
        self._attempt = 0
        self._has_been_in = False
        self._refusal = ""

    def send(self, command: bytes) -> None:
        """Send a command to the server; while there is no connection it is forgotten."""
        self._commands.put_nowait(command)

    async def follow(self) -> None:
        """Watch until the server says that there is nothing more. A cancellation loses nothing.

        Raises:
            Refused: it does not let us in, or was not there in the first place.
        """
        headers = {"Authorization": f"Bearer {self._wish.token}"} if self._wish.token else {}
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            while (wait_s := await self._connect(session)) is not None:
                self._model.link = f"connection lost, again in {wait_s:.1f} s"
                self._on_change()
                await asyncio.sleep(wait_s)

    async def _connect(self, session: aiohttp.ClientSession) -> float | None:
        """One connection: seconds to wait before the next, None if there is to be none."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                ws = await session.ws_connect(
                    self._address(),
                    timeout=aiohttp.ClientWSTimeout(
                        ws_receive=HEARTBEAT_LIMIT_S, ws_close=CLOSE_TIMEOUT_S / 2
                    ),
                    max_msg_size=0,
                )
        except aiohttp.WSServerHandshakeError as exc:
            return self._refused(exc)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            if not self._has_been_in:
                raise ViewerRefused(self._wish.url, _absence(exc)) from exc
            return self._backoff_s()
        try:
            return await self._talk(ws)
        finally:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await ws.close()

    async def _talk(self, ws: aiohttp.ClientWebSocketResponse) -> float | None:
        self._has_been_in = True
        self._model.connected()
        self._on_change()
        self._forget_commands()
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_commands(ws), name="commands")
            try:
                after_s = await self._read(ws)
            finally:
                sender.cancel()
        code = ws.close_code or 0
        if self._refusal:
            raise ViewerRefused(self._wish.url, f"says {self._refusal}")
        if code >= FIRST_FINAL_CLOSE:
            raise ViewerRefused(self._wish.url, f"closed the connection for good, with code {code}")
        if code == NORMAL_CLOSE:
            return None
        return self._backoff_s() if after_s is None else after_s

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> float | None:
        """Take messages in until the connection ends; seconds the server asks to wait, or None."""
        loop = asyncio.get_running_loop()
        after_s: float | None = None
        try:
            async for raw in ws:
                if raw.type is not aiohttp.WSMsgType.TEXT:
                    continue
                message = decode(raw.data)
                if message is None:
                    continue
                self._attempt = 0
                self._model.apply(message, now_s=loop.time())
                self._on_change()
                if isinstance(message, ByeMessage):
                    after_s = message.after_ms / 1000
                elif isinstance(message, ErrMessage) and message.code in _FINAL_ERRORS:
                    self._refusal = self._model.error
                    return None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return after_s
        return after_s

    async def _send_commands(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            command = await self._commands.get()
            try:
                await ws.send_str(command.decode())
            except (aiohttp.ClientError, OSError):
                return

    def _forget_commands(self) -> None:
        while not self._commands.empty():
            self._commands.get_nowait()

    def _address(self) -> URL:
        wish, model = self._wish, self._model
        options = {
            "speed": wish.speed,
            "max_fps": wish.max_fps,
            "from": wish.start,
        }
        if model.seq >= 0:
            options |= {"from": model.next_index, "speed": model.speed}
            if model.status == "paused":
                options["paused"] = "true"
        query = {name: f"{value}" for name, value in options.items() if value is not None}
        path = f"{wish.url.raw_path.rstrip('/')}/api/v1/runs/{quote(wish.run_id, safe='')}/stream"
        return wish.url.with_path(path, encoded=True).with_query(query)

    def _refused(self, exc: aiohttp.WSServerHandshakeError) -> float:
        """Seconds to wait before asking again."""
        if exc.status in _REFUSALS or not self._has_been_in:
            reason = _REFUSALS.get(exc.status, f"answers HTTP {exc.status}")
            raise ViewerRefused(self._wish.url, f"{reason}: {self._wish.run_id}") from exc
        retry_after = exc.headers.get("Retry-After", "") if exc.headers is not None else ""
        return float(retry_after) if retry_after.isdecimal() else self._backoff_s()

    def _backoff_s(self) -> float:
        self._attempt += 1
        ceiling_s = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(self._attempt - 1, 16))
        return ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads viewers, hides nothing


def _absence(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "does not answer"
    cause = exc.os_error.strerror if isinstance(exc, aiohttp.ClientConnectorError) else None
    return f"cannot be reached: {cause or type(exc).__name__}"
