"""The length of a run, from the backend's description."""

from datetime import date
from typing import Final

import msgspec

TRADING_SHARE: Final = 252 / 365.25
_TEXT = msgspec.json.Decoder(str)


def run_days(run_from: bytes, run_to: bytes) -> float | None:
    """Days of trading between two JSON values like `"2024-01-02"`; None if they are no dates."""
    try:
        first, last = (date.fromisoformat(_TEXT.decode(raw)[:10]) for raw in (run_from, run_to))
    except (msgspec.MsgspecError, ValueError):
        return None
    days = (last - first).days + 1
    return days * TRADING_SHARE if days > 0 else None
