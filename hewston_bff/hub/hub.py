"""All topics: opens sources, checks permits, evicts logs, runs the ticker."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import Context
from dataclasses import dataclass

import structlog

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BffError, ErrorCode, LimitReached
from hewston_bff.hub.audience import Audience, Listener
from hewston_bff.hub.budget import Budget
from hewston_bff.hub.event_channels import EventChannels
from hewston_bff.hub.permits import Permit, PermitTimes, watch_permit
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters, HubStats
from hewston_bff.hub.ticker import Ticker, contain
from hewston_bff.hub.topic_entry import TopicEntry
from hewston_bff.log.changes import Failed, LinkChange
from hewston_bff.ports import Delivery, Flushable, TopicKind
from hewston_bff.protocol.topics import Topic

logger = structlog.get_logger(__name__)

_BUDGET_EVERY_TICKS = 15


@dataclass(frozen=True, slots=True)
class HubOptions:
    """Limits of the hub, in seconds and bytes."""

    log_bytes: int = 512 << 20
    cache_bytes: int = 64 << 20
    linger_s: float = 30.0
    permits: PermitTimes = PermitTimes()


class Hub:
    """Topic → channel; one source for each topic, however many watch. `run` must be running."""

    def __init__(self, kinds: Iterable[TopicKind], *, options: HubOptions) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._options = options
        self._entries: dict[Topic, TopicEntry] = {}
        self._group: asyncio.TaskGroup | None = None
        self._budget = Budget(options.log_bytes)
        self._ticks = 0
        self.counters = Counters()
        self.cache = SpanCache(max_bytes=options.cache_bytes)
        self.ticker = Ticker(after_tick=self._after_tick)
        self.events = EventChannels(ticker=self.ticker, counters=self.counters, spawn=self._spawn)
        self.unflushed: list[Flushable] = []
        """Clients that gathered messages in this tick; flushed at its end."""

    async def run(self) -> None:
        """Run the ticker, feeds and permits until cancelled; owns all tasks of the hub."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self.ticker.run(), name="ticker")
                self.events.start()
        finally:
            self._group = None

    # -- listeners

    def register(self, kind: TopicKind) -> None:
        """Serve topics of this kind from now on."""
        self._kinds[kind.name] = kind

    def delivery(self, topic: Topic) -> Delivery:
        """How records of this topic reach a viewer that asks for no other way."""
        return self._kinds[topic.kind].delivery

    def has(self, topic: Topic) -> bool:
        """Whether the topic's kind is registered and its name valid."""
        kind = self._kinds.get(topic.kind)
        return kind is not None and kind.has(topic.name)

    def acquire(self, topic: Topic, credentials: Credentials) -> Permit:
        """A permit of these credentials for `topic`; its source is asked unless it just answered.

        Every `acquire` needs a `release`. The answer is in the permit; listeners are notified.

        Raises:
            LimitReached: the memory limit is reached by what is being watched.
        """
        entry = self._entries.get(topic) or self._open(topic)
        if entry.linger is not None:
            entry.linger.cancel()
            entry.linger = None
        entry.viewers += 1
        permit = entry.permits.of(credentials)
        permit.viewers += 1
        if not permit.is_granted:
            since_s = asyncio.get_running_loop().time() - self._options.permits.fresh_s
            if permit.recall(entry.source.permitted_at_s(credentials), since_s=since_s):
                entry.granted(permit)
        if permit.task is None or permit.task.done():
            permit.task = self._spawn(self._watch(entry, permit), f"permit {topic}")
        return permit

    def release(self, permit: Permit) -> None:
        """Release a permit. After the last one of a topic its source lingers, then closes."""
        entry = self._entries[permit.topic]
        permit.viewers -= 1
        if permit.viewers == 0:
            entry.permits.drop(permit)
            if permit.task is not None:
                permit.task.cancel()
        entry.viewers -= 1
        if entry.viewers:
            return
        loop = asyncio.get_running_loop()
        entry.last_used_s = loop.time()
        # A topic that nobody was permitted, or that does not exist, is not worth keeping.
        is_known = entry.permits.is_known or entry.log.next_seq > 0
        linger_s = self._options.linger_s if is_known else 0.0
        entry.linger = loop.call_later(linger_s, self._retire, entry)

    def add(self, listener: Listener) -> None:
        """Add a listener, which holds a permit, to its topic's audience; feed the topic."""
        entry = self._entries[listener.permit.topic]
        entry.audience.listeners.add(listener)
        if listener.permit.is_granted:
            listener.permitted()
        self._ensure_fed(entry)

    def remove(self, listener: Listener) -> None:
        """Remove a listener; its permit still has to be released."""
        listener.close()
        self._entries[listener.permit.topic].audience.listeners.discard(listener)

    def audience(self, topic: Topic) -> Audience:
        """The audience of a topic for which a permit was acquired."""
        return self._entries[topic].audience

    # -- topics and their tasks

    def _open(self, topic: Topic) -> TopicEntry:
        if self._budget.is_full:
            msg = "the memory limit for runs is reached: stop watching one, or try again later"
            raise LimitReached(msg, retry_after_s=10)
        entry = self._entries[topic] = TopicEntry(
            topic,
            self._kinds[topic.kind],
            ticker=self.ticker,
            cache=self.cache,
            counters=self.counters,
            restart=self._feed_anew,
        )
        return entry

    async def _watch(self, entry: TopicEntry, permit: Permit) -> None:
        source, times = entry.source, self._options.permits
        try:
            await watch_permit(permit, source, times=times, events=entry)
        except Exception:
            logger.exception("access.crashed", topic=str(permit.topic))
            error = BffError("an error on this server, which was logged: try again later")
            permit.refuse(error)
            entry.refused(permit, error)

    def _ensure_fed(self, entry: TopicEntry) -> None:
        is_fed = entry.feed is not None and not entry.feed.done()
        if not is_fed and not entry.log.is_complete:
            entry.feed = self._spawn(self._feed(entry), str(entry.channel.topic))

    def _feed_anew(self, entry: TopicEntry) -> None:
        """The topic was replaced: stop the feed of the old log, and start one for the new."""
        before, entry.feed = entry.feed, None
        if before is not None:
            before.cancel()
        if entry.viewers:
            entry.feed = self._spawn(self._feed(entry, after=before), str(entry.channel.topic))

    async def _feed(self, entry: TopicEntry, after: "asyncio.Task[None] | None" = None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            await entry.source.feed()
        except Exception:
            logger.exception("run.crashed", topic=str(entry.channel.topic))
            message = (
                "this run cannot be shown because of an error on this server, which was logged"
            )
            entry.apply(LinkChange(state="failed", status="failed", is_quiet=True))
            entry.apply(Failed(ErrorCode.INTERNAL, message, {}))

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        if self._group is None:
            work.close()
            raise RuntimeError("the hub is not running")
        # An own context: log lines of a topic must not carry the id of the request that opened it.
        return self._group.create_task(work, name=name, context=Context())

    def _retire(self, entry: TopicEntry) -> None:
        """The linger is over: stop the feed; keep the log if it is worth keeping."""
        entry.linger = None
        entry.permits.clear()
        if entry.feed is not None:
            entry.feed.cancel()
            entry.feed = None
        if not entry.log.next_seq or entry.channel.link.status == "failed":
            self._forget(entry)

    def _forget(self, entry: TopicEntry) -> None:
        if entry.linger is not None:
            entry.linger.cancel()
            self._retire(entry)
        if self._entries.pop(entry.channel.topic, None) is not None:
            entry.source.close()

    # -- after each tick

    def _after_tick(self) -> None:
        unflushed, self.unflushed = self.unflushed, []
        for client in unflushed:
            try:
                client.flush()
            except Exception as exc:  # noqa: BLE001 - one client's bug must not hit others
                contain(client, "flush.crashed", exc)
        self._ticks += 1
        if self._ticks % _BUDGET_EVERY_TICKS == 0:
            try:
                self.keep_budget()
            except Exception:
                logger.exception("budget.crashed")

    def keep_budget(self) -> None:
        """Enforce the memory limit of the logs."""
        for entry in self._budget.keep(list(self._entries.values())):
            self._forget(entry)

    # -- figures

    @property
    def log_bytes(self) -> int:
        """Bytes held by all logs."""
        return sum(entry.log.size_bytes for entry in self._entries.values())

    def stats(self) -> HubStats:
        """Figures of the hub at this moment."""
        now_s = asyncio.get_running_loop().time()
        topics = tuple(entry.stats(now_s=now_s) for entry in self._entries.values())
        connections = sum(topic.is_connected for topic in topics)
        subscriptions = sum(topic.subscribers for topic in topics)
        p50, p99 = self.ticker.lag_ms()
        return HubStats(
            run_subscriptions=sum(topic.subscribers > 0 for topic in topics),
            backend_connections=connections,
            total_subscribers=subscriptions,
            counters=self.counters.copy(),
            tick_lag_p50_ms=p50,
            tick_lag_p99_ms=p99,
            encode_share=self.cache.encoded / max(1, self.counters.frames_out),
            dedup_factor=subscriptions / connections if connections else float(subscriptions),
            log_bytes=sum(topic.bytes for topic in topics),
            cache_bytes=self.cache.size_bytes,
            topics=topics,
        )
