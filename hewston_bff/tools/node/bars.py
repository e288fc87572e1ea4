"""Bars of trades, as a node makes them by itself: one for each interval that had a trade."""

from hewston_bff.tools.node.instruments import Instrument
from hewston_bff.tools.node.timeline import SECOND_NS, Timeline

_FIRST = 0  # a trade at the end of an interval is of the next one


class OpenBar:
    """The trades of one instrument in an interval that is not over. Prices in ticks."""

    __slots__ = ("close", "high", "low", "open", "volume")

    def __init__(self, price: int, size: int) -> None:
        self.open = self.high = self.low = self.close = price
        self.volume = size

    def add(self, price: int, size: int) -> None:
        """Take one more trade."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size


class BarMaker:
    """Writes a bar at the end of each interval of `step_s` seconds, counted from 1970."""

    def __init__(self, timeline: Timeline, *, step_s: int, name: str) -> None:
        self._timeline = timeline
        self._name = name
        self._step_ns = step_s * SECOND_NS
        self._open: dict[Instrument, OpenBar] = {}
        self._end_ns = (timeline.now_ns // self._step_ns + 1) * self._step_ns
        timeline.at(self._end_ns, self._close, order=_FIRST)

    def trade(self, instrument: Instrument, price: int, size: int) -> None:
        """Take a trade of now."""
        bar = self._open.get(instrument)
        if bar is None:
            self._open[instrument] = OpenBar(price, size)
        else:
            bar.add(price, size)

    def _close(self) -> None:
        timeline = self._timeline
        end_ns = timeline.now_ns
        for instrument, bar in self._open.items():
            bar_type = f"{instrument.id}-{self._name}-LAST-INTERNAL"
            text = instrument.price_text
            timeline.write(
                f"data.bars.{bar_type}",
                "Bar",
                (
                    f'{{"type":"Bar","bar_type":"{bar_type}","open":"{text(bar.open)}",'
                    f'"high":"{text(bar.high)}","low":"{text(bar.low)}",'
                    f'"close":"{text(bar.close)}","volume":"{instrument.size_text(bar.volume)}",'
                    f'"ts_event":"{end_ns}","ts_init":"{end_ns}"}}'
                ).encode(),
            )
        self._open.clear()
        timeline.at(end_ns + self._step_ns, self._close, order=_FIRST)
