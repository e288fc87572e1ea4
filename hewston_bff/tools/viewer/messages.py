"""What `watch` reads of the stream protocol. Unknown kinds and members are passed over."""

import msgspec


class Bar(msgspec.Struct, frozen=True):
    """Prices of a frame; any may be missing."""

    o: float | None = None
    h: float | None = None
    l: float | None = None  # noqa: E741 - the wire's own name
    c: float | None = None
    v: float | None = None


class EquityPart(msgspec.Struct, frozen=True):
    """The run's equity; a merged frame also has its extremes."""

    value: float | None = None
    min: float | None = None
    max: float | None = None


class OrderPart(msgspec.Struct, frozen=True):
    """An order of the run."""

    side: str = ""
    qty: float | None = None
    price: float | None = None


class FrameMessage(msgspec.Struct, tag_field="t", tag="frame", frozen=True):
    """One or, from `from_` to `seq`, several source frames."""

    ts: str
    seq: int = -1
    from_: int | None = msgspec.field(default=None, name="from")
    ohlc: Bar | None = None
    orders: list[OrderPart] = []
    equity: EquityPart | None = None
    dropped: int = 0


class SubscribedMessage(msgspec.Struct, tag_field="t", tag="subscribed", frozen=True):
    """The run is being watched; on a cold log its bounds are not known yet."""

    last: int | None = None
    complete: bool = False
    status: str = "playing"
    speed: float = 60.0


class StateMessage(msgspec.Struct, tag_field="t", tag="state", frozen=True):
    """Where the cursor stands."""

    status: str
    seq: int = -1
    speed: float = 60.0
    live_edge: int = -1
    ts: str | None = None
    seeked: bool = False
    complete: bool = False


class SnapshotMessage(msgspec.Struct, tag_field="t", tag="snapshot", frozen=True):
    """The run so far, after a seek."""

    equity: list[EquityPart] = []


class UpstreamNewsMessage(msgspec.Struct, tag_field="t", tag="upstream", frozen=True):
    """How the server fares with the backend."""

    status: str
    attempt: int | None = None
    retry_in_ms: int | None = None


class SkippedPart(msgspec.Struct, frozen=True):
    """Frames of the run that could not be read, or not whole."""

    frames: int = 0
    reasons: dict[str, int] = {}


class RunNewsMessage(msgspec.Struct, tag_field="t", tag="run", frozen=True):
    """How the run fares."""

    status: str
    progress: float | None = None
    skipped: SkippedPart | None = None


class LagMessage(msgspec.Struct, tag_field="t", tag="lag", frozen=True):
    """Frames that are lost."""

    from_: int = msgspec.field(name="from")
    to: int


class ResetMessage(msgspec.Struct, tag_field="t", tag="reset", frozen=True):
    """The run is another one now."""


class EndedMessage(msgspec.Struct, tag_field="t", tag="end", frozen=True):
    """The run's last frame was delivered."""


class ErrMessage(msgspec.Struct, tag_field="t", tag="err", frozen=True):
    """What went wrong."""

    code: str = ""
    msg: str = ""


class ByeMessage(msgspec.Struct, tag_field="t", tag="bye", frozen=True):
    """The server goes; come back after `after_ms`."""

    after_ms: float = 0.0


Message = (
    FrameMessage
    | SubscribedMessage
    | StateMessage
    | SnapshotMessage
    | UpstreamNewsMessage
    | RunNewsMessage
    | LagMessage
    | ResetMessage
    | EndedMessage
    | ErrMessage
    | ByeMessage
)

_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def decode(data: str | bytes) -> Message | None:
    """The message, or None if it is of no kind that is shown."""
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError:
        return None
