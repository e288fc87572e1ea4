"""How the console writes numbers and times: literal right values, computed by hand."""

from typing import Any

import pytest

from tests.console.support import in_node

FORMAT = {
    "Precision, quantity, price, percent, ratio, minute, clock, seconds, whole": "ui/format.js"
}


def _written(script: str) -> Any:
    return in_node(script, modules=FORMAT)


def _series(*values: float) -> str:
    """The last of a series, written with the precision of all."""
    text: str = _written(
        f"const series = new Precision(); const values = {list(values)};"
        "for (const value of values) series.take(value); return series.write(values.at(-1));"
    )
    return text


@pytest.mark.parametrize(
    ("series", "text"),
    [
        ((0.00001234,), "0.00001234"),
        ((0.00001234, 0.00001235), "0.00001235"),
        ((64_000_000,), "64,000,000"),
        ((0.0153,), "0.0153"),
        ((0.0153, 0.0161), "0.0161"),
        ((182.45, 182.4), "182.40"),
        ((182.4,), "182.40"),
        ((-36.98, -37.63), "−37.63"),
        ((0,), "0"),
        ((100,), "100"),
        ((1.08543,), "1.08543"),
        ((30_000.123, 30_000.124), "30,000.124"),
        # Averages and rounding of binary fractions say nothing with their tenth digit.
        ((100_000, 100_012.3333333), "100,012.33"),
        ((0.30000000000000004,), "0.3"),
        ((4.6e14,), "460,000,000,000,000"),
        ((1e300,), "1e+300"),
        ((2.5e-13,), "2.5e−13"),
        # What is small beside its series is not written as nothing.
        ((100_000.25, 0.004), "0.004"),
    ],
)
def test_a_price_has_the_digits_of_its_series(series: tuple[float, ...], text: str) -> None:
    assert _series(*series) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.00001234", "0.00001234"),
        ("0.032", "0.032"),
        ("1.5", "1.5"),
        ("64000000", "64,000,000"),
        ("7", "7"),
        ("0", "0"),
        ("-12.5", "−12.5"),
        ("1234567.891", "1,234,567.891"),
        ('"0.10"', "0.10"),
        ("null", "–"),
        ("NaN", "–"),
    ],
)
def test_a_quantity_is_written_as_it_came(value: str, text: str) -> None:
    assert _written(f"return quantity({value})") == text


def test_shares_and_ratios_have_signs_and_no_negative_zero() -> None:
    assert _written(
        "return [percent(0.1234), percent(-0.00001), percent(-12.5), percent(0.0025, {signed: true}),"
        " percent(null), percent(Infinity), ratio(-1.5), ratio(undefined), whole(-1234)]"
    ) == ["12.3 %", "0.00 %", "−1,250.0 %", "+0.25 %", "–", "–", "−1.50", "–", "−1,234"]


def test_times_are_utc_in_every_zone_of_the_reader() -> None:
    assert _written(
        "process.env.TZ = 'America/New_York';"
        "return [clock('2024-03-01T14:30:00'), minute('2024-03-01T14:30:00Z'),"
        " clock('2024-03-01T09:30:15.5-05:00'), clock('2024-03-01 14:30'),"
        " seconds('2024-03-01T14:30:00'), clock(null), clock('soon')]"
    ) == [
        "2024-03-01 14:30 UTC",
        "2024-03-01 14:30",
        "2024-03-01 14:30:15.500 UTC",
        "2024-03-01 14:30 UTC",
        1_709_303_400,
        "–",
        "–",
    ]
