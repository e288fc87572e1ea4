"""The backend's messages, read."""

from math import isnan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.core.backend_wire import (
    Echo,
    End,
    Fault,
    Heartbeat,
    ProtocolViolation,
    RawFrame,
    decode,
    members,
)
from tests.core.frames import contents, frame, text, ts


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


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"t":"dance"}',
        b'{"ts":"2024-03-01T14:30:00Z"}',
        b'{"t":"frame"}',
        b'{"t":"frame","ts":"2024-03-01T14:30:00"}',
        b'{"t":"frame","ts":"soon"}',
        b'{"t":"frame","ts":"2024-03-01T14:30:00Z","ohlc":{"o":"1"}}',
        b'{"t":"frame","ts":"2024-03-01T14:30:00Z","equity":NaN}',
        b'{"t":"frame","ts":"2024-03-01T14:30:00Z","dropped":-1}',
        b'{"t":"frame","ts":"2024-03-01T14:30:00Z","orders":7}',
        b"\xff\xfe",
        b'{"t":"frame","ts":"2024-03-01T14:30:00Z","ohlc":{"o":1e999}}',
    ],
)
def test_what_the_protocol_does_not_know_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(data)


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
