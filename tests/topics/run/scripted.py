"""A backend in memory, that says and sends what a test wants, on whatever clock the test has."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendUnavailable, BffError
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.descriptions import DescriptionTimes, RunDescriptions
from hewston_bff.topics.run.feed import FeedOptions
from hewston_bff.topics.run.kind import RunKind
from hewston_bff.topics.run.link import LinkTimes
from hewston_bff.topics.run.ports import LinkLost
from hewston_bff.topics.run.replay_limiter import ReplayLimiter
from hewston_bff.topics.run.wire import Heartbeat, Message
from tests.topics.run.frames import plain

HEARTBEAT_S = 5.0


class ScriptedStream:
    """One connection; it plays what the run has, and then what is sent."""

    is_deafening = False

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message | Exception] = asyncio.Queue()

    def send(self, *messages: Message | Exception) -> None:
        for message in messages:
            self._messages.put_nowait(message)

    async def receive(self) -> Message:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                message = await self._messages.get()
        except TimeoutError:
            return Heartbeat()
        if isinstance(message, Exception):
            raise message
        return message


class ScriptedBackend:
    """Runs by id: how many frames they have, whether they are over."""

    def __init__(self) -> None:
        self.frames: defaultdict[RunId, int] = defaultdict(int)
        self.status: defaultdict[RunId, str] = defaultdict(lambda: "RUNNING")
        self.refused: dict[str, BffError] = {}
        """By the key of the credentials."""
        self.is_down = False
        self.asked: Counter[RunId] = Counter()
        self.opened: Counter[RunId] = Counter()
        self.open: defaultdict[RunId, list[ScriptedStream]] = defaultdict(list)
        self.most_open: Counter[RunId] = Counter()

    @asynccontextmanager
    async def open_stream(
        self, run_id: RunId, credentials: Credentials
    ) -> AsyncIterator[ScriptedStream]:
        if self.is_down:
            raise LinkLost("planted", is_unreachable=True)
        stream = ScriptedStream()
        self.opened[run_id] += 1
        self.open[run_id].append(stream)
        self.most_open[run_id] = max(self.most_open[run_id], len(self.open[run_id]))
        stream.send(*(plain(n) for n in range(self.frames[run_id])))
        try:
            yield stream
        finally:
            self.open[run_id].remove(stream)

    async def describe(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float, is_retried: bool
    ) -> RunDescription:
        self.asked[run_id] += 1
        if self.is_down:
            raise BackendUnavailable("planted")
        if credentials.key in self.refused:
            raise self.refused[credentials.key]
        now_s = asyncio.get_running_loop().time()
        return RunDescription(status=self.status[run_id], asked_s=now_s, told_s=now_s)

    def grow(self, run_id: RunId, count: int) -> None:
        """So many frames more, for whoever listens."""
        first = self.frames[run_id]
        self.frames[run_id] = first + count
        for stream in self.open[run_id]:
            stream.send(*(plain(n) for n in range(first, first + count)))

    def cut(self, run_id: RunId) -> None:
        """The connections of a run break."""
        for stream in self.open[run_id]:
            stream.send(LinkLost("planted"))


def runs_of(backend: ScriptedBackend, *, options: FeedOptions | None = None) -> RunKind:
    """Runs that are fed from it."""
    return RunKind(
        backend,
        descriptions=RunDescriptions(backend, times=DescriptionTimes()),
        limiter=ReplayLimiter(2),
        activity=BackendActivity(),
        options=options or FeedOptions(link=LinkTimes(backoff_cap_s=2.0)),
    )
