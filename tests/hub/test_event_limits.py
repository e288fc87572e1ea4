"""Subscriptions to events at their limits: many gaps, many events, little memory."""

import pytest

from hewston_bff.events.cursor import EventCursor
from hewston_bff.events.encoding import event_text
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.log import EventLog
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.source_state import Lost
from hewston_bff.hub.event_channel import Matcher
from hewston_bff.protocol.ids import Epoch
from tests.hub.test_events import EventStage, covered, events, lose, say, values


def a_log(*, ring_bytes: int = 1 << 30, max_topics: int = 20_000) -> EventLog[Matcher]:
    return EventLog(
        "bus",
        is_mergeable=lambda name: name.startswith("quotes"),
        ring_bytes=ring_bytes,
        max_topics=max_topics,
        last_bytes=1 << 30,
    )


def an_event(number: int, topic: str, *, size: int = 1) -> Event:
    data = b'{"value":%d,"pad":"%b"}' % (number, b"x" * size)
    return Event(f"bus:{topic}", EntryId(1_000 + number, 0), "2026-01-02T03:04:05Z", "T", data)


@pytest.mark.parametrize("mode", ["latest", "all"])
def test_who_was_away_for_more_gaps_than_are_kept_hears_of_each_once(mode: str) -> None:
    stage = EventStage()
    subscription, sink = stage.view("*", mode=mode, **{"from": "live"})
    stage.tick(10)
    say(subscription, "pause")
    for _ in range(400):
        stage.source.publish("fills.A")
        lose(stage)
    stage.source.publish("quotes.A")
    say(subscription, "play")
    stage.tick(600)
    lags = [(m["after"], m["until"]) for m in sink.seen if m["t"] == "lag"]
    assert len(set(lags)) == len(lags) <= 257
    assert covered(sink, stage.source, "*") == []
    assert subscription.status == "live"


def test_a_gap_that_was_evicted_with_what_was_around_it_is_named() -> None:
    stage = EventStage(ring_bytes=6_000)
    subscription, sink = stage.view("fills.A", mode="all")
    stage.source.publish("fills.A")
    stage.tick()
    say(subscription, "pause")
    lose(stage)
    for _ in range(50):
        stage.source.publish("quotes.B")
    say(subscription, "play")
    stage.tick(3)
    assert values(sink) == [0]
    assert [m["t"] for m in sink.seen].count("lag") == 1
    assert covered(sink, stage.source, "fills.A") == []


def test_two_gaps_that_are_the_same_are_passed_like_any_others() -> None:
    log = a_log()
    log.append(an_event(1, "fills.A"), 0.0)
    only_b = frozenset({"fills.B"}).__contains__
    for _ in range(2):
        log.note(Lost(EntryId(5, 0), EntryId(6, 0)), only_b)
    cursor = EventCursor(Pattern("fills.A"), "all")
    assert not cursor.has_gap_ahead(log)
    assert EventCursor(Pattern("fills.?"), "all").has_gap_ahead(log) is False
    log.append(an_event(2, "fills.B"), 0.0)
    assert EventCursor(Pattern("fills.?"), "all").has_gap_ahead(log)


def test_what_was_evicted_of_a_forgotten_topic_is_named() -> None:
    log = a_log(ring_bytes=6_000, max_topics=3)
    cursor = EventCursor(Pattern("fills.A"), "all")
    cursor.go_live(log)
    log.append(an_event(0, "fills.A"), 0.0)
    for number in range(1, 30):
        log.append(an_event(number, f"others.{number}"), 0.0)
    lost = cursor.take(log).lost
    assert lost is not None
    assert lost.lost.after < EntryId(1_000, 0) <= lost.lost.until


def test_a_slow_reader_of_the_latest_looks_at_little_and_holds_little_at_once() -> None:
    log = a_log()
    cursor = EventCursor(Pattern("*"), "latest")
    cursor.go_live(log)
    for number in range(12_000):
        log.append(an_event(number, "quotes.A" if number % 2 else "fills.A", size=2_000), 0.0)
    counted = 0
    held_bytes = 0
    while not (taken := cursor.take(log)).is_all:
        assert sum(each.event.size_bytes for each in taken.events) < 80_000
        counted += sum(each.n for each in taken.events)
        held_bytes = max(held_bytes, sum(each.event.size_bytes for each in cursor.owed))
        if not taken.events:
            # Only looked at: not at much.
            assert cursor.position % 4_000 == 0
    assert counted == 12_000
    assert held_bytes < 5 << 20


def test_a_group_that_waits_for_its_beat_holds_one_event_of_each_topic_that_is_replaced() -> None:
    stage = EventStage(ring_bytes=1 << 16)
    subscription, sink = stage.view("quotes.*", mode="latest", max_fps=0.1, **{"from": "live"})
    stage.tick(601)
    (group,) = stage.channel.matcher(subscription.cursor.pattern).groups.values()
    assert group.members
    for _ in range(5_000):
        stage.source.publish("quotes.A", "quotes.B")
    assert len(group.pending.result()) == 2
    stage.tick(601)
    assert [(m["data"]["value"], m["n"]) for m in events(sink)] == [(9_998, 5_000), (9_999, 5_000)]


def test_a_group_stays_together_while_a_thousand_topics_change_all_the_time() -> None:
    stage = EventStage(max_topics=1_000)
    topics = [f"quotes.SIM.AUD/USD{number:04}" for number in range(1_000)]
    live = {"from": "live"}
    subscription, first = stage.view("quotes.*", mode="latest", **live)
    _, second = stage.view("quotes.*", mode="latest", **live)
    stage.tick(7)
    (group,) = stage.channel.matcher(subscription.cursor.pattern).groups.values()
    for _ in range(3):
        for _ in range(4):
            stage.source.publish(*topics)
        stage.tick(6)
        assert len(group.members) == 2
    for sink in (first, second):
        assert sum(m["n"] for m in events(sink)) == 12_000


def test_a_pattern_without_wildcards_is_looked_up() -> None:
    log = a_log()
    for number in range(5):
        log.append(an_event(number, f"data.*{number}"), 0.0)
    assert [r.name for r in log.matching(Pattern("data.\\*3"))] == ["bus:data.*3"]
    assert not list(log.matching(Pattern("data.3")))
    assert len(list(log.matching(Pattern("data.*")))) == 5


def test_topics_that_are_forgotten_are_not_counted_any_more() -> None:
    stage = EventStage(max_topics=3)
    _, first = stage.view("*")
    stage.source.publish(*(f"others.{number}" for number in range(10)))
    _, second = stage.view("*")
    assert [sink.seen[0]["matches"] for sink in (first, second)] == [0, 3]


class _Broken:
    """A framing with a bug: it cannot write what is about `bad`."""

    def frame(self, text: bytes, *, epoch: Epoch, seq: int) -> bytes:
        raise NotImplementedError

    def event(self, event: Event, *, n: int, sid: int | None) -> bytes:
        if event.topic == "bus:bad":
            raise RuntimeError("a bug")
        return b"%b\n" % event_text(event, n, sid)


def test_a_client_whose_messages_cannot_be_written_ends_alone() -> None:
    stage = EventStage()
    _, broken = stage.view("*", mode="all", framing=_Broken())
    _, fine = stage.view("*", mode="all")
    stage.tick()
    stage.source.publish("fills.A", "bad")
    stage.source.publish("fills.B")
    stage.tick(2)
    assert values(fine) == [0, 1, 2]
    assert broken.ended
    assert not values(broken)
