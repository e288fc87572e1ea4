"""A run's description from whatever a backend may say, and back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import (
    MalformedDescription,
    RunDescription,
    parse_description,
)
from hewston_bff.topics.run.identity import RunIdentity

RUN = RunId("run")
NAMES = (
    "status",
    "progress",
    "params",
    "symbol",
    "dataset_id",
    "artifacts",
    "created_at",
    "run_to",
)

names = st.sampled_from(NAMES) | st.text(max_size=3)
times = st.sampled_from(["2024-01-02T14:30:00Z", "0001-01-01T00:00:00+23:59", "soon"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | times | st.text(max_size=3)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
bodies = st.binary(max_size=40) | values.map(msgspec.json.encode)


@given(bodies)
def test_any_body_is_a_description_or_malformed_and_a_description_can_be_written(
    body: bytes,
) -> None:
    try:
        description = parse_description(RUN, body)
    except MalformedDescription:
        return
    whole = msgspec.json.decode(description.with_row({"symbol": "X", "status": b"?"}).whole())
    assert {"run_id", "status", "symbol", "params", "error_message"} <= whole.keys()
    assert len(msgspec.json.decode(description.brief())) == 9
    description.path("equity_path")


@pytest.mark.parametrize(
    ("dataset", "symbol"),
    [
        ("TSLA-2024-1m", "TSLA"),
        ("BRK-B-2024-1m", "BRK-B"),
        ("AAPL", "AAPL"),
        ("BTC-USD", "BTC"),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_symbol_is_what_comes_before_the_year(dataset: object, symbol: str | None) -> None:
    description = parse_description(RUN, msgspec.json.encode({"dataset_id": dataset}))
    assert msgspec.json.decode(description.whole())["symbol"] == symbol
    named = parse_description(RUN, msgspec.json.encode({"dataset_id": dataset, "symbol": "OWN"}))
    assert msgspec.json.decode(named.brief())["symbol"] == "OWN"


def test_numbers_of_the_backend_keep_their_digits() -> None:
    body = b'{"status":"DONE","params":{"a":1.10,"b":12345678901234567890},"speed":60.0}'
    whole = parse_description(RUN, body).whole()
    assert b'{"a":1.10,"b":12345678901234567890}' in whole
    assert b'"speed":60.0' in whole


def test_a_number_that_is_none_costs_a_description_nothing_else() -> None:
    description = parse_description(
        RUN, b'{"status":"DONE","progress":NaN,"params":{"stop":-Infinity,"n":"NaN"}}'
    )
    whole = msgspec.json.decode(description.whole())
    assert description.status == "DONE"
    assert whole["params"] == {"stop": None, "n": "NaN"}


def test_what_a_description_says_is_read_once() -> None:
    body = (
        b'{"status":"DONE","progress":50,"created_at":"2024-02-01T01:00:00+01:00",'
        b'"code_hash":"abc","run_from":"2024-01-01","run_to":"2024-12-31",'
        b'"artifacts":{"equity_path":"a/b","orders_path":1}}'
    )
    description = parse_description(RUN, body, asked_s=1.0, told_s=2.0)
    assert description == RunDescription(
        "DONE", 50.0, RunIdentity("2024-02-01T00:00:00Z", "abc"), asked_s=7.0
    )
    assert (description.asked_s, description.told_s) == (1.0, 2.0)
    assert description.is_over
    assert description.days == pytest.approx(252 * 366 / 365.25)
    assert description.path("equity_path") == "a/b"
    assert description.path("orders_path") is None
    assert description.path("metrics_path") is None


def test_a_status_that_is_no_text_makes_no_description() -> None:
    for body in (b'{"status":1}', b'{"status":["DONE"]}', b'{"status":true}'):
        with pytest.raises(MalformedDescription):
            parse_description(RUN, body)
    assert parse_description(RUN, b'{"status":null,"progress":"half"}') == RunDescription()


def test_the_catalog_adds_what_the_backend_did_not_say() -> None:
    description = parse_description(RUN, b'{"status":"DONE","started_at":null}')
    row = {"started_at": "2024-02-01", "status": "RUNNING", "secret": 1}
    whole = msgspec.json.decode(description.with_row(row).whole())
    assert (whole["started_at"], whole["status"]) == ("2024-02-01", "DONE")
    assert "secret" not in whole
    assert description.with_row(row) == description
