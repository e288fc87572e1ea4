"""What is traded on the simulated venues."""

from typing import Final, NamedTuple


class Instrument(NamedTuple):
    """Prices are whole ticks of 10^-`decimals`; sizes whole units of 10^-`size_decimals`."""

    symbol: str
    venue: str
    currency: str
    """Which prices are in."""
    decimals: int
    price: int
    """Where its price starts, and comes back to in the long run."""
    spread: int
    size_decimals: int
    lot: int
    """The least that is traded."""

    @property
    def id(self) -> str:
        """As payloads have it."""
        return f"{self.symbol}.{self.venue}"

    def price_text(self, ticks: int) -> str:
        """A price as payloads have it."""
        return fixed(ticks, self.decimals)

    def size_text(self, units: int) -> str:
        """A size as payloads have it."""
        return fixed(units, self.size_decimals)


def fixed(value: int, decimals: int) -> str:
    """`value` × 10^-`decimals` as text with so many decimals. It is not negative."""
    if not decimals:
        return str(value)
    whole, rest = divmod(value, 10**decimals)
    return f"{whole}.{rest:0{decimals}}"


def _pair(symbol: str, price: float, *, decimals: int = 5, spread: int = 2) -> Instrument:
    ticks = round(price * 10**decimals)
    return Instrument(symbol, "SIM", symbol[4:], decimals, ticks, spread, 0, 10_000)


def _coin(symbol: str, price: float, *, decimals: int, lot: int) -> Instrument:
    ticks = round(price * 10**decimals)
    return Instrument(symbol, "BINANCE", "USDT", decimals, ticks, 1, 3, lot)


def _share(symbol: str, price: float) -> Instrument:
    return Instrument(symbol, "XNAS", "USD", 2, round(price * 100), 2, 0, 10)


INSTRUMENTS: Final = (
    _pair("EUR/USD", 1.0842),
    _pair("GBP/USD", 1.2653),
    _pair("AUD/USD", 0.6512),
    _pair("NZD/USD", 0.5894),
    _pair("USD/JPY", 154.21, decimals=3),
    _pair("USD/CHF", 0.8846),
    _pair("USD/CAD", 1.3979),
    _pair("EUR/GBP", 0.8568),
    _pair("EUR/JPY", 167.19, decimals=3),
    _pair("EUR/CHF", 0.9591, spread=3),
    _pair("GBP/JPY", 195.12, decimals=3, spread=4),
    _pair("AUD/JPY", 100.42, decimals=3, spread=3),
    _pair("EUR/AUD", 1.6649, spread=4),
    _pair("GBP/CHF", 1.1193, spread=4),
    _pair("CAD/JPY", 110.31, decimals=3, spread=4),
    _pair("USD/SEK", 10.914, spread=30),
    _pair("USD/NOK", 11.052, spread=30),
    _pair("USD/MXN", 20.117, spread=40),
    _pair("USD/SGD", 1.3412, spread=4),
    _pair("EUR/NOK", 11.982, spread=40),
    _coin("BTCUSDT", 97_412.30, decimals=2, lot=1),
    _coin("ETHUSDT", 3_388.14, decimals=2, lot=10),
    _coin("SOLUSDT", 236.42, decimals=2, lot=100),
    _coin("XRPUSDT", 1.4391, decimals=4, lot=10_000),
    _coin("ADAUSDT", 0.9127, decimals=4, lot=10_000),
    _coin("DOGEUSDT", 0.40125, decimals=5, lot=20_000),
    _coin("AVAXUSDT", 42.31, decimals=2, lot=500),
    _coin("LINKUSDT", 17.284, decimals=3, lot=1_000),
    _coin("DOTUSDT", 8.412, decimals=3, lot=2_000),
    _coin("LTCUSDT", 94.72, decimals=2, lot=200),
    _share("AAPL", 229.87),
    _share("MSFT", 417.00),
    _share("NVDA", 141.95),
    _share("AMZN", 197.12),
    _share("GOOGL", 164.76),
    _share("META", 559.14),
    _share("TSLA", 352.56),
    _share("AVGO", 164.23),
    _share("AMD", 138.35),
    _share("NFLX", 897.79),
)
