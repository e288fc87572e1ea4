"""Older events of topics, over real sockets, when something goes wrong meanwhile."""

from collections.abc import AsyncGenerator, Callable

import pytest

from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import EntryId
from hewston_bff.events.source_state import HistoryPage, Lost
from tests.support import Bff, is_a, stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.waiting import eventually


def tape(bff: Bff, *, events: int, held: int) -> TapeSource:
    """A bus that was reached and holds the last of its events."""
    sources: list[TapeSource] = []
    bff.hub.events.register(tape_kind(sources))
    for value in range(events):
        sources[0].write("fills.A", value)
    sources[0].open(held=held)
    return sources[0]


def breaking(source: TapeSource, error: Exception, *, after_pages: int) -> None:
    """Have the first reading of history break after some pages."""
    whole = source.history

    async def history(
        after: EntryId, before: EntryId, wanted: Callable[[str], bool]
    ) -> AsyncGenerator[HistoryPage, None]:
        source.history = whole  # type: ignore[method-assign]
        left = after_pages
        async for page in whole(after, before, wanted):
            if not left:
                raise error
            left -= 1
            yield page

    source.history = history  # type: ignore[method-assign]


@pytest.mark.parametrize("error", [SourceUnavailable("not now"), RuntimeError("a bug")])
async def test_history_that_breaks_off_goes_on_and_repeats_nothing(error: Exception) -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, events=20, held=2)
        source.trim(4)
        breaking(source, error, after_pages=2)
        await viewer.say(t="subscribe", topic="bus:*", mode="all", resume={"id": "1001-0"})
        await viewer.until(is_a("event", id="1020-0"))
        assert [m["data"]["value"] for m in viewer.of("event")] == list(range(4, 20))
        assert len(viewer.of("lag")) == 1


@pytest.mark.parametrize(("topic", "values"), [("bus:b", [2, 3]), ("bus:a", [1, 2, 3])])
async def test_events_of_one_id_are_told_apart_by_their_topic(
    topic: str, values: list[int]
) -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        source = sources[0]
        for value, name in enumerate("abcz"):
            event = source.write(name, value)
            if name in "abc":
                # As streams that are written in the same millisecond give them.
                event.id = EntryId(1001, 0)
        source.open(held=1)
        at = {"id": "1001-0", "topic": topic}
        await viewer.say(t="subscribe", topic="bus:*", mode="all", resume=at)
        await viewer.until(is_a("event", topic="bus:z"))
        assert [m["data"]["value"] for m in viewer.of("event")] == values


async def test_history_after_which_nothing_is_held_ends_live_too() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, events=5, held=0)
        await viewer.say(t="subscribe", topic="bus:*", mode="all", **{"from": "start"})
        await viewer.until(is_a("state", status="live"))
        assert len(viewer.of("event")) == 5
        source.publish("fills.A")
        await viewer.until(is_a("event", id="1006-0"))


async def test_live_before_the_source_was_reached_gets_what_the_log_could_not_hold() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        await viewer.say(t="subscribe", topic="bus:*", mode="all")
        await viewer.until(is_a("subscribed", status="buffering"))
        for value in range(8):
            sources[0].write("fills.A", value)
        # The tape's ids are long past: by its clock, it is as if all came after the subscription.
        sources[0].open(held=2, skew_ms=-(1 << 50))
        await viewer.until(is_a("event", id="1008-0"))
        assert [m["data"]["value"] for m in viewer.of("event")] == list(range(8))


async def test_recovered_is_not_said_if_something_is_missing_further_on() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, events=10, held=2)
        source.intake.lost(Lost(EntryId(1010, 0), EntryId(1010, 5)))
        source.publish("fills.A")
        await viewer.say(t="subscribe", topic="bus:*", mode="all", resume={"id": "1001-0"})
        await viewer.until(is_a("event", id="1011-0"))
        assert len(viewer.of("lag")) == 1
        told = [m["recovered"] for m in viewer.of("state") if "recovered" in m]
        assert told == [False]


async def test_what_was_read_and_not_sent_yet_counts_as_not_sent() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, events=20, held=2)
        read: list[int] = []
        whole = source.history

        async def history(
            after: EntryId, before: EntryId, wanted: Callable[[str], bool]
        ) -> AsyncGenerator[HistoryPage, None]:
            async for page in whole(after, before, wanted):
                read.append(len(page.events))
                yield page

        source.history = history  # type: ignore[method-assign]
        wish = {"topic": "bus:*", "mode": "all", "paused": True, "resume": {"id": "1003-0"}}
        await viewer.say(t="subscribe", **wish)
        await eventually(lambda: read)
        await viewer.say(t="ctrl", id=1, cmd="pause")
        assert (await viewer.until(is_a("state", re=1)))["position"] == "1003-0"
        await viewer.say(t="ctrl", id=2, cmd="play")
        await viewer.until(is_a("event", id="1020-0"))
        assert [m["data"]["value"] for m in viewer.of("event")] == list(range(3, 20))
