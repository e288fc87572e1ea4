"""The one reader and the one writer of times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hewston_bff.protocol.times import format_time, parse_time

# 2024-03-01T14:30:00Z, by `date -u -d 2024-03-01T14:30:00Z +%s`.
HALF_PAST_TWO_S = 1_709_303_400
HALF_PAST_TWO_NS = HALF_PAST_TWO_S * 1_000_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01T14:30:00Z",
        "2024-03-01T14:30:00z",
        "2024-03-01T14:30:00",
        "2024-03-01 14:30:00",
        "2024-03-01 14:30",
        "20240301T143000Z",
        "2024-03-01T15:30:00+01:00",
        "2024-03-01T09:30:00.000-05:00",
        " 2024-03-01T14:30:00.000000000Z ",
        1_709_303_400,
        1_709_303_400.0,
        "1709303400",
        "1709303400.0",
        1_709_303_400_000,
        "1709303400000",
        1_709_303_400_000_000,
        "1709303400000000",
        1_709_303_400_000_000_000,
        "1709303400000000000",
        1.7093034e18,
        "1.7093034E+12",
    ],
)
def test_one_instant_is_read_in_every_form(text: str | float) -> None:
    assert parse_time(text) == HALF_PAST_TWO_NS


@pytest.mark.parametrize(
    ("text", "ns_after"),
    [
        ("2024-03-01T14:30:00.0000001Z", 100),
        ("2024-03-01T14:30:00.000000002", 2),
        ("2024-03-01T14:30:00,5Z", 500_000_000),
        ("2024-03-01T16:30:00.123456789+02:00", 123_456_789),
        ("2024-03-01T14:30:00.9999999999Z", 999_999_999),
        ("1709303400.1234567", 123_456_700),
        ("1709303400123.4567", 123_456_700),
        (1_709_303_400_123_456_789, 123_456_789),
    ],
)
def test_times_are_exact_to_the_nanosecond(text: str | float, ns_after: int) -> None:
    assert parse_time(text) == HALF_PAST_TWO_NS + ns_after


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("20240301", "2024-03-01T00:00:00Z"),
        ("2024-03-01", "2024-03-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-5, "1969-12-31T23:59:55Z"),
        (-0.25, "1969-12-31T23:59:59.750000Z"),
        (99_999_999_999, "5138-11-16T09:46:39Z"),
        (100_000_000_000, "1973-03-03T09:46:40Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_at_the_edges(text: str | float, right: str) -> None:
    ts_ns = parse_time(text)
    assert ts_ns is not None
    assert format_time(ts_ns) == right


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "yesterday", "2024", "202403", "20240230", "99999999", "0", "-7"),
        *("2024-03-01T25:00:00Z", "2024-03-01T14:30.5Z", "14:30:00", "1709303400s"),
        *("0001-01-01T00:00:00+05:00", "1e999", "1e999999", "NaN", "Infinity", "1" * 40),
        *(float("nan"), float("inf"), 1e300, 10**400, True, False),
    ],
)
def test_what_cannot_be_read_is_nothing(text: str | float) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("ns_after", "right"),
    [
        (0, "2024-03-01T14:30:00Z"),
        (250_000_000, "2024-03-01T14:30:00.250000Z"),
        (1_000, "2024-03-01T14:30:00.000001Z"),
        (100, "2024-03-01T14:30:00.000000100Z"),
        (-1, "2024-03-01T14:29:59.999999999Z"),
    ],
)
def test_times_are_written_with_the_digits_that_they_need(ns_after: int, right: str) -> None:
    assert format_time(HALF_PAST_TWO_NS + ns_after) == right


@settings(deadline=None)
@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    st.integers(0, 999),
)
def test_what_is_written_is_read_again(moment: datetime, rest_ns: int) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    ts_ns = since // timedelta(microseconds=1) * 1_000 + rest_ns
    assert parse_time(format_time(ts_ns)) == ts_ns
