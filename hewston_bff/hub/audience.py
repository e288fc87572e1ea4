"""All who hear of one topic: who is told what, who waits for records, who is served together."""

from collections.abc import Callable
from typing import Protocol

from hewston_bff.errors import BffError
from hewston_bff.hub.channel import (
    Applied,
    Channel,
    FailureNews,
    LinkNews,
    News,
    ResetNews,
    SkippedNews,
    StatusNews,
)
from hewston_bff.hub.live_group import LiveGroup
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.span_cache import Shape, SpanCache
from hewston_bff.hub.ticker import Ticked, Ticker, contain
from hewston_bff.ports import Sink
from hewston_bff.protocol.notices import Notice


class Listener(Ticked, Protocol):
    """Somebody who watches a topic, or reads it."""

    permit: Permit
    sink: Sink
    is_waiting: bool
    """Whether it is to be driven when the log has grown; the audience's to write."""
    is_answered: bool
    """Whether the client has its answer to `subscribe`; news before that would confuse it."""

    @property
    def wants_status(self) -> bool:
        """Whether it is told what the source says of the topic as a whole."""

    @property
    def reads_status(self) -> bool:
        """Whether its client gets that, and knows what it says."""

    def needs(self) -> range:
        """The records that it still wants."""

    def permitted(self) -> None:
        """The log may be read from now on."""

    def suspended(self) -> None:
        """The log may not be read for now."""

    def refused(self, error: BffError) -> None:
        """The log may not be read."""

    def hear(self, news: ResetNews | SkippedNews | FailureNews) -> None:
        """What happened concerns each in a way of its own."""

    def close(self) -> None:
        """Hear and see nothing more."""


class Audience:
    """The listeners of one channel."""

    def __init__(self, channel: Channel, *, ticker: Ticker, cache: SpanCache) -> None:
        self.channel = channel
        self.ticker = ticker
        self.cache = cache
        self.listeners: set[Listener] = set()
        self.log_key = cache.new_log_key()
        """Under which the cache keeps spans of the channel's present log."""
        self.waiting: dict[Listener, None] = {}
        self.groups: dict[tuple[float, int, int], LiveGroup] = {}

    # -- who waits

    def wait(self, listener: Listener) -> None:
        """Drive `listener` when the log has grown."""
        listener.is_waiting = True
        self.waiting[listener] = None

    def stop_waiting(self, listener: Listener) -> None:
        """It is to be driven no more."""
        self.waiting.pop(listener, None)

    def wake(self) -> None:
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

    # -- who hears what

    def react(self, applied: Applied) -> None:
        """Do what follows from a change."""
        if applied.news is not None:
            self._hear(applied.news)
        if applied.wakes and (self.waiting or self.groups):
            self.wake()

    def _hear(self, news: News) -> None:
        match news:
            case LinkNews():
                upstream = self.channel.upstream_news()
                if upstream is not None:
                    self.broadcast(upstream)
            case StatusNews():
                self._tell_status(lambda listener: listener.wants_status)
            case SkippedNews():
                self._tell_skipped(news)
            case ResetNews():
                for group in self.groups.values():
                    group.dissolve()
                self.groups.clear()
                self.log_key = self.cache.new_log_key()
                self.each(lambda listener: listener.hear(news))
            case FailureNews():
                self.each(lambda listener: listener.hear(news))

    def status_news(self) -> Notice | None:
        """What is told of the topic as a whole; None while nobody knows anything."""
        channel = self.channel
        if channel.status is None:
            return None
        return channel.kind.news(channel.topic, channel.status, channel.skipped)

    def _tell_skipped(self, news: SkippedNews) -> None:
        self._tell_status(lambda listener: listener.reads_status)
        has_status = self.status_news() is not None
        for listener in tuple(self.listeners):
            knows = has_status and listener.reads_status
            if listener.is_answered and listener.permit.is_granted and not knows:
                self._tell(listener, lambda listener: listener.hear(news))

    def _tell_status(self, is_told: Callable[[Listener], bool]) -> None:
        notice = self.status_news()
        if notice is not None:
            self._notify(notice, lambda listener: listener.permit.is_granted and is_told(listener))

    def broadcast(self, notice: Notice) -> None:
        """Tell every client."""
        self._notify(notice, lambda _: True)

    def _notify(self, notice: Notice, is_told: Callable[[Listener], bool]) -> None:
        """Tell clients once, however many of their subscriptions are here."""
        told = {
            listener.sink: listener
            for listener in self.listeners
            if listener.is_answered and is_told(listener)
        }
        for listener in told.values():
            self._tell(listener, lambda listener: listener.sink.notify(notice))

    def each(self, tell: Callable[[Listener], None]) -> None:
        """Tell everyone; what one raises is only its own end."""
        for listener in tuple(self.listeners):
            self._tell(listener, tell)

    def _tell(self, listener: Listener, tell: Callable[[Listener], None]) -> None:
        try:
            tell(listener)
        except Exception as exc:  # noqa: BLE001 - one viewer's trouble is no other's
            contain(listener, "viewer.crashed", exc, topic=str(self.channel.topic))

    def of(self, permit: Permit, tell: Callable[[Listener], None]) -> None:
        """Tell those who rely on `permit`."""
        for listener in tuple(self.listeners):
            if listener.permit is permit:
                self._tell(listener, tell)

    @property
    def slowest_seq(self) -> int:
        """The oldest record that somebody still needs."""
        needed = (each.needs().start for each in self.listeners)
        return min(needed, default=self.channel.log.next_seq)
