"""Topics in the browser client, in Node against the real server."""

from collections.abc import Callable
from typing import Any

import pytest

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import ApiKeyRequired, BffError
from hewston_bff.events.event import Event
from hewston_bff.protocol.close_codes import CloseCode
from hewston_bff.tools.simulator import SimulatedBackend, generated_run
from tests.console.relays import Proxy, random_cuts
from tests.console.support import NodeClient, free_port, in_node, node_client
from tests.support import QUICK, Bff, serving, stack
from tests.topics.ticker_tape import TapeSource, tape_kind

DAY = generated_run("day")
ALL = {"mode": "all"}


def tape(bff: Bff, *, name: str = "bus", is_open: bool = True, **options: object) -> TapeSource:
    """A kind of topics whose events a test publishes."""
    sources: list[TapeSource] = []
    bff.hub.events.register(tape_kind(sources, name=name, **options))  # type: ignore[arg-type]
    if is_open:
        sources[0].open()
    return sources[0]


def ids(client: NodeClient, topic: str = "bus:*") -> list[str]:
    """The ids of the events that came, in order."""
    return [line[3] for line in client.of("event", run=topic)]


async def live(client: NodeClient, topic: str = "bus:*") -> None:
    """Wait until all that was there has come."""
    await client.until(lambda line: line[:2] == [topic, "status"] and line[2]["status"] == "live")


async def seen_id(client: NodeClient, entry_id: object) -> None:
    """Wait for the event of this entry, unless it came before."""
    await client.seen(lambda line: line[1] == "event" and line[3] == str(entry_id))


async def source_is(client: NodeClient, topic: str, status: str) -> None:
    """Wait for this news of the source."""
    await client.seen(lambda line: line[:2] == [topic, "source"] and line[2]["status"] == status)


def named(source: TapeSource) -> list[str]:
    """The ids of all that was published."""
    return [str(event.id) for event in source.published]


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_a_connection_mixes_runs_and_topics(transport: str) -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        source.publish("quotes.A", "quotes.B", "fills.A", "quotes.A")
        topics = {"bus:quotes.*": {}, "bus:fills.*": {"from": "start"}}
        wanted = {"day": {"mode": "all", "speed": 0}}
        async with node_client(bff.url, wanted, topics=topics, transport=transport) as client:
            await client.event("end", run="day")
            await client.seen(lambda line: line[:3] == ["bus:fills.*", "event", "bus:fills.A"])
            await client.seen(lambda line: line[:4] == ["bus:quotes.*", "event", *LAST_QUOTE])
            # The newest of each, the oldest of these first.
            assert ids(client, "bus:quotes.*") == ["1002-0", "1004-0"]
            assert ids(client, "bus:fills.*") == ["1003-0"]
            assert (await bff.totals())["active_connections"] == 1
            state = next(s for s in client.of("status", run="bus:quotes.*") if s[2]["mode"])[2]
            assert (state["mode"], state["fps"], state["matches"]) == ("latest", 10, 2)


LAST_QUOTE = ["bus:quotes.A", "1004-0"]


async def test_latest_says_how_many_each_event_stands_for() -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        async with node_client(bff.url, {}, topics={"bus:*": {"fps": 60}}) as client:
            await live(client)
            for _ in range(40):
                source.publish("quotes.A", "fills.A", "quotes.A")
            source.publish("last")
            await client.until(lambda line: line[1:3] == ["event", "bus:last"])
            counts = {"bus:quotes.A": 0, "bus:fills.A": 0, "bus:last": 0}
            for line in client.of("event"):
                counts[line[2]] += line[5]
            assert counts == {"bus:quotes.A": 80, "bus:fills.A": 40, "bus:last": 1}
            assert len(client.of("event")) < 121


async def _flow(
    source: TapeSource, client: NodeClient, *, batches: int, went_on: Callable[[], bool]
) -> None:
    """Publish, each batch once the last has come, until it went on so long and that often."""
    count = 0
    while count < batches or not went_on():
        source.publish("quotes.A", "fills.A", "fills.B")
        await seen_id(client, source.published[-1].id)
        count += 1


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_every_event_comes_once_through_random_cuts(transport: str) -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        cuts = random_cuts(seed=7, count=25, most_bytes=3_000)
        async with Proxy(bff.port, cuts).running() as proxy:
            topics = {"bus:*": ALL}
            async with node_client(proxy.url, {}, topics=topics, transport=transport) as client:
                await live(client)
                await _flow(source, client, batches=50, went_on=lambda: proxy.cuts >= 12)
                assert ids(client) == named(source)
                assert not client.of("lag")
                assert not client.of("error")


async def test_in_latest_what_is_not_merged_comes_once_through_cuts() -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        cuts = random_cuts(seed=3, count=20, most_bytes=3_000)
        async with Proxy(bff.port, cuts).running() as proxy:
            topics = {"bus:*": {"mode": "latest", "fps": 60}}
            async with node_client(proxy.url, {}, topics=topics, transport="websocket") as client:
                await live(client)
                await _flow(source, client, batches=30, went_on=lambda: proxy.cuts >= 6)
                came = [(line[2], line[3]) for line in client.of("event")]
                fills = [(e.topic, str(e.id)) for e in source.published if "fills" in e.topic]
                assert [one for one in came if "fills" in one[0]] == fills
                quotes = [entry_id for topic, entry_id in came if topic == "bus:quotes.A"]
                assert len(set(quotes)) == len(quotes)
                assert quotes[-1] == str(source.published[-3].id)


async def test_where_nothing_came_yet_nothing_is_lost_by_a_cut() -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        source.publish("fills.A", "fills.A")
        async with node_client(bff.url, {}, topics={"bus:*": ALL}) as client:
            await live(client)
            (listener,) = bff.hub.events.get("bus").listeners
            listener.sink.end(CloseCode.GOING_AWAY, "come back")
            source.publish("fills.A", "quotes.A")
            await seen_id(client, "1004-0")
            assert ids(client) == ["1003-0", "1004-0"]


def _continued(bff: Bff, events: list[Event], *, held: int) -> TapeSource:
    """The source of a server that was started again: Redis has all that was written."""
    source = tape(bff, is_open=False)
    for event in events:
        source.write(event.topic.partition(":")[2], event.data.decode())
    source.open(held=held)
    return source


async def test_every_event_comes_once_through_restarts_of_the_server() -> None:
    backend, port = SimulatedBackend([DAY], options=QUICK), free_port()
    written: list[Event] = []
    async with backend.running() as running:
        url = f"http://127.0.0.1:{port}"
        async with node_client(url, {}, topics={"bus:*": ALL}) as client:
            for round_ in range(3):
                async with serving(running.url, port=port, bff_ws_close_seconds=0.1) as bff:
                    source = _continued(bff, written, held=4)
                    await live(client)
                    for _ in range(10):
                        source.publish("fills.A", "quotes.A")
                    if round_ == 2:
                        await seen_id(client, source.published[-1].id)
                    written = source.published
                    # What is written while nobody serves.
                    if round_ < 2:
                        source.write("fills.A", len(written))
            assert ids(client) == [str(event.id) for event in written]
            assert not client.of("lag")
            recovered = [s[2]["recovered"] for s in client.of("status", run="bus:*")]
            assert recovered[-1] is True


async def test_what_was_trimmed_meanwhile_is_named_once() -> None:
    backend, port = SimulatedBackend([DAY], options=QUICK), free_port()
    async with backend.running() as running:
        url = f"http://127.0.0.1:{port}"
        async with node_client(url, {}, topics={"bus:*": ALL}) as client:
            async with serving(running.url, port=port, bff_ws_close_seconds=0.1) as bff:
                source = tape(bff)
                await live(client)
                source.publish("fills.A", "fills.A")
                await seen_id(client, "1002-0")
            written = source.published
            async with serving(running.url, port=port, bff_ws_close_seconds=0.1) as bff:
                source = tape(bff, is_open=False)
                for event in written:
                    source.write("fills.A", event.data.decode())
                for value in range(8):
                    source.write("fills.A", value)
                source.trim(5)
                source.open(held=2)
                await seen_id(client, "1010-0")
            lost = [line[2] for line in client.of("lag")]
            assert [(lag["after"], lag["until"]) for lag in lost] == [("1002-0", "1005-0")]
            assert lost[0]["reason"] == "trimmed"
            assert ids(client) == ["1001-0", "1002-0", *(f"{n}-0" for n in range(1006, 1011))]


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_a_topic_is_paused_played_on_and_brought_up_to_date(transport: str) -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        topics = {"bus:*": ALL}
        async with node_client(bff.url, {}, topics=topics, transport=transport) as client:
            await live(client)
            source.publish("fills.A")
            await client.event("event")
            assert (await client.call("bus:*", "pause"))[3]["status"] == "paused"
            source.publish("fills.A", "fills.B")
            await client.call("bus:*", "play")
            await seen_id(client, "1003-0")
            await client.call("bus:*", "pause")
            source.publish("fills.A", "fills.B")
            assert (await client.call("bus:*", "live"))[3]["status"] == "live"
            source.publish("fills.C")
            await seen_id(client, "1006-0")
            assert ids(client) == ["1001-0", "1002-0", "1003-0", "1006-0"]


async def test_what_is_told_of_the_source_reaches_every_subscription() -> None:
    async with stack(DAY) as (bff, _, _):
        tape(bff, is_open=False)
        topics: dict[str, Any] = {"bus:a": {}, "bus:b": {}}
        async with node_client(bff.url, {}, topics=topics) as client:
            for topic in topics:
                await source_is(client, topic, "connecting")


async def test_a_topic_of_a_kind_that_is_off_fails_and_the_others_go_on() -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        async with node_client(bff.url, {}, topics={"job:*": {}, "bus:*": ALL}) as client:
            assert (await client.event("error", run="job:*"))[2] == "FEATURE_DISABLED"
            await client.seen(
                lambda line: line[:2] == ["bus:*", "status"] and line[2]["status"] == "live"
            )
            source.publish("fills.A")
            await client.event("event", run="bus:*")


async def test_on_the_backends_own_path_a_topic_waits_and_says_so() -> None:
    async with stack(DAY) as (bff, _, _):
        tape(bff)
        topics: dict[str, Any] = {"bus:*": {}}
        async with node_client(bff.url, {"day": {}}, topics=topics, transport="backend") as client:
            assert (await client.event("error", run="bus:*"))[2] == "OFFLINE"
            await client.frames(1)


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_an_api_key_opens_topics_and_its_withdrawal_ends_them(transport: str) -> None:
    keys = {"sesame"}

    def refusal(caller: ApiCaller) -> BffError | None:
        return None if caller.key in keys else ApiKeyRequired("a key is needed")

    async with stack(DAY) as (bff, backend, _):
        source = tape(bff, refusal=refusal)
        options = {"transport": transport, "token": "viewer"}
        topics = {"bus:*": ALL}
        for wrong in ({}, {"apiKey": "other"}):
            async with node_client(bff.url, {}, topics=topics, **options, **wrong) as client:
                assert (await client.event("error", run="bus:*"))[2] == "UNAUTHORIZED"
        run = {"day": {"speed": 1}}
        async with node_client(bff.url, run, topics=topics, apiKey="sesame", **options) as client:
            await live(client)
            source.publish("fills.A")
            await client.event("event")
            assert (await client.call(None, "rest.topics", "bus:*"))[3]["total"] == 1
            last = (await client.call(None, "rest.lastEvent", "bus:fills.A"))[3]
            assert (last["id"], last["data"]) == ("1001-0", {"value": 0})
            keys.clear()
            bff.hub.events.check_callers()
            assert (await client.event("error", run="bus:*"))[2] == "UNAUTHORIZED"
            await client.frames(1)
        # The run's backend sees the viewer's token, and nothing of the key.
        assert set(backend.stats().authorizations("day")) == {"Bearer viewer"}


async def test_rest_names_the_kinds_and_lists_topics() -> None:
    async with stack(DAY) as (bff, _, _):
        source = tape(bff)
        source.publish("data.PeerGauge*", "a/b", "a/b")
        async with node_client(bff.url, {}) as client:
            kinds = (await client.call(None, "rest.topicKinds"))[3]
            assert kinds == {"topics": ["bus"], "simulated": []}
            page = (await client.call(None, "rest.topics", "bus:a*", {"limit": 5}))[3]
            assert [row["topic"] for row in page["topics"]] == ["bus:a/b"]
            assert page["topics"][0]["events"] == 2
            last = (await client.call(None, "rest.lastEvent", "bus:data.PeerGauge*"))[3]
            assert last["topic"] == "bus:data.PeerGauge*"
            refused = await client.call(None, "rest.topics", "job:*")
            assert refused[1:4] == ["refused", "rest.topics", "FEATURE_DISABLED"]


@pytest.mark.parametrize(
    ("a", "b", "sign"),
    [
        ("999-0", "1000-0", -1),
        ("1000-9", "1000-10", -1),
        ("18446744073709551615-1", "18446744073709551614-2", 1),
        ("1-1", "1-1", 0),
    ],
)
def test_ids_of_entries_are_compared_by_number(a: str, b: str, sign: int) -> None:
    modules = {"compareEntryIds": "client/entry-id.js"}
    assert in_node(f"return compareEntryIds('{a}', '{b}');", modules=modules) == sign


def test_the_servers_clock_is_taken_from_the_quickest_answer() -> None:
    script = """
      const real = Date.now;
      Date.now = () => 1_000_000;
      const clock = new ServerClock(), told = [clock.now()];
      for (const [serverMs, tripMs] of [[1_005_000, Infinity], [1_007_000, 40], [1_009_000, 90], [1_003_000, 10]]) {
        clock.heard(serverMs, tripMs);
        told.push(clock.now());
      }
      Date.now = real;
      return told;"""
    told = in_node(script, modules={"ServerClock": "client/server-clock.js"})
    assert told == [1_000_000, 1_005_000, 1_007_020, 1_007_020, 1_003_005]
