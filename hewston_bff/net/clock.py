"""The wall clock, where the protocol shows it to people and programs."""

from datetime import UTC, date, datetime

from hewston_bff.protocol.times import to_ns


def now_ns() -> int:
    """Nanoseconds since 1970, exact to the microsecond."""
    return to_ns(datetime.now(UTC))


def now_ms() -> int:
    """Milliseconds since 1970."""
    return now_ns() // 1_000_000


def today() -> date:
    """The date in UTC."""
    return datetime.now(UTC).date()
