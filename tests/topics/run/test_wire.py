"""The backend's messages, read."""

from json import dumps  # noqa: TID251 - what other writers send: it says `NaN`, strict ones cannot
from math import isfinite, isnan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.protocol.times import parse_time
from hewston_bff.topics.run.wire import (
    Echo,
    End,
    Fault,
    Heartbeat,
    ProtocolViolation,
    RawFrame,
    decode,
    members,
)
from tests.topics.run.frames import contents, frame, text, ts


def tail_of(data: bytes) -> dict[str, object]:
    message = decode(data)
    assert isinstance(message, RawFrame)
    return msgspec.json.decode(b"{" + message.tail, type=dict[str, object])


def test_every_kind_of_message_is_known() -> None:
    assert isinstance(decode(b'{"t": "hb"}'), Heartbeat)
    assert isinstance(decode(b'{"t": "end"}'), End)
    assert isinstance(decode(b'{"t":"ctrl","cmd":"play","echo":true}'), Echo)
    fault = decode(b'{"t":"err","code":"STREAM_ERROR","msg":"run not found: X"}')
    assert fault == Fault(code="STREAM_ERROR", msg="run not found: X")


@given(contents)
def test_a_normal_frame_is_kept_to_the_byte(values: dict[str, object]) -> None:
    bar = values["bar"]
    data = text(3, **values)  # type: ignore[arg-type]
    message = decode(data)
    assert isinstance(message, RawFrame)
    if bar is None or None not in bar.values():  # type: ignore[attr-defined]
        assert b'{"t": "frame", ' + message.tail == data
    assert message.order_count == values["orders"]
    assert isnan(message.equity) == (values["equity"] is None)


def test_null_members_of_a_bar_are_left_out_and_a_bar_of_nulls_is_none() -> None:
    assert tail_of(text(0, bar={"o": 1, "h": None, "c": 2}))["ohlc"] == {"o": 1, "c": 2}
    assert tail_of(text(0, bar={"o": None, "v": None}))["ohlc"] is None


def test_a_numeric_equity_becomes_the_object_with_the_frames_time() -> None:
    data = text(2).replace(b'"equity": null', b'"equity": 12.5')
    assert tail_of(data)["equity"] == {"ts": ts(2), "value": 12.5}
    message = decode(data)
    assert isinstance(message, RawFrame)
    assert message.equity == 12.5


def test_dropped_is_always_there() -> None:
    assert tail_of(text(0).replace(b', "dropped": 0', b""))["dropped"] == 0


def test_unknown_members_stay_and_members_of_our_names_go() -> None:
    kept = tail_of(text(0, mood="calm", seq=9, sid=4, n=3))
    assert kept["mood"] == "calm"
    assert not {"seq", "sid", "n"} & kept.keys()
    assert "t" not in kept


def test_compact_input_is_read_like_spaced_input() -> None:
    compact = text(1, bar={"o": 1, "h": 2, "l": 1, "c": 1, "v": 5}, orders=2, equity=5)
    assert tail_of(compact.replace(b", ", b",").replace(b": ", b":")) == tail_of(compact)


def test_orders_are_kept_as_their_inner_text() -> None:
    message = frame(0, orders=2)
    orders = msgspec.json.decode(b"[" + message.orders + b"]")
    assert [order["order_id"] for order in orders] == ["0-0", "0-1"]
    assert members(message.tail)["orders"] == msgspec.Raw(b"[" + message.orders + b"]")


BAR = b'"ohlc":{"o":1,"h":2,"l":1,"c":1.5,"v":9}'
BUY = b'{"ts_utc":"2024-03-01T14:30:00Z","side":"BUY","qty":1,"price":10}'
HALF_PAST_TWO_NS = 1_709_303_400 * 1_000_000_000


def compact(*members: bytes, ts: bytes = b'"2024-03-01T14:30:00Z"') -> bytes:
    """A frame of these members, without a space."""
    return b'{"t":"frame","ts":%b%b,"dropped":0}' % (ts, b"".join(b"," + each for each in members))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b"3", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"t":"frame","ts":"2024-03-01T14:30:00Z","mood":"\xff"}', "malformed"),
        (b'{"ts":"2024-03-01T14:30:00Z"}', "malformed"),
        (b'{"t":7}', "malformed"),
        (b'{"t":"frame","ts":"2024-03-01T14:30:00Z","ohlc":{"o":1', "malformed"),
        (b'{"t":"frame","ts":"2024-03-01T14:30:00Z","ohlc":{"o":01}}', "malformed"),
        (b"[" * 5_000, "malformed"),
        (b'{"t":"dance"}', "unknown"),
        (b'{"t":"err","code":7}', "unknown"),
        (b'{"t":"frame"}', "time_unreadable"),
        (b'{"t":"frame","ts":null}', "time_unreadable"),
        (b'{"t":"frame","ts":"soon"}', "time_unreadable"),
        (b'{"t":"frame","ts":true}', "time_unreadable"),
        (b'{"t":"frame","ts":[1]}', "time_unreadable"),
        (b'{"t":"frame","ts":NaN}', "time_unreadable"),
        (b'{"t":"frame","ts":1e999}', "time_unreadable"),
        (compact(ts=b'"2024-03-01T25:30:00Z"'), "time_unreadable"),
        (compact(ts=b'"1600-03-01T14:30:00Z"'), "time_unreadable"),
        (compact(ts=b'"9999-03-01T14:30:00Z"'), "time_unreadable"),
    ],
)
def test_what_the_protocol_does_not_know_is_a_violation(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        decode(data)
    assert violation.value.reason == reason


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1E+400"])
@pytest.mark.parametrize(
    ("member", "right"),
    [
        (b'"ohlc":{"o":1,"h":2,"l":1,"c":1.5,"v":?}', {"ohlc": {"o": 1, "h": 2, "l": 1, "c": 1.5}}),
        (b'"ohlc":{"o":?,"h":?,"l":?,"c":?,"v":?}', {"ohlc": None}),
        (b'"ohlc":?', {"ohlc": None}),
        (b'"equity":{"ts":null,"value":?}', {"equity": {"ts": None, "value": None}}),
        (b'"equity":?', {"equity": None}),
        (b'"mood":?', {"mood": None}),
        (b'"mood":{"deep":[1,?,"NaN, 1e999"]}', {"mood": {"deep": [1, None, "NaN, 1e999"]}}),
        (b'"ohlc":{"o":1,"x":?}', {"ohlc": {"o": 1}}),
    ],
)
def test_a_number_that_is_none_is_null_and_all_else_stays(
    number: bytes, member: bytes, right: dict[str, object]
) -> None:
    data = compact(member.replace(b"?", number), b'"orders":[%b]' % BUY)
    message = decode(data)
    assert isinstance(message, RawFrame)
    order = {"ts_utc": "2024-03-01T14:30:00Z", "side": "BUY", "qty": 1, "price": 10}
    assert tail_of(data) == {"ts": "2024-03-01T14:30:00Z", "orders": [order], "dropped": 0} | right
    assert message.order_count == 1
    assert message.lacks is None
    assert message.ts_ns == HALF_PAST_TWO_NS


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 400])
def test_a_number_of_an_order_that_is_none_is_null(number: bytes) -> None:
    order = BUY.replace(b'"price":10', b'"price":' + number)
    message = decode(compact(BAR, b'"orders":[%b,%b]' % (order, BUY)))
    assert isinstance(message, RawFrame)
    orders = msgspec.json.decode(b"[" + message.orders + b"]")
    assert [order["price"] for order in orders] == [None, 10]
    assert (message.order_count, message.c, message.lacks) == (2, 1.5, None)


@pytest.mark.parametrize("number", [b"1e100", b"1e-999", b"0e999", b"1" * 300])
def test_a_number_that_a_float_holds_stays_as_it_is_written(number: bytes) -> None:
    message = decode(compact(b'"orders":[{"qty":%b}]' % number, b'"mood":%b' % number))
    assert isinstance(message, RawFrame)
    assert message.orders == b'{"qty":%b}' % number
    assert b'"mood":%b' % number in message.tail


def test_an_id_that_looks_like_a_huge_number_is_kept_to_the_byte() -> None:
    data = text(0, orders=1).replace(b'"0-0"', b'"9f31e4721e999"')
    message = decode(data)
    assert isinstance(message, RawFrame)
    assert b'{"t": "frame", ' + message.tail == data


@pytest.mark.parametrize(
    ("member", "right", "lacks"),
    [
        (b'"ohlc":"x"', {"ohlc": None}, "bar_unreadable"),
        (b'"ohlc":[1,2]', {"ohlc": None}, "bar_unreadable"),
        (b'"ohlc":{"o":"x","c":2}', {"ohlc": {"c": 2}}, "bar_unreadable"),
        (b'"ohlc":{"o":"1.50","c":2}', {"ohlc": {"o": 1.5, "c": 2}}, None),
        (b'"ohlc":{"o":"\\u0031.5","c":2}', {"ohlc": {"o": 1.5, "c": 2}}, None),
        (b'"ohlc":{"o":"NaN","c":2}', {"ohlc": {"c": 2}}, None),
        (b'"equity":"abc"', {"equity": None}, "equity_unreadable"),
        (b'"equity":[1]', {"equity": None}, "equity_unreadable"),
        (b'"equity":{"value":{}}', {"equity": {"value": None}}, "equity_unreadable"),
        (
            b'"equity":{"value":5,"ts":"soon"}',
            {"equity": {"value": 5, "ts": None}},
            "equity_unreadable",
        ),
        (
            b'"equity":"12.5"',
            {"equity": {"ts": "2024-03-01T14:30:00Z", "value": 12.5}},
            None,
        ),
        (b'"dropped":-1', {}, None),
        (b'"dropped":"x"', {}, None),
    ],
)
def test_one_member_of_a_wrong_type_condemns_no_other(
    member: bytes, right: dict[str, object], lacks: str | None
) -> None:
    data = b'{"t":"frame","ts":"2024-03-01T14:30:00Z","orders":[%b],%b}' % (BUY, member)
    message = decode(data)
    assert isinstance(message, RawFrame)
    order = {"ts_utc": "2024-03-01T14:30:00Z", "side": "BUY", "qty": 1, "price": 10}
    assert tail_of(data) == {"ts": "2024-03-01T14:30:00Z", "orders": [order], "dropped": 0} | right
    assert (message.order_count, message.lacks) == (1, lacks)


@pytest.mark.parametrize(
    ("orders", "kept"),
    [
        (b"7", 0),
        (b'{"side":"BUY"}', 0),
        (b'"BUY"', 0),
        (b"[%b,7,%b]" % (BUY, BUY), 2),
        (b'[{"ts_utc":"soon","side":"BUY"}]', 1),
        (b'[{"ts_utc":{},"side":"BUY"}]', 1),
    ],
)
def test_orders_that_cannot_be_read_are_told_and_the_others_stay(orders: bytes, kept: int) -> None:
    message = decode(compact(BAR, b'"equity":{"value":5}', b'"orders":' + orders))
    assert isinstance(message, RawFrame)
    assert message.lacks == "orders_unreadable"
    assert (message.order_count, message.c, message.equity) == (kept, 1.5, 5)
    read = msgspec.json.decode(b"[" + message.orders + b"]", type=list[dict[str, object]])
    assert [order["side"] for order in read] == ["BUY"] * kept
    assert members(message.tail)["orders"] == msgspec.Raw(b"[" + message.orders + b"]")


@pytest.mark.parametrize(
    ("written", "right"),
    [
        (b'"2024-03-01T14:30:00Z"', "2024-03-01T14:30:00Z"),
        (b'"2024-03-01T14:30:00.0000001Z"', "2024-03-01T14:30:00.0000001Z"),
        (b'"2024-03-01T14:30:00.500Z"', "2024-03-01T14:30:00.500Z"),
        (b'"2024-03-01T14:30:00"', "2024-03-01T14:30:00Z"),
        (b'"2024-03-01T14:30:00.5"', "2024-03-01T14:30:00.500000Z"),
        (b'"2024-03-01 14:30:00"', "2024-03-01T14:30:00Z"),
        (b'"2024-03-01t14:30:00z"', "2024-03-01T14:30:00Z"),
        (b'"2024-03-01T15:30:00+01:00"', "2024-03-01T14:30:00Z"),
        (b"1709303400", "2024-03-01T14:30:00Z"),
        (b"1709303400123", "2024-03-01T14:30:00.123000Z"),
        (b"1709303400.1234567", "2024-03-01T14:30:00.123456700Z"),
        (b"1709303400123456789", "2024-03-01T14:30:00.123456789Z"),
        (b'"1709303400"', "2024-03-01T14:30:00Z"),
    ],
)
def test_every_time_of_a_frame_goes_out_as_an_instant_with_z(written: bytes, right: str) -> None:
    data = compact(
        b'"equity":{"ts":%b,"value":5}' % written,
        b'"orders":[{"ts_utc":%b}]' % written,
        ts=written,
    )
    message = decode(data)
    assert isinstance(message, RawFrame)
    assert tail_of(data) == {
        "ts": right,
        "equity": {"ts": right, "value": 5},
        "orders": [{"ts_utc": right}],
        "dropped": 0,
    }
    assert message.ts_ns == parse_time(right)
    assert message.lacks is None


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["ohlc", "orders", "equity", "dropped", "mood"]),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=3)),
            lambda inner: st.one_of(
                inner,
                st.lists(inner, max_size=2),
                st.dictionaries(
                    st.sampled_from(["o", "h", "c", "value", "ts", "ts_utc", "x"]), inner
                ),
            ),
            max_leaves=6,
        ),
    )
)
def test_a_frame_with_a_time_is_never_left_out_and_goes_out_as_strict_json(
    values: dict[str, object],
) -> None:
    # Python's own writer: it writes `NaN` and `Infinity`, which strict JSON does not know.
    data = dumps({"t": "frame", "ts": "2024-03-01T14:30:00Z", **values}).encode()
    message = decode(data)
    assert isinstance(message, RawFrame)
    kept = tail_of(data)
    assert kept["ts"] == "2024-03-01T14:30:00Z"
    orders = msgspec.json.decode(b"[" + message.orders + b"]", type=list[dict[str, object]])
    assert len(orders) == message.order_count
    given_orders = values.get("orders")
    if isinstance(given_orders, list):
        assert len(orders) == sum(isinstance(order, dict) for order in given_orders)
    is_none = given_orders is None or (
        isinstance(given_orders, float) and not isfinite(given_orders)
    )
    if not is_none and not isinstance(given_orders, list):
        assert message.lacks == "orders_unreadable"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_violation(data: bytes) -> None:
    try:
        decode(data)
    except ProtocolViolation:
        return


@given(contents, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_damaged_frame_is_a_message_or_a_violation(
    values: dict[str, object], at: int, damage: bytes
) -> None:
    data = text(0, **values)  # type: ignore[arg-type]
    try:
        message = decode(data[:at] + damage + data[at + 1 :])
    except ProtocolViolation:
        return
    if isinstance(message, RawFrame):
        members(message.tail)
