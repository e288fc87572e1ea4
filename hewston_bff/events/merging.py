"""What a subscriber is sent of a range of events: each, or of some topics the newest alone."""

from collections.abc import Iterable
from typing import NamedTuple

from hewston_bff.events.event import Event


class Merged(NamedTuple):
    """An event, and how many of its topic it stands for, itself included."""

    event: Event
    n: int


def merged(events: Iterable[tuple[Event, bool]]) -> list[Merged]:
    """The events in order of arrival; of a mergeable topic only the newest, in its own place.

    The second member tells whether the event's topic may be merged.
    """
    kept: dict[object, Merged] = {}
    for event, is_mergeable in events:
        key: object = event.topic if is_mergeable else event
        before = kept.pop(key, None)
        kept[key] = Merged(event, 1 if before is None else before.n + 1)
    return list(kept.values())
