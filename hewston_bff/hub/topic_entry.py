"""One topic in the hub: its channel, audience, permits, source, feed and linger timer."""

import asyncio
from collections.abc import Callable
from typing import Any

from hewston_bff.errors import BffError
from hewston_bff.hub.audience import Audience
from hewston_bff.hub.channel import Channel
from hewston_bff.hub.permits import Permit, Permits
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters, TopicStats
from hewston_bff.hub.ticker import Ticker
from hewston_bff.log.changes import LinkChange, LogChange
from hewston_bff.log.log import AnyLog
from hewston_bff.ports import TopicKind
from hewston_bff.protocol.topics import Topic


class TopicEntry:
    """One topic; its source's `ports.Intake`."""

    def __init__(
        self,
        topic: Topic,
        kind: TopicKind,
        *,
        ticker: Ticker,
        cache: SpanCache,
        counters: Counters,
        restart: "Callable[[TopicEntry], None]",
    ) -> None:
        self.channel = Channel(topic, kind, counters=counters)
        self.audience = Audience(self.channel, ticker=ticker, cache=cache)
        self._permits = Permits(topic)
        self.room = asyncio.Event()
        self.room.set()
        self.viewers = 0
        """Permits acquired and not yet released."""
        self.feed: asyncio.Task[None] | None = None
        self.linger: asyncio.TimerHandle | None = None
        self.last_used_s = 0.0
        self._last_append_s: float | None = None
        self._restart = restart
        self.source = kind.open(topic, self)

    @property
    def permits(self) -> Permits:
        """See `ports.Intake`."""
        return self._permits

    @property
    def log(self) -> AnyLog:
        """See `ports.Intake`."""
        return self.channel.log

    @property
    def is_watched(self) -> bool:
        """See `ports.Intake`."""
        return bool(self.audience.listeners)

    def apply(self, change: LogChange[Any]) -> None:
        """See `ports.Intake`."""
        before = self.channel.counters.frames_in
        self.audience.react(self.channel.apply(change))
        if self.channel.counters.frames_in != before:
            self._last_append_s = self.audience.ticker.last_tick_s

    def before_tick(self, act: Callable[[], None]) -> None:
        """See `ports.Intake`."""
        self.audience.ticker.before_tick(act)

    def restart(self) -> None:
        """See `ports.Intake`."""
        self._last_append_s = None
        self._restart(self)

    def granted(self, permit: Permit) -> None:
        """See `PermitEvents`."""
        self.permits.granted()
        self.audience.of(permit, lambda listener: listener.permitted())

    def refused(self, permit: Permit, error: BffError) -> None:
        """See `PermitEvents`: only listeners that rely on the permit are refused."""
        self.permits.drop(permit)
        self.audience.of(permit, lambda listener: listener.refused(error))

    def suspended(self, permit: Permit) -> None:
        """See `PermitEvents`."""
        self.audience.of(permit, lambda listener: listener.suspended())

    def unanswered(self, attempt: int, wait_s: float) -> None:
        """See `PermitEvents`: clients hear of it while the topic has no connection yet."""
        if self.channel.link.status is None:
            retry_in_ms = round(wait_s * 1e3)
            link = LinkChange(status="retrying", attempt=attempt, retry_in_ms=retry_in_ms)
            self.audience.broadcast(self.channel.kind.link_news(self.channel.topic, link))

    def stats(self, *, now_s: float) -> TopicStats:
        """This topic's figures."""
        channel, log = self.channel, self.channel.log
        age_s = None if self._last_append_s is None else now_s - self._last_append_s
        return TopicStats(
            topic=channel.topic,
            is_connected=channel.link.status == "up",
            state=channel.link.state,
            attempt=channel.link.attempt,
            subscribers=len(self.audience.listeners),
            frames=log.next_seq - log.first_seq,
            first_seq=log.first_seq,
            next_seq=log.next_seq,
            complete=log.is_complete,
            bytes=log.size_bytes,
            last_frame_age_ms=None if age_s is None else round(age_s * 1e3),
        )
