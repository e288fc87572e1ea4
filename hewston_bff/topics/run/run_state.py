"""The state of one run and its stream, and the changes that follow from each event.

Pure: every method takes an event and returns the changes to the run's log, in order.
"""

from collections.abc import Iterator
from typing import Final

from hewston_bff.log.changes import (
    Append,
    Complete,
    Failed,
    Fork,
    LeftOut,
    LinkChange,
    LogChange,
    Restart,
    Status,
)
from hewston_bff.protocol.notices import Details, UpstreamStatus
from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.description import RunDescription
from hewston_bff.topics.run.frame_block import FrameLog
from hewston_bff.topics.run.identity import NOTHING_TOLD
from hewston_bff.topics.run.link import LinkState, LinkTimes, UpstreamLink
from hewston_bff.topics.run.replay_check import Replay, Verdict
from hewston_bff.topics.run.replay_order import expected_s
from hewston_bff.topics.run.skips import Skip, Skips
from hewston_bff.topics.run.wire import RawFrame

Change = LogChange[RawFrame]

_STATUS: Final[dict[LinkState, UpstreamStatus | None]] = {
    LinkState.IDLE: None,
    LinkState.CONNECTING: "connecting",
    LinkState.UP: "up",
    LinkState.RETRYING: "retrying",
    LinkState.POLLING: "retrying",
    LinkState.REPLAYING: "connecting",
    LinkState.COMPLETE: "complete",
    LinkState.FAILED: "failed",
}
_SENT_ALL: Final = frozenset({LinkState.POLLING, LinkState.COMPLETE, LinkState.FAILED})
"""States in which the backend has nothing more to send for now."""
_SKIPPED: Final = {
    Verdict.REPEATED: Skip.REPEATED,
    Verdict.WENT_BACK: Skip.TIME_WENT_BACK,
}


class RunState:
    """One run: its link to the backend, its description, and what its stream skipped."""

    def __init__(self, *, times: LinkTimes) -> None:
        self.times = times
        self.link = UpstreamLink()
        self.description: RunDescription | None = None
        self.skips = Skips()
        self._identity = NOTHING_TOLD
        self._remade = 0
        self._replay: Replay | None = None
        self._is_complete = False
        self._told = LinkChange()
        self._told_lost: dict[str, int] = {}

    # -- the stream

    def opened(self, log: FrameLog, *, now_s: float) -> Iterator[Change]:
        """A connection is open and will play from frame 0, into `log`."""
        self._replay = Replay(log)
        self.skips.begin()
        yield from self.step(links.Opened(), now_s=now_s)

    def take(self, frame: RawFrame, *, now_s: float) -> Iterator[Change] | None:
        """The stream's next frame; None: it is simply new, and the caller appends it."""
        replay = self._replay
        assert replay is not None  # noqa: S101 - frames come after `opened`
        verdict = replay.check(frame)
        if verdict is Verdict.NEW and frame.lacks is None and not self._is_news_to_link():
            return None
        return self._take(verdict, replay, frame, now_s=now_s)

    def _take(
        self, verdict: Verdict, replay: Replay, frame: RawFrame, *, now_s: float
    ) -> Iterator[Change]:
        if verdict in _SKIPPED:
            yield from self.skip(_SKIPPED[verdict])
            return
        is_known = verdict is Verdict.KNOWN
        if verdict is Verdict.NEW:
            yield Append(replay.seq - 1, [frame])
        elif verdict is Verdict.DIVERGED:
            yield Fork(*replay.fork())
            self._settle_skips()
            if self.skips.was_told:
                yield from self._tell_skips()
        if frame.lacks is not None:
            yield from self.skip(frame.lacks)
        if not is_known and self._is_news_to_link():
            yield from self.step(links.NewFrame(), now_s=now_s)
        elif is_known and (not self.link.has_frames or self.link.quiet_since_s is not None):
            yield from self.step(links.KnownFrame(), now_s=now_s)

    def _is_news_to_link(self) -> bool:
        link = self.link
        return bool(
            link.attempt or link.faults or not link.has_frames or link.quiet_since_s is not None
        )

    def forked(self, log: FrameLog) -> None:
        """The log was forked: this connection continues with `log`, which is not complete."""
        self._is_complete = False
        if self._replay is not None:
            self._replay.go_on_with(log)

    def step(self, event: links.LinkEvent, *, now_s: float) -> Iterator[Change]:
        """Apply `event` to the link."""
        self.link = links.step(self.link, event, now_s=now_s, times=self.times)
        yield from self._tell_link(was_lost=isinstance(event, links.ConnectionLost))
        if self.link.state is LinkState.COMPLETE and not self._is_complete:
            self._is_complete = True
            yield Complete()
            self._settle_skips()
            yield from self._tell_skips()

    def _tell_link(self, *, was_lost: bool) -> Iterator[Change]:
        link = self.link
        is_waiting = link.state in {LinkState.RETRYING, LinkState.POLLING}
        told = LinkChange(
            state=link.state.name.lower(),
            status=_STATUS[link.state],
            attempt=link.attempt,
            retry_in_ms=round(link.retry_in_s * 1e3) if is_waiting else 0,
            is_quiet=link.quiet_since_s is not None or link.state in _SENT_ALL,
            was_lost=was_lost,
        )
        if told != self._told:
            self._told = told
            yield told

    def fail(self, code: str, message: str, details: Details, *, now_s: float) -> Iterator[Change]:
        """No more records will come."""
        yield from self.step(links.Refused(), now_s=now_s)
        yield Failed(code, message, details)

    # -- skipped frames

    def skip(self, reason: Skip) -> Iterator[Change]:
        """Count a skipped frame or part of one; announced once, then at each doubling."""
        self._settle_skips()
        counted = str(reason) if self.skips.add(reason) else None
        is_news = reason.is_loss and self.skips.is_news(is_final=False)
        if counted or is_news:
            self._told_lost = self.skips.lost
            yield LeftOut(self._told_lost, counted, is_news)

    def _settle_skips(self) -> None:
        """Once the connection has passed what the log held, its own count is the whole count."""
        replay = self._replay
        if replay is not None and (replay.is_ahead or (self._is_complete and replay.is_caught_up)):
            self.skips.settle()

    def _tell_skips(self) -> Iterator[Change]:
        """Tell the settled count: it may be less than was told, or as much for other reasons."""
        lost, is_news = self.skips.lost, self.skips.is_news(is_final=True)
        if is_news or lost != self._told_lost:
            self._told_lost = lost
            yield LeftOut(lost, is_news=is_news)

    # -- the run as a whole

    def describe(self, description: RunDescription) -> Iterator[Change]:
        """Take the backend's description of the run. If the id stands for another run, restart."""
        if self.is_remade(description):
            if self.description is not None and description.is_overtaken(self.description):
                return
            yield from self._start_anew(description)
        is_news = self.description is None or self.description != description
        self.description = description
        self._identity = self._identity.with_more(description.identity)
        if description.status is not None:
            self.link = links.with_status(self.link, description.status)
        if is_news:
            yield Status(
                description.status,
                description.progress,
                is_growing=self.link.is_growing and not self._is_complete,
                origin=self._origin(),
            )

    def is_remade(self, description: RunDescription) -> bool:
        """Whether this is another run of this id: another identity, or it runs after its end."""
        if description.identity.is_other(self._identity):
            return True
        was = None if self.description is None else self.description.status
        return was in links.TERMINAL and description.status in links.UNFINISHED

    def _start_anew(self, description: RunDescription) -> Iterator[Change]:
        if description.identity.is_other(self._identity):
            self._remade = 0
            self._identity = description.identity
        else:
            # Only its running again distinguishes it from the one before.
            self._remade += 1
        self.link = UpstreamLink()
        self._told = LinkChange()
        self._replay = None
        self._is_complete = False
        self.skips = Skips()
        self._told_lost = {}
        yield Restart(self._origin())

    def _origin(self) -> str:
        """What distinguishes runs of this id in the epoch, besides the first frame."""
        origin = self._identity.key()
        return f"{origin}\0{self._remade}" if self._remade else origin

    @property
    def status(self) -> str | None:
        """The run's status as last heard from the backend."""
        return None if self.description is None else self.description.status

    @property
    def expected_s(self) -> float | None:
        """How long a replay takes, estimated from the run's description; None if unknown."""
        return None if self.description is None else expected_s(self.description.days)
