"""The load test of topics: what it reads and counts, and itself over real sockets."""

import asyncio
import io
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner
from yarl import URL

from hewston_bff.cli.loadtest import loadtest
from hewston_bff.events.encoding import event_text
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import Lost
from hewston_bff.tools.loadtest.engine import LoadProgress, LoadTest
from hewston_bff.tools.loadtest.plan import BadPlan, Mode, Plan, StreamEndpoint
from hewston_bff.tools.loadtest.table import table, title
from hewston_bff.tools.loadtest.topic_stream import (
    EventPeek,
    TopicCounts,
    TopicStream,
    peek_event,
)
from tests.support import Bff, stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.waiting import eventually

TS = "2026-01-02T03:04:05Z"


# Reading.


@given(
    st.text(min_size=1, max_size=30),
    st.integers(0, 2**53),
    st.integers(0, 9),
    st.integers(1, 10**6),
    st.one_of(st.none(), st.integers(0, 99)),
    st.sampled_from([b'{"n":5}', b'{"id":"7-7","n":9}', b"[]", b'"x\\"y"', b'{"a":{"n":3}}']),
)
def test_an_event_is_read_as_it_was_written(
    name: str, ms: int, number: int, n: int, sid: int | None, data: bytes
) -> None:
    text = event_text(Event(f"bus:{name}", EntryId(ms, number), TS, "T", data), n, sid)
    decoded = msgspec.json.decode(text)
    framed = b"xx" + text + b"yy"
    found = peek_event(framed, 2, 2 + len(text))
    assert found is not None
    assert (found.sid, found.id, found.n) == (-1 if sid is None else sid, (ms, number), n)
    assert msgspec.json.decode(b'"%b"' % found.topic) == decoded["topic"]


def test_other_writers_events_are_read_too() -> None:
    text = b'{"t": "event", "n": 3, "sid": 2, "topic": "bus:a", "id": "5-1", "data": {}}'
    assert peek_event(text, 0, len(text)) == EventPeek(2, b"bus:a", (5, 1), 3)
    for odd in (b'{"t":"event"}', b'{"t":"event","topic":"a","id":"x","n":1}', b'{"t":"event",'):
        assert peek_event(odd, 0, len(odd)) is None


# Counting.


def viewer(counts: dict[bytes, TopicCounts]) -> TopicStream:
    return TopicStream("bus:*", due_ns=0, counts=counts)


def deliver(stream: TopicStream, ends: list[int], *, topic: bytes = b"a", last: int = 0) -> None:
    """Events 1, 2, … of one topic, merged so that these are the newest of each message."""
    for end in ends:
        stream.event(EventPeek(1, topic, (end, 0), end - last), 1)
        last = end


@given(st.lists(st.sets(st.integers(1, 200), min_size=2, max_size=60), min_size=1, max_size=4))
def test_clients_that_lose_nothing_agree_however_their_events_are_merged(
    merges: list[set[int]],
) -> None:
    counts: dict[bytes, TopicCounts] = {}
    streams = [viewer(counts) for _ in merges]

    def turns() -> Iterator[tuple[TopicStream, int, int]]:
        for stream, ends in zip(streams, merges, strict=True):
            last = 0
            for end in sorted(ends):
                yield stream, last, end
                last = end

    for stream, last, end in sorted(turns(), key=lambda turn: turn[2]):
        deliver(stream, [end], last=last)
    assert [stream.uneven + stream.breaks for stream in streams] == [0] * len(streams)
    assert [stream.events for stream in streams] == [max(ends) for ends in merges]


def test_an_event_that_only_one_client_missed_is_found() -> None:
    counts: dict[bytes, TopicCounts] = {}
    whole, lossy = viewer(counts), viewer(counts)
    deliver(whole, [1, 2, 3, 4])
    lossy.event(EventPeek(1, b"a", (1, 0), 1), 1)
    lossy.event(EventPeek(1, b"a", (4, 0), 2), 1)
    assert (whole.uneven, lossy.uneven) == (0, 1)


def test_what_lag_named_is_no_difference() -> None:
    counts: dict[bytes, TopicCounts] = {}
    whole, lossy = viewer(counts), viewer(counts)
    deliver(whole, [1, 2, 3, 4, 5])
    deliver(lossy, [1])
    lossy.lag()
    deliver(lossy, [4, 5], last=3)
    assert (lossy.lags, lossy.uneven, lossy.breaks) == (1, 0, 0)


def test_an_id_that_does_not_grow_is_out_of_order() -> None:
    stream = viewer({})
    for at in (2, 1, 1, 3):
        stream.event(EventPeek(1, b"a", (at, 0), 1), 1)
    stream.event(EventPeek(1, b"b", (1, 0), 1), 1)
    assert stream.breaks == 2
    assert stream.topics == {b"a", b"b"}


# The test over real sockets.


async def load_tested(
    bff: Bff, tape: TapeSource, *, mode: Mode, bursts: int = 5, **options: object
) -> tuple[LoadTest, Plan, int]:
    """A test in whose window all clients get what is published in some bursts."""
    plan = Plan(
        url=URL(bff.url),
        runs=(),
        topics=("bus:*",),
        clients=4,
        seconds=60,
        ramp_up_s=0.0,
        warmup_s=0.2,
        mode=mode,
        max_fps=20,
        start="live",
    )
    plan = replace(plan, **options)  # type: ignore[arg-type]
    burst = ["quotes.A"] * 30 + ["quotes.B", "fills.A"] * 5
    left = [bursts]

    def look(now: LoadProgress) -> None:
        if now.is_measuring and left[0]:
            left[0] -= 1
            tape.publish(*burst)
        elif now.is_measuring and now.events >= plan.clients * bursts * len(burst):
            test.stop()

    test = LoadTest(plan, on_progress=look)
    return test, plan, bursts * len(burst)


@pytest.mark.parametrize("mode", [Mode.LATEST, Mode.ALL])
async def test_every_client_counts_what_was_published(mode: Mode) -> None:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        test, _, published = await load_tested(bff, sources[0], mode=mode)
        report = await test.run()
    topics = report.topics
    assert report.is_ok
    assert topics is not None
    assert (topics.subscriptions, topics.silent, topics.topics) == (4, 0, 3)
    assert topics.events == 4 * published
    assert (topics.lags, topics.breaks, topics.uneven) == (0, 0, 0)
    if mode is Mode.ALL:
        assert (topics.messages, topics.merged_percent) == (4 * published, 0.0)
    else:
        # Fills come one by one.
        assert 4 * 5 * 5 < topics.messages < 4 * published
        assert topics.merged_percent > 0
    assert report.errors == {}


async def test_topics_and_runs_are_watched_on_the_same_sockets() -> None:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        test, plan, published = await load_tested(
            bff, sources[0], mode=Mode.ALL, runs=("day",), speed=20.0
        )
        report = await test.run()
    assert report.topics is not None
    assert report.topics.events == 4 * published
    assert (report.streams, report.silent, report.breaks) == (4, 0, 0)
    # How topics are delivered is not said of runs.
    subscriptions = [msgspec.json.decode(each) for each in plan.target(0).opening]
    assert subscriptions == [
        {"t": "subscribe", "id": 0, "run_id": "day", "speed": 20.0},
        {
            "t": "subscribe",
            "id": 1,
            "topic": "bus:*",
            "max_fps": 20,
            "mode": "all",
            "from": "live",
        },
    ]
    assert "4 subscriptions to bus:*" in title(report)
    console = Console(file=io.StringIO(), width=120)
    console.print(table(report))
    assert isinstance(console.file, io.StringIO)
    for figure in ("continuity breaks", "event messages/s", "counts that differ"):
        assert figure in console.file.getvalue()


async def test_what_the_server_says_is_lost_is_counted() -> None:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        tape = sources[0]
        test, _, _ = await load_tested(bff, tape, mode=Mode.ALL, clients=2, bursts=2)

        async def lose() -> None:
            (channel,) = bff.hub.events
            await eventually(lambda: sum(each.is_answered for each in channel.listeners) == 2)
            tape.intake.lost(Lost(EntryId(1, 0), EntryId(2, 0)))

        async with asyncio.TaskGroup() as group:
            losing = group.create_task(lose())
            report = await test.run()
        assert losing.done()
    assert report.topics is not None
    assert report.topics.lags == 2


@pytest.mark.parametrize(
    "options",
    [
        {"topics": ()},
        {"endpoint": StreamEndpoint.RUN},
        {"mode": Mode.MERGE},
        {"api_key": "a\nb"},
    ],
)
def test_plans_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    plan = Plan(url=URL("http://127.0.0.1:1"), runs=(), topics=("bus:*",))
    with pytest.raises(BadPlan):
        replace(plan, **options)  # type: ignore[arg-type]


async def test_the_command_tests_topics_alone() -> None:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(tape_kind(sources))
        sources[0].open()
        app = typer.Typer()
        app.command()(loadtest)
        arguments = ["--url", bff.url, "--topics", "bus:*", "--clients", "2", "--seconds", "0.1"]
        quick = ["--ramp-up", "0", "--warm-up", "0.1", "--json", "--fps", "10"]
        # In a thread, as the command runs an event loop of its own.
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments + quick)
    # Nothing was published.
    assert result.exit_code == 1, result.output
    report = msgspec.json.decode(result.stdout)
    assert (report["runs"], report["streams"]) == (0, 0)
    assert report["topics"]["patterns"] == ["bus:*"]
