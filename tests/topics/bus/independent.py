"""What an entry should come out as, computed plainly: a decoder of its own, slow and simple."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

MAX_EXACT = 2**53


def data_of(payload: bytes, *, is_state: bool = False) -> Any:
    """The value that `data` should have."""
    value = parsed(payload)
    if is_state or (isinstance(value, dict) and value.get("type") == "ComponentStateChanged"):
        value = without_config(value)
    return shown(value)


def parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.msgpack.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(payload).decode()}


def _refuse(name: str) -> float:
    raise ValueError(name)


def without_config(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_config(item) for key, item in value.items() if key != "config"}
    if isinstance(value, list):
        return [without_config(item) for item in value]
    return value


def shown(value: Any) -> Any:
    """With large integers as text."""
    if isinstance(value, dict):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_EXACT:
        return str(value)
    return value


def ts_of(payload: bytes, id_ms: int) -> str:
    """The value that `ts` should have."""
    value = parsed(payload)
    found = _ns(value)
    if not found and isinstance(value, dict):
        inner = value.get("payload") or (next(iter(value.values())) if len(value) == 1 else None)
        found = _ns(inner)
    return written(found or id_ms * 1_000_000)


def _ns(value: Any) -> int:
    if isinstance(value, dict):
        for name in ("ts_event", "ts_init"):
            if int(value.get(name) or 0):
                return int(value[name])
    return 0


def written(ns: int) -> str:
    second = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 10**9)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"
