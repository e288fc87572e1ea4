"""Kinds of topics are registered: the hub, its sockets and their protocol know none by name."""

from hewston_bff.ports import Delivery
from tests.support import is_a, stack
from tests.topics.counter import CounterKind


async def test_every_record_of_a_second_kind_reaches_a_socket_in_order() -> None:
    kind = CounterKind("counter", Delivery.EVERY)
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        bff.hub.register(kind)
        await viewer.say(t="subscribe", id=1, topic="counter:visits")
        subscribed = await viewer.until(is_a("subscribed"))
        assert (subscribed["topic"], subscribed["sid"]) == ("counter:visits", 1)
        assert "run_id" not in subscribed
        kind.sources["visits"].count(5, 6, 7)
        await viewer.until(is_a("event", seq=2))
        kind.sources["visits"].count(*range(8, 1_000))
        await viewer.until(is_a("event", value=999))
        assert [m["value"] for m in viewer.of("event")] == list(range(5, 1_000))
        assert {m["n"] for m in viewer.of("event")} == {1}


async def test_the_latest_record_of_a_second_kind_stands_for_those_before_it() -> None:
    kind = CounterKind("gauge", Delivery.LATEST)
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        bff.hub.register(kind)
        await viewer.say(t="subscribe", topic="gauge:load", max_fps=1)
        await viewer.until(is_a("subscribed"))
        kind.sources["load"].count(*range(100))
        await viewer.until(is_a("event", seq=99))
        kind.sources["load"].count(*range(100, 200))
        await viewer.until(is_a("event", seq=199))
        first, *_, last = viewer.of("event")
        assert (first["value"], last["value"]) == (99, 199)
        assert sum(m["n"] for m in viewer.of("event")[1:]) == 100


async def test_a_socket_mixes_kinds_and_unknown_ones_are_refused() -> None:
    kind = CounterKind("counter", Delivery.EVERY)
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        bff.hub.register(kind)
        for topic in ("nobody:knows", "counter:4", "visits", ":x"):
            await viewer.say(t="subscribe", id=topic, topic=topic)
            error = await viewer.until(is_a("err", re=topic))
            assert error["code"] == "VALIDATION"
        await viewer.say(t="subscribe", id="run", topic="run:day")
        await viewer.until(is_a("subscribed", re="run", run_id="day"))
        await viewer.say(t="subscribe", id="counter", topic="counter:a")
        await viewer.until(is_a("subscribed", re="counter"))
        kind.sources["a"].count(1)
        await viewer.until(is_a("event", sid=2, value=1))
        await viewer.until(is_a("frame", sid=1))


async def test_what_happens_to_another_kinds_source_is_no_news_of_a_run_of_the_same_name() -> None:
    kind = CounterKind("counter", Delivery.EVERY)
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        bff.hub.register(kind)
        await viewer.say(t="subscribe", id=1, topic="counter:day")
        await viewer.until(is_a("subscribed", re=1))
        kind.sources["day"].lose()
        await viewer.say(t="subscribe", id=2, topic="counter:day")
        await viewer.until(is_a("subscribed", re=2))
        await viewer.say(t="ping", ts=1)
        await viewer.until(is_a("pong"))
        assert viewer.of("upstream") == []
