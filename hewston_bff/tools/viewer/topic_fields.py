"""What of an event's data fits a line: the members that say most, by the names nodes give them."""

from typing import Any

import msgspec

_MAIN = {
    "bid_price": "bid",
    "ask_price": "ask",
    "price": "price",
    "size": "size",
    "aggressor_side": "",
    "open": "O",
    "high": "H",
    "low": "L",
    "close": "C",
    "volume": "V",
    "component_id": "",
    "state": "",
    "status": "",
    "progress": "progress",
    "client_order_id": "",
    "instrument_id": "",
    "order_side": "",
    "side": "",
    "quantity": "",
    "last_qty": "",
    "last_px": "at",
    "avg_px_open": "from",
    "realized_pnl": "pnl",
    "commission": "fee",
    "action": "",
    "name": "",
    "value": "",
    "error": "error:",
    "text": "",
}
"""Member → what is said before its value."""
_LISTS = {"services": ("name", "status"), "balances": ("total", "currency")}
"""Members that are lists, and what of each item is shown."""
_LEVELS = ("bid_price", "price", "close", "last_px")
"""Which tell whether something went up or down."""
_AT_MOST = 6
_CHARS = 90


def main_fields(data: Any) -> str:  # noqa: ANN401 - any JSON
    """The data in a few words."""
    data = _unwrapped(data)
    if not isinstance(data, dict):
        return _short(data)
    for name, (first, second) in _LISTS.items():
        rows = data.get(name)
        if isinstance(rows, list):
            found = [f"{each.get(first)} {each.get(second)}" for each in rows if _is_map(each)]
            return _short(" · ".join(found))
    parts = [
        f"{label} {_short(data[name])}".lstrip()
        for name, label in _MAIN.items()
        if data.get(name) is not None
    ]
    return "  ".join(parts[:_AT_MOST]) if parts else _short(data)


def level(data: Any) -> float | None:  # noqa: ANN401 - any JSON
    """The price or the like that goes up and down; None if it has none."""
    data = _unwrapped(data)
    if not isinstance(data, dict):
        return None
    for name in _LEVELS:
        if name in data:
            try:
                return float(data[name])
            except (TypeError, ValueError):
                return None
    return None


def _unwrapped(data: Any) -> Any:  # noqa: ANN401 - any JSON
    """Some nodes name the variant first: `{"Filled": {…}}`."""
    if isinstance(data, dict) and len(data) == 1:
        (inner,) = data.values()
        if isinstance(inner, dict):
            return inner
    return data


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = "".join(symbol if symbol.isprintable() else " " for symbol in text)
    return text if len(text) <= _CHARS else text[: _CHARS - 1] + "…"


def _is_map(value: object) -> bool:
    return isinstance(value, dict)
