# long: a run is one thing: its log, its link, its identity and its viewers change together
"""One run here: its log, its link, who may read it and who does. Knows cursors, never a socket."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from msgspec import UNSET

from hewston_bff.errors import BffError
from hewston_bff.hub.live_group import LiveGroup
from hewston_bff.hub.permits import Access
from hewston_bff.hub.span_cache import Shape, SpanCache
from hewston_bff.hub.stats import Counters, RunStats
from hewston_bff.hub.ticker import Ticked, Ticker, contain
from hewston_bff.log.seek_targets import Found, OutOfRange, Target, locate
from hewston_bff.ports import Credentials, RunDetail, Sink
from hewston_bff.protocol.figures import StreamFigures
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.notices import (
    Notice,
    ResetReason,
    RunNews,
    Skipped,
    UpstreamNews,
    UpstreamStatus,
)
from hewston_bff.topics.run import link as links
from hewston_bff.topics.run.frame_log import FrameLog
from hewston_bff.topics.run.identity import NOTHING_TOLD
from hewston_bff.topics.run.link import Link, LinkState, LinkTimes
from hewston_bff.topics.run.replay_check import Replay, Verdict
from hewston_bff.topics.run.replay_order import expected_s
from hewston_bff.topics.run.skips import Skip, Skips
from hewston_bff.topics.run.snapshot import Snapshots
from hewston_bff.topics.run.wire import RawFrame

logger = structlog.get_logger(__name__)

_UPSTREAM_WORDS: dict[LinkState, UpstreamStatus] = {
    LinkState.IDLE: "connecting",
    LinkState.CONNECTING: "connecting",
    LinkState.UP: "up",
    LinkState.RETRYING: "retrying",
    LinkState.POLLING: "retrying",
    LinkState.REPLAYING: "connecting",
    LinkState.COMPLETE: "complete",
    LinkState.FAILED: "failed",
}
_LEFT_OUT = {
    Verdict.REPEATED: (Skip.REPEATED, "a frame that was sent twice"),
    Verdict.WENT_BACK: (Skip.TIME_WENT_BACK, "a frame whose time is before the one before it"),
}
_SENT_ALL = frozenset({LinkState.POLLING, LinkState.COMPLETE, LinkState.FAILED})
"""States in which the backend has nothing more to send for now."""


class Listener(Ticked, Protocol):
    """A viewer, as its channel sees it."""

    access: Access
    sink: Sink
    is_waiting: bool
    is_closed: bool
    is_answered: bool
    """Whether the client has its answer to `subscribe`; news before that would confuse it."""

    @property
    def wants_run_news(self) -> bool:
        """Whether `run` messages are wanted."""

    @property
    def reads_run_news(self) -> bool:
        """Whether its client gets them and knows what they say."""

    def close(self) -> None:
        """Hear and see nothing more."""

    def position(self) -> int:
        """The oldest frame that is still needed."""

    def on_granted(self) -> None:
        """The log may be read from now on."""

    def on_suspended(self) -> None:
        """The log may not be read for now."""

    def on_reset(self, old: FrameLog, reason: ResetReason) -> None:
        """The log has a new epoch."""

    def on_skipped(self, skipped: Skipped) -> None:
        """Frames of the run were left out; said to those whom `run` messages do not tell."""

    def on_failed(self, error: BffError) -> None:
        """Nothing more will come; what the log holds can still be watched."""

    def on_refused(self, error: BffError) -> None:
        """The backend does not allow this viewer."""


class Channel:
    """One run. All methods decide synchronously; `feeder` does the waiting."""

    def __init__(
        self,
        run_id: RunId,
        *,
        ticker: Ticker,
        cache: SpanCache,
        counters: Counters,
        times: LinkTimes,
    ) -> None:
        self.run_id = run_id
        self.ticker = ticker
        self.cache = cache
        self.counters = counters
        self.link = Link()
        self.is_growing = False
        """Whether the run is known not to be over."""
        self.groups: dict[tuple[float, int, int], LiveGroup] = {}
        self.detail: RunDetail | None = None
        self.identity = NOTHING_TOLD
        """Which run the log is of, as far as the backend has told."""
        self.failure: BffError | None = None
        self.listeners: set[Listener] = set()
        self.waiting: dict[Listener, None] = {}
        """Viewers at the end of the log, to be woken when it grows."""
        self.accesses: dict[str, Access] = {}
        self.refused_upstream: set[str] = set()
        """Keys of credentials that the backend refused for the stream itself."""
        self.permitted = asyncio.Event()
        self.room = asyncio.Event()
        """Cleared while the log may not grow because memory is used up."""
        self.room.set()
        self.feeder: asyncio.Task[None] | None = None
        self.linger: asyncio.TimerHandle | None = None
        self.last_frame_s: float | None = None
        self.last_used_s = 0.0
        self.skips = Skips()
        self._remade = 0
        self.times = times
        self._replay: Replay | None = None
        self.on_remade: Callable[[], None] = _nothing
        """Called once the log has started anew: whatever fed the old one is to stop."""
        self._use(FrameLog(run_id))

    def _use(self, log: FrameLog) -> None:
        self.log = log
        self.log_key = self.cache.new_log_key()
        self.snapshots = Snapshots(log)
        self._figures: tuple[int, StreamFigures] | None = None

    def locate(self, target: Target) -> Found | OutOfRange | None:
        """Where a position is in the log."""
        return locate(target, self.log)

    def figures(self, seq: int) -> StreamFigures:
        """Figures of the run up to frame `seq`; the last answer is kept for the next viewer."""
        if self._figures is None or self._figures[0] != seq:
            self._figures = (seq, self.log.stats(seq).stream_figures())
        return self._figures[1]

    # -- the stream

    def stream_opened(self, *, now_s: float) -> None:
        """A connection stands and will play from frame 0."""
        self._replay = Replay(self.log)
        self.skips.begin()
        self.log.is_quiet = False
        self.step(links.Opened(), now_s=now_s)

    def ingest(self, frame: RawFrame, *, now_s: float) -> bool:
        """Take the stream's next frame; whether it was new."""
        assert self._replay is not None  # noqa: S101 - frames come after stream_opened
        match self._replay.check(frame):
            case Verdict.NEW:
                self.log.append(frame)
            case Verdict.KNOWN:
                self._known(frame, now_s=now_s)
                return False
            case Verdict.DIVERGED:
                self._diverged(self._replay.fork())
            case left_out:
                self.skip(*_LEFT_OUT[left_out])
                return False
        if frame.lacks is not None:
            self.skip(frame.lacks, "a part of a frame")
        self.last_frame_s = now_s
        self.counters.frames_in += 1
        self.counters.bytes_in += len(frame.tail)
        link = self.link
        if link.attempt or link.faults or not link.has_frames or link.quiet_since_s is not None:
            self.link = links.step(link, links.NewFrame(), now_s=now_s, times=self.times)
            self.log.is_quiet = False
        if self.waiting or self.groups:
            self.wake_waiting()
        return True

    def _known(self, frame: RawFrame, *, now_s: float) -> None:
        if frame.lacks is not None:
            self.skip(frame.lacks, "a part of a frame")
        if not self.link.has_frames or self.link.quiet_since_s is not None:
            self.link = links.step(self.link, links.KnownFrame(), now_s=now_s, times=self.times)

    def _diverged(self, log: FrameLog) -> None:
        logger.warning("run.diverged", run_id=self.run_id, epoch=log.epoch, frames=log.next_seq)
        self._reset(log, "upstream_diverged")
        self._settle_skips()
        if self.skips.was_told:
            self._tell_skips(is_final=True)

    def _reset(self, log: FrameLog, reason: ResetReason) -> None:
        old = self.log
        for group in self.groups.values():
            group.dissolve()
        self.groups.clear()
        self._use(log)
        self._each(lambda listener: listener.on_reset(old, reason))

    # -- what is left out

    def skip(self, reason: Skip, text: str) -> None:
        """Count what is left out of the stream, and tell of it: once, then at each doubling."""
        self._settle_skips()
        if self.skips.add(reason):
            self.counters.skipped[reason] += 1
        count = self.skips.total
        if count & (count - 1) == 0:
            logger.warning(
                "upstream.skipped", run_id=self.run_id, count=count, reason=reason, text=text[:200]
            )
        if reason.is_loss:
            self._tell_skips(is_final=False)

    def _settle_skips(self) -> None:
        """What this connection leaves out is all, once it has passed what the log held."""
        replay = self._replay
        if replay is not None and (
            replay.is_ahead or (self.log.is_complete and replay.is_caught_up)
        ):
            self.skips.settle()

    def _tell_skips(self, *, is_final: bool) -> None:
        if not self.skips.is_news(is_final=is_final):
            return
        skipped = self.skipped
        if skipped is None:
            return
        news = self.run_news()
        readers: dict[Sink, Listener] = {}
        for listener in tuple(self.listeners):
            if not (listener.is_answered and listener.access.is_granted):
                continue
            if news is not None and listener.reads_run_news:
                readers[listener.sink] = listener
            else:
                self._tell(listener, lambda listener: listener.on_skipped(skipped))
        if news is not None:
            self._notify(readers, news)

    @property
    def skipped(self) -> Skipped | None:
        """What viewers miss of the run; None if it is nothing, and nothing else was ever said."""
        reasons = self.skips.lost
        if not reasons and not self.skips.was_told:
            return None
        return Skipped(frames=sum(reasons.values()), reasons=reasons)

    def step(self, event: links.Event, *, now_s: float) -> LinkState:
        """Move the link, tell viewers where the change shows, and return its state."""
        before = self.link
        self.link = links.step(before, event, now_s=now_s, times=self.times)
        after = self.link
        if after.state is not before.state or after.attempt != before.attempt:
            self._announce(before, after)
        is_quiet = after.quiet_since_s is not None or after.state in _SENT_ALL
        if is_quiet and not self.log.is_quiet:
            self.log.is_quiet = True
            self.wake_waiting()
        if after.state is LinkState.COMPLETE and not self.log.is_complete:
            self.log.is_complete = True
            self.is_growing = False
            self._settle_skips()
            self._tell_skips(is_final=True)
            logger.info("run.complete", run_id=self.run_id, frames=self.log.next_seq)
            self.wake_waiting()
        return after.state

    def _announce(self, before: Link, after: Link) -> None:
        word = _UPSTREAM_WORDS[after.state]
        if after.state is LinkState.IDLE or (
            word == _UPSTREAM_WORDS[before.state] and after.attempt == before.attempt
        ):
            return
        if after.state in {LinkState.RETRYING, LinkState.POLLING}:
            logger.info(
                "upstream.retrying",
                run_id=self.run_id,
                attempt=after.attempt,
                retry_in_s=round(after.retry_in_s, 3),
            )
        self.broadcast(self.upstream_news())

    def upstream_news(self) -> UpstreamNews:
        """The link in the protocol's words."""
        link = self.link
        if link.state in {LinkState.RETRYING, LinkState.POLLING}:
            return UpstreamNews(
                run_id=self.run_id,
                status="retrying",
                attempt=link.attempt,
                retry_in_ms=round(link.retry_in_s * 1e3),
            )
        if link.state is LinkState.CONNECTING:
            return UpstreamNews(run_id=self.run_id, status="connecting", attempt=link.attempt + 1)
        return UpstreamNews(run_id=self.run_id, status=_UPSTREAM_WORDS[link.state])

    def fail(self, error: BffError, *, now_s: float) -> None:
        """Nothing will come any more: tell everyone why."""
        self.failure = error
        self.step(links.Refused(), now_s=now_s)
        logger.warning("run.failed", run_id=self.run_id, code=error.code)
        self._each(lambda listener: listener.on_failed(error))

    # -- the run's status

    def note(self, detail: RunDetail) -> None:
        """What the backend says of the run now. A run that was made anew starts its log anew."""
        if self.is_remade(detail):
            if self.detail is not None and detail.is_overtaken(self.detail):
                return
            self._start_anew(detail)
        is_news = self.detail is None or self.detail != detail
        self.detail = detail
        self.identity = self.identity.with_more(detail.identity)
        if not self.log.next_seq:
            self.log.origin = self._origin()
        if detail.status is not None:
            self.link = links.with_status(self.link, detail.status)
            self.is_growing = self.link.is_growing and not self.log.is_complete
        if is_news:
            news = self.run_news()
            if news is not None:
                self.broadcast(news, only_run_news=True)
            self.wake_waiting()

    def is_remade(self, detail: RunDetail) -> bool:
        """Whether this is another run of the same id: it tells so, or it runs after it was over."""
        if detail.identity.is_other(self.identity):
            return True
        was = None if self.detail is None else self.detail.status
        return was in links.TERMINAL and detail.status in links.UNFINISHED

    def _start_anew(self, detail: RunDetail) -> None:
        if detail.identity.is_other(self.identity):
            self._remade = 0
            self.identity = detail.identity
        else:
            # Nothing but its coming back tells it from the one before.
            self._remade += 1
        has_log = self.log.next_seq > 0 or self.log.is_complete
        logger.warning("run.remade", run_id=self.run_id, frames=self.log.next_seq)
        self.failure = None
        self.link = Link()
        self.last_frame_s = None
        self._replay = None
        self.skips = Skips()
        if has_log:
            self._reset(FrameLog(self.run_id, origin=self._origin()), "run_remade")
        self.on_remade()

    def _origin(self) -> str:
        """What the epoch tells runs of this id apart by, beside the first frame."""
        origin = self.identity.key()
        return f"{origin}\0{self._remade}" if self._remade else origin

    @property
    def expected_s(self) -> float | None:
        """How long a replay takes, as far as the run's description tells."""
        return None if self.detail is None else expected_s(self.detail.days)

    def run_news(self) -> RunNews | None:
        """The run in the protocol's words; None while nobody knows anything."""
        if self.detail is None or self.detail.status is None:
            return None
        return RunNews(
            run_id=self.run_id,
            status=self.detail.status,
            progress=self.detail.progress,
            updated_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            skipped=self.skipped or UNSET,
        )

    def broadcast(self, notice: Notice, *, only_run_news: bool = False) -> None:
        """Tell every client once, however many of its subscriptions are here."""
        listeners = {
            listener.sink: listener
            for listener in self.listeners
            if listener.is_answered
            and (not only_run_news or (listener.wants_run_news and listener.access.is_granted))
        }
        self._notify(listeners, notice)

    def _notify(self, listeners: dict[Sink, Listener], notice: Notice) -> None:
        for listener in listeners.values():
            self._tell(listener, lambda listener: listener.sink.notify(notice))

    def _each(self, tell: Callable[[Listener], None], *, of: Access | None = None) -> None:
        """Tell every viewer, or those of one permission; what one raises is only its own end."""
        for listener in tuple(self.listeners):
            if of is None or listener.access is of:
                self._tell(listener, tell)

    def _tell(self, listener: Listener, tell: Callable[[Listener], None]) -> None:
        try:
            tell(listener)
        except Exception as exc:  # noqa: BLE001 - one viewer's trouble is no other's
            contain(listener, "viewer.crashed", exc, run_id=self.run_id)

    def wake_waiting(self) -> None:
        """Have everyone at the end of the log driven at the next tick."""
        for group in self.groups.values():
            self.ticker.wake(group)
        waiting, self.waiting = self.waiting, {}
        for listener in waiting:
            listener.is_waiting = False
            self.ticker.wake(listener)

    def live_group(self, shape: Shape, *, max_fps: float, lost: int) -> LiveGroup:
        """The group of live viewers like this, made if there is none."""
        key = (max_fps, shape.key, lost)
        group = self.groups.get(key)
        if group is None:
            self.groups = {k: each for k, each in self.groups.items() if each.members}
            group = self.groups[key] = LiveGroup(self, shape=shape, max_fps=max_fps, lost=lost)
        return group

    # -- who may read

    def stream_credentials(self, service_token: str | None) -> Credentials | None:
        """What to open the stream with: the service's, else a permitted viewer's; None if none."""
        granted = [
            access for access in self.accesses.values() if access.is_granted and access.viewers
        ]
        if not granted:
            return None
        if service_token is not None and "" not in self.refused_upstream:
            return Credentials(authorization=f"Bearer {service_token}")
        for access in granted:
            if access.credentials.key not in self.refused_upstream:
                return access.credentials
        return None

    def granted(self, access: Access, detail: RunDetail) -> None:
        """The backend allowed `access`."""
        self.note(detail)
        self.permitted.set()
        self._each(lambda listener: listener.on_granted(), of=access)

    def refused(self, access: Access, error: BffError) -> None:
        """The backend refused `access`: its viewers go, the others stay."""
        self.accesses.pop(access.credentials.key, None)
        self._each(lambda listener: listener.on_refused(error), of=access)

    def suspended(self, access: Access) -> None:
        """The backend did not confirm `access` for too long."""
        self._each(lambda listener: listener.on_suspended(), of=access)

    def unanswered(self, attempt: int, wait_s: float) -> None:
        """The backend did not say who may read; those who wait for that hear of it."""
        if self.link.state is LinkState.IDLE:
            self.broadcast(
                UpstreamNews(
                    run_id=self.run_id,
                    status="retrying",
                    attempt=attempt,
                    retry_in_ms=round(wait_s * 1e3),
                )
            )

    # -- looks from outside

    @property
    def slowest_seq(self) -> int:
        """The oldest frame that some viewer still needs."""
        return min((each.position() for each in self.listeners), default=self.log.next_seq)

    def stats(self, *, now_s: float) -> RunStats:
        """This run's numbers."""
        age_s = None if self.last_frame_s is None else now_s - self.last_frame_s
        return RunStats(
            run_id=self.run_id,
            state=self.link.state.name.lower(),
            attempt=self.link.attempt,
            subscribers=len(self.listeners),
            frames=self.log.next_seq - self.log.first_seq,
            first_seq=self.log.first_seq,
            next_seq=self.log.next_seq,
            complete=self.log.is_complete,
            bytes=self.log.size_bytes,
            last_frame_age_ms=None if age_s is None else round(age_s * 1e3),
        )


def _nothing() -> None:
    """Nobody feeds the log yet."""
