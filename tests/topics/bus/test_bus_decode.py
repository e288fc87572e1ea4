"""Decoding of entries, against a plain and slow decoder."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.event_kinds import bus_options
from hewston_bff.events.event import EntryId, Event
from hewston_bff.events.streams_setting import NODE, StreamLayout
from hewston_bff.settings import Settings
from hewston_bff.topics.bus.decode import EntryDecoder, SignOfLife
from hewston_bff.topics.bus.json_text import with_exact_integers, without_member
from tests.topics.bus.independent import data_of, parsed, shown, ts_of, without_config, written

RULES = bus_options(Settings()).rules
ID = EntryId(1_795_229_399_763, 5)


def decoder(**settings: Any) -> tuple[EntryDecoder, dict[str, int]]:
    left_out: dict[str, int] = {}
    return EntryDecoder(bus_options(Settings(**settings)).rules, left_out=left_out), left_out


def decoded(payload: bytes, topic: str = "data.x", **fields: bytes) -> Event:
    one = EntryDecoder(RULES, left_out={})
    members = {b"topic": topic.encode(), b"payload": payload}
    members |= {name.encode(): value for name, value in fields.items()}
    event = one.decode(b"key", ID, members, NODE)
    assert isinstance(event, Event)
    return event


def numbered(value: Any) -> Any:
    """With floats told apart from integers: in Python 1 == 1.0."""
    if isinstance(value, dict):
        return {key: numbered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbered(item) for item in value]
    return (type(value).__name__, value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.from_regex(
    r'[":,\\ ]{0,3}-?[0-9]{14,22}[":,\\ }]{0,3}', fullmatch=True
)
INTEGERS = st.integers() | st.integers(2**53 - 3, 2**53 + 3) | st.integers(10**15, 10**25)
SCALARS = st.none() | st.booleans() | INTEGERS | INTEGERS.map(lambda n: -n) | TEXTS
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | FLOATS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
STYLES = st.sampled_from(
    [{"indent": None}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]
)


@given(VALUES, STYLES)
def test_json_comes_out_equal_with_large_integers_as_text(value: Any, style: Any) -> None:
    payload = json.dumps(value, **style).encode()  # noqa: TID251 - a writer in Python
    data = decoded(payload).data
    assert numbered(json.loads(data)) == numbered(data_of(payload))
    assert b"\n" not in data
    assert b"\r" not in data


@given(VALUES)
def test_json_without_large_integers_keeps_its_bytes(value: Any) -> None:
    payload = json.dumps(shown(value), ensure_ascii=False).encode()  # noqa: TID251 - see above
    assert decoded(payload).data == payload


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", '"9007199254740993"'),
        ("-9007199254740993", '"-9007199254740993"'),
        ("[-9007199254740992]", "[-9007199254740992]"),
        ('{"a":12345678901234567890}', '{"a":"12345678901234567890"}'),
        ('{"a" : 12345678901234567890 }', '{"a" : "12345678901234567890" }'),
        ('{"a":12345678901234567890.5}', '{"a":12345678901234567890.5}'),
        ('{"a":1234567890123456789e2}', '{"a":1234567890123456789e2}'),
        ('{"a":0.12345678901234567890}', '{"a":0.12345678901234567890}'),
        ('{"a":1e-1234567890123456}', '{"a":1e-1234567890123456}'),
        ('{"a":1E+1234567890123456}', '{"a":1E+1234567890123456}'),
        ('{"a":":12345678901234567890,"}', '{"a":":12345678901234567890,"}'),
        (r'{"a\"":12345678901234567890}', r'{"a\"":"12345678901234567890"}'),
        (r'{"a":"\":12345678901234567890,"}', r'{"a":"\":12345678901234567890,"}'),
        ('{"12345678901234567890":1}', '{"12345678901234567890":1}'),
        ("9" * 5_000, '"' + "9" * 5_000 + '"'),
    ],
)
def test_integers_beyond_the_exact_ones_are_text(text: str, exact: str) -> None:
    assert with_exact_integers(text.encode()) == exact.encode()


@given(
    st.recursive(
        SCALARS.filter(lambda v: not isinstance(v, int) or -(2**63) <= v < 2**64) | FLOATS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(TEXTS | st.integers(-5, 2**63), inner, min_size=1, max_size=4)
        ),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, dict | list))
)
def test_msgpack_comes_out_as_equal_json(value: Any) -> None:
    payload = msgspec.msgpack.encode(value)
    if parsed(payload) != value and not isinstance(value, dict | list):
        return
    assert numbered(json.loads(decoded(payload, encoding=b"Json").data)) == numbered(shown(value))


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": b"\xff\x00"}, {"b": "/wA="}),
        ({"t": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)}, {"t": "2026-01-02T03:04:05.000006Z"}),
        ({"x": msgspec.msgpack.Ext(7, b"ab")}, {"x": {"ext": 7, "base64": "YWI="}}),
        ({"n": float("nan"), "i": float("inf")}, {"n": None, "i": None}),
        ({None: 1, True: 2, 7: 3}, {"null": 1, "true": 2, "7": 3}),
        ({"deep": [{None: b"a"}]}, {"deep": [{"null": "YQ=="}]}),
        ({"big": 2**64 - 1}, {"big": "18446744073709551615"}),
    ],
)
def test_msgpack_that_json_has_no_words_for(value: Any, data: Any) -> None:
    assert json.loads(decoded(msgspec.msgpack.encode(value)).data) == data


@pytest.mark.parametrize(
    ("payload", "data", "reason"),
    [
        (b"2026-11-21T02:58:04+00:00", {"text": "2026-11-21T02:58:04+00:00"}, "text"),
        (b'{"a":NaN}', {"text": '{"a":NaN}'}, "text"),
        (b'{"a":Infinity}', {"text": '{"a":Infinity}'}, "text"),
        (b'{"a":1} {"b":2}', {"text": '{"a":1} {"b":2}'}, "text"),
        (b'{"a":"line\nbreak"}', {"text": '{"a":"line\nbreak"}'}, "text"),
        (b"", {"text": ""}, "text"),
        (b"caf\xe9 au lait", {"base64": "Y2Fm6SBhdSBsYWl0"}, "base64"),
        (b'{"a":"\xff"}', {"base64": "eyJhIjoi/yJ9"}, "base64"),
        (b"[" * 50_000, {"text": "[" * 50_000}, "text"),
    ],
)
def test_what_is_neither_json_nor_msgpack_is_wrapped_and_counted(
    payload: bytes, data: Any, reason: str
) -> None:
    one, left_out = decoder()
    event = one.decode(b"k", ID, {b"topic": b"a", b"payload": payload}, NODE)
    assert isinstance(event, Event)
    assert json.loads(event.data) == data
    assert b"\n" not in event.data
    assert left_out == {reason: 1}


@given(st.binary(max_size=60) | VALUES.map(lambda v: str(v).encode()))
def test_any_bytes_become_an_event(payload: bytes) -> None:
    data = decoded(payload).data
    json.loads(data)
    assert b"\n" not in data


def test_a_number_too_large_for_a_float_harms_nothing_else() -> None:
    event = decoded(b'{"x":1e999,"type":"T","ts_event":1000000001}')
    assert event.data == b'{"x":1e999,"type":"T","ts_event":1000000001}'
    assert (event.type, event.ts) == ("T", "1970-01-01T00:00:01.000000001Z")
    assert decoded(b'{"type":1e999,"ts_init":5}').ts == "1970-01-01T00:00:00.000000005Z"


ABSENT = '"2026-11-25T03:49:59.763000000Z"'


@pytest.mark.parametrize(
    ("payload", "ns"),
    [
        ('{"ts_event":1795229399763648351,"ts_init":1}', 1795229399763648351),
        ('{"ts_event":"1795229399763648351"}', 1795229399763648351),
        ('{"ts_event":0,"ts_init":"7"}', 7),
        ('{"ts_event":"0","ts_init":"0"}', None),
        ('{"ts_event":null,"ts_init":true}', None),
        ('{"ts_event":-5}', None),
        ('{"ts_event":1.5,"ts_init":9}', 9),
        ('{"ts_event":"soon"}', None),
        ('{"ts_event":9999999999999999999999}', None),
        ('{"type":"Signal","payload":{"ts_event":11,"ts_init":12}}', 11),
        ('{"Filled":{"ts_event":"0","ts_init":13}}', 13),
        ('{"a":{"ts_event":14},"b":1}', None),
        ('{"payload":{"x":{"ts_event":14}}}', None),
        ("[1,2]", None),
        ('"text"', None),
        ('"' + "1" * 19 + '"', None),
    ],
)
def test_the_time_of_an_event(payload: str, ns: int | None) -> None:
    wanted = written(ID.ms * 1_000_000 if ns is None else ns)
    assert decoded(payload.encode()).ts == wanted
    packed = msgspec.msgpack.encode(json.loads(payload)) if "99999999999999" not in payload else b""
    if packed:
        assert decoded(packed).ts == wanted


@given(
    st.dictionaries(
        st.sampled_from(["ts_event", "ts_init", "other"]),
        st.integers(0, 4 * 10**18) | st.integers(0, 4 * 10**18).map(str) | st.just(0),
    )
)
def test_times_are_those_of_the_plain_decoder(members: dict[str, Any]) -> None:
    payload = msgspec.json.encode(members)
    assert decoded(payload).ts == ts_of(payload, ID.ms)


def test_the_type_is_the_fields_else_the_payloads_else_empty() -> None:
    assert decoded(b'{"type":"A"}', type=b"B").type == "B"
    assert decoded(b'{"type":"A"}', type=b"").type == "A"
    assert decoded(b'{"type":5}').type == ""
    assert decoded(b"[1]").type == ""


CONFIG = {"password": "hunter2", "config": {"deep": "hunter2"}}


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
@pytest.mark.parametrize(
    ("topic", "type_", "value"),
    [
        ("events.system.X", b"", {"state": "READY", "config": CONFIG}),
        ("events.system.X", b"", {"payload": {"config": CONFIG, "a": [1, {"config": CONFIG}]}}),
        ("other", b"ComponentStateChanged", {"state": "READY", "config": CONFIG}),
        ("other", b"", {"type": "ComponentStateChanged", "config": CONFIG}),
        ("other", b"Event", {"ComponentStateChanged": {"config": CONFIG, "n": 1}}),
    ],
)
def test_configurations_of_components_never_leave(
    encode: Any, topic: str, type_: bytes, value: Any
) -> None:
    event = decoded(encode(value), topic, type=type_)
    assert json.loads(event.data) == without_config(value)
    assert b"hunter2" not in event.data


def test_a_config_that_is_spelt_with_escapes_does_not_leave_either() -> None:
    payload = b'{"\\u0063onfig":{"password":"hunter2"},"a":1.10}'
    assert decoded(payload, "events.system.X").data == b'{"a":1.10}'


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"ComponentStateChanged","config":{"password":"hunter2","x":NaN}}',
        b"config: hunter2",
        b"\xffhunter2",
    ],
)
def test_a_state_that_cannot_be_read_is_left_out(payload: bytes) -> None:
    one, left_out = decoder()
    fields = {b"topic": b"events.system.X", b"payload": payload}
    assert one.decode(b"k", ID, fields, NODE) is None
    assert left_out == {"unreadable_state": 1}


@pytest.mark.parametrize(
    "payload",
    [
        b'{ "ComponentStateChanged": {"config": {"password": "hunter2"}} }',
        b'{"payload":{"type":"ComponentStateChanged","config":{"password":"hunter2"}}}',
        b'[{"type":"ComponentStateChanged","config":{"password":"hunter2"}}]',
    ],
)
def test_a_state_is_known_however_it_is_wrapped(payload: bytes) -> None:
    assert b"ComponentStateChanged" in decoded(payload).data
    assert b"hunter2" not in decoded(payload).data


STATE = b'{"type":"ComponentStateChanged","state":"READY","config":{"password":"hunter2"}}'


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({b"topic": b"events.system.X", b"payload": STATE}, {"topic", "payload"}),
        ({b"kind": b"x", b"payload": STATE}, {"kind", "payload"}),
        ({b"type": b"ComponentStateChanged", b"config": b"hunter2", b"n": b"1"}, {"type", "n"}),
        ({b"topic": b"events.system.X", b"payload": b'{"config":"hunter2",'}, None),
        ({b"type": b"ComponentStateChanged", b"payload": b"\xffhunter2"}, None),
    ],
)
def test_no_layout_lets_a_configuration_out(
    fields: dict[bytes, bytes], left: set[str] | None
) -> None:
    one, left_out = decoder()
    event = one.decode(b"k", ID, fields, StreamLayout(None, has_own_topic=False))
    if left is None:
        assert event is None
        assert left_out == {"unreadable_state": 1}
        return
    assert isinstance(event, Event)
    assert json.loads(event.data).keys() == left
    assert b"hunter2" not in event.data


def test_other_events_keep_their_config() -> None:
    assert decoded(b'{"config":{"a":1}}').data == b'{"config":{"a":1}}'
    assert without_member(b'[{"a":1},2,"x"]', "a") == b'[{},2,"x"]'


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"payload": b"1"}, "no_topic"),
        ({b"topic": b"", b"payload": b"1"}, "no_topic"),
        ({b"topic": b"\xff", b"payload": b"1"}, "no_topic"),
        ({b"topic": b"x" * 2_000, b"payload": b"1"}, "no_topic"),
        ({b"topic": b"a"}, "no_payload"),
        ({b"topic": b"a", b"payload": b"1" * 1_048_577}, "payload_too_large"),
        ({b"topic": b"commands.trading.X", b"payload": b"1"}, "denied"),
        ({}, "no_topic"),
    ],
)
def test_a_bad_entry_costs_that_entry(fields: dict[bytes, bytes], reason: str) -> None:
    one, left_out = decoder()
    assert one.decode(b"k", ID, fields, NODE) is None
    assert left_out == {reason: 1}
    assert isinstance(one.decode(b"k", ID, {b"topic": b"a", b"payload": b"1"}, NODE), Event)


def test_heartbeats_are_no_events() -> None:
    one, left_out = decoder()
    fields = {b"topic": b"health:heartbeat", b"payload": b"2026"}
    assert one.decode(b"k", ID, fields, NODE) is SignOfLife.HEARTBEAT
    assert left_out == {}
    fields = {b"topic": b"beat.x", b"payload": b"2026"}
    one, _ = decoder(bff_bus_heartbeat="beat.*")
    assert one.decode(b"k", ID, fields, NODE) is SignOfLife.HEARTBEAT


def test_flat_and_json_layouts() -> None:
    one, left_out = decoder()
    fields = {b"topic": b"t", b"price": b"1.10", b"ts_event": b"1000000000", b"b": b"\xff"}
    flat = one.decode(b"ticks:global", ID, fields, StreamLayout(None, has_own_topic=False))
    assert isinstance(flat, Event)
    assert flat.topic == "bus:ticks:global"
    assert flat.ts == "1970-01-01T00:00:01.000000000Z"
    assert json.loads(flat.data) == {
        "topic": "t", "price": "1.10", "ts_event": "1000000000", "b": {"base64": "/w=="},
    }  # fmt: skip
    layout = StreamLayout(b"data", has_own_topic=True)
    own = one.decode(b"k", ID, {b"topic": b"t", b"data": b'{"type":"S","x":1}'}, layout)
    assert isinstance(own, Event)
    assert (own.topic, own.type, own.data) == ("bus:t", "S", b'{"type":"S","x":1}')
    assert one.decode(b"k", ID, {b"topic": b"t", b"payload": b"1"}, layout) is None
    large = {b"a": b"x" * 600_000, b"b": b"x" * 600_000}
    assert one.decode(b"k", ID, large, StreamLayout(None, has_own_topic=False)) is None
    assert left_out == {"no_payload": 1, "payload_too_large": 1}


def test_a_topic_may_hold_anything() -> None:
    event = decoded(b"1", 'data.Gauge*"\n/:')
    assert event.topic == 'bus:data.Gauge*"\n/:'
    assert json.loads(b"{" + event.tail + b"}")["topic"] == event.topic
    assert b"\n" not in event.tail
