"""Times as nanoseconds since 1970-01-01 UTC: parsed from every known form, written in one."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_NS = -62_135_596_800 * 1_000_000_000
_LAST_NS = 253_402_300_800 * 1_000_000_000 - 1
_TEXT_CHARS = 128
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LEAST_NUMBER = 10**8
"""Text of a smaller number is not a time: `2024` is a year, and `20240301` a date."""
_FINE = re.compile(r"(.*\d{2}:?\d{2}:?\d{2})[.,](\d+)(.*)", re.ASCII)
_POINT = re.compile(r"[.,]")
_UNITS = (
    (10**11, 1_000_000_000),
    (10**14, 1_000_000),
    (10**17, 1_000),
    (_LAST_NS + 1, 1),
)
"""Numbers below the first are in units of that many nanoseconds."""


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970-01-01 UTC of an aware `moment`, exact to the microsecond."""
    since = moment - _EPOCH_START
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def parse_time(time: str | float | Decimal) -> int | None:
    """Nanoseconds since 1970-01-01 UTC, or None if `time` cannot be read.

    | form | read as |
    |---|---|
    | ISO 8601 text, a space or `T` between date and time | UTC unless it has an offset |
    | number, or text of one from 1e8 on | time since 1970, in the unit that its size tells |
    | text of a smaller number | a date if it has 8 digits, else nothing |

    Units by size: seconds below 1e11 (the year 5138), milliseconds below 1e14, microseconds below
    1e17, then nanoseconds. Digits after the ninth of a fraction are dropped. All times that reach
    this service are parsed here. None outside the years 1 to 9999.
    """
    if isinstance(time, str):
        if len(time) == 20 and time[10] == "T" and time[19] == "Z":
            # The usual form, on a fast path; it is too short for nanoseconds.
            return _iso_ns(time)
        text = time[:_TEXT_CHARS].strip()
        if _NUMBER.fullmatch(text) is None:
            return _fine_iso_ns(text)
        number = Decimal(text)
        return _fine_iso_ns(text) if abs(number) < _LEAST_NUMBER else _epoch_ns(number)
    if isinstance(time, Decimal):
        return _epoch_ns(time)
    if isinstance(time, bool) or abs(time) > _LAST_NS:
        return None
    return _epoch_ns(Decimal(repr(time)))


def _fine_iso_ns(text: str) -> int | None:
    text = text.replace("z", "Z")
    fine = _FINE.fullmatch(text)
    if fine is None:
        return None if _POINT.search(text) else _iso_ns(text)
    # `datetime` ends at microseconds.
    whole_ns = _iso_ns(fine[1] + fine[3])
    return None if whole_ns is None else whole_ns + int(fine[2][:9].ljust(9, "0"))


def _iso_ns(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        ts_ns = to_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
    return _in_range(ts_ns)


def _epoch_ns(number: Decimal) -> int | None:
    if not number.is_finite():
        return None
    size = abs(number)
    for below, unit_ns in _UNITS:
        if size < below:
            return _in_range(floor(number * unit_ns))
    return None


def _in_range(ts_ns: int) -> int | None:
    return ts_ns if _FIRST_NS <= ts_ns <= _LAST_NS else None


def format_time(ts_ns: int) -> str:
    """RFC 3339 with `Z`: no fraction unless there is one, then microseconds, or nanoseconds.

    `ts_ns` is of the years 1 to 9999, as `parse_time` gives it.
    """
    seconds, fraction_ns = divmod(ts_ns, 1_000_000_000)
    text = (_EPOCH_START + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    if not fraction_ns:
        return text + "Z"
    micros, rest_ns = divmod(fraction_ns, 1_000)
    return f"{text}.{fraction_ns:09}Z" if rest_ns else f"{text}.{micros:06}Z"
