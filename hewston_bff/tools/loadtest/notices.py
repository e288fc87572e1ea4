"""The messages besides frames, as far as a load test must understand them.

Lenient on purpose: members that are missing or new harm nobody here, and the backend itself is
tested with the same words.
"""

import msgspec


class OddFrame(msgspec.Struct, tag_field="t", tag="frame"):
    """A frame whose `t` is not its first member: rare enough to be decoded."""

    sid: int = -1
    seq: int = -1
    from_: int | None = msgspec.field(default=None, name="from")
    n: int = 1
    dropped: int = 0
    sent_ns: int = -1


class SubscribedNotice(msgspec.Struct, tag_field="t", tag="subscribed"):
    """Under which number a subscription runs."""

    re: int | str | None = None
    sid: int = -1


class StateNotice(msgspec.Struct, tag_field="t", tag="state"):
    """Where a cursor stands."""

    sid: int = -1
    status: str = ""
    seeked: bool = False


class LagNotice(msgspec.Struct, tag_field="t", tag="lag"):
    """Frames `from` to `to` were lost; or, of topics, events `after` one until another."""

    from_: int = msgspec.field(name="from", default=0)
    to: int = -1
    after: str | None = None
    sid: int = -1


class ResetNotice(msgspec.Struct, tag_field="t", tag="reset"):
    """The run has changed."""

    sid: int = -1


class EndNotice(msgspec.Struct, tag_field="t", tag="end"):
    """The run is over."""

    sid: int = -1


class ErrNotice(msgspec.Struct, tag_field="t", tag="err"):
    """Something went wrong."""

    code: str = "no code"
    sid: int = -1


Notice = OddFrame | SubscribedNotice | StateNotice | LagNotice | ResetNotice | EndNotice | ErrNotice

_DECODER: msgspec.json.Decoder[Notice] = msgspec.json.Decoder(Notice)
NOT_JSON = "not JSON"


class NotJson(Exception):
    """A message that is no JSON at all."""


def decode(data: bytes) -> Notice | None:
    """The message, or None if it is of a kind that does not matter here.

    Raises:
        NotJson: it is no JSON.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise NotJson from exc
