"""What a load test does: who arrives when, at which endpoint, for which runs, with which words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote, urlencode

import msgspec
from yarl import URL

DEFAULT_SPEED = 60.0
DEFAULT_FPS = 30.0
SOURCE_FPS = 30.0
"""Source frames a second at speed 1. Source: stream protocol v1."""
PLAY = b'{"t":"ctrl","cmd":"play"}'


class BadPlan(Exception):
    """A plan that cannot be carried out; the text says what to change."""


def address(text: str) -> URL:
    """The server's address in a text that people typed.

    Raises:
        BadPlan: it is none.
    """
    problem = f"{text!r} is no address like http://127.0.0.1:8001"
    try:
        url = URL(text)
        is_address = url.scheme in {"http", "https"} and bool(url.host) and bool(url.port)
    except ValueError as exc:
        raise BadPlan(problem) from exc
    if not is_address:
        raise BadPlan(problem)
    return url


class StreamEndpoint(StrEnum):
    """Where clients come in. Source: the endpoints of stream protocol v1."""

    STREAM = "stream"
    RUN = "run"
    BACKEND = "backend"
    SSE = "sse"

    @property
    def is_websocket(self) -> bool:
        """Whether it is a WebSocket, to which a client can speak."""
        return self is not StreamEndpoint.SSE


class Mode(StrEnum):
    """How frames, or events, between two messages are delivered."""

    MERGE = "merge"
    """Of runs."""
    LATEST = "latest"
    """Of topics."""
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class ClientTarget:
    """What one client asks for: its path, its runs, and the messages it opens with.

    Only at the endpoint `stream` are there several runs on one socket.
    """

    path: str
    runs: tuple[str, ...]
    topics: tuple[str, ...]
    opening: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One load test. Options that are None are left to the server's defaults.

    Attributes:
        url: Scheme, host and port, perhaps with a path that comes before every endpoint's.
        clients: Sockets; each `ramp_up_s / clients` after the one before, whatever became of that.
        subscriptions: Runs on one socket (endpoint `stream`).
        topics: Patterns that each client subscribes to as well (endpoint `stream`). If there are
            some, `max_fps`, `mode` and `start` are theirs, and runs play as the server has it.
        warmup_s: From the last arrival to the measuring window.
        expect_fps: Messages a second that a stream should get; None has it worked out.
    """

    url: URL
    runs: tuple[str, ...]
    endpoint: StreamEndpoint = StreamEndpoint.STREAM
    clients: int = 10
    subscriptions: int = 1
    seconds: float = 10.0
    ramp_up_s: float = 1.0
    warmup_s: float = 1.0
    speed: float | None = None
    max_fps: float | None = None
    mode: Mode | None = None
    start: str | None = None
    expect_fps: float | None = None
    origin: str | None = None
    token: str | None = None
    topics: tuple[str, ...] = ()
    api_key: str | None = None

    def __post_init__(self) -> None:
        if not self.runs and not self.topics:
            raise BadPlan("there is no run to watch: name some with --runs")
        if self.topics and self.endpoint is not StreamEndpoint.STREAM:
            raise BadPlan("--topics needs --endpoint stream")
        if self.mode is (Mode.MERGE if self.topics else Mode.LATEST):
            raise BadPlan("--mode is latest or all with --topics, else merge or all")
        if self.subscriptions > 1 and self.endpoint is not StreamEndpoint.STREAM:
            raise BadPlan("--subscriptions above 1 needs --endpoint stream")
        headers = f"{self.origin}{self.token}{self.api_key}"
        if not (headers.isascii() and headers.isprintable()):
            raise BadPlan("an origin, token or key is made of printable ASCII characters")
        if self.endpoint is StreamEndpoint.BACKEND and (self.max_fps or self.mode or self.start):
            raise BadPlan("--max-fps, --mode and --from mean nothing at --endpoint backend")

    def arrival_s(self, index: int) -> float:
        """Seconds after the start at which client `index` arrives, completions notwithstanding."""
        return self.ramp_up_s * index / self.clients

    @property
    def host(self) -> str:
        """The server's name or address."""
        return self.url.host or ""

    @property
    def port(self) -> int:
        """The server's port."""
        return self.url.port or 0

    @property
    def is_secure(self) -> bool:
        """Whether to speak TLS."""
        return self.url.scheme == "https"

    @property
    def window_begins_s(self) -> float:
        """Seconds after the start at which the measuring window begins."""
        return self.ramp_up_s + self.warmup_s

    def expected_gap_ns(self, *, median_ns: float) -> float | None:
        """Between two messages of a stream if all goes well; None: as little as may be.

        A run that is followed live gives its own beat, of which the median gap tells. At speed 0
        frames come as fast as the socket takes them, so nothing is due at any time.
        """
        # With topics, how to deliver is said of them: runs play as by default.
        wish = replace(self, max_fps=None, mode=None, start=None) if self.topics else self
        fps = wish.max_fps or DEFAULT_FPS
        if self.expect_fps:
            return 1e9 / self.expect_fps
        if self.speed == 0:
            return None
        if wish.start == "live":
            return max(median_ns, 1e9 / fps)
        source_fps = SOURCE_FPS * (DEFAULT_SPEED if self.speed is None else self.speed)
        return 1e9 / (source_fps if wish.mode is Mode.ALL else min(source_fps, fps))

    def headers(self) -> dict[str, str]:
        """The HTTP headers of every client."""
        headers = {
            "Host": self.url.host_port_subcomponent or "",
            "User-Agent": "hewston-bff-loadtest",
        }
        if self.origin:
            headers["Origin"] = self.origin
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.api_key:
            headers["X-API-Key"] = self.api_key
        return headers

    def target(self, index: int) -> ClientTarget:
        """What client `index` asks for: the runs in turn, so that all get their share."""
        first = index * self.subscriptions
        count = self.subscriptions if self.runs else 0
        runs = tuple(self.runs[at % len(self.runs)] for at in range(first, first + count))
        opening = (*self._opening(runs), *self._topics_opening(len(runs)))
        return ClientTarget(
            path=self._path(runs[0] if runs else ""), runs=runs, topics=self.topics, opening=opening
        )

    def _path(self, run_id: str) -> str:
        base = self.url.raw_path.rstrip("/")
        run = quote(run_id, safe="")
        match self.endpoint:
            case StreamEndpoint.STREAM:
                return f"{base}/api/v1/stream"
            case StreamEndpoint.BACKEND:
                return f"{base}/backtests/{run}/ws"
            case StreamEndpoint.RUN:
                return f"{base}/api/v1/runs/{run}/stream{self._query()}"
            case StreamEndpoint.SSE:
                return f"{base}/api/v1/runs/{run}/events{self._query()}"

    def _query(self) -> str:
        options = self._options()
        return f"?{urlencode(options)}" if options else ""

    def _opening(self, runs: tuple[str, ...]) -> tuple[bytes, ...]:
        match self.endpoint:
            case StreamEndpoint.STREAM:
                options = self._options()
                if not self.topics and isinstance(self.start, str) and self.start.isdecimal():
                    options = {**options, "from": int(self.start)}
                return tuple(
                    msgspec.json.encode({"t": "subscribe", "id": at, "run_id": run_id, **options})
                    for at, run_id in enumerate(runs)
                )
            case StreamEndpoint.BACKEND if self.speed is not None:
                speed = msgspec.json.encode({"t": "ctrl", "cmd": "speed", "val": self.speed})
                return (speed, PLAY)
            case StreamEndpoint.BACKEND:
                return (PLAY,)
            case StreamEndpoint.RUN | StreamEndpoint.SSE:
                return ()

    def _topics_opening(self, first_id: int) -> tuple[bytes, ...]:
        options = self._delivery()
        return tuple(
            msgspec.json.encode({"t": "subscribe", "id": first_id + at, "topic": topic, **options})
            for at, topic in enumerate(self.topics)
        )

    def _options(self) -> Mapping[str, float | str]:
        speed = {} if self.speed is None else {"speed": self.speed}
        return speed if self.topics else {**speed, **self._delivery()}

    def _delivery(self) -> Mapping[str, float | str]:
        options = {
            "max_fps": self.max_fps,
            "mode": None if self.mode is None else self.mode.value,
            "from": self.start,
        }
        return {name: value for name, value in options.items() if value is not None}
