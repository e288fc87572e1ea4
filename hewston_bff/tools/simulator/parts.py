"""`GET /backtests/{id}/equity` and `/orders`: documented, and not there in reality."""

from collections.abc import Iterable, Iterator

import msgspec


class _EquityPart(msgspec.Struct):
    value: float


class _FramePart(msgspec.Struct):
    ts: str
    orders: list[msgspec.Raw] = []
    equity: _EquityPart | float | None = None


def equity(frames: Iterable[bytes]) -> bytes:
    """The equity of all frames that tell one."""
    points = []
    for frame in _decoded(frames):
        told = frame.equity
        if told is not None:
            value = told.value if isinstance(told, _EquityPart) else told
            points.append({"timestamp": frame.ts, "equity": value})
    return msgspec.json.encode({"equity": points})


def orders(frames: Iterable[bytes]) -> bytes:
    """The orders of all frames, as they are there."""
    placed = [order for frame in _decoded(frames) for order in frame.orders]
    return msgspec.json.encode({"orders": placed})


def _decoded(frames: Iterable[bytes]) -> Iterator[_FramePart]:
    decoder = msgspec.json.Decoder(_FramePart)
    return (decoder.decode(frame) for frame in frames)
