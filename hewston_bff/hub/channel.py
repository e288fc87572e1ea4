"""One topic: its log, and the state that its source reported. It decides, and sends nothing."""

from dataclasses import dataclass
from typing import Any

from hewston_bff.hub.stats import Counters
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
from hewston_bff.log.log import AnyLog
from hewston_bff.ports import Codec, TopicKind
from hewston_bff.protocol.notices import Notice, ResetReason, SkippedFrames
from hewston_bff.protocol.topics import Topic


@dataclass(frozen=True, slots=True)
class LinkNews:
    """The state of the connection to the source changed; for every listener."""


@dataclass(frozen=True, slots=True)
class StatusNews:
    """The status of the topic changed; for listeners that want it."""


@dataclass(frozen=True, slots=True)
class SkippedNews:
    """Records are missing or incomplete; for every listener with permission."""

    skipped: SkippedFrames


@dataclass(frozen=True, slots=True)
class ResetNews:
    """The log was replaced by one of a new epoch; `old` is the one before."""

    old: AnyLog
    reason: ResetReason


@dataclass(frozen=True, slots=True)
class FailureNews:
    """No more records will come; those in the log can still be watched."""

    failure: Failed


News = LinkNews | StatusNews | SkippedNews | ResetNews | FailureNews


@dataclass(frozen=True, slots=True)
class Applied:
    """What follows from a change: news, and whether to wake those who wait for records."""

    wakes: bool = False
    news: News | None = None


_NOTHING = Applied()
_WAKES = Applied(wakes=True)
_LINK_NEWS = Applied(news=LinkNews())
_LINK_NEWS_WAKES = Applied(wakes=True, news=LinkNews())
_STATUS_NEWS = Applied(wakes=True, news=StatusNews())


class Channel:
    """One topic. `counters` are shared by all channels."""

    def __init__(self, topic: Topic, kind: TopicKind, *, counters: Counters) -> None:
        self.topic = topic
        self.kind = kind
        self.counters = counters
        self.link = LinkChange()
        self.status: Status | None = None
        self.skipped: SkippedFrames | None = None
        """What viewers miss; None if nothing was ever reported missing."""
        self.failure: Failed | None = None
        self.is_growing = False
        """Whether the topic is known not to be over."""
        self._use(kind.new_log(topic))

    def _use(self, log: AnyLog) -> None:
        self.log = log
        self.codec: Codec = self.kind.codec(log)

    def apply(self, change: LogChange[Any]) -> Applied:  # noqa: C901 - a case a change
        """Apply `change` to the log and state; the caller does what follows from it."""
        match change:
            case Append(_, records):
                return self._append(records)
            case LinkChange():
                return self._link(change)
            case LeftOut():
                return self._left_out(change)
            case Status():
                self.status = change
                self.is_growing = change.is_growing and not self.log.is_complete
                if not self.log.next_seq:
                    self.log.origin = change.origin
                return _STATUS_NEWS
            case Fork(at, records):
                self._count(records)
                return self._reset(self.log.fork(at, records), "upstream_diverged")
            case Restart(origin):
                return self._restart(origin)
            case Complete():
                self.log.is_complete = True
                self.is_growing = False
                return _WAKES
            case Failed():
                self.failure = change
                return Applied(news=FailureNews(change))

    def _append(self, records: list[Any]) -> Applied:
        append = self.log.append
        for record in records:
            append(record)
        self.log.is_quiet = False
        self._count(records)
        return _WAKES

    def _count(self, records: list[Any]) -> None:
        self.counters.frames_in += len(records)
        self.counters.bytes_in += sum([len(record.tail) for record in records])

    def _link(self, change: LinkChange) -> Applied:
        before, self.link = self.link, change
        self.counters.reconnects += change.was_lost
        # No connection, and the first attempt at one, are the same to viewers.
        is_same = change.status == (before.status or "connecting") and (
            change.attempt == before.attempt or change.status == "up"
        )
        wakes = change.is_quiet and not self.log.is_quiet
        self.log.is_quiet = change.is_quiet
        if change.status is None or is_same:
            return _WAKES if wakes else _NOTHING
        return _LINK_NEWS_WAKES if wakes else _LINK_NEWS

    def _left_out(self, change: LeftOut) -> Applied:
        if change.counted is not None:
            self.counters.skipped[change.counted] += 1
        if change.lost or self.skipped is not None:
            self.skipped = SkippedFrames(frames=sum(change.lost.values()), reasons=change.lost)
        if not change.is_news or self.skipped is None:
            return _NOTHING
        return Applied(news=SkippedNews(self.skipped))

    def _reset(self, log: AnyLog, reason: ResetReason) -> Applied:
        old = self.log
        self._use(log)
        return Applied(wakes=True, news=ResetNews(old, reason))

    def _restart(self, origin: str) -> Applied:
        self.link = LinkChange()
        self.failure = None
        self.skipped = None
        if not self.log.next_seq and not self.log.is_complete:
            self.log.origin = origin
            return _NOTHING
        return self._reset(self.log.restarted(origin), "run_remade")

    def link_news(self) -> Notice | None:
        """The message about the connection to the source; None while there is nothing to report."""
        return None if self.link.status is None else self.kind.link_news(self.topic, self.link)
