"""What `watch` reads of topics that carry events. Other messages and members are passed over."""

from typing import Any

import msgspec

from hewston_bff.tools.viewer.messages import ByeMessage, ErrMessage


class TopicEventMessage(msgspec.Struct, tag_field="t", tag="event", frozen=True):
    """An event; `n`: how many of its topic it stands for."""

    topic: str
    id: str
    ts: str = ""
    type: str = ""
    data: Any = None
    n: int = 1


class TopicSubscribedMessage(msgspec.Struct, tag_field="t", tag="subscribed", frozen=True):
    """The topics are being watched."""

    sid: int | None = None
    status: str = ""
    mode: str = ""
    position: str | None = None
    recovered: bool | None = None
    matches: int = 0
    broad: bool = False


class TopicStateMessage(msgspec.Struct, tag_field="t", tag="state", frozen=True):
    """Where the subscription stands."""

    status: str
    position: str | None = None


class SourceMessage(msgspec.Struct, tag_field="t", tag="source", frozen=True):
    """How the server fares with where events come from."""

    kind: str
    status: str
    attempt: int = 0
    retry_in_ms: int | None = None
    heartbeat_age_ms: int | None = None
    simulated: bool = False


class TopicLagMessage(msgspec.Struct, tag_field="t", tag="lag", frozen=True):
    """Events that will not come."""

    topic: str
    after: str
    until: str
    reason: str = ""


TopicMessage = (
    TopicEventMessage
    | TopicSubscribedMessage
    | TopicStateMessage
    | SourceMessage
    | TopicLagMessage
    | ErrMessage
    | ByeMessage
)

_DECODER: msgspec.json.Decoder[TopicMessage] = msgspec.json.Decoder(TopicMessage)


def decode(data: str | bytes) -> TopicMessage | None:
    """The message, or None if it is of no kind that is shown."""
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError:
        return None
