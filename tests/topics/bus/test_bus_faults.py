"""Whatever happens to Redis or the line, every entry comes once or is named as lost."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hewston_bff.events.event import EntryId, Event, parse_entry_id
from hewston_bff.topics.bus.source import BusSource
from tests.console.relays import Proxy, random_cuts
from tests.redis_server import redis_server
from tests.topics.bus.support import QUICK, Intake, arrived, bus, client, pages_of, up
from tests.waiting import eventually

KEY = "nautilus-streams"


def entry(number: int, topic: str = "data.quotes.X") -> dict[str, str]:
    return {"topic": topic, "payload": f'{{"n":{number}}}'}


async def add(redis: Any, number: int, *, key: str = KEY, topic: str = "data.quotes.X") -> EntryId:
    """Write one entry; its id."""
    text = await redis.xadd(key, entry(number, topic))
    entry_id = parse_entry_id(text.decode())
    assert entry_id is not None
    return entry_id


def numbers(events: Iterable[Event]) -> list[int]:
    return [json.loads(event.data)["n"] for event in events]


def assert_once_or_named(intake: Intake, written: dict[int, EntryId]) -> None:
    came = Counter(numbers(intake.events))
    assert max(came.values(), default=1) == 1
    missing = written.keys() - came.keys()
    assert all(intake.is_named("data.quotes.X", written[number]) for number in missing)


async def test_a_restart_with_its_data_loses_and_repeats_nothing(tmp_path: Path) -> None:
    kept = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    async with redis_server(*kept) as server, client(server.url) as redis:
        written = {number: await add(redis, number) for number in range(50)}
        async with bus(server.url) as (source, intake):
            await arrived(intake, 50)
            written |= {number: await add(redis, number) for number in range(50, 100)}
            await server.kill()
            await eventually(lambda: intake.status == "retrying")
            assert source.stats.error in {"connection refused", "connection lost"}
            await server.start()
            await redis.connection_pool.disconnect()
            written |= {number: await add(redis, number) for number in range(100, 150)}
            await arrived(intake, 150)
            assert numbers(intake.events) == list(range(150))
            assert [event.id for event in intake.events] == list(written.values())
            assert not intake.gaps
            assert source.stats.reconnects >= 1
            assert source.stats.error is None


async def test_a_restart_without_its_data_names_what_may_be_lost() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (_, intake):
            await up(intake)
            written = {number: await add(redis, number) for number in range(50)}
            await arrived(intake, 50)
            await server.kill()
            await eventually(lambda: intake.status == "retrying")
            await server.start()
            await redis.connection_pool.disconnect()
            written |= {number: await add(redis, number) for number in range(50, 80)}
            await arrived(intake, 80)
            assert numbers(intake.events) == list(range(80))
            assert intake.gaps[0][0].after == written[49]
            assert not any(intake.is_named("data.quotes.X", one) for one in written.values())


async def test_a_new_stream_with_lower_ids_is_read_from_its_start() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (_, intake):
            await up(intake)
            await redis.xadd(KEY, entry(0), id="5000-0")
            await arrived(intake, 1)
            async with redis.pipeline() as pipeline:
                pipeline.delete(KEY)
                for number in range(1, 4):
                    pipeline.xadd(KEY, entry(number), id=f"{number}-0")
                await pipeline.execute()
            await arrived(intake, 4)
            assert numbers(intake.events) == [0, 1, 2, 3]
            assert intake.gaps[0][0].after == EntryId(5000, 0)


async def test_a_stream_set_back_to_an_older_copy_is_not_repeated(tmp_path: Path) -> None:
    async with redis_server("--dir", str(tmp_path)) as server, client(server.url) as redis:
        async with bus(server.url) as (_, intake):
            await up(intake)
            for number in range(30):
                await add(redis, number)
            await redis.save()
            for number in range(30, 40):
                await add(redis, number)
            await arrived(intake, 40)
            await server.kill()
            await eventually(lambda: intake.status == "retrying")
            await server.start()
            await redis.connection_pool.disconnect()
            assert await redis.xlen(KEY) == 30
            await up(intake)
            await add(redis, 40)
            await arrived(intake, 41)
            assert numbers(intake.events) == list(range(41))
            assert not intake.gaps


async def test_a_frozen_redis_is_noticed_and_nothing_is_lost() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, answer_s=0.3) as (source, intake):
            await up(intake)
            await add(redis, 0)
            await arrived(intake, 1)
            server.freeze()
            try:
                await eventually(lambda: intake.status == "retrying")
                assert source.stats.error == "timed out"
            finally:
                server.thaw()
            await up(intake)
            for number in range(1, 20):
                await add(redis, number)
            await arrived(intake, 20)
            assert numbers(intake.events) == list(range(20))
            assert not intake.gaps


async def test_a_line_cut_many_times_loses_and_repeats_nothing() -> None:
    cuts = random_cuts(seed=7, count=50, most_bytes=60_000)
    async with redis_server() as server, client(server.url) as redis:
        async with Proxy(server.port, next_cut=cuts).running() as line:
            url = line.url.replace("http://", "redis://")
            async with bus(url, bff_bus_streams=f"{KEY},other:*") as (source, intake):
                written: dict[int, EntryId] = {}

                async def write() -> None:
                    number = 0
                    while line.cuts < 50:
                        async with redis.pipeline(transaction=False) as pipeline:
                            for one in range(number, number + 20):
                                pipeline.xadd(KEY if one % 3 else f"other:{one % 4}", entry(one))
                            ids = await pipeline.execute()
                        for one, text in enumerate(ids, start=number):
                            entry_id = parse_entry_id(text.decode())
                            assert entry_id is not None
                            written[one] = entry_id
                        number += 20
                        # It must not fall so far behind that no reply gets through in one piece.
                        await arrived(intake, number - 200)

                await write()
                await arrived(intake, len(written))
                assert sorted(numbers(intake.events)) == sorted(written)
                assert_once_or_named(intake, written)
                assert not intake.gaps
                assert source.stats.reconnects > 5
                assert line.cuts == 50


async def test_entries_trimmed_while_away_are_named() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (source, intake):
            await up(intake)
            for number in range(5):
                await add(redis, number)
            await arrived(intake, 5)
            async with redis.pipeline() as pipeline:
                for number in range(5, 105):
                    pipeline.xadd(KEY, entry(number))
                pipeline.xtrim(KEY, maxlen=10, approximate=False)
                pipeline.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                texts = (await pipeline.execute())[:100]
            await arrived(intake, 15)
            assert numbers(intake.events) == [*range(5), *range(95, 105)]
            ids = [parse_entry_id(text.decode()) for text in texts]
            named = [one for one in ids if one and intake.is_named("data.quotes.X", one)]
            assert named == ids[:90]
            after = intake.published[2].id
            older, gaps = await pages_of(source, after=after)
            assert numbers(older) == list(range(95, 105))
            assert [(gap.after, gap.until >= ids[89]) for gap in gaps if ids[89]] == [(after, True)]


async def test_entries_trimmed_after_they_were_read_are_not_named() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (_, intake):
            await up(intake)
            for number in range(20):
                await add(redis, number)
            await arrived(intake, 20)
            async with redis.pipeline() as pipeline:
                pipeline.xtrim(KEY, maxlen=0, approximate=False)
                for number in range(20, 25):
                    pipeline.xadd(KEY, entry(number))
                pipeline.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await pipeline.execute()
            await arrived(intake, 25)
            assert numbers(intake.events) == list(range(25))
            assert not intake.gaps


async def test_a_key_that_is_no_stream_is_refused_by_name_and_others_go_on() -> None:
    async with redis_server() as server, client(server.url) as redis:
        await redis.set("odd", "1")
        await add(redis, 0)
        with capture_logs() as logs:
            async with bus(server.url, bff_bus_streams=f"odd,{KEY}") as (source, intake):
                await arrived(intake, 1)
                refused = [log["key"] for log in logs if log["event"] == "bus.no_stream"]
                assert refused == ["odd"]
                assert source.stats.refused == ["odd"]
                await add(redis, 1)
                await arrived(intake, 2)
                await redis.delete("odd")
                await add(redis, 2, key="odd")
                await arrived(intake, 3)
                assert source.stats.refused == []
                await redis.delete(KEY)
                await redis.set(KEY, "x")
                await add(redis, 3, key="odd")
                await arrived(intake, 4)
                assert numbers(intake.events) == [0, 1, 2, 3]
                assert source.stats.reconnects == 0


async def test_the_status_is_an_error_after_ten_failures_and_it_goes_on() -> None:
    async with redis_server() as server:
        await server.kill()
        async with bus(server.url) as (source, intake):
            await eventually(lambda: source.stats.has_failed)
            assert intake.links[0].status == "connecting"
            assert intake.links[-1].status == "retrying"
            assert [link.attempt for link in intake.links[1:11]] == list(range(1, 11))
            assert str(source.stats.error) == "connection refused"
            await server.start()
            await up(intake)
            assert (source.stats.error, source.stats.has_failed) == (None, False)
            assert intake.links[-1].attempt == 0


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "Redis asks for a password"),
        (":wrong-secret@", "Redis refuses the name or password"),
        ("somebody:wrong-secret@", "Redis refuses the name or password"),
    ],
)
async def test_no_password_is_ever_told(user: str, reason: str) -> None:
    async with redis_server("--requirepass", "right-secret") as server:
        url = server.url.replace("redis://", f"redis://{user}")
        with capture_logs() as logs:
            async with bus(url) as (source, intake):
                await eventually(lambda: source.stats.error is not None)
                assert str(source.stats.error) == reason
                told = f"{source.stats!r} {source!r} {intake.links!r} {logs!r} {vars(source)!r}"
                assert "secret" not in told
                assert "127.0.0.1" not in told
                assert str(server.port) not in told
        url = server.url.replace("redis://", "redis://:right-secret@")
        async with bus(url) as (_, intake):
            await up(intake)


async def _beat(redis: Any, ms: int, count: int) -> None:
    for number in range(count):
        await redis.xadd(KEY, entry(number, "health:heartbeat"), id=f"{ms + 100 * number}-0")


async def test_a_bus_without_heartbeats_falls_silent_and_is_heard_again() -> None:
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url) as (source, intake):
            await up(intake)
            assert [link.heartbeat_age_ms for link in intake.links] == [None, None]
            await _beat(redis, 1_000_000, 5)
            await eventually(lambda: intake.status == "silent")
            age_ms = intake.links[-1].heartbeat_age_ms or 0
            # Three of the 100 ms that lie between the ids.
            assert age_ms >= 300
            await _beat(redis, 2_000_000, 1)
            await up(intake)
            assert source.stats.events == 0
            assert source.stats.last_event_at_ms is None
            assert source.stats.heartbeat_at_ms is not None
            assert not intake.events


async def test_a_source_that_is_cancelled_leaves_no_connection() -> None:
    async with redis_server() as server, client(server.url) as redis:
        for _ in range(3):
            async with bus(server.url, times=QUICK) as (source, _):
                assert isinstance(source, BusSource)
        async with bus(server.url) as (_, intake):
            await up(intake)
        await eventually(lambda: _connections(redis, 1))


async def _connections(redis: Any, count: int) -> bool:
    return len(await redis.client_list()) == count
