"""What is read, in which order, and how much of it."""

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import FIRST_ID, EntryId
from hewston_bff.events.source_state import Lost
from hewston_bff.events.streams_setting import (
    NODE,
    InvalidStreams,
    StreamLayout,
    parse_streams,
    rule_of,
)
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.bus_streams import RedisBus
from hewston_bff.topics.bus.kind import bus_kind
from hewston_bff.topics.bus.merge import OrderedMerge
from hewston_bff.topics.bus.ports import Batch, Missing, StreamEntry, StreamInfo
from hewston_bff.topics.bus.stream import Stream, following, previous
from tests.redis_server import redis_server
from tests.topics.bus.support import Intake, arrived, bus, client, options, pages_of, up
from tests.waiting import eventually

PER_TOPIC = "trader-*:stream:*"


async def add(redis: Any, topic: str, number: int, *, entry_id: str = "*") -> None:
    fields = {"topic": topic, "payload": str(number)}
    await redis.xadd(f"trader-X:stream:{topic}", fields, id=entry_id)


async def test_new_streams_are_found_and_read_from_their_start() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, bff_bus_streams=PER_TOPIC) as (_, intake):
            await up(intake)
            await redis.set("trader-X:stream:none", "no stream")
            await redis.xadd("elsewhere", {"topic": "t", "payload": "1"})
            for number in range(20):
                await add(redis, f"data.*.{number % 4}", number)
            await arrived(intake, 20)
            assert sorted(int(event.data) for event in intake.events) == list(range(20))
            assert {event.topic for event in intake.events} == {f"bus:data.*.{n}" for n in range(4)}
            assert not intake.gaps


async def test_a_stream_that_goes_and_comes_back_is_read_again() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, bff_bus_streams=PER_TOPIC) as (_, intake):
            await up(intake)
            await add(redis, "a", 1, entry_id="9000-0")
            await add(redis, "b", 2, entry_id="9000-0")
            await arrived(intake, 2)
            await redis.delete("trader-X:stream:a")
            await eventually(lambda: intake.gaps)
            lost, topics = intake.gaps[0]
            assert lost.after == EntryId(9000, 0)
            assert topics is not None
            assert topics("a")
            assert not topics("b")
            await add(redis, "a", 3, entry_id="1-0")
            await arrived(intake, 3)
            assert [int(event.data) for event in intake.events][2] == 3


async def test_entries_of_many_streams_arrive_in_the_order_of_their_ids() -> None:
    async with redis_server() as server, client(server.url) as redis:
        names = ",".join(f"s{number}" for number in range(3))
        async with bus(server.url, bff_bus_streams=names) as (_, intake):
            await up(intake)
            async with redis.pipeline() as pipeline:
                # One stream is far longer than what is read of it at a time.
                for number in range(3_000):
                    key = "s0" if number % 10 else f"s{1 + number // 10 % 2}"
                    fields = {"topic": key, "payload": str(number)}
                    pipeline.xadd(key, fields, id=f"{number + 1}-0")
                await pipeline.execute()
            await arrived(intake, 3_000)
            assert [int(event.data) for event in intake.published] == list(range(3_000))


async def test_what_is_there_already_is_read_as_far_as_the_memory_goes() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(6_000):
                topic = "rare" if number in {5, 1_000} else f"often.{number % 2}"
                fields = {"topic": topic, "payload": f'"{number:01000}"'}
                pipeline.xadd(f"trader-X:stream:{topic}", fields, id=f"{number + 1}-0")
            await pipeline.execute()
        async with bus(server.url, bff_bus_streams=PER_TOPIC, bff_bus_ring_bytes=1 << 20) as (
            source,
            intake,
        ):
            await up(intake)
            floor = intake.floor
            assert floor is not None
            assert floor > FIRST_ID
            held = [event.id.ms for event in intake.held]
            assert held == list(range(floor.ms + 1, 6_001))
            assert 1 << 20 <= sum(event.size_bytes for event in intake.held) < 8 << 20
            assert [(event.topic, event.id.ms) for event in intake.remembered] == [
                ("bus:rare", 1_001)
            ]
            older, gaps = await pages_of(source, before=following(floor))
            assert [event.id.ms for event in older] == list(range(1, floor.ms + 1))
            assert not gaps


async def test_a_page_of_history_is_bounded_in_bytes_whatever_the_entries_hold() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, bff_bus_streams=PER_TOPIC) as (source, intake):
            await up(intake)
            large = "x" * 500_000
            for number in range(120):
                payload = f'{{"n":{number},"pad":"{large if number < 90 else ""}"}}'
                await redis.xadd("trader-X:stream:t", {"topic": "t", "payload": payload})
            await arrived(intake, 120)
            sizes = [
                sum(len(event.data) for event in page.events)
                async for page in source.history(FIRST_ID, EntryId(1 << 60, 0), lambda _: True)
            ]
            assert max(sizes) <= 9_000_000
            events, _ = await pages_of(source)
            assert [json.loads(event.data)["n"] for event in events] == list(range(120))


async def test_history_lies_between_two_ids_and_holds_wanted_topics_alone() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(3_000):
                key = f"trader-X:stream:t.{number % 7}"
                fields = {"topic": f"t.{number % 7}", "payload": "1"}
                pipeline.xadd(key, fields, id=f"{number + 1}-0")
            await pipeline.execute()
        async with bus(server.url, bff_bus_streams=PER_TOPIC) as (source, intake):
            await up(intake)
            events, gaps = await pages_of(
                source,
                after=EntryId(500, 0),
                before=EntryId(2_500, 0),
                wanted=lambda name: name in {"t.1", "t.3"},
            )
            wanted = [n + 1 for n in range(3_000) if n % 7 in {1, 3} and 500 < n + 1 < 2_500]
            assert [event.id.ms for event in events] == wanted
            assert not gaps
            assert source.stats.events == 3_000
            await redis.xtrim("trader-X:stream:t.1", maxlen=10, approximate=False)
            _, gaps = await pages_of(source, after=EntryId(500, 0), wanted=lambda n: n == "t.1")
            first = int((await redis.xrange("trader-X:stream:t.1", count=1))[0][0].split(b"-")[0])
            assert gaps == [Lost(EntryId(500, 0), previous(EntryId(first, 0)))]
            _, gaps = await pages_of(source, after=EntryId(500, 0), wanted=lambda n: n == "t.2")
            assert not gaps
            await server.kill()
            with pytest.raises(SourceUnavailable) as told:
                await pages_of(source)
            assert "127.0.0.1" not in told.value.message


async def test_thousand_streams_are_read() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for number in range(1_200):
                fields = {"topic": f"t.{number}", "payload": str(number)}
                pipeline.xadd(f"trader-X:stream:t.{number}", fields)
            await pipeline.execute()
        async with bus(server.url, bff_bus_streams=PER_TOPIC) as (_, intake):
            await up(intake)
            assert len(intake.held) == 1_200
            for number in range(0, 1_200, 100):
                await add(redis, f"t.{number}", -1)
            await arrived(intake, 1_212)
            assert [int(event.data) for event in intake.published] == [-1] * 12


async def test_bad_entries_are_counted_and_the_others_come() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (source, intake):
            await up(intake)
            bad: list[dict[str, Any]] = [
                {"payload": "1"},
                {"topic": "a"},
                {"topic": "a", "payload": "x" * 5_000_000},
                {"topic": "commands.x", "payload": "1"},
                {"topic": "health:heartbeat", "payload": "now"},
            ]
            for fields in bad:
                await redis.xadd("nautilus-streams", fields)
            await redis.xadd("nautilus-streams", {"topic": "a", "payload": "1"})
            await arrived(intake, 1)
            assert source.stats.left_out == {
                "no_topic": 1, "no_payload": 1, "payload_too_large": 1, "denied": 1,
            }  # fmt: skip
            assert source.stats.events == 1
            assert source.stats.bytes == 1


async def test_layouts_of_other_writers() -> None:
    streams = "ticks:global=flat,signals:global=json:data"
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, bff_bus_streams=streams) as (_, intake):
            await up(intake)
            await redis.xadd("ticks:global", {"price": "1.5"})
            await arrived(intake, 1)
            await redis.xadd("signals:global", {"data": '{"a":1}', "more": "x"})
            await arrived(intake, 2)
            told = [(event.topic, event.data) for event in intake.events]
            assert told == [
                ("bus:ticks:global", b'{"price":"1.5"}'),
                ("bus:signals:global", b'{"a":1}'),
            ]


async def test_the_kind_opens_the_source() -> None:
    intake = Intake()
    kind = bus_kind(
        RedisBus("redis://127.0.0.1:1"),
        options(bff_bus_ring_bytes=4_096),
        latest=["data.quotes.*"],
        broad=7,
        refusal=lambda _: None,
        now_ms=now_ms,
    )
    assert (kind.name, kind.default_mode, kind.ring_bytes, kind.broad) == ("bus", "latest", 4096, 7)
    assert kind.is_mergeable("data.quotes.X")
    assert not kind.is_mergeable("events.order.X")
    assert kind.refusal(ApiCaller()) is None
    assert kind.open(intake).stats.events == 0


# -- pure parts

IDS = st.builds(EntryId, st.integers(1, 30), st.integers(0, 1))


@given(st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.sets(IDS)), st.integers(1, 4))
def test_merged_streams_come_in_order_and_whole(
    streams: dict[bytes, set[EntryId]], count: int
) -> None:
    unread = {key: sorted(ids) for key, ids in streams.items()}
    waiting = OrderedMerge()
    came: list[tuple[EntryId, bytes]] = []
    while any(unread.values()) or waiting:
        batches = []
        for key in unread:
            if key not in waiting:
                entries = [StreamEntry(one, {}) for one in unread[key][:count]]
                unread[key] = unread[key][count:]
                batches.append(Batch(key, entries))
        arrivals = waiting.add(batches, count=count)
        assert arrivals or any(unread.values())
        came += [(entry.id, key) for key, entry in arrivals]
    assert [one for one, _ in came] == sorted(one for one, _ in came)
    by_key = defaultdict(list)
    for one, key in came:
        by_key[key].append(one)
    assert by_key == {key: sorted(ids) for key, ids in streams.items() if ids}


@given(IDS)
def test_ids_have_neighbours(entry_id: EntryId) -> None:
    assert previous(following(entry_id)) == entry_id
    assert previous(entry_id) < entry_id < following(entry_id)
    assert previous(FIRST_ID) == FIRST_ID


NOW = EntryId(10_000, 0)


def info(first: int | None, last: int, *, length: int, added: int | None) -> StreamInfo:
    oldest = None if first is None else EntryId(first, 0)
    return StreamInfo(length, EntryId(last, 0), oldest, added)


def taken(*, added: int | None = 0) -> Stream:
    """A stream of which the entries 101 to 110 were taken; before them it was empty."""
    stream = Stream(b"k", NODE)
    stream.look(info(None, 0, length=0, added=added), NOW)
    for ms in range(101, 111):
        stream.take(EntryId(ms, 0))
    return stream


@pytest.mark.parametrize(
    ("state", "lost", "position"),
    [
        (info(101, 110, length=10, added=10), None, 110),
        (info(101, 130, length=20, added=20), None, 110),
        (info(None, 110, length=0, added=10), None, 110),
        # Trimmed up to what was taken, and further.
        (info(115, 130, length=10, added=20), None, 110),
        (info(120, 130, length=5, added=20), (110, 119), 110),
        (info(None, 130, length=0, added=20), (110, 130), 110),
        # Another stream, with higher ids.
        (info(150, 160, length=11, added=11), (110, 149), 110),
        (info(150, 160, length=3, added=3), (110, 149), 110),
        # Set back.
        (info(101, 105, length=5, added=5), None, 105),
        # Another stream, with lower ids.
        (info(1, 5, length=5, added=5), (110, 10_000), 0),
        (Missing(), (110, 10_000), 0),
        # Redis before 7 does not count.
        (info(120, 130, length=5, added=None), (110, 119), 110),
        (info(101, 130, length=5, added=None), None, 110),
    ],
)
def test_what_became_of_a_stream(state: Any, lost: tuple[int, int] | None, position: int) -> None:
    stream = taken()
    found = stream.look(state, NOW)
    assert (found and (found.after.ms, found.until.ms)) == lost or (
        found is not None
        and lost is not None
        and (found.after.ms, following(found.until).ms) == (lost[0], lost[1] + 1)
    )
    assert stream.position.ms == position


def test_a_stream_that_was_never_read_has_lost_nothing() -> None:
    stream = Stream(b"k", NODE)
    assert stream.look(info(50, 60, length=2, added=9), NOW) is None
    assert stream.look(Missing(), NOW) is None


def test_the_setting_of_streams() -> None:
    text = r"trader-*:stream:*, ticks:global=flat,signals:global=json:data,odd\*key"
    rules = parse_streams(text, has_prefix_topic=True)
    assert [rule.key for rule in rules] == [None, b"ticks:global", b"signals:global", b"odd*key"]
    assert [rule.layout for rule in rules] == [
        NODE,
        StreamLayout(None, has_own_topic=False),
        StreamLayout(b"data", has_own_topic=False),
        NODE,
    ]
    assert rule_of("trader-1:stream:a:b", rules) is rules[0]
    assert rule_of("ticks:global", rules) is rules[1]
    assert rule_of("ticks:other", rules) is None
    own = parse_streams("a=flat", has_prefix_topic=False)
    assert own[0].layout == StreamLayout(None, has_own_topic=True)


@pytest.mark.parametrize(
    "text", ["", " , ", "a=", "a=json", "a=json:", "a=xml", "=flat", "a\\", "a[bc]", "x" * 600]
)
def test_a_bad_setting_of_streams_is_refused(text: str) -> None:
    with pytest.raises(InvalidStreams):
        parse_streams(text, has_prefix_topic=True)
