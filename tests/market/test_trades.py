"""Orders as round trips, against sums written out by hand."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.trades import Fill, RoundTrips, UnreadableOrder, read_fill


def order(side: str, qty: float, price: float, **more: Any) -> dict[str, Any]:
    return {"side": side, "qty": qty, "price": price, **more}


def trips_of(*orders: object) -> RoundTrips:
    trips = RoundTrips()
    trips.add_text(msgspec.json.encode(orders)[1:-1])
    return trips


BUY, SELL = order("BUY", 1, 10), order("SELL", 1, 11)

CASES: dict[str, tuple[list[dict[str, Any]], int, int]] = {
    # name: orders, round trips closed, of which won
    "none": ([], 0, 0),
    "still open": ([BUY], 0, 0),
    "a gain": ([BUY, SELL], 1, 1),
    "no gain": ([BUY, order("SELL", 1, 10)], 1, 0),
    "short": ([order("SELL", 1, 10), order("BUY", 1, 9)], 1, 1),
    # −100 −120 +230 = +10: one position, however many lots
    "two in, one out": (
        [order("BUY", 1, 100), order("BUY", 1, 120), order("SELL", 2, 115)],
        1,
        1,
    ),
    # −10 −12 +11 +10.5 = −0.5
    "two in, two out": (
        [order("BUY", 1, 10), order("BUY", 1, 12), order("SELL", 1, 11), order("SELL", 1, 10.5)],
        1,
        0,
    ),
    # long 1@10 closed at 11 (+1), short 1@11 closed at 12 (−1)
    "turned around": ([BUY, order("SELL", 2, 11), order("BUY", 1, 12)], 2, 1),
    "what rounding leaves is no position": (
        [
            *(order("BUY", 0.1, 1), order("BUY", 0.2, 1), order("SELL", 0.3, 2)),
            *(order("BUY", 1, 5), order("SELL", 1, 4)),
        ],
        2,
        1,
    ),
    "fees eat the gain": ([order("BUY", 1, 10, fee=1.0), order("SELL", 1, 11, fee=1.0)], 1, 0),
    "fees leave a gain": ([BUY, order("SELL", 1, 11, commission="0.50 USD")], 1, 1),
    # The order that turns it around costs 1.6 for 2: 0.8 of them are the long side's, +1 − 0.8 > 0.
    "fees are shared by an order that turns around": (
        [BUY, order("SELL", 2, 11, fees=1.6)],
        1,
        1,
    ),
    "sides in any case": ([order("buy", 1, 10), order("Sell", 1, 11)], 1, 1),
    "two symbols": (
        [
            *(order("BUY", 1, 10, symbol="A"), order("BUY", 1, 10, symbol="B")),
            *(order("SELL", 1, 11, symbol="A"), order("SELL", 1, 9, symbol="B")),
        ],
        2,
        1,
    ),
    "refused": ([BUY, order("SELL", 1, 11, status="REJECTED"), order("SELL", 1, 9)], 1, 0),
    "cancelled with a part filled": (
        [BUY, order("SELL", 3, 11, status="CANCELLED", filled_qty=1)],
        1,
        1,
    ),
    "filled less than asked": ([order("BUY", 5, 10, filled_qty=2), order("SELL", 2, 11)], 1, 1),
    "nothing filled": ([order("BUY", 5, 10, filled_qty=0, status="FILLED")], 0, 0),
    "at the price of the fill": ([BUY, order("SELL", 1, 99, avg_fill_price=9)], 1, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_round_trips_go_from_flat_to_flat(name: str) -> None:
    orders, closed, won = CASES[name]
    trips = trips_of(*orders)
    assert (trips.closed, trips.won, trips.unreadable) == (closed, won, 0)
    assert trips.hit_rate == (won / closed if closed else None)


UNREADABLE: list[object] = [
    1,
    None,
    {},
    order("HOLD", 1, 1),
    order("BUY", -1, 1),
    {"side": "BUY", "qty": 1},
    {"side": "BUY", "price": 1},
    {"side": "BUY", "qty": None, "price": 1},
    {"side": "BUY", "qty": "many", "price": 1},
    {"side": "BUY", "qty": True, "price": 1},
    order("BUY", 1, 10, fees="some"),
    order("BUY", 5, 10, status="PARTIALLY_FILLED"),
    {"side": "BUY", "qty": 10**400, "price": 1},
]


@pytest.mark.parametrize("bad", UNREADABLE)
def test_an_order_that_cannot_be_read_is_counted_and_leaves_no_rate(bad: object) -> None:
    with pytest.raises(UnreadableOrder):
        read_fill(bad)
    trips = RoundTrips()
    for each in (BUY, bad, SELL):
        trips.add_order(each)
    assert (trips.unreadable, trips.closed, trips.hit_rate) == (1, 1, None)


def test_text_that_is_no_list_of_orders_is_one_that_cannot_be_read() -> None:
    trips = RoundTrips()
    trips.add_text(b"{")
    assert trips.unreadable == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([-3, -2, -1, 1, 2, 3]), st.integers(1, 50)),
        max_size=40,
    )
)
def test_a_round_trip_wins_if_the_money_says_so(fills: list[tuple[int, int]]) -> None:
    """The independent way: the position summed up, split where it is or crosses zero."""
    closed = won = 0
    position, cash = 0, 0
    for quantity, price in fills:
        for _ in range(abs(quantity)):
            unit = 1 if quantity > 0 else -1
            position += unit
            cash -= unit * price
            if position == 0:
                closed += 1
                won += cash > 0
                cash = 0
    trips = RoundTrips()
    for quantity, price in fills:
        trips.add(Fill(quantity, price))
    assert (trips.closed, trips.won) == (closed, won)
