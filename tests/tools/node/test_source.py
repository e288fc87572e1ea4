"""The simulated node behind the port of sources, on a clock that a test turns."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import msgspec
import pytest

from hewston_bff.events.event import FIRST_ID, EntryId, Event
from hewston_bff.events.source_state import Lost, SourceLink
from hewston_bff.ports import EventIntake, EventSource
from hewston_bff.protocol.times import parse_time
from hewston_bff.tasks import running
from hewston_bff.tools.node import NodeClock, SimulatedSource, bus_script, system_script
from hewston_bff.tools.node.timeline import NodeEntry

SECOND_NS = 10**9
NOW_S = 1_795_229_430


class Kept:
    """An intake that keeps what it gets."""

    def __init__(self) -> None:
        self.held: list[Event] = []
        self.came: list[Event] = []
        self.links: list[SourceLink] = []
        self.floor = FIRST_ID

    def begin(
        self, remembered: Sequence[Event], held: Sequence[Event], *, floor: EntryId, skew_ms: int
    ) -> None:
        assert (list(remembered), skew_ms) == ([], 0)
        self.floor = floor
        self.held.extend(held)

    def publish(self, events: Sequence[Event]) -> None:
        self.came.extend(events)

    def lost(self, lost: Lost, topics: object = None) -> None:
        raise AssertionError((lost, topics))

    def link(self, link: SourceLink) -> None:
        self.links.append(link)

    @property
    def ids(self) -> list[EntryId]:
        return [event.id for event in self.held + self.came]


class Wall:
    """A wall clock that runs with the loop, and can be set."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.offset_s = NOW_S - self._loop.time()

    def __call__(self) -> int:
        return round((self.offset_s + self._loop.time()) * SECOND_NS)


@asynccontextmanager
async def bus() -> AsyncIterator[tuple[Kept, Wall, SimulatedSource]]:
    kept, wall = Kept(), Wall()
    source = SimulatedSource(kept, "bus", bus_script, clock=NodeClock(wall))
    async with running(source.run(), name="bus", crashed=_crashed):
        await asyncio.sleep(0)
        yield kept, wall, source


def _crashed(error: BaseException) -> None:
    raise error


def _port(intake: EventIntake) -> EventSource:
    return SimulatedSource(intake, "bus", bus_script)


def truth(start_s: int, until_s: float) -> list[NodeEntry]:
    return bus_script(start_s * SECOND_NS).advance(round(until_s * SECOND_NS))


def told(events: list[Event]) -> list[tuple[str, str, bytes]]:
    return [(event.topic, event.type, event.data) for event in events]


@pytest.mark.looptime
async def test_it_begins_with_a_minute_and_more_and_goes_on_as_the_script_says() -> None:
    async with bus() as (kept, _, source):
        assert kept.floor == EntryId((NOW_S - 90) * 1_000, 0)
        assert kept.links == [SourceLink("up")]
        assert len(kept.held) == len(truth(NOW_S - 90, NOW_S))
        await asyncio.sleep(30.01)
        expected = truth(NOW_S - 90, NOW_S + 29)
        events = kept.held + kept.came
        assert told(events)[: len(expected)] == [
            (f"bus:{one.topic}", one.type, one.payload) for one in expected
        ]
        assert [parse_time(event.ts) for event in events[: len(expected)]] == [
            one.ns for one in expected
        ]
        assert len(events) < len(truth(NOW_S - 90, NOW_S + 31))
        assert source.stats.events == len(events)
        assert source.stats.last_event_at_ms == events[-1].id.ms


@pytest.mark.looptime
async def test_ids_are_the_time_and_grow_without_an_exception() -> None:
    async with bus() as (kept, wall, _):
        await asyncio.sleep(5)
        wall.offset_s -= 3
        await asyncio.sleep(5)
        wall.offset_s += 1
        await asyncio.sleep(5)
    ids = kept.ids
    assert all(one < other for one, other in pairwise(ids))
    late = [event.id.ms / 1_000 - (NOW_S + 13) for event in kept.came[-50:]]
    # Set back by 3 s it goes on from where it was; set on by 1 s it follows.
    assert all(0 < seconds < 4 for seconds in late)
    first = kept.came[0]
    assert first.id.ms // 1_000 == NOW_S


@pytest.mark.looptime
async def test_after_a_sleep_of_the_machine_it_starts_anew_instead_of_catching_up() -> None:
    async with bus() as (kept, wall, _):
        await asyncio.sleep(1)
        before = len(kept.came)
        wall.offset_s += 3_600
        await asyncio.sleep(2)
        after = kept.came[before:]
        assert len(after) < 2_000
        assert all(event.id.ms > (NOW_S + 3_600) * 1_000 for event in after)
        assert kept.ids == sorted(kept.ids)


@pytest.mark.looptime
async def test_where_little_happens_a_long_wait_is_no_sleep_of_the_machine() -> None:
    kept = Kept()
    source = SimulatedSource(kept, "system", system_script, clock=NodeClock(Wall()))
    async with running(source.run(), name="system", crashed=_crashed):
        await asyncio.sleep(121)
    # Turns of 45 s, of which 30 s are well, from 90 s before: at -90, -45, 0, 45, 90.
    assert [(event.id.ms // 1_000 - NOW_S, _weak(event)) for event in kept.came] == [
        *((0, "ok"), (30, "down"), (41, "degraded"), (45, "ok")),
        *((75, "down"), (86, "degraded"), (90, "ok"), (120, "down")),
    ]


def _weak(event: Event) -> object:
    services = {row["name"]: row["status"] for row in msgspec.json.decode(event.data)["services"]}
    return services["onnx"]


@pytest.mark.looptime
async def test_what_the_hub_does_not_hold_is_lost_and_nothing_was_before_the_start() -> None:
    source = SimulatedSource(Kept(), "system", system_script)

    def wanted(_: str) -> bool:
        return True

    pages = [page async for page in source.history(EntryId(5, 0), EntryId(9, 3), wanted)]
    assert [(list(page.events), page.lost) for page in pages] == [
        ([], Lost(EntryId(5, 0), EntryId(9, 2)))
    ]
    pages = [page async for page in source.history(EntryId(5, 0), EntryId(9, 0), wanted)]
    assert pages[0].lost == Lost(EntryId(5, 0), EntryId(8, 2**64 - 1))
    assert [page async for page in source.history(FIRST_ID, EntryId(9, 3), wanted)] == []
    assert isinstance(_port(Kept()), SimulatedSource)
