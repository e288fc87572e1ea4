"""The wall clock, where the protocol shows it to people and programs."""

from datetime import UTC, date, datetime

from hewston_bff.protocol.times import to_ns


def now_ms() -> int:
    """Milliseconds since 1970."""
    return to_ns(datetime.now(UTC)) // 1_000_000


def today() -> date:
    """The date in UTC."""
    return datetime.now(UTC).date()
