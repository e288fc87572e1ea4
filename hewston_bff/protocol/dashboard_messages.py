"""What two older frontends expect of a socket; `type` says which message it is.

One is the dashboard of a trading node, the other the events page of the trading backend.
"""

from typing import Any, Literal

import msgspec

MAX_TEXT = 4_096
"""Characters of a text from these clients, at most."""


class Greeting(msgspec.Struct, tag_field="type", tag="connection", frozen=True):
    """The first message to a dashboard."""

    message: str
    status: Literal["connected"] = "connected"


class MessageBusEvent(msgspec.Struct, tag_field="type", tag="messagebus", frozen=True):
    """An event of the bus. `timestamp`: ns since 1970. `message_type` is never empty."""

    topic: str
    payload: Any
    timestamp: int
    message_type: str


class DashboardError(msgspec.Struct, tag_field="type", tag="error", frozen=True):
    """A text of the client was no JSON, or too long."""

    message: str


class DashboardPong(msgspec.Struct, tag_field="type", tag="pong", frozen=True):
    """The answer to `{"type":"ping"}`."""


class DashboardPing(msgspec.Struct, tag_field="type", tag="ping", frozen=True):
    """Asks for a `pong`."""


PlatformEventType = Literal["system_status", "trading_signals", "job_updates", "market_data"]


class PlatformEvent(msgspec.Struct, frozen=True):
    """A change, as the events page of the trading backend has it."""

    type: PlatformEventType
    data: Any
