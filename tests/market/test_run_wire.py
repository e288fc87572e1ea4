"""Parts of a run from whatever a backend may say, and back."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.equity import Curve
from hewston_bff.market.run_wire import (
    MalformedPart,
    Orders,
    decode_equity,
    decode_metrics,
    decode_orders,
    encode_equity,
    encode_orders,
    round_trips,
)
from tests.market.stepping import done

NAMES = ("equity", "orders", "items", "metrics", "timestamp", "ts_utc", "ts", "value", "status")

names = st.sampled_from(NAMES) | st.text(max_size=3)
times = st.sampled_from(
    ["2024-01-02T14:30:00Z", "2024-01-02T14:30:00.5+02:00", "0001-01-01T00:00:00+23:59", "soon"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | times | st.text(max_size=3)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
bodies = st.binary(max_size=40) | values.map(msgspec.json.encode)


@pytest.mark.parametrize(
    "decode",
    [
        lambda body: done(decode_equity(body)),
        lambda body: done(decode_orders(body)),
        decode_metrics,
    ],
    ids=["equity", "orders", "metrics"],
)
@given(bodies)
def test_any_body_is_a_part_or_malformed(decode: Callable[[bytes], object], body: bytes) -> None:
    try:
        decode(body)
    except MalformedPart:
        return


@given(st.lists(st.tuples(st.integers(0, 9 * 10**9), st.floats(1, 1e9)), max_size=600))
def test_a_curve_that_is_written_reads_the_same(points: list[tuple[int, float]]) -> None:
    seconds, equity = np.array(points, np.float64).reshape(-1, 2).T
    source = Curve(seconds.astype(np.int64) * 1_000_000_000, equity)
    text = b"".join(encode_equity(source, kept=np.arange(len(source))))
    read: Curve = done(decode_equity(text))
    assert read.ts_ns.tolist() == source.ts_ns.tolist()
    assert read.equity.tolist() == source.equity.tolist()


def test_a_long_curve_is_read_in_pieces_and_one_that_cannot_be_cut_is_read_whole() -> None:
    def point(at: int, **more: object) -> dict[str, object]:
        return {"timestamp": f"2024-01-02T14:30:{at % 60:02}Z", "equity": float(at), **more}

    plain = [point(at) for at in range(5_000)]
    misleading = [point(at, note="}, {", more=[{"a": 1}, {"b": 2}]) for at in range(5_000)]
    for points in (plain, misleading):
        for body in ({"equity": points}, {"run_id": "x", "equity": points, "n": 1}, points):
            read = done(decode_equity(msgspec.json.encode(body)))
            assert read.equity.tolist() == [float(at) for at in range(5_000)]
    steps = decode_equity(msgspec.json.encode({"equity": plain}))
    assert sum(1 for _ in steps) > 4
    with pytest.raises(MalformedPart):
        done(decode_equity(msgspec.json.encode({"equity": plain})[:-1]))


@given(st.lists(values.map(lambda value: {"any": value}), max_size=600))
def test_orders_pass_as_they_are(orders: list[object]) -> None:
    body = msgspec.json.encode({"orders": orders})
    read: Orders = done(decode_orders(body))
    assert read.count == len(orders)
    assert b"".join(encode_orders(read)) == msgspec.json.encode(orders)
    assert done(round_trips(read)).hit_rate is None
