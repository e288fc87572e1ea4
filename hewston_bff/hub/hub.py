"""All runs: who gets which channel, when its stream opens and closes, what memory holds."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial

import structlog

from hewston_bff.errors import BffError, LimitReached
from hewston_bff.hub.channel import Channel, Listener
from hewston_bff.hub.permits import Access, AccessEvents, AccessTimes, watch_access
from hewston_bff.hub.span_cache import SpanCache
from hewston_bff.hub.stats import Counters, HubStats
from hewston_bff.hub.ticker import Ticker, contain
from hewston_bff.ports import Backend, Credentials, Flushable, RunDetail
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.backend_activity import BackendActivity
from hewston_bff.topics.run.feed import Feeder, FeederTimes
from hewston_bff.topics.run.link import LinkState, LinkTimes
from hewston_bff.topics.run.replay_limiter import ReplayLimiter

logger = structlog.get_logger(__name__)

_BUDGET_EVERY_TICKS = 15
_ROOM_AGAIN = 0.95


@dataclass(frozen=True, slots=True)
class HubOptions:
    """Limits and times of the hub; seconds and bytes."""

    log_bytes: int = 512 << 20
    cache_bytes: int = 64 << 20
    floods: int = 2
    linger_s: float = 30.0
    service_token: str | None = field(default=None, repr=False)
    link: LinkTimes = LinkTimes()
    feeder: FeederTimes = FeederTimes()
    access: AccessTimes = AccessTimes()


class Hub:
    """RunId → Channel. One stream to the backend a run, however many watch; needs `run` running."""

    def __init__(
        self,
        backend: Backend,
        *,
        options: HubOptions,
        activity: BackendActivity | None = None,
    ) -> None:
        self._backend = backend
        self._options = options
        self._channels: dict[RunId, Channel] = {}
        self._group: asyncio.TaskGroup | None = None
        self._viewers: dict[RunId, int] = {}
        self._is_full = False
        self._ticks = 0
        self.counters = Counters()
        self.cache = SpanCache(max_bytes=options.cache_bytes)
        self.ticker = Ticker(after_tick=self._after_tick)
        self._activity = activity or BackendActivity()
        self._feeder = Feeder(
            backend,
            ReplayLimiter(options.floods),
            options.feeder,
            self._activity,
            options.service_token,
        )
        self.unflushed: list[Flushable] = []
        """Clients with several messages of one tick, to be written at its end."""
        self.on_remade: Callable[[RunId], None] = _nothing
        """Called when a run turns out to have been made anew: what is kept of it is of another."""

    async def run(self) -> None:
        """Tick, feed and ask until cancelled; all of the hub's tasks live in here."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self.ticker.run(), name="ticker")
        finally:
            self._group = None

    # -- viewers

    def enter(self, run_id: RunId, credentials: Credentials) -> Access:
        """A viewer comes: ask the backend whether it may, unless that was said just now.

        Every `enter` needs a `leave`.

        Raises:
            LimitReached: memory is used up by runs that are being watched.
        """
        channel = self._channels.get(run_id)
        if channel is None:
            if self._is_full:
                msg = "memory is used up by the runs being watched: stop watching one, or try later"
                raise LimitReached(msg, retry_after_s=10)
            channel = self._channels[run_id] = Channel(
                run_id,
                ticker=self.ticker,
                cache=self.cache,
                counters=self.counters,
                times=self._options.link,
            )
            channel.on_remade = partial(self._feed_anew, channel)
        if channel.linger is not None:
            channel.linger.cancel()
            channel.linger = None
        self._viewers[run_id] = self._viewers.get(run_id, 0) + 1
        since_s = asyncio.get_running_loop().time() - self._options.access.fresh_s
        accesses = {
            k: each for k, each in channel.accesses.items() if each.is_of_use(since_s=since_s)
        }
        channel.accesses = accesses
        access = accesses.setdefault(credentials.key, Access(run_id, credentials))
        access.viewers += 1
        self._ask(channel, access)
        return access

    def leave(self, access: Access) -> None:
        """A viewer goes. The last one of a run leaves the stream lingering."""
        channel = self._channels[access.run_id]
        access.viewers -= 1
        if access.viewers == 0 and access.task is not None:
            access.task.cancel()
        viewers = self._viewers[access.run_id] = self._viewers[access.run_id] - 1
        if viewers:
            return
        loop = asyncio.get_running_loop()
        channel.last_used_s = loop.time()
        # A run that nobody was allowed to see, or that there is none of, is not worth keeping.
        is_known = channel.permitted.is_set() or channel.log.next_seq > 0
        linger_s = self._options.linger_s if is_known else 0.0
        channel.linger = loop.call_later(linger_s, self._retire, channel)

    def attach(self, listener: Listener) -> None:
        """Let a viewer that entered hear of its run; its stream is opened if it is not."""
        channel = self._channels[listener.access.run_id]
        channel.listeners.add(listener)
        if listener.access.is_granted:
            listener.on_granted()
        self._ensure_fed(channel)

    def detach(self, listener: Listener) -> None:
        """The viewer hears nothing more; it still has to `leave`."""
        listener.close()
        self._channels[listener.access.run_id].listeners.discard(listener)

    def known_status(self, run_id: RunId) -> str | None:
        """The status of a run as the backend last told it here."""
        channel = self._channels.get(run_id)
        return None if channel is None or channel.detail is None else channel.detail.status

    def note(self, run_id: RunId, detail: RunDetail) -> None:
        """Hear what the backend said of a run elsewhere, should it have been made anew."""
        channel = self._channels.get(run_id)
        if channel is not None and channel.is_remade(detail):
            channel.note(detail)

    def lacks_frames(self, run_id: RunId) -> bool:
        """Whether frames of a run's log are known to be missing, or to lack something."""
        channel = self._channels.get(run_id)
        return channel is not None and channel.skips.frames > 0

    def channel_of(self, access: Access) -> Channel:
        """The channel that a viewer entered."""
        return self._channels[access.run_id]

    # -- tasks of channels

    def _ask(self, channel: Channel, access: Access) -> None:
        if access.is_granted:
            channel.permitted.set()
        if access.task is None or access.task.done() or access.task.cancelling():
            events = AccessEvents(
                granted=channel.granted,
                refused=channel.refused,
                suspended=channel.suspended,
                unanswered=channel.unanswered,
            )
            access.task = self._spawn(
                self._watch(channel, access, events), f"access {channel.run_id}"
            )

    async def _watch(self, channel: Channel, access: Access, events: AccessEvents) -> None:
        times = self._options.access
        try:
            await watch_access(
                access, self._backend, times=times, events=events, wait=self._activity.wait
            )
        except Exception:
            logger.exception("access.crashed", run_id=channel.run_id)
            error = BffError("your permission could not be asked for: an error here, it was logged")
            access.refuse(error)
            channel.refused(access, error)

    def _ensure_fed(self, channel: Channel) -> None:
        is_fed = channel.feeder is not None and not channel.feeder.done()
        if is_fed or channel.log.is_complete:
            return
        channel.feeder = self._spawn(self._feed(channel), f"run {channel.run_id}")

    def _feed_anew(self, channel: Channel) -> None:
        """The run was made anew: stop what feeds the old log, and read the new one."""
        self.on_remade(channel.run_id)
        before = channel.feeder
        if before is not None:
            before.cancel()
        channel.feeder = None
        if self._viewers.get(channel.run_id):
            channel.feeder = self._spawn(self._feed(channel, after=before), f"run {channel.run_id}")

    async def _feed(self, channel: Channel, after: "asyncio.Task[None] | None" = None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            await self._feeder.feed(channel)
        except Exception:
            logger.exception("run.crashed", run_id=channel.run_id)
            error = BffError("this run cannot be shown because of an error here; it was logged")
            channel.fail(error, now_s=asyncio.get_running_loop().time())

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        if self._group is None:
            work.close()
            raise RuntimeError("the hub is not running")
        # A context of its own: a run's log lines are not those of the request that came first.
        return self._group.create_task(work, name=name, context=Context())

    def _retire(self, channel: Channel) -> None:
        """Nobody came back: close the stream, keep what is worth keeping."""
        channel.linger = None
        for access in channel.accesses.values():
            if access.task is not None:
                access.task.cancel()
        channel.accesses.clear()
        channel.permitted.clear()
        channel.refused_upstream.clear()
        if channel.feeder is not None:
            channel.feeder.cancel()
            channel.feeder = None
        if not channel.log.next_seq or channel.link.state is LinkState.FAILED:
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        if channel.linger is not None:
            channel.linger.cancel()
            self._retire(channel)
        self._channels.pop(channel.run_id, None)
        self._viewers.pop(channel.run_id, None)

    # -- memory

    def _after_tick(self) -> None:
        unflushed, self.unflushed = self.unflushed, []
        for client in unflushed:
            try:
                client.flush()
            except Exception as exc:  # noqa: BLE001 - one client's trouble is no other's
                contain(client, "flush.crashed", exc)
        self._ticks += 1
        if self._ticks % _BUDGET_EVERY_TICKS == 0:
            try:
                self.keep_budget()
            except Exception:
                logger.exception("budget.crashed")

    @property
    def log_bytes(self) -> int:
        """Bytes held by all logs."""
        return sum(channel.log.size_bytes for channel in self._channels.values())

    def keep_budget(self) -> None:
        """Hold the logs to their budget.

        Unwatched runs go first, the least recently used before others; then frames that every
        cursor has passed; then the largest log stops growing and new runs are refused.
        """
        used, budget = self.log_bytes, self._options.log_bytes
        room_again = int(budget * _ROOM_AGAIN)
        is_growing = all(channel.room.is_set() for channel in self._channels.values())
        # A log that stopped needs room to go on: down to the limit alone it would wait for ever.
        goal = budget if is_growing else room_again
        if used > goal:
            used = self._evict(used, goal)
        self._is_full = used > budget
        if self._is_full:
            largest = max(self._channels.values(), key=_size_bytes, default=None)
            if largest is not None and largest.room.is_set():
                largest.room.clear()
                logger.warning("log.paused", run_id=largest.run_id, bytes=largest.log.size_bytes)
        elif used <= room_again:
            for channel in self._channels.values():
                channel.room.set()

    def _evict(self, used: int, goal: int) -> int:
        unwatched = [c for c in self._channels.values() if not self._viewers.get(c.run_id)]
        for channel in sorted(unwatched, key=_last_used_s):
            if used <= goal:
                return used
            used -= channel.log.size_bytes
            logger.info("log.evicted", run_id=channel.run_id, frames=channel.log.next_seq)
            self._forget(channel)
        for channel in sorted(self._channels.values(), key=_size_bytes, reverse=True):
            below = channel.slowest_seq
            while used > goal and (freed := channel.log.evict_block(below)):
                used -= freed
        return used

    # -- looks from outside

    def stats(self) -> HubStats:
        """The hub at this moment."""
        now_s = asyncio.get_running_loop().time()
        runs = tuple(channel.stats(now_s=now_s) for channel in self._channels.values())
        connections = sum(c.link.state is LinkState.UP for c in self._channels.values())
        subscriptions = sum(run.subscribers for run in runs)
        p50, p99 = self.ticker.lag_ms()
        return HubStats(
            run_subscriptions=sum(run.subscribers > 0 for run in runs),
            backend_connections=connections,
            total_subscribers=subscriptions,
            counters=self.counters.copy(),
            tick_lag_p50_ms=p50,
            tick_lag_p99_ms=p99,
            encode_share=self.cache.encoded / max(1, self.counters.frames_out),
            dedup_factor=subscriptions / connections if connections else float(subscriptions),
            log_bytes=sum(run.bytes for run in runs),
            cache_bytes=self.cache.size_bytes,
            runs=runs,
        )


def _nothing(run_id: RunId) -> None:
    """Nobody keeps anything of a run."""


def _size_bytes(channel: Channel) -> int:
    return channel.log.size_bytes


def _last_used_s(channel: Channel) -> float:
    return channel.last_used_s
