"""Source frames for tests: the backend's bytes, and strategies that make them."""

from datetime import UTC, datetime, timedelta
from math import nan

import msgspec
from hypothesis import strategies as st

from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.frame_block import FrameLog, frame_log
from hewston_bff.topics.run.wire import RawFrame, decode

START = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
RUN = RunId("run")


def ts(minute: int) -> str:
    """The time of frame `minute`, as the backend writes it."""
    return (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(
    minute: int,
    *,
    bar: dict[str, float | None] | None = None,
    orders: int = 0,
    equity: object = None,
    **extras: object,
) -> bytes:
    """A frame as the backend sends it."""
    made = [
        {"ts_utc": ts(minute), "side": "BUY", "order_id": f"{minute}-{n}"} for n in range(orders)
    ]
    value = {"ts": ts(minute), "value": equity} if isinstance(equity, int | float) else equity
    frame = {"t": "frame", "ts": ts(minute), "ohlc": bar, "orders": made, "equity": value}
    return spaced(msgspec.json.encode({**frame, "dropped": 0, **extras}))


def spaced(data: bytes) -> bytes:
    """JSON with the backend's separators; no string of ours holds a comma or a colon and quote."""
    return data.replace(b',"', b', "').replace(b'":', b'": ')


def frame(minute: int, **values: object) -> RawFrame:
    """A frame, decoded."""
    message = decode(text(minute, **values))  # type: ignore[arg-type]
    assert isinstance(message, RawFrame)
    return message


def plain(minute: int, *, shift: int = 0, orders: int | None = None) -> RawFrame:
    """A frame with whole numbers that depend on the minute; `shift` makes it differ."""
    base = 100 + (minute * 7 + shift) % 50
    bar: dict[str, float | None] = {
        "o": base,
        "h": base + 3,
        "l": base - 2,
        "c": base + 1,
        "v": 10 + minute % 5,
    }
    count = int(minute % 11 == 0) if orders is None else orders
    return frame(minute, bar=bar, orders=count, equity=1_000 + base)


def log_of(count: int, *, first: int = 0, shift: int = 0) -> FrameLog:
    """A log of `count` plain frames."""
    log = frame_log(RUN)
    for minute in range(first, first + count):
        log.append(plain(minute, shift=shift))
    return log


whole = st.integers(min_value=1, max_value=10_000)
maybe = st.one_of(st.none(), whole)
bars = st.one_of(
    st.none(), st.fixed_dictionaries({"o": maybe, "h": maybe, "l": maybe, "c": maybe, "v": maybe})
)
contents = st.fixed_dictionaries(
    {"bar": bars, "orders": st.integers(0, 2), "equity": st.one_of(st.none(), whole)}
)
"""What a frame holds; values are whole, so that sums are exact in any order."""


def or_none(value: float) -> float | None:
    """NaN as None, for comparisons."""
    return None if value != value else value


NAN = nan
