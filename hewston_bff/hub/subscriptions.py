"""The subscriptions of one client, by number."""

from dataclasses import dataclass
from math import inf
from typing import Protocol

from hewston_bff.credentials import ApiCaller, Credentials
from hewston_bff.errors import (
    AlreadySubscribed,
    BffError,
    InvalidRequest,
    LimitReached,
    NotSubscribed,
)
from hewston_bff.hub.control import as_delivered, start_of
from hewston_bff.hub.event_subscription import EventSubscription
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.permits import Permit
from hewston_bff.hub.subscription import Subscription
from hewston_bff.hub.viewer import SubscriptionOptions
from hewston_bff.ports import Sink
from hewston_bff.protocol.commands import RequestId, Subscribe, SubscribeEvents
from hewston_bff.protocol.ids import RunId
from hewston_bff.protocol.positions import SeekTarget
from hewston_bff.protocol.topics import RUN, Topic, parse_topic
from hewston_bff.protocol.updates import updates_of


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """Limit on subscriptions, and seconds that the source gets to permit or refuse one."""

    subscriptions: int = 128
    admission_s: float = 2.0


class RefusalHandler(Protocol):
    """Told when the backend does not allow a subscription; `re` while its request is unanswered."""

    def __call__(
        self, error: BffError, *, sid: int | None, re: RequestId | None, closes: bool = False
    ) -> None:
        """Notify the client; `closes`: nothing is left that it could watch here."""


class Subscriptions:
    """Subscriptions of one client; each holds a permit of the hub, which `close` releases."""

    def __init__(
        self,
        hub: Hub,
        credentials: Credentials,
        limits: SubscriptionLimits,
        *,
        caller: ApiCaller,
        refused: "RefusalHandler",
    ) -> None:
        self._hub = hub
        self._credentials = credentials
        self._limits = limits
        self._caller = caller
        self._refused = refused
        self._by_sid: dict[int, Subscription | EventSubscription] = {}
        self._overdue_s: dict[int, float] = {}
        """When to answer requests that the source has not decided on."""

    def __len__(self) -> int:
        return len(self._by_sid)

    def subscribe(self, request: Subscribe, sink: Sink) -> None:
        """Watch a topic under the lowest free number; answered once it is permitted, or soon.

        Raises:
            InvalidRequest: the run id, topic or position is invalid.
            AlreadySubscribed: the request's id is in use.
            LimitReached: the limit of subscriptions on this socket, or of memory, is reached.
        """
        topic = self._topic_of(request)
        self._require_room(request.id)
        request = as_delivered(request, self._hub.delivery(topic))
        start = start_of(request)
        permit = self._hub.acquire(topic, self._credentials)
        sid = self._free_sid()
        options = SubscriptionOptions(
            sid=sid, request=request, start=start, updates=updates_of(request)
        )
        self._watch(sid, permit, sink, options)

    def subscribe_events(self, request: SubscribeEvents, sink: Sink) -> None:
        """Watch topics that carry events, under the lowest free number; answered at once.

        Raises:
            FeatureDisabled: this server has no such kind.
            Unauthorized, Forbidden: the caller may not read topics of this kind.
            InvalidRequest: the topic or position is invalid.
            AlreadySubscribed: the request's id is in use.
            LimitReached: the limit of subscriptions on this socket is reached.
        """
        self._require_room(request.id)
        self._watch_events(self._free_sid(), request, sink, has_sid=True)

    def watch_events(self, request: SubscribeEvents, sink: Sink) -> None:
        """Watch the topics of an endpoint of one subscription. Raises as `subscribe_events`."""
        self._watch_events(1, request, sink, has_sid=False)

    def _watch_events(
        self, sid: int, request: SubscribeEvents, sink: Sink, *, has_sid: bool
    ) -> None:
        subscription = self._hub.events.subscription(
            request,
            sink,
            sid=sid if has_sid else None,
            caller=self._caller,
            refused=self._on_withdrawn,
        )
        self._by_sid[sid] = subscription
        subscription.answer()

    def _require_room(self, request_id: RequestId | None) -> None:
        if len(self) >= self._limits.subscriptions:
            limit = self._limits.subscriptions
            msg = f"the limit of {limit} subscriptions on a socket is reached: unsubscribe first"
            raise LimitReached(msg)
        if request_id is not None and request_id in self._request_ids():
            raise AlreadySubscribed("another subscription has this `id`: choose a new one")

    def _free_sid(self) -> int:
        return next(n for n in range(1, len(self) + 2) if n not in self._by_sid)

    def watch_one(
        self,
        run_id: RunId,
        sink: Sink,
        *,
        request: Subscribe,
        start: SeekTarget | None,
        is_native: bool,
    ) -> None:
        """Watch the run of a per-run endpoint; `is_native`: in the backend's own protocol.

        Raises:
            LimitReached: the memory limit is reached.
        """
        options = SubscriptionOptions(
            sid=None,
            request=request,
            start=start,
            updates=updates_of(request),
            has_snapshots=not is_native,
            is_introduced=not is_native,
        )
        permit = self._hub.acquire(Topic(RUN, run_id), self._credentials)
        self._watch(1, permit, sink, options)

    def _topic_of(self, request: Subscribe) -> Topic:
        if request.topic is None:
            topic = None if request.run_id is None else Topic(RUN, request.run_id)
        else:
            topic = parse_topic(request.topic)
        if topic is None:
            raise InvalidRequest("`run_id` is missing: send it, or a `topic` as `kind:name`")
        if not self._hub.has(topic):
            if topic.kind == RUN:
                raise InvalidRequest("`run_id` must be 1 to 128 of A-Z a-z 0-9 . _ -")
            raise InvalidRequest(
                "`topic` is unknown: send `kind:name` with a kind that this server has"
            )
        return topic

    def _watch(self, sid: int, permit: Permit, sink: Sink, options: SubscriptionOptions) -> None:
        subscription = Subscription(
            self._hub.audience(permit.topic),
            permit,
            sink,
            options=options,
            refused=self._on_refused,
        )
        self._by_sid[sid] = subscription
        self._overdue_s[sid] = self._hub.ticker.next_s + self._limits.admission_s
        self._hub.add(subscription)

    def unsubscribe(self, sid: int | None) -> int:
        """Stop watching; returns the number, which is free again.

        Raises:
            NotSubscribed: there is no such number; or none is given, and not one subscription.
        """
        subscription = self.find(sid)
        subscription.answer()
        number = self._number(subscription)
        self._drop(number)
        return number

    def find(self, sid: int | None) -> Subscription | EventSubscription:
        """The subscription of a number; without one, the only one.

        Raises:
            NotSubscribed: there is no such number; or none is given, and not one subscription.
        """
        if sid is None:
            if len(self._by_sid) == 1:
                return next(iter(self._by_sid.values()))
            msg = f"{len(self)} subscriptions on this socket: name one by `sid`"
            raise NotSubscribed(msg)
        subscription = self._by_sid.get(sid)
        if subscription is None:
            raise NotSubscribed("no subscription has this `sid`: subscribe first")
        return subscription

    def answer_all(self) -> None:
        """Answer every open request, decided or not."""
        self._overdue_s.clear()
        for subscription in tuple(self._by_sid.values()):
            subscription.answer()

    def repeat_news(self) -> None:
        """Tell a client that was silent until now what its topics lack."""
        for subscription in self._by_sid.values():
            if isinstance(subscription, Subscription):
                subscription.introduce_skips()

    def answer_overdue(self, now_s: float) -> None:
        """Answer the requests that the source has not decided on in time."""
        for sid in [sid for sid, at_s in self._overdue_s.items() if now_s >= at_s]:
            del self._overdue_s[sid]
            self._by_sid[sid].answer()

    @property
    def overdue_s(self) -> float:
        """When the next request must be answered, decided or not; inf if none is open."""
        return min(self._overdue_s.values(), default=inf)

    def close(self) -> None:
        """Stop watching everything."""
        for sid in tuple(self._by_sid):
            self._drop(sid)

    def _drop(self, sid: int) -> None:
        subscription = self._by_sid.pop(sid)
        self._overdue_s.pop(sid, None)
        if isinstance(subscription, EventSubscription):
            subscription.close()
            subscription.channel.remove(subscription)
            return
        self._hub.remove(subscription)
        self._hub.release(subscription.permit)

    def _on_refused(self, subscription: Subscription, error: BffError) -> None:
        number = self._number(subscription)
        self._drop(number)
        re = None if subscription.is_answered else subscription.options.request.id
        shown = None if re is not None or subscription.options.sid is None else number
        self._refused(error, sid=shown, re=re)

    def _on_withdrawn(self, subscription: EventSubscription, error: BffError) -> None:
        """A key that events were read with is good no more."""
        self._drop(self._number(subscription))
        self._refused(error, sid=subscription.sid, re=None, closes=not self._by_sid)

    def _number(self, subscription: Subscription | EventSubscription) -> int:
        return next(sid for sid, each in self._by_sid.items() if each is subscription)

    def _request_ids(self) -> set[RequestId]:
        ids = (each.request_id for each in self._by_sid.values())
        return {request_id for request_id in ids if request_id is not None}
