"""Subscriptions to events, against what was published."""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError, InvalidRequest
from hewston_bff.events.event import EntryId, parse_entry_id
from hewston_bff.events.source_state import Lost
from hewston_bff.hub.event_channel import EventChannel
from hewston_bff.hub.event_subscription import EventSubscription
from hewston_bff.hub.stats import Counters
from hewston_bff.hub.ticker import Ticker
from hewston_bff.protocol.commands import Ctrl, SubscribeEvents
from tests.hub.support import MemorySink
from tests.topics.ticker_tape import TapeSource, tape_kind

TOPICS = ("quotes.A", "quotes.B", "fills.A", "fills.B", "other")
Message = dict[str, Any]


class EventStage:
    """A channel, its source and a ticker without a clock."""

    def __init__(
        self, *, ring_bytes: int = 1 << 20, max_topics: int = 100, is_open: bool = True
    ) -> None:
        self.ticker = Ticker(after_tick=lambda: None)
        self.counters = Counters()
        sources: list[TapeSource] = []
        kind = replace(tape_kind(sources, ring_bytes=ring_bytes), max_topics=max_topics)
        self.channel = EventChannel(kind, ticker=self.ticker, counters=self.counters)
        self.source = sources[0]
        if is_open:
            self.source.open()

    def view(
        self, topic: str, *, framing: Any = None, **wishes: Any
    ) -> tuple[EventSubscription, MemorySink]:
        """A subscriber; `mode` and the rest as in `subscribe`."""
        members = {"t": "subscribe", "topic": f"bus:{topic}", **wishes}
        sink = MemorySink() if framing is None else MemorySink(framing=framing)
        subscription = EventSubscription(
            self.channel,
            sink,
            sid=None,
            request=msgspec.convert(members, SubscribeEvents),
            caller=ApiCaller(),
            spawn=_no_tasks,
            refused=_never,
        )
        self.channel.add(subscription)
        subscription.answer()
        return subscription, sink

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.ticker.advance()


def _no_tasks(work: Coroutine[None, None, None], name: str) -> Any:
    work.close()
    raise AssertionError(name)


def _never(subscription: EventSubscription, error: BffError) -> None:
    raise AssertionError(error.message)


def say(subscription: EventSubscription, cmd: str, **values: Any) -> None:
    subscription.obey(msgspec.convert({"t": "ctrl", "cmd": cmd, **values}, Ctrl))


def events(sink: MemorySink) -> list[Message]:
    return [message for message in sink.seen if message["t"] == "event"]


def values(sink: MemorySink) -> list[int]:
    return [message["data"]["value"] for message in events(sink)]


# -- order, merging, beats


def test_mode_all_delivers_each_event_as_it_is_published_without_waiting_for_a_tick() -> None:
    stage = EventStage()
    _, sink = stage.view("*", mode="all")
    stage.tick()
    stage.source.publish("quotes.A", "fills.A", "quotes.A")
    assert values(sink) == [0, 1, 2]
    stage.source.publish("other")
    assert [message["topic"] for message in events(sink)][-1] == "bus:other"
    assert {message["n"] for message in events(sink)} == {1}


def test_latest_merges_what_replaces_each_other_and_nothing_else() -> None:
    stage = EventStage()
    _, sink = stage.view("*", mode="latest", max_fps=1)
    stage.tick(70)
    stage.source.publish("quotes.A", "fills.A", "quotes.A", "quotes.B", "fills.A")
    stage.tick(70)
    found = [(m["topic"], m["data"]["value"], m["n"]) for m in events(sink)]
    assert found == [
        ("bus:fills.A", 1, 1),
        ("bus:quotes.A", 2, 2),
        ("bus:quotes.B", 3, 1),
        ("bus:fills.A", 4, 1),
    ]


@pytest.mark.parametrize("max_fps", [1, 10, 60])
def test_a_topic_has_at_most_max_fps_messages_a_second(max_fps: int) -> None:
    stage = EventStage()
    _, sink = stage.view("quotes.*", mode="latest", max_fps=max_fps)
    stage.tick(60)
    for _ in range(600):
        stage.source.publish("quotes.A", "quotes.B")
        stage.tick()
    counts = Counter(message["topic"] for message in events(sink))
    assert set(counts) == {"bus:quotes.A", "bus:quotes.B"}
    assert all(10 * max_fps - 1 <= count <= 10 * max_fps + 1 for count in counts.values())
    assert sum(message["n"] for message in events(sink)) >= 1_200 - 2 * 60 / max_fps


def test_those_who_want_the_same_share_a_group_and_a_newcomer_joins_it_in_a_flood() -> None:
    stage = EventStage()
    sinks = [stage.view("quotes.*", mode="latest", max_fps=10)[1]]
    for _ in range(40):
        stage.source.publish("quotes.A", "quotes.A")
        stage.tick()
    late, late_sink = stage.view("quotes.*", mode="latest", max_fps=10, **{"from": "live"})
    before = len(stage.source.published)
    for _ in range(60):
        stage.source.publish("quotes.A", "quotes.A")
        stage.tick()
    stage.tick(10)
    assert sum(m["n"] for m in events(late_sink)) == len(stage.source.published) - before
    assert sum(m["n"] for m in events(sinks[0])) == len(stage.source.published)
    (matcher,) = {stage.channel.matcher(late.cursor.pattern)}
    assert [len(group.members) for group in matcher.groups.values()] == [2]


# -- where it begins


def test_from_last_sends_the_newest_of_each_matching_topic_oldest_first() -> None:
    stage = EventStage(is_open=False)
    for topic in ("quotes.A", "quotes.B", "fills.A", "quotes.A", "fills.A"):
        stage.source.write(topic, len(stage.source.published))
    _, early = stage.view("*", mode="latest")
    assert early.seen[0]["status"] == "buffering"
    assert early.seen[1]["t"] == "source"
    stage.source.open(held=1)
    stage.tick(10)
    _, late = stage.view("*", mode="latest")
    stage.tick(10)
    for sink in (early, late):
        assert [m["topic"] for m in events(sink)] == ["bus:quotes.B", "bus:quotes.A", "bus:fills.A"]
        assert values(sink) == [1, 3, 4]


def test_from_live_sends_what_comes_after_the_subscription() -> None:
    stage = EventStage()
    stage.source.publish("fills.A")
    _, sink = stage.view("*", mode="all")
    stage.tick()
    stage.source.publish("fills.B")
    assert values(sink) == [1]


def test_an_id_resumes_after_it_and_says_that_nothing_is_missing() -> None:
    stage = EventStage()
    stage.source.publish("fills.A", "fills.B", "fills.A", "quotes.A")
    at = str(stage.source.published[1].id)
    _, sink = stage.view("*", mode="all", resume={"id": at})
    stage.tick()
    assert sink.seen[0]["recovered"] is True
    assert values(sink) == [2, 3]
    _, other = stage.view("*", mode="all", **{"from": at})
    stage.tick()
    assert other.seen[0]["recovered"] is None
    assert values(other) == [2, 3]


def test_events_that_redis_lost_are_named_in_their_place_for_all_whom_they_concern() -> None:
    stage = EventStage()
    _, fast = stage.view("*", mode="all")
    _, narrow = stage.view("other", mode="all")
    stage.tick()
    stage.source.publish("fills.A", "other")
    stage.channel.lost(Lost(EntryId(1002, 0), EntryId(1009, 0)), lambda name: name == "fills.A")
    stage.source.publish("fills.A", "other")
    stage.tick()
    assert [m["t"] for m in fast.seen if m["t"] in {"event", "lag"}] == [
        *("event", "event", "lag", "event", "event")
    ]
    lag = next(m for m in fast.seen if m["t"] == "lag")
    assert (lag["after"], lag["until"], lag["reason"]) == ("1002-0", "1009-0", "trimmed")
    assert [m["t"] for m in narrow.seen if m["t"] in {"event", "lag"}] == ["event", "event"]
    late, sink = stage.view("*", mode="all", resume={"id": "1001-0"})
    stage.tick()
    assert sink.seen[0]["recovered"] is False
    assert [m["t"] for m in sink.seen if m["t"] in {"event", "lag"}][:2] == ["event", "lag"]
    assert late.status == "live"


# -- pause, play, live


def test_paused_it_sends_nothing_and_play_goes_on_where_it_stopped() -> None:
    stage = EventStage()
    every, all_sink = stage.view("*", mode="all")
    latest, latest_sink = stage.view("*", mode="latest", max_fps=60)
    stage.tick(2)
    for subscription in (every, latest):
        say(subscription, "pause", id=7)
    stage.source.publish("quotes.A", "quotes.A", "fills.A")
    stage.tick(60)
    assert not events(all_sink)
    assert not events(latest_sink)
    assert all_sink.seen[-1]["status"] == "paused"
    assert all_sink.seen[-1]["re"] == 7
    for subscription in (every, latest):
        say(subscription, "play")
    stage.tick(4)
    assert values(all_sink) == [0, 1, 2]
    assert [(m["data"]["value"], m["n"]) for m in events(latest_sink)] == [(1, 2), (2, 1)]


def test_live_leaves_out_what_was_missed() -> None:
    stage = EventStage()
    subscription, sink = stage.view("*", mode="all", paused=True)
    stage.source.publish("fills.A")
    say(subscription, "live")
    stage.tick()
    stage.source.publish("fills.B")
    assert values(sink) == [1]
    assert sink.seen[-2]["status"] == "live"


def test_a_command_for_runs_is_refused() -> None:
    stage = EventStage()
    subscription, _ = stage.view("*")
    with pytest.raises(InvalidRequest, match="pause"):
        say(subscription, "seek", pos=4)


# -- slow clients


def test_a_slow_client_loses_nothing_within_the_ring_and_hears_what_it_lost_beyond() -> None:
    stage = EventStage(ring_bytes=30_000)
    _, sink = stage.view("fills.*", mode="all")
    _, calm = stage.view("other", mode="all")
    stage.tick()
    sink.is_slow = calm.is_slow = True
    for _ in range(20):
        stage.source.publish("fills.A", "quotes.A")
        stage.tick()
    sink.is_slow = False
    stage.tick(3)
    assert values(sink) == list(range(0, 40, 2))
    sink.is_slow = True
    for _ in range(200):
        stage.source.publish("fills.A", "quotes.A")
        stage.tick()
    sink.is_slow = calm.is_slow = False
    stage.tick(3)
    lags = [m for m in sink.seen if m["t"] == "lag"]
    assert [lag["reason"] for lag in lags] == ["evicted"]
    assert not [m for m in calm.seen if m["t"] == "lag"]
    assert covered(sink, stage.source, "fills.*") == []


def covered(sink: MemorySink, source: TapeSource, pattern: str) -> list[str]:
    """What is wrong: events neither delivered nor named by `lag`, or out of order."""
    sent = defaultdict(list)
    for message in events(sink):
        sent[message["topic"]].append((parse_entry_id(message["id"]), message["n"]))
    ranges = [
        (parse_entry_id(m["after"]), parse_entry_id(m["until"]))
        for m in sink.seen
        if m["t"] == "lag"
    ]
    faults = []
    published = defaultdict(list)
    for event in source.published:
        if fnmatchcase(event.topic, f"bus:{pattern}"):
            published[event.topic].append(event.id)
    for topic, ids in published.items():
        lost = [i for i in ids if any(a < i <= u for a, u in ranges)]  # type: ignore[operator]
        kept = [(i, n) for i, n in sent[topic] if i not in lost]
        if [i for i, _ in sent[topic]] != sorted(i for i, _ in sent[topic]):  # type: ignore[type-var]
            faults.append(f"{topic}: out of order")
        if sum(n for _, n in kept) != len(ids) - len(lost):
            faults.append(f"{topic}: {sum(n for _, n in kept)} of {len(ids) - len(lost)}")
    return faults


schedules = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=12)),
        st.tuples(st.just("tick"), st.integers(1, 90)),
        st.tuples(st.just("slow"), st.booleans()),
        st.tuples(st.just("paused"), st.booleans()),
        st.tuples(st.just("lost"), st.just(0)),
    ),
    max_size=40,
)


@given(
    schedules,
    st.sampled_from(["latest", "all"]),
    st.sampled_from([1, 10, 60]),
    st.sampled_from(["*", "quotes.*", "fills.?", "other"]),
    st.sampled_from([6_000, 1 << 20]),
)
def test_what_is_published_is_delivered_or_named(
    schedule: list[tuple[str, Any]], mode: str, max_fps: int, pattern: str, ring_bytes: int
) -> None:
    stage = EventStage(ring_bytes=ring_bytes)
    subscription, sink = stage.view(pattern, mode=mode, max_fps=max_fps, **{"from": "live"})
    _, bystander = stage.view(pattern, mode=mode, max_fps=max_fps, **{"from": "live"})
    acts: dict[str, Callable[[Any], None]] = {
        "publish": lambda topics: stage.source.publish(*topics),
        "tick": stage.tick,
        "slow": lambda is_slow: setattr(sink, "is_slow", is_slow),
        "paused": lambda is_paused: say(subscription, "pause" if is_paused else "play"),
        "lost": lambda _: lose(stage),
    }
    for act, value in schedule:
        acts[act](value)
    sink.is_slow = False
    say(subscription, "play")
    stage.tick(130)
    assert covered(sink, stage.source, pattern) == []
    assert covered(bystander, stage.source, pattern) == []
    assert subscription.status == "live"


def lose(stage: EventStage) -> None:
    """Two events are written that we never read."""
    after = stage.source.published[-1].id if stage.source.published else EntryId(1_000, 0)
    stage.source.write("fills.A")
    until = stage.source.write("quotes.A").id
    stage.channel.lost(Lost(after, until))


def test_of_what_a_slow_client_lost_the_newest_of_each_topic_is_sent_all_the_same() -> None:
    stage = EventStage(ring_bytes=6_000)
    subscription, sink = stage.view("*", mode="latest", max_fps=60)
    stage.tick(2)
    say(subscription, "pause")
    stage.source.publish("quotes.A", "fills.A", "quotes.A")
    for _ in range(50):
        stage.source.publish("quotes.B")
    say(subscription, "play")
    stage.tick(3)
    kinds = [m["t"] for m in sink.seen if m["t"] in {"event", "lag"}]
    assert kinds == ["lag", "event", "event"]
    # A quote that is shown must not stay older than what is known; a fill is named as lost.
    assert [(m["topic"], m["data"]["value"]) for m in events(sink)] == [
        ("bus:quotes.A", 2),
        ("bus:quotes.B", 52),
    ]


def test_each_loss_is_named_from_where_the_one_before_ended() -> None:
    stage = EventStage(ring_bytes=6_000)
    subscription, sink = stage.view("*", mode="all")
    stage.tick()
    for _ in range(2):
        say(subscription, "pause")
        for _ in range(50):
            stage.source.publish("fills.A")
        say(subscription, "play")
        stage.tick(3)
    first, second = [m for m in sink.seen if m["t"] == "lag"]
    delivered = [parse_entry_id(m["id"]) for m in events(sink)]
    ends = parse_entry_id(first["until"]), parse_entry_id(second["after"])
    assert max(i for i in delivered if i and i.ms <= 1_050) == ends[1] != ends[0]
    assert covered(sink, stage.source, "*") == []


def test_who_is_ahead_of_this_server_gets_nothing_twice() -> None:
    stage = EventStage()
    _, sink = stage.view("*", mode="all", resume={"id": "1003-0"})
    stage.tick()
    stage.source.publish("fills.A", "fills.A", "fills.A", "fills.A", "fills.A")
    stage.tick()
    assert [m["id"] for m in events(sink)] == ["1004-0", "1005-0"]
