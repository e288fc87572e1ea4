"""The viewer's connection to what it watches, back again after a loss, where it was."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from hewston_bff.tools.viewer import messages, topic_messages
from hewston_bff.tools.viewer.messages import ByeMessage, ErrMessage
from hewston_bff.tools.viewer.model import WatchModel
from hewston_bff.tools.viewer.topic_model import TopicsModel

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
_STREAM_REFUSALS = {404: "has no endpoint for streams"}
_FINAL_ERRORS = frozenset({"RUN_NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN"})
_FINAL_TOPIC_ERRORS = _FINAL_ERRORS | {"FEATURE_DISABLED", "VALIDATION"}
_TOPIC_HINTS = dict.fromkeys(("UNAUTHORIZED", "FORBIDDEN"), " (pass --api-key)")


class ViewerRefused(Exception):
    """The server will not show this, or is not there; the text says which."""

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


@dataclass(frozen=True, kw_only=True)
class TopicWish:
    """Which topics to watch, `kind:pattern`, and how; None is the server's default."""

    topic: str
    url: URL
    mode: str | None = None
    start: str | None = None
    max_fps: float | None = None
    token: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


class Feed:
    """A connection that keeps a model up to date; `on_change` is called after each message.

    What is watched, and how, is for the classes below.
    """

    refusals: Mapping[int, str] = {}
    """What a status that answers the handshake means; it is final then."""
    final_errors: frozenset[str] = frozenset()
    hints: Mapping[str, str] = {}
    """How to do on the command line what such an error asks for."""

    def __init__(
        self,
        url: URL,
        *,
        name: str,
        headers: Mapping[str, str],
        model: WatchModel | TopicsModel,
        on_change: Callable[[], None],
    ) -> None:
        """`name`: of what is watched, for refusals."""
        self._url = url
        self._name = name
        self._headers = headers
        self._state = model
        self._on_change = on_change
        self._commands: asyncio.Queue[bytes] = asyncio.Queue()
        self._attempt = 0
        self._has_been_in = False
        self._refusal = ""

    def send(self, command: bytes) -> None:
        """Send a command to the server; while there is no connection it is forgotten."""
        self._commands.put_nowait(command)

    def _address(self) -> URL:
        raise NotImplementedError

    def _opening(self) -> bytes | None:
        """What to send first."""
        raise NotImplementedError

    def _take(self, data: str, now_s: float) -> ByeMessage | ErrMessage | None:
        """Take a message in; returns it if it says something about the connection."""
        raise NotImplementedError

    async def follow(self) -> None:
        """Watch until the server says that there is nothing more. A cancellation loses nothing.

        Raises:
            ViewerRefused: it does not let us in, or was not there in the first place.
        """
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(headers=self._headers, connector=connector) as session:
            while (wait_s := await self._connect(session)) is not None:
                self._state.link = f"connection lost, again in {wait_s:.1f} s"
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
                raise ViewerRefused(self._url, _absence(exc)) from exc
            return self._backoff_s()
        try:
            return await self._talk(ws)
        finally:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await ws.close()

    async def _talk(self, ws: aiohttp.ClientWebSocketResponse) -> float | None:
        self._has_been_in = True
        self._state.connected()
        self._on_change()
        self._forget_commands()
        opening = self._opening()
        if opening is not None:
            self.send(opening)
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_commands(ws), name="commands")
            try:
                after_s = await self._read(ws)
            finally:
                sender.cancel()
        code = ws.close_code or 0
        if self._refusal:
            raise ViewerRefused(self._url, f"says {self._refusal}")
        if code >= FIRST_FINAL_CLOSE:
            raise ViewerRefused(self._url, f"closed the connection for good, with code {code}")
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
                news = self._take(raw.data, loop.time())
                self._attempt = 0
                self._on_change()
                if isinstance(news, ByeMessage):
                    after_s = news.after_ms / 1000
                elif news is not None and news.code in self.final_errors:
                    self._refusal = self._state.error + self.hints.get(news.code, "")
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

    def _refused(self, exc: aiohttp.WSServerHandshakeError) -> float:
        """Seconds to wait before asking again."""
        if exc.status in self.refusals or not self._has_been_in:
            reason = self.refusals.get(exc.status, f"answers HTTP {exc.status}")
            raise ViewerRefused(self._url, f"{reason}: {self._name}") from exc
        retry_after = exc.headers.get("Retry-After", "") if exc.headers is not None else ""
        return float(retry_after) if retry_after.isdecimal() else self._backoff_s()

    def _backoff_s(self) -> float:
        self._attempt += 1
        ceiling_s = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(self._attempt - 1, 16))
        return ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads viewers, hides nothing


class RunFeed(Feed):
    """At the endpoint of one run."""

    refusals = _REFUSALS
    final_errors = _FINAL_ERRORS

    def __init__(self, wish: Wish, *, model: WatchModel, on_change: Callable[[], None]) -> None:
        super().__init__(
            wish.url,
            name=wish.run_id,
            headers=_authorization(wish.token),
            model=model,
            on_change=on_change,
        )
        self._wish = wish
        self._model = model

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
        path = f"{_base(wish.url)}/api/v1/runs/{quote(wish.run_id, safe='')}/stream"
        return wish.url.with_path(path, encoded=True).with_query(query)

    def _opening(self) -> bytes | None:
        return None

    def _take(self, data: str, now_s: float) -> ByeMessage | ErrMessage | None:
        message = messages.decode(data)
        if message is not None:
            self._model.apply(message, now_s=now_s)
        return message if isinstance(message, ByeMessage | ErrMessage) else None


class TopicFeed(Feed):
    """At the endpoint of many streams, for the topics of one pattern."""

    refusals = _STREAM_REFUSALS
    final_errors = _FINAL_TOPIC_ERRORS
    hints = _TOPIC_HINTS

    def __init__(
        self, wish: TopicWish, *, model: TopicsModel, on_change: Callable[[], None]
    ) -> None:
        key = {"X-API-Key": wish.api_key} if wish.api_key else {}
        super().__init__(
            wish.url,
            name=wish.topic,
            headers=_authorization(wish.token) | key,
            model=model,
            on_change=on_change,
        )
        self._wish = wish
        self._model = model

    def _address(self) -> URL:
        path = f"{_base(self._wish.url)}/api/v1/stream"
        return self._wish.url.with_path(path, encoded=True)

    def _opening(self) -> bytes:
        wish, model = self._wish, self._model
        members: dict[str, object] = {
            "mode": wish.mode,
            "max_fps": wish.max_fps,
            "from": wish.start,
            "resume": model.resume_point,
            "paused": model.status == "paused" or None,
        }
        kept = {name: value for name, value in members.items() if value is not None}
        return msgspec.json.encode({"t": "subscribe", "topic": wish.topic, **kept})

    def _take(self, data: str, now_s: float) -> ByeMessage | ErrMessage | None:
        message = topic_messages.decode(data)
        if message is not None:
            self._model.apply(message, now_s=now_s)
        return message if isinstance(message, ByeMessage | ErrMessage) else None


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _base(url: URL) -> str:
    return url.raw_path.rstrip("/")


def _absence(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "does not answer"
    cause = exc.os_error.strerror if isinstance(exc, aiohttp.ClientConnectorError) else None
    return f"cannot be reached: {cause or type(exc).__name__}"
