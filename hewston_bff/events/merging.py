"""What a subscriber is sent of a range of events: each, or of some topics the newest alone."""

from collections.abc import Iterable
from typing import NamedTuple

from hewston_bff.events.event import Event


class Merged(NamedTuple):
    """An event, and how many of its topic it stands for, itself included."""

    event: Event
    n: int


class Merge:
    """Events in order of arrival; of a mergeable topic only the newest, in its own place."""

    __slots__ = ("_kept", "events", "single_bytes")

    def __init__(self) -> None:
        self._kept: dict[object, Merged] = {}
        self.events = 0
        """How many were added."""
        self.single_bytes = 0
        """Of those that nothing replaces: of the others there is one a topic."""

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, event: Event, *, is_mergeable: bool) -> None:
        """Take the next event; `is_mergeable`: events of its topic replace each other."""
        self.events += 1
        if is_mergeable:
            before = self._kept.pop(event.topic, None)
            self._kept[event.topic] = Merged(event, 1 if before is None else before.n + 1)
        else:
            self._kept[event] = Merged(event, 1)
            self.single_bytes += event.size_bytes

    def result(self) -> list[Merged]:
        """What stands for all that was added."""
        return list(self._kept.values())


def merged(events: Iterable[tuple[Event, bool]]) -> list[Merged]:
    """The events, merged as `Merge` has it; the second member tells whether an event may be."""
    merge = Merge()
    for event, is_mergeable in events:
        merge.add(event, is_mergeable=is_mergeable)
    return merge.result()
