"""Every recorded bus, written into a real Redis in its own layout, comes out as it should."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from hewston_bff.events.event import FIRST_ID
from tests.recordings import RECORDINGS, needs_recordings
from tests.redis_server import redis_server
from tests.topics.bus.independent import data_of, ts_of
from tests.topics.bus.support import (
    Intake,
    Recorded,
    arrived,
    bus,
    client,
    pages_of,
    recorded,
    up,
    write,
)

PATHS = sorted((RECORDINGS / "bus").glob("*.json.gz"))
HEARTBEAT = b"health:heartbeat"
STREAMS = "nautilus-streams,trader-*:stream,trader-*:stream:*"

pytestmark = needs_recordings


def _expected(entries: list[Recorded]) -> list[Recorded]:
    return [entry for entry in entries if entry.fields["topic"] != HEARTBEAT]


def _check(intake: Intake, entries: list[Recorded]) -> None:
    by_topic: dict[str, list[Recorded]] = defaultdict(list)
    for entry in _expected(entries):
        by_topic["bus:" + entry.fields["topic"].decode()].append(entry)
    came = defaultdict(list)
    for event in intake.events:
        came[event.topic].append(event)
    assert came.keys() == by_topic.keys()
    for topic, events in came.items():
        wanted = by_topic[topic]
        assert [event.id for event in events] == [entry.id for entry in wanted]
        for event, entry in zip(events, wanted, strict=True):
            payload = entry.fields["payload"]
            is_state = topic.startswith("bus:events.system.")
            assert json.loads(event.data) == data_of(payload, is_state=is_state)
            assert event.ts == ts_of(payload, entry.id.ms)
            said = entry.fields.get("type", b"").decode()
            value = json.loads(event.data)
            own = value.get("type", "") if isinstance(value, dict) else ""
            assert event.type == (said or own)
    assert not intake.gaps


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
async def test_a_recorded_bus_comes_out_when_it_was_there_before(path: Path) -> None:
    entries = recorded(path)
    async with redis_server() as server, client(server.url) as redis:
        await write(redis, entries)
        async with bus(server.url, bff_bus_streams=STREAMS) as (source, intake):
            await up(intake)
            assert intake.floor == FIRST_ID
            assert not intake.remembered
            assert intake.held == sorted(intake.held, key=lambda event: event.id)
            _check(intake, entries)
            assert source.stats.events == len(_expected(entries))
            older, gaps = await pages_of(source)
            assert older == sorted(older, key=lambda event: event.id)
            # Streams give equal ids: their order among each other means nothing.
            assert sorted(e.tail for e in older) == sorted(e.tail for e in intake.held)
            assert not gaps


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
async def test_a_recorded_bus_comes_out_while_it_is_written(path: Path) -> None:
    entries = recorded(path)
    async with redis_server() as server, client(server.url) as redis:
        async with bus(server.url, bff_bus_streams=STREAMS) as (source, intake):
            await up(intake)
            for at in range(0, len(entries), 20):
                await write(redis, entries[at : at + 20])
            await arrived(intake, len(_expected(entries)))
            assert not intake.held
            _check(intake, entries)
            assert source.stats.events == len(_expected(entries))
            assert source.stats.bytes == sum(len(event.data) for event in intake.published)
            assert source.stats.behind_ms == 0


def test_there_are_recordings_of_both_traps() -> None:
    entries = [entry for path in PATHS for entry in recorded(path)]
    assert any(b"*" in entry.fields["topic"] for entry in entries)
    assert any(
        entry.fields.get("encoding") == b"Json" and entry.fields["payload"][:1] >= b"\x80"
        for entry in entries
    )
