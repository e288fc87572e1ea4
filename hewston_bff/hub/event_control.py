"""Parses where a subscription to events begins, and of what."""

from typing import Literal, NamedTuple

from hewston_bff.errors import InvalidRequest
from hewston_bff.events.event import FIRST_ID, EntryId, parse_entry_id
from hewston_bff.events.pattern import InvalidPattern, Pattern
from hewston_bff.protocol.commands import EventMode, SubscribeEvents

_WORDS: dict[str, "Literal['last', 'live', 'start']"] = {
    "last": "last",
    "live": "live",
    "start": "start",
}


class Begin(NamedTuple):
    """Where to begin; `after`: with what follows `entry_id`, of that `topic` if it is known."""

    place: Literal["last", "live", "start", "after"]
    entry_id: EntryId = FIRST_ID
    topic: str | None = None
    is_resume: bool = False


def pattern_of(request: SubscribeEvents) -> Pattern:
    """The pattern of names in `topic`.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return Pattern(request.topic.partition(":")[2])
    except InvalidPattern as error:
        msg = f"`topic`: {error}"
        raise InvalidRequest(msg) from error


def begin_of(request: SubscribeEvents, mode: EventMode) -> Begin:
    """Where the subscription begins: `resume`, else `from`, else as its mode has it.

    Raises:
        InvalidRequest: an id that is none.
    """
    if request.resume is not None:
        entry_id = _entry_id(request.resume.id, "`resume.id` must be")
        return Begin("after", entry_id, request.resume.topic, is_resume=True)
    if request.from_ is None:
        return Begin("last" if mode == "latest" else "live")
    word = _WORDS.get(request.from_)
    if word is not None:
        return Begin(word)
    return Begin("after", _entry_id(request.from_, "`from` must be last, live, start or"))


def _entry_id(text: str, must_be: str) -> EntryId:
    entry_id = parse_entry_id(text)
    if entry_id is None:
        msg = f"{must_be} the id of an entry, such as 1795229399763-0"
        raise InvalidRequest(msg)
    return entry_id
