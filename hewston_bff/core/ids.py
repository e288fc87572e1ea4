"""Names of things: runs, epochs, and times as integers."""

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

RunId = NewType("RunId", str)
Epoch = NewType("Epoch", str)

RUN_ID_PATTERN = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}"
SYMBOL_PATTERN = r"(?!/)(?!.*(?:\.\.|//))[A-Za-z0-9.\-_/^=]{1,32}"
_RUN_ID = re.compile(RUN_ID_PATTERN)
_SYMBOL = re.compile(SYMBOL_PATTERN)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def parse_run_id(text: str) -> RunId | None:
    """`text` as a run id, or None if it cannot be one (REST contract: the id rule)."""
    return None if _RUN_ID.fullmatch(text) is None else RunId(text)


def is_symbol(text: str) -> bool:
    """Whether `text` can be a symbol, in any case (REST contract: chart data)."""
    return _SYMBOL.fullmatch(text) is not None


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970-01-01 UTC of an aware `moment`, exact to the microsecond."""
    since = moment - _EPOCH_START
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def parse_time(text: str) -> int | None:
    """Nanoseconds since 1970 of an ISO 8601 time (UTC unless it says), or None."""
    try:
        moment = datetime.fromisoformat(text)
        return to_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def format_time(ts_ns: int) -> str:
    """RFC 3339 with `Z`, the backend's form: whole seconds unless there is a fraction."""
    moment = _EPOCH_START + timedelta(microseconds=ts_ns // 1_000)
    spec = "microseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"
