"""The listeners of one topic: who is notified, who waits for records, who is served together."""

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
    """A subscription to a topic, or a reader of its log."""

    permit: Permit
    sink: Sink
    is_waiting: bool
    """Whether it is driven when the log has grown; only the audience writes it."""
    is_answered: bool
    """Whether the client has its answer to `subscribe`: it gets no news before."""

    @property
    def wants_status(self) -> bool:
        """Whether it wants messages about the topic as a whole."""

    @property
    def reads_status(self) -> bool:
        """Whether its client gets those messages, and understands all their members."""

    def needs(self) -> range:
        """The records that it still needs."""

    def permitted(self) -> None:
        """Permission was granted: it may read the log from now on."""

    def suspended(self) -> None:
        """Permission is suspended: it must not read the log for now."""

    def refused(self, error: BffError) -> None:
        """Permission was refused: it must not read the log."""

    def hear(self, news: ResetNews | SkippedNews | FailureNews) -> None:
        """Handle news that concerns each listener in its own way."""

    def close(self) -> None:
        """Take no more news and records."""


class Audience:
    """The listeners of one channel."""

    def __init__(self, channel: Channel, *, ticker: Ticker, cache: SpanCache) -> None:
        self.channel = channel
        self.ticker = ticker
        self.cache = cache
        self.listeners: set[Listener] = set()
        self.log_key = cache.new_log_key()
        """The key of the channel's current log in the span cache."""
        self.waiting: dict[Listener, None] = {}
        self.groups: dict[tuple[float, int, int], LiveGroup] = {}

    # -- waiting for records

    def wait(self, listener: Listener) -> None:
        """Drive `listener` when the log has grown."""
        listener.is_waiting = True
        self.waiting[listener] = None

    def stop_waiting(self, listener: Listener) -> None:
        """Do not drive `listener` any more."""
        self.waiting.pop(listener, None)

    def wake(self) -> None:
        """Have everyone who waits for records driven at the next tick."""
        for group in self.groups.values():
            self.ticker.wake(group)
        waiting, self.waiting = self.waiting, {}
        for listener in waiting:
            listener.is_waiting = False
            self.ticker.wake(listener)

    def live_group(self, shape: Shape, *, max_fps: float, lost: int) -> LiveGroup:
        """The group of live viewers with these properties; made if there is none."""
        key = (max_fps, shape.key, lost)
        group = self.groups.get(key)
        if group is None:
            self.groups = {k: each for k, each in self.groups.items() if each.members}
            group = self.groups[key] = LiveGroup(self, shape=shape, max_fps=max_fps, lost=lost)
        return group

    # -- news

    def react(self, applied: Applied) -> None:
        """Do what follows from an applied change: notify, and wake those who wait."""
        if applied.news is not None:
            self._hear(applied.news)
        if applied.wakes and (self.waiting or self.groups):
            self.wake()

    def _hear(self, news: News) -> None:
        match news:
            case LinkNews():
                self.broadcast(self.channel.link_news())
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
        """The message about the topic as a whole; None while nothing is known."""
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

    def broadcast(self, notice: Notice | None) -> None:
        """Notify every client, if there is something to say."""
        if notice is not None:
            self._notify(notice, lambda _: True)

    def _notify(self, notice: Notice, is_told: Callable[[Listener], bool]) -> None:
        """Notify each client once, however many subscriptions it has here."""
        told = {
            listener.sink: listener
            for listener in self.listeners
            if listener.is_answered and is_told(listener)
        }
        for listener in told.values():
            self._tell(listener, lambda listener: listener.sink.notify(notice))

    def each(self, tell: Callable[[Listener], None]) -> None:
        """Call `tell` for every listener; what one raises ends that one alone."""
        for listener in tuple(self.listeners):
            self._tell(listener, tell)

    def _tell(self, listener: Listener, tell: Callable[[Listener], None]) -> None:
        try:
            tell(listener)
        except Exception as exc:  # noqa: BLE001 - one viewer's bug must not hit others
            contain(listener, "viewer.crashed", exc, topic=str(self.channel.topic))

    def of(self, permit: Permit, tell: Callable[[Listener], None]) -> None:
        """Call `tell` for the listeners that rely on `permit`."""
        for listener in tuple(self.listeners):
            if listener.permit is permit:
                self._tell(listener, tell)

    @property
    def slowest_seq(self) -> int:
        """The oldest record that a listener still needs."""
        needed = (each.needs().start for each in self.listeners)
        return min(needed, default=self.channel.log.next_seq)
