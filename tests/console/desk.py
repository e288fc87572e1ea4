"""A trading node's bus for tests of the console: what it publishes is the truth to compare with."""

import time
from dataclasses import dataclass, replace

import msgspec

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import ApiKeyRequired, BffError
from hewston_bff.events.event import EntryId, Event
from tests.support import Bff
from tests.topics.ticker_tape import TapeSource, tape_kind

TS = "2026-11-25T03:49:59.763648351Z"


@dataclass
class Desk:
    """The bus of one server. Entries have the time of now, as Redis would give them."""

    source: TapeSource
    keys: set[str]
    _count: int = 0

    def event(self, topic: str, kind: str, age_ms: int = 0, **data: object) -> Event:
        """An event that was written `age_ms` ago."""
        self._count += 1
        entry_id = EntryId(time.time_ns() // 1_000_000 - age_ms, self._count)
        body = msgspec.json.encode({"type": kind, **data})
        return Event(f"bus:{topic}", entry_id, TS, kind, body)

    def quote(
        self, symbol: str, bid: object, ask: object, *, age_ms: int = 0, venue: str = "SIM"
    ) -> None:
        """One quote, in a node's own form."""
        prices = {"bid_price": bid, "ask_price": ask, "bid_size": "4200000", "ask_size": "400000"}
        topic = f"data.quotes.{venue}.{symbol}"
        instrument = f"{symbol}.{venue}"
        event = self.event(topic, "QuoteTick", age_ms, instrument_id=instrument, **prices)
        self.source.intake.publish([event])

    def fill(self, number: int, *, age_ms: int = 0) -> Event:
        """One fill."""
        event = self.event(
            "events.fills.AUD/USD.SIM",
            "OrderFilled",
            age_ms,
            instrument_id="AUD/USD.SIM",
            order_side="BUY",
            last_qty=str(number),
            last_px="0.65002",
        )
        self.source.intake.publish([event])
        return event


def desk(bff: Bff, *, is_simulated: bool = False, keys: set[str] | None = None) -> Desk:
    """Give the server a bus. With `keys` only who has one of them may read it."""
    held = {""} if keys is None else keys

    def refusal(caller: ApiCaller) -> BffError | None:
        is_let = keys is None or caller.key in held
        return None if is_let else ApiKeyRequired("send an API key with scope `bus`")

    sources: list[TapeSource] = []
    kind = tape_kind(sources, mergeable=("data.",), refusal=refusal, ring_bytes=1 << 24)
    bff.hub.events.register(replace(kind, is_simulated=is_simulated, broad=100_000))
    sources[0].open()
    return Desk(sources[0], held)
