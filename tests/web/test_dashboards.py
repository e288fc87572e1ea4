"""Sockets of older frontends, which say and hear what they always did."""

import aiohttp
import msgspec
import pytest

from hewston_bff.errors import ApiKeyRequired
from hewston_bff.events.event import EntryId, Event
from hewston_bff.protocol.dashboard_messages import MAX_TEXT
from tests.support import stack
from tests.topics.ticker_tape import TapeSource, tape_kind


def sources_of(bff: object, *kinds: str) -> list[TapeSource]:
    """Kinds whose events a test publishes."""
    sources: list[TapeSource] = []
    for kind in kinds:
        bff.hub.events.register(tape_kind(sources, name=kind))  # type: ignore[attr-defined]
        sources[-1].open()
    return sources


@pytest.mark.parametrize(
    ("path", "greeting"),
    [
        ("/ws", "Connected to Nautilus Trader API"),
        ("/ws/realtime", "Connected to Nautilus Trader Real-time API"),
    ],
)
async def test_a_dashboard_is_greeted_and_gets_every_event(path: str, greeting: str) -> None:
    async with stack() as (bff, _, _):
        (bus,) = sources_of(bff, "bus")
        bus.publish("quotes.A")
        async with bff.session.ws_connect(bff.url + path) as ws:
            assert await ws.receive_json() == {
                "type": "connection",
                "status": "connected",
                "message": greeting,
            }
            bus.publish("quotes.SIM.AUD/USD", "fills.A")
            first, second = await ws.receive_json(), await ws.receive_json()
            assert first == {
                "type": "messagebus",
                "topic": "quotes.SIM.AUD/USD",
                "payload": {"value": 1},
                "timestamp": 1_767_323_045_000_000_006,
                "message_type": "Tick",
            }
            assert second["topic"] == "fills.A"
            untyped = Event("bus:x", EntryId(9_000, 0), "2026-01-02T03:04:05Z", "", b"null")
            bus.intake.publish([untyped])
            assert (await ws.receive_json())["message_type"]


async def test_a_dashboard_is_answered_where_it_expects_it_and_never_thrown_out() -> None:
    async with stack() as (bff, _, _):
        (bus,) = sources_of(bff, "bus")
        async with bff.session.ws_connect(bff.url + "/ws") as ws:
            await ws.receive_json()
            for text in ["{", "no json", "\ud83d"[:0] + "[1,", "x" * (MAX_TEXT + 1)]:
                await ws.send_str(text)
                error = await ws.receive_json()
                assert error["type"] == "error"
                assert error["message"]
            for ignored in ['{"type":"subscribe","topic":"x"}', "7", "[]", '{"ping":1}']:
                await ws.send_str(ignored)
            await ws.send_str('{"type":"ping"}')
            assert await ws.receive_json() == {"type": "pong"}
            bus.publish("fills.A")
            assert (await ws.receive_json())["topic"] == "fills.A"


async def test_the_events_page_gets_changes_by_what_they_are_about() -> None:
    async with stack() as (bff, _, _):
        bus, job, system = sources_of(bff, "bus", "job", "system")
        system.intake.publish([system.write("status", 1, kind="system")])
        async with bff.session.ws_connect(bff.url + "/ws?dialect=events") as ws:
            assert await ws.receive_json() == {"type": "system_status", "data": {"value": 1}}
            bus.publish(
                "other", "signals.A", "data.quotes.X", "fills.A", "data.trades.X", "ticks:g"
            )
            job.intake.publish([job.write("7", 5, kind="job")])
            found = [await ws.receive_json() for _ in range(5)]
            assert [(m["type"], m["data"]["value"]) for m in found] == [
                ("trading_signals", 1),
                ("market_data", 2),
                ("market_data", 4),
                ("market_data", 5),
                ("job_updates", 5),
            ]


async def test_without_a_bus_and_without_an_upgrade_the_refusal_says_why() -> None:
    async with stack() as (bff, _, _):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await bff.session.ws_connect(bff.url + "/ws")
        assert refused.value.status == 503
        sources_of(bff, "bus")
        async with bff.session.get(bff.url + "/ws") as response:
            assert response.status == 422
            body = msgspec.json.decode(await response.read())
            assert "WebSocket" in body["error"]["message"]
        origin = {"Origin": "https://evil.example"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await bff.session.ws_connect(bff.url + "/ws", headers=origin)
        assert refused.value.status == 403


async def test_the_events_page_gets_what_its_key_is_good_for() -> None:
    async with stack() as (bff, _, _):
        sources: list[TapeSource] = []
        refused = ApiKeyRequired("another key, please")
        bff.hub.events.register(tape_kind(sources, name="job", refusal=lambda _: refused))
        with pytest.raises(aiohttp.WSServerHandshakeError) as handshake:
            await bff.session.ws_connect(bff.url + "/ws?dialect=events")
        assert handshake.value.status == 401
        bff.hub.events.register(tape_kind(sources))
        for source in sources:
            source.open()
        async with bff.session.ws_connect(bff.url + "/ws?dialect=events") as ws:
            sources[0].intake.publish([sources[0].write("7", kind="job")])
            sources[1].publish("signals.A")
            assert (await ws.receive_json())["type"] == "trading_signals"
