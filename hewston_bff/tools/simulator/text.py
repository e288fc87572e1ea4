"""The backend's JSON on its streams: separators ", " and ": ", unlike the compact REST bodies."""

from typing import Any

import msgspec


def spaced_json(value: object) -> bytes:
    """`value` as the streams write it; msgspec itself only encodes compactly."""
    return respaced(msgspec.json.encode(value))


def respaced(document: bytes | msgspec.Raw) -> bytes:
    """The same JSON document with the streams' separators; numbers keep their digits."""
    # indent=0 is msgspec's one-line form with a space after each comma and colon
    return msgspec.json.format(bytes(document), indent=0)


def parsed(document: bytes | str) -> Any:  # noqa: ANN401 - any JSON value is meant
    """The plain Python value of a JSON text.

    Raises:
        msgspec.DecodeError: the text is no JSON.
    """
    return msgspec.json.decode(document)


HEARTBEAT = spaced_json({"t": "hb"})
END = spaced_json({"t": "end"})


def stream_error(message: str, *, code: str = "STREAM_ERROR") -> bytes:
    """An `err` message; the real ones may name internal paths, so may these."""
    return spaced_json({"t": "err", "code": code, "msg": message})
