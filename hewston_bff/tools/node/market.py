"""Quotes and trades of some instruments: random walks, now busy, now calm."""

from collections.abc import Sequence
from random import Random

from hewston_bff.tools.node.bars import BarMaker
from hewston_bff.tools.node.instruments import Instrument
from hewston_bff.tools.node.timeline import Timeline

_BUSY_GAP_S = 0.1
_CALM_GAP_S = 0.4
_BUSY_S = 20.0
_CALM_S = 40.0
"""Means. A third of the time ten quotes a second, else two and a half: five all in all."""
_TRADES_PER_QUOTE = 0.2
_STEPS = (-2, -1, -1, 0, 0, 0, 1, 1, 2)
_PULL = 0.002
"""How much of the way back to its first price a price goes at each step."""


class InstrumentMarket:
    """One instrument: it quotes and trades by itself once it is on the timeline."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        timeline: Timeline,
        rng: Random,
        bars: Sequence[BarMaker],
    ) -> None:
        self.instrument = instrument
        self.bid = instrument.price
        self.ask = instrument.price + instrument.spread
        self._timeline = timeline
        self._rng = rng
        self._bars = bars
        self._is_busy = rng.random() < _BUSY_S / (_BUSY_S + _CALM_S)
        self._trades = 0
        # A step is of the order of a third of the spread, and of a hundredth of a percent.
        self._unit = max(1, instrument.spread // 3, instrument.price // 20_000)
        self._quotes_topic = f"data.quotes.{instrument.venue}.{instrument.symbol}"
        self._trades_topic = f"data.trades.{instrument.venue}.{instrument.symbol}"
        timeline.after(rng.random() * _CALM_GAP_S, self._quote)
        timeline.after(rng.expovariate(1 / _BUSY_S), self._turn)

    def _turn(self) -> None:
        self._is_busy = not self._is_busy
        mean_s = _BUSY_S if self._is_busy else _CALM_S
        self._timeline.after(self._rng.expovariate(1 / mean_s), self._turn)

    def _quote(self) -> None:
        rng, instrument, now_ns = self._rng, self.instrument, self._timeline.now_ns
        random = rng.random  # of all ways to draw the cheapest, for hundreds a second
        step = _STEPS[int(random() * len(_STEPS))] * (1 + int(random() * self._unit))
        pull = round((instrument.price - self.bid) * _PULL)
        # Far from zero, however it walks.
        self.bid = max(self.bid + step + pull, instrument.price // 2)
        self.ask = self.bid + instrument.spread * (1 if self._is_busy else 1 + int(random() * 2))
        price, size = instrument.price_text, instrument.size_text
        self._timeline.write(
            self._quotes_topic,
            "QuoteTick",
            (
                f'{{"type":"QuoteTick","instrument_id":"{instrument.id}",'
                f'"bid_price":"{price(self.bid)}","ask_price":"{price(self.ask)}",'
                f'"bid_size":"{size(self._size())}","ask_size":"{size(self._size())}",'
                f'"ts_event":"{now_ns}","ts_init":"{now_ns}"}}'
            ).encode(),
        )
        if random() < _TRADES_PER_QUOTE:
            self._trade()
        mean_s = _BUSY_GAP_S if self._is_busy else _CALM_GAP_S
        self._timeline.after(rng.expovariate(1 / mean_s), self._quote)

    def _trade(self) -> None:
        instrument, now_ns = self.instrument, self._timeline.now_ns
        is_buy = self._rng.random() < 0.5
        price, size = self.ask if is_buy else self.bid, self._size()
        self._trades += 1
        for bars in self._bars:
            bars.trade(instrument, price, size)
        self._timeline.write(
            self._trades_topic,
            "TradeTick",
            (
                f'{{"type":"TradeTick","instrument_id":"{instrument.id}",'
                f'"price":"{instrument.price_text(price)}","size":"{instrument.size_text(size)}",'
                f'"aggressor_side":"{"BUYER" if is_buy else "SELLER"}",'
                f'"trade_id":"T{self._trades}","ts_event":"{now_ns}","ts_init":"{now_ns}"}}'
            ).encode(),
        )

    def _size(self) -> int:
        return self.instrument.lot * (1 + int(self._rng.random() * 40))
