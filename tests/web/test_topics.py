"""Topics that carry events, over real sockets: streams, event streams and REST."""

import asyncio
import tracemalloc
from dataclasses import replace
from urllib.parse import quote

import aiohttp
import pytest
import structlog

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import ApiKeyRequired, BffError
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.source_state import SourceLink
from hewston_bff.net.clock import now_ms
from hewston_bff.ports import EventIntake, EventSource
from tests.support import Bff, is_a, stack
from tests.topics.ticker_tape import TapeSource, tape_kind
from tests.waiting import eventually, let_pass


def tape(bff: Bff, *, is_open: bool = True, **options: object) -> TapeSource:
    """A bus whose events a test publishes."""
    sources: list[TapeSource] = []
    bff.hub.events.register(tape_kind(sources, **options))  # type: ignore[arg-type]
    if is_open:
        sources[0].open()
    return sources[0]


async def test_a_socket_mixes_runs_and_topics() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff)
        await viewer.say(t="subscribe", id="run", run_id="day", speed=1000)
        await viewer.say(t="subscribe", id="bus", topic="bus:*", mode="all")
        subscribed = await viewer.until(is_a("subscribed", re="bus"))
        assert subscribed == {
            "t": "subscribed",
            "re": "bus",
            "sid": 2,
            "topic": "bus:*",
            "status": "live",
            "mode": "all",
            "max_fps": 10.0,
            "position": "0-0",
            "recovered": None,
            "matches": 0,
        }
        source.publish("quotes.A", "fills.A")
        event = await viewer.until(is_a("event", topic="bus:fills.A"))
        assert event == {
            "t": "event",
            "sid": 2,
            "topic": "bus:fills.A",
            "id": "1002-0",
            "ts": "2026-01-02T03:04:05.000000006Z",
            "type": "Tick",
            "data": {"value": 1},
            "n": 1,
        }
        await viewer.until(is_a("frame", sid=1))
        await viewer.say(t="unsubscribe", id="off", sid=2)
        await viewer.until(is_a("unsubscribed", re="off"))
        source.publish("fills.A")
        await viewer.until(is_a("end", sid=1))
        assert len(viewer.of("event")) == 2


@pytest.mark.parametrize(
    ("members", "code", "word"),
    [
        ({"topic": "job:1"}, "FEATURE_DISABLED", "job"),
        ({"topic": "bus:"}, "VALIDATION", "topic"),
        ({"topic": "bus:a\\"}, "VALIDATION", "backslash"),
        ({"topic": "bus:a", "from": "yesterday"}, "VALIDATION", "from"),
        ({"topic": "bus:a", "resume": {"id": "9f2c:4"}}, "VALIDATION", "resume.id"),
        ({"topic": "bus:a", "resume": {"epoch": "9f2c", "seq": 1}}, "VALIDATION", "id"),
        ({"topic": "bus:a", "mode": "merge"}, "VALIDATION", "mode"),
        ({"topic": "bus:a", "max_fps": 0}, "VALIDATION", "max_fps"),
        ({"topic": "bus:" + "a" * 700}, "VALIDATION", "topic"),
    ],
)
async def test_bad_subscriptions_are_refused_by_name(
    members: dict[str, object], code: str, word: str
) -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        tape(bff)
        await viewer.say(t="subscribe", id=1, **members)
        error = await viewer.until(is_a("err", re=1))
        assert error["code"] == code
        assert word in error["msg"]
        await viewer.say(t="subscribe", id=2, topic="bus:fine")
        await viewer.until(is_a("subscribed", re=2))


async def test_a_pattern_that_matches_too_much_is_served_and_told() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff)
        source.publish(*(f"quotes.{i}" for i in range(8)))
        await viewer.say(t="subscribe", topic="bus:*")
        subscribed = await viewer.until(is_a("subscribed"))
        assert (subscribed["matches"], subscribed["broad"]) == (8, True)
        await viewer.until(is_a("event", topic="bus:quotes.7"))
        assert len(viewer.of("event")) == 8


async def test_what_happens_to_the_source_is_told_once_to_each_client() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, is_open=False)
        for topic in ("bus:a", "bus:b"):
            await viewer.say(t="subscribe", topic=topic, **{"from": "live"})
            subscribed = await viewer.until(is_a("subscribed", topic=topic))
            assert subscribed["status"] == "buffering"
            assert subscribed["position"] is None
        source.open()
        await viewer.until(is_a("state", sid=2, status="live"))
        for attempt in (1, 2):
            source.intake.link(SourceLink("retrying", attempt, retry_in_ms=700))
        await viewer.until(is_a("source", status="retrying", attempt=2, retry_in_ms=700))
        source.intake.link(SourceLink("silent", heartbeat_age_ms=9_000))
        await viewer.until(is_a("source", status="silent", heartbeat_age_ms=9_000))
        source.intake.link(SourceLink("silent", heartbeat_age_ms=14_000))
        await viewer.until(is_a("source", status="silent", heartbeat_age_ms=14_000))
        assert len([m for m in viewer.of("source") if m["status"] == "up"]) == 1


async def test_history_comes_before_what_is_held_and_what_was_trimmed_is_named() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, is_open=False)
        for value in range(20):
            source.write("fills.A", value)
        source.trim(5)
        source.open(held=4)
        await viewer.say(t="subscribe", id=1, topic="bus:*", mode="all", **{"from": "start"})
        await viewer.until(is_a("event", id="1020-0"))
        assert [m["data"]["value"] for m in viewer.of("event")] == list(range(5, 20))
        assert not viewer.of("lag")
        await viewer.until(is_a("state", status="live"))
        await viewer.say(t="subscribe", id=2, topic="bus:*", mode="all", resume={"id": "1002-0"})
        lag = await viewer.until(is_a("lag", sid=2))
        assert (lag["after"], lag["until"], lag["reason"]) == ("1002-0", "1005-0", "trimmed")
        assert (await viewer.until(is_a("state", sid=2)))["recovered"] is False
        await viewer.until(is_a("event", sid=2, id="1020-0"))
        seen = [m["data"]["value"] for m in viewer.of("event") if m["sid"] == 2]
        assert seen == list(range(5, 20))


async def test_a_source_that_cannot_be_asked_is_asked_again() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff, is_open=False)
        for value in range(6):
            source.write("fills.A", value)
        source.open(held=1)
        source.is_reachable = False
        await viewer.say(t="subscribe", topic="bus:*", mode="all", **{"from": "1001-0"})
        await viewer.until(is_a("subscribed", status="playing"))
        source.is_reachable = True
        await viewer.until(is_a("event", id="1006-0"))
        assert [m["id"] for m in viewer.of("event")] == [f"{i}-0" for i in range(1002, 1007)]


async def test_a_withdrawn_key_ends_its_subscriptions_and_a_client_with_nothing_else() -> None:
    keys = {"good"}

    def refusal(caller: ApiCaller) -> BffError | None:
        return None if caller.key in keys else ApiKeyRequired("another key, please")

    async with stack() as (bff, _, _):
        source = tape(bff, refusal=refusal)
        headers = {"X-API-Key": "good"}
        async with bff.viewer() as stranger, bff.viewer(headers=headers) as one:
            await stranger.say(t="subscribe", id=1, topic="bus:*")
            assert (await stranger.until(is_a("err", re=1)))["code"] == "UNAUTHORIZED"
            async with bff.viewer(headers=headers) as other:
                await one.say(t="subscribe", topic="bus:*")
                await one.until(is_a("subscribed"))
                await other.say(t="subscribe", topic="bus:*")
                await other.say(t="subscribe", run_id="day")
                await other.until(is_a("subscribed", run_id="day"))
                keys.clear()
                bff.hub.events.check_callers()
                assert (await one.until(is_a("err", sid=1)))["code"] == "UNAUTHORIZED"
                assert await one.until_closed() == 4401
                await other.until(is_a("err", sid=1, code="UNAUTHORIZED"))
                source.publish("fills.A")
                await other.until(is_a("frame", sid=2))
                assert not other.of("event")


# -- event streams and REST


async def read_events(response: aiohttp.ClientResponse, count: int) -> list[dict[str, str]]:
    """The next events of a stream, each with its fields."""
    found: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    while len(found) < count:
        line = (await response.content.readline()).decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            found.append(fields)
            fields = {}
        else:
            fields = {}
    return found


async def test_an_event_stream_has_the_ids_of_the_entries_and_resumes_by_them() -> None:
    async with stack() as (bff, _, _):
        source = tape(bff)
        source.publish("data.PeerGauge*", "quotes.SIM.AUD/USD", "fills.A")
        topic = quote("bus:*.SIM.AUD/USD", safe="")
        async with bff.session.get(f"{bff.url}/api/v1/topics/{topic}/events") as response:
            assert response.status == 200
            (event,) = await read_events(response, 1)
            assert (event["event"], event["id"]) == ("event", "1002-0")
        path = f"{bff.url}/api/v1/topics/bus:*/events?mode=all"
        headers = {"Last-Event-ID": "1001-0"}
        async with bff.session.get(path, headers=headers) as response:
            assert [e["id"] for e in await read_events(response, 2)] == ["1002-0", "1003-0"]
        literal = quote("bus:data.PeerGauge\\*", safe="")
        async with bff.session.get(f"{bff.url}/api/v1/topics/{literal}/events") as response:
            (event,) = await read_events(response, 1)
            assert event["id"] == "1001-0"


async def test_many_event_streams_carry_topics_too() -> None:
    async with stack() as (bff, _, _):
        source = tape(bff)
        source.publish("fills.A")
        subscribe = quote('{"topic":"bus:*","mode":"latest"}')
        async with bff.session.get(f"{bff.url}/api/v1/events?subscribe={subscribe}") as response:
            events = await read_events(response, 3)
            assert [e["event"] for e in events] == ["hello", "subscribed", "event"]


async def test_topics_are_listed_with_what_is_known_of_them() -> None:
    async with stack() as (bff, _, _):
        source = tape(bff)
        source.publish("quotes.A", "fills.A", "quotes.A", "data.PeerGauge*")
        page = await bff.get("/api/v1/topics?match=bus:*")
        assert [row["topic"] for row in page["topics"]] == [
            *("bus:data.PeerGauge*", "bus:quotes.A", "bus:fills.A")
        ]
        quotes = page["topics"][1]
        assert (quotes["class"], quotes["events"], quotes["last_id"]) == ("latest", 2, "1003-0")
        assert quotes["rate_per_s"] > 0
        assert page["total"] == 3
        everything = await bff.get("/api/v1/topics")
        assert [row["last_id"] for row in everything["topics"]] == ["1004-0", "1003-0", "1002-0"]
        page = await bff.get("/api/v1/topics?match=bus:*&limit=1")
        assert (len(page["topics"]), page["total"]) == (1, 3)
        last = await bff.get("/api/v1/topics/bus:quotes.A/last")
        assert (last["id"], last["data"]) == ("1003-0", {"value": 2})
        assert (await bff.get("/api/v1/features"))["topics"] == ["bus"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/topics?match=bus:*&limit=0", 422, "VALIDATION"),
        ("/api/v1/topics?match=run:*", 422, "VALIDATION"),
        ("/api/v1/topics?match=job:*", 503, "FEATURE_DISABLED"),
        ("/api/v1/topics?match=bus:", 422, "VALIDATION"),
        ("/api/v1/topics/bus:nobody/last", 404, "NO_DATA"),
        ("/api/v1/topics/nothing/last", 422, "VALIDATION"),
        ("/api/v1/topics/bus:a/events?from=x", 422, "VALIDATION"),
        ("/api/v1/topics/bus:a/events?mode=merge", 422, "VALIDATION"),
        ("/api/v1/topics/bus:a/events?max_fps=a", 422, "VALIDATION"),
    ],
)
async def test_bad_requests_say_what_is_wrong(path: str, status: int, code: str) -> None:
    async with stack() as (bff, _, _):
        tape(bff)
        async with bff.session.get(bff.url + path) as response:
            assert response.status == status
            assert (await response.json())["error"]["code"] == code


async def test_a_slow_reader_gets_wider_merges_and_the_others_notice_nothing() -> None:
    async with stack() as (bff, _, _), bff.viewer() as quick:
        source = tape(bff, ring_bytes=1 << 26)
        await quick.say(t="subscribe", topic="bus:quotes.*", mode="latest", max_fps=60)
        await quick.until(is_a("subscribed"))
        async with bff.session.ws_connect(f"{bff.url}/api/v1/stream", max_msg_size=0) as slow:
            await slow.send_json({"t": "subscribe", "topic": "bus:*", "mode": "all"})
            await eventually(lambda: sum(len(c.listeners) for c in bff.hub.events) == 2)
            big = '{"value":0,"pad":"' + "x" * 20_000 + '"}'
            for _ in range(500):
                source.intake.publish([source.write("fills.A", big), source.write("quotes.A")])
                await asyncio.sleep(0)
            await quick.until(is_a("event", id=str(source.published[-1].id)))
            ids = []
            async for message in slow:
                event = message.json()
                if event["t"] == "event":
                    ids.append(event["id"])
                assert event["t"] != "lag"
                if event.get("id") == str(source.published[-1].id):
                    break
            assert ids == [str(event.id) for event in source.published]
        assert sum(m["n"] for m in quick.of("event")) == 500


def test_an_event_is_sent_as_it_was_published() -> None:
    event = Event(
        'bus:a"b', EntryId(5, 1), "2026-01-01T00:00:00Z", "Type", b'{"a": [1, "\\u00e9"]}'
    )
    before = event.data
    assert event.tail == (
        b'"topic":"bus:a\\"b","id":"5-1","ts":"2026-01-01T00:00:00Z","type":"Type",'
        b'"data":{"a": [1, "\\u00e9"]}'
    )
    assert event.data == before == b'{"a": [1, "\\u00e9"]}'


def test_an_event_takes_what_it_says_in_memory_sent_or_not() -> None:
    tracemalloc.start()
    events = [
        Event(f"bus:t.{i % 50}", EntryId(1 << 40, i), f"2026-01-01T00:00:00.{i:09}Z", "T", _data(i))
        for i in range(2_000)
    ]
    claimed = sum(event.size_bytes for event in events)
    assert tracemalloc.get_traced_memory()[0] < claimed * 1.05
    assert all(event.tail for event in events)
    assert tracemalloc.get_traced_memory()[0] < claimed * 1.05
    tracemalloc.stop()


def _data(number: int) -> bytes:
    return b'{"value":%d,"pad":"%b"}' % (number, b"x" * 2_000)


async def test_the_list_has_what_its_caller_may_read() -> None:
    async with stack() as (bff, _, _):
        assert await bff.get("/api/v1/topics") == {"topics": [], "total": 0}
        tape(bff).publish("a")
        secret = tape(bff, name="job", refusal=lambda _: ApiKeyRequired("a key, please"))
        secret.intake.publish([secret.write("7", kind="job")])
        page = await bff.get("/api/v1/topics")
        assert [row["topic"] for row in page["topics"]] == ["bus:a"]
        async with bff.session.get(f"{bff.url}/api/v1/topics?match=job:*") as response:
            assert response.status == 401


async def test_a_source_that_crashes_is_run_again_and_nothing_else_suffers() -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        sources: list[TapeSource] = []
        kind = tape_kind(sources)

        def open_source(intake: EventIntake) -> EventSource:
            source = kind.open(intake)
            sources[0].crashes = 1
            return source

        with structlog.testing.capture_logs() as logs:
            bff.hub.events.register(replace(kind, open=open_source))
            await viewer.say(t="subscribe", topic="bus:*")
            await viewer.until(is_a("source", status="retrying", attempt=1, retry_in_ms=1_000))
            await viewer.say(t="subscribe", run_id="day")
            await viewer.until(is_a("frame"))
            await let_pass(2.0, bff.hub.ticker)
        assert sources[0].runs == 2
        assert [log["event"] for log in logs if "crashed" in log["event"]] == ["source.crashed"]
        sources[0].open()
        sources[0].publish("fills.A")
        await viewer.until(is_a("event", topic="bus:fills.A"))


@pytest.mark.parametrize("ahead_ms", [60_000, 1 << 60])
async def test_an_id_from_the_future_is_no_reason_to_be_silent(ahead_ms: int) -> None:
    async with stack() as (bff, _, _), bff.viewer() as viewer:
        source = tape(bff)
        later = f"{now_ms() + ahead_ms}-0"
        await viewer.say(t="subscribe", id=1, topic="bus:*", mode="all", resume={"id": later})
        assert (await viewer.until(is_a("subscribed", re=1)))["recovered"] is False
        await viewer.say(t="subscribe", id=2, topic="bus:*", mode="all", **{"from": later})
        await viewer.until(is_a("subscribed", re=2))
        source.publish("fills.A")
        for sid in (1, 2):
            await viewer.until(is_a("event", sid=sid))
