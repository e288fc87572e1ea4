"""Events as the text of messages."""

from collections.abc import Callable
from typing import Final

import msgspec

from hewston_bff.events.event import Event
from hewston_bff.protocol.dashboard_messages import MessageBusEvent, PlatformEventType
from hewston_bff.protocol.dialects import EventStyle
from hewston_bff.protocol.times import parse_time
from hewston_bff.protocol.topics import JOB, SYSTEM

_encode = msgspec.json.Encoder().encode
_NO_TYPE: Final = "event"


def event_text(event: Event, n: int, sid: int | None) -> bytes:
    """The `event` message of the stream protocol."""
    if sid is None:
        return b'{"t":"event",%b,"n":%d}' % (event.tail, n)
    return b'{"t":"event","sid":%d,%b,"n":%d}' % (sid, event.tail, n)


def dashboard_text(event: Event, n: int, sid: int | None) -> bytes:  # noqa: ARG001 - as the others
    """The `messagebus` message of a node's dashboard."""
    message = MessageBusEvent(
        topic=event.topic.partition(":")[2],
        payload=msgspec.Raw(event.data),
        timestamp=parse_time(event.ts) or event.id.ms * 1_000_000,
        message_type=event.type or _NO_TYPE,
    )
    return _encode(message)


def platform_text(event: Event, n: int, sid: int | None) -> bytes:  # noqa: ARG001 - as the others
    """The message of the trading backend's events page."""
    return b'{"type":"%b","data":%b}' % (_platform_type(event).encode(), event.data)


def _platform_type(event: Event) -> PlatformEventType:
    kind, _, name = event.topic.partition(":")
    if kind == SYSTEM:
        return "system_status"
    if kind == JOB:
        return "job_updates"
    return "trading_signals" if name.startswith("signals") else "market_data"


TEXTS: Final[dict[EventStyle, Callable[[Event, int, int | None], bytes]]] = {
    EventStyle.STREAM: event_text,
    EventStyle.DASHBOARD: dashboard_text,
    EventStyle.PLATFORM: platform_text,
}
"""How each style of endpoint writes an event that stands for `n`, to subscription `sid`."""
