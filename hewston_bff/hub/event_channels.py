"""The kinds of topics that carry events: a channel and a running source for each."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError, FeatureDisabled
from hewston_bff.events.source_state import SourceLink
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.event_opening import Spawn
from hewston_bff.hub.event_subscription import EventSubscription
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.ticker import Ticker
from hewston_bff.ports import EventKind, Sink
from hewston_bff.protocol.commands import SubscribeEvents

_AGAIN_S: Final = 1.0
"""How long after a bug a source is left alone."""

logger = structlog.get_logger(__name__)


class EventChannels:
    """Kind → channel. Kinds are registered before the hub runs, or while it does."""

    def __init__(self, *, ticker: Ticker, counters: Counters, spawn: Spawn) -> None:
        self._ticker = ticker
        self._counters = counters
        self._spawn = spawn
        self._channels: dict[str, EventChannel] = {}
        self._is_running = False
        self._sources: list[asyncio.Task[None]] = []

    def __iter__(self) -> Iterator[EventChannel]:
        return iter(self._channels.values())

    def register(self, kind: EventKind) -> EventChannel:
        """Serve topics of this kind; its source runs while the hub does."""
        channel = EventChannel(kind, ticker=self._ticker, counters=self._counters)
        self._channels[kind.name] = channel
        if self._is_running:
            self._run(channel)
        return channel

    def start(self) -> None:
        """The hub runs: run the sources."""
        self._is_running = True
        for channel in self:
            self._run(channel)

    def _run(self, channel: EventChannel) -> None:
        self._sources.append(self._spawn(self._feed(channel), f"{channel.kind.name} source"))

    async def _feed(self, channel: EventChannel) -> None:
        """Run the source; after a bug its subscribers are told, and it runs again."""
        while True:
            try:
                await channel.source.run()
            except Exception:
                logger.exception("source.crashed", kind=channel.kind.name)
            else:
                return
            attempt = channel.link_state.attempt + 1
            wait_ms = round(_AGAIN_S * 1_000)
            channel.link(SourceLink("retrying", attempt=attempt, retry_in_ms=wait_ms))
            await asyncio.sleep(_AGAIN_S)

    def get(self, kind: str) -> EventChannel:
        """The channel of a kind.

        Raises:
            FeatureDisabled: this server has no such kind.
        """
        channel = self._channels.get(kind)
        if channel is None:
            msg = (
                f"topics of kind `{kind}` are not configured here: /api/v1/features names which are"
            )
            raise FeatureDisabled(msg)
        return channel

    def subscription(
        self,
        request: SubscribeEvents,
        sink: Sink,
        *,
        sid: int | None,
        caller: ApiCaller,
        refused: Callable[[EventSubscription, BffError], None],
    ) -> EventSubscription:
        """A subscription to topics of the kind that `request` names; the caller answers it.

        Raises:
            FeatureDisabled: this server has no such kind.
            Unauthorized, Forbidden: the caller may not read topics of this kind.
            InvalidRequest: the topic or position is invalid.
        """
        channel = self.get(request.topic.partition(":")[0])
        refusal = channel.kind.refusal(caller)
        if refusal is not None:
            raise refusal
        subscription = EventSubscription(
            channel,
            sink,
            sid=sid,
            request=request,
            caller=caller,
            spawn=self._spawn,
            refused=refused,
        )
        channel.add(subscription)
        return subscription

    def check_callers(self) -> None:
        """Keys changed: end the subscriptions of those who may not read any more."""
        for channel in self:
            channel.check_callers()
