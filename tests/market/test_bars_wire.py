"""The backend's JSON to columns, and columns to ours, whatever the JSON looks like."""

import json
from collections.abc import Callable
from itertools import pairwise
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.market.bars import NO_TIME_NS, NS_A_SECOND
from hewston_bff.market.bars_wire import (
    MalformedBars,
    decode_bars,
    encode_columns,
    encode_records,
)
from tests.market.bars import Row, bars_of, possible_rows, rows_of
from tests.market.stepping import done

MANY = 3_000
"""Bars enough for several pieces."""


def source(count: int) -> list[dict[str, Any]]:
    return [
        {
            "t": f"2024-03-{n // 1_440 % 28 + 1:02}T{n // 60 % 24:02}:{n % 60:02}:00Z",
            "o": 10.25 + n,
            "h": 11.5 + n,
            "l": 9.75 + n,
            "c": 10 + n,
            "v": n,
        }
        for n in range(count)
    ]


def text_of(bars: list[dict[str, Any]], **options: Any) -> bytes:
    encode: Callable[..., str] = json.JSONEncoder(**options).encode
    return encode({"symbol": "TSLA", "bars": bars}).encode()


PLAIN = source(MANY)
LIST = text_of(PLAIN).removeprefix(b'{"symbol": "TSLA", "bars": ').removesuffix(b"}")
EXPECTED = rows_of(done(decode_bars(text_of(source(MANY)))))


def test_every_member_of_every_bar_arrives() -> None:
    assert len(EXPECTED) == MANY
    assert EXPECTED[0] == (1_709_251_200, 10.25, 11.5, 9.75, 10.0, 0.0)
    assert EXPECTED[-1][1:] == (3_009.25, 3_010.5, 3_008.75, 3_009.0, 2_999.0)
    assert all(b[0] - a[0] == 60 for a, b in pairwise(EXPECTED))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(text_of(PLAIN, separators=(",", ":")), id="compact"),
        pytest.param(text_of(PLAIN, indent=3), id="indented"),
        pytest.param(b" \n" + text_of(PLAIN) + b"\n\n", id="space around"),
        pytest.param(b'{"bars":' + LIST + b"}", id="no symbol"),
        pytest.param(LIST, id="a bare list"),
        pytest.param(
            text_of(PLAIN)[:-1] + b', "meta": {"points": [1, {"a": 2}]}}', id="more after"
        ),
        pytest.param(b'{"meta": {"n": [{}, {}]}, ' + text_of(PLAIN)[1:], id="more before"),
        pytest.param(b'{"n": 3e5, "x": null, ' + text_of(PLAIN)[1:], id="values before"),
        pytest.param(b'{"x": "\\"bars\\": [{", ' + text_of(PLAIN)[1:], id="bars in a string"),
        pytest.param(text_of([b | {"n": 7} for b in PLAIN]), id="extra number"),
        pytest.param(text_of([b | {"x": "}, {"} for b in PLAIN]), id="braces in strings"),
        pytest.param(text_of([b | {"x": [{}, {}]} for b in PLAIN]), id="nested objects"),
        pytest.param(text_of([{"x": "}, {", "y": [{}, {}]} | b for b in PLAIN]), id="all first"),
        pytest.param(text_of(PLAIN)[:-1] + b', "other": ' + LIST + b"}", id="another list"),
        pytest.param(text_of(PLAIN).replace(b"Z", b"+00:00"), id="offsets"),
        pytest.param(text_of(PLAIN).replace(b"00Z", b"00.000Z"), id="fractions"),
    ],
)
def test_the_shape_of_the_page_does_not_matter(body: bytes) -> None:
    assert rows_of(done(decode_bars(body))) == EXPECTED


def test_a_large_page_is_read_in_many_short_steps() -> None:
    steps = sum(1 for _ in decode_bars(text_of(source(30_000))))
    assert steps > 30


@pytest.mark.parametrize("at", [0, 1_500, MANY - 1])
@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("o", "null"),
        ("h", '"x"'),
        ("l", "NaN"),
        ("c", "-Infinity"),
        ("v", "true"),
        ("o", "1" * 400),
    ],
)
def test_what_is_no_number_is_none_and_the_other_bars_are_as_they_were(
    at: int, member: str, text: str
) -> None:
    bars = [dict(bar) for bar in PLAIN]
    bars[at][member] = "@"
    found = rows_of(done(decode_bars(text_of(bars).replace(b'"@"', text.encode()))))
    value = found[at]["tohlcv".index(member)]
    assert isnan(value) or value == -inf
    assert found[:at] + found[at + 1 :] == EXPECTED[:at] + EXPECTED[at + 1 :]


@pytest.mark.parametrize(
    "time", [None, 5, "", "yesterday", "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z"]
)
def test_a_time_that_is_none_is_before_all_others(time: object) -> None:
    found = done(decode_bars(text_of([PLAIN[0], PLAIN[1] | {"t": time}, PLAIN[2]])))
    assert found.t_ns.tolist()[1] == NO_TIME_NS
    assert (found.t_ns // NS_A_SECOND).tolist()[::2] == [EXPECTED[0][0], EXPECTED[2][0]]


def test_a_bar_that_is_no_object_or_lacks_members_is_a_bar_of_nothing() -> None:
    (time, *numbers), other, _ = rows_of(done(decode_bars(b'{"bars":[7,{"o":1},null]}')))
    assert time == other[0] == NO_TIME_NS
    assert all(map(isnan, [*numbers, *other[2:]]))
    assert other[1] == 1.0


@pytest.mark.parametrize("body", [b'{"symbol":"A","bars":[]}', b"[]", b'{"bars": [ ] }'])
def test_no_bars_are_no_bars(body: bytes) -> None:
    assert len(done(decode_bars(body))) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b'{"bars":null}',
        b'{"bars":{}}',
        b'{"detail":"x"}',
        b"\xff",
        b"[" * 100_000,
        text_of(PLAIN)[:-1],
        text_of(PLAIN)[:-40],
        text_of(PLAIN)[:100_000],
        text_of(PLAIN).replace(b"}, {", b"},, {"),
        text_of(PLAIN) + b"}",
    ],
    ids=range(14),
)
def test_what_is_no_page_of_bars_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(MalformedBars):
        done(decode_bars(body))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_bars_or_malformed(data: bytes) -> None:
    for body in (data, b'{"bars":[{' + data, text_of(PLAIN[:3])[:-2] + data):
        try:
            done(decode_bars(body))
        except MalformedBars:
            pass


@given(rows=possible_rows())
def test_records_and_columns_say_the_same_as_the_bars(rows: list[Row]) -> None:
    bars = bars_of(rows)
    records = json.loads(b"".join(encode_records(bars)))
    columns = json.loads(b"".join(encode_columns(bars)))
    assert list(zip(*columns.values(), strict=True)) == [tuple(row) for row in rows]
    again = [dict(zip("tohlcv", record.values(), strict=True)) for record in records]
    assert rows_of(done(decode_bars(text_of(again)))) == rows


def test_records_have_the_contracts_names_and_whole_volumes() -> None:
    record = b"".join(encode_records(bars_of([EXPECTED[1]])))
    assert record == (
        b'[{"timestamp":"2024-03-01T00:01:00Z","open":11.25,"high":12.5,"low":10.75,"close":11.0,'
        b'"volume":1}]'
    )


def test_a_volume_nobody_knows_is_null_and_a_broken_one_stays_so() -> None:
    rows: list[Row] = [(60 * n, 1.0, 1.0, 1.0, 1.0, v) for n, v in enumerate([nan, 2.5, 3.0])]
    columns = json.loads(b"".join(encode_columns(bars_of(rows))))
    assert columns["v"] == [None, 2.5, 3.0]


def test_no_bars_are_an_empty_list_or_empty_columns() -> None:
    assert b"".join(encode_records(bars_of([]))) == b"[]"
    assert json.loads(b"".join(encode_columns(bars_of([])))) == {name: [] for name in "tohlcv"}
