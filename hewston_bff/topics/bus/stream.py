"""How far one stream was read, and what became of it while it was not.

| Redis says | so | the reader |
|---|---|---|
| no such key | it was removed | names what may be lost; reads a new one from its start |
| its last id is before ours, one we read | it was set back to an older copy | goes on there |
| its last id is before ours, none we read | it is another one | as if it had been removed |
| our entry is gone, as many were removed as we read | it was trimmed behind us | goes on |
| our entry is gone, more or fewer were removed | trimmed ahead, or another | names the gap |
| anything else | nothing happened | goes on |
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from hewston_bff.events.event import FIRST_ID, EntryId
from hewston_bff.events.source_state import Lost
from hewston_bff.events.streams_setting import StreamLayout
from hewston_bff.topics.bus.ports import KeyState, Missing, OtherType, StreamInfo

MAX_SEQ: Final = (1 << 64) - 1
LAST_ID: Final = EntryId(MAX_SEQ, MAX_SEQ)
"""After every entry."""
_REMEMBERED: Final = 64


def previous(entry_id: EntryId) -> EntryId:
    """The id right before; of the first one itself."""
    if entry_id.seq:
        return EntryId(entry_id.ms, entry_id.seq - 1)
    return EntryId(entry_id.ms - 1, MAX_SEQ) if entry_id.ms else FIRST_ID


def following(entry_id: EntryId) -> EntryId:
    """The id right after; of the last one itself."""
    if entry_id.seq < MAX_SEQ:
        return EntryId(entry_id.ms, entry_id.seq + 1)
    return EntryId(entry_id.ms + 1, 0) if entry_id.ms < MAX_SEQ else LAST_ID


class Stream:
    """One stream. `position`: the id after which the next entry is taken."""

    __slots__ = (
        *("_base", "_first_id", "_recent", "_taken"),
        *("is_mixed", "key", "layout", "name", "position", "topic"),
    )

    def __init__(self, key: bytes, layout: StreamLayout) -> None:
        self.key = key
        self.name = key.decode("utf-8", "replace")
        self.layout = layout
        self.position = FIRST_ID
        self.topic: str | None = None
        """The first topic found in it, `bus:name`."""
        self.is_mixed = False
        """Whether it holds several topics."""
        self._taken = 0
        self._base: int | None = None
        """How many entries were added before the first that was taken; None: not known."""
        self._first_id: EntryId | None = None
        """The oldest entry it had when it was first seen."""
        self._recent: deque[EntryId] = deque(maxlen=_REMEMBERED)

    def note_topic(self, topic: str) -> None:
        """An event of this topic, `bus:name`, was found in it."""
        self.is_mixed = self.topic is not None
        self.topic = self.topic or topic

    @property
    def only_topic(self) -> str | None:
        """The name of its only topic: its key, or what its key ends in; None if there are more."""
        if not self.layout.has_own_topic:
            return self.name
        if self.topic is None or self.is_mixed:
            return None
        name = self.topic.partition(":")[2]
        return name if self.name.endswith(f":{name}") else None

    @property
    def carries(self) -> Callable[[str], bool] | None:
        """Whether events of a topic can be in it; None if any can."""
        only = self.only_topic
        return None if only is None else only.__eq__

    def may_carry(self, wanted: Callable[[str], bool]) -> bool:
        """Whether events of a wanted topic may be in it."""
        only = self.only_topic
        return only is None or wanted(only)

    def begin(self, info: StreamInfo) -> None:
        """Go on after everything that it holds now."""
        self.position = info.last_id
        self._anchor(info.added)
        self._first_id = info.first_id

    def take(self, entry_id: EntryId) -> None:
        """The next entry was dealt with."""
        self.position = entry_id
        self._taken += 1
        self._recent.append(entry_id)

    def look(self, state: KeyState, now: EntryId) -> Lost | None:
        """Take note of what the key holds now; what was lost of it, as far as can be told.

        Only while nothing of it is read and not yet taken. `now`: the highest id that may have been
        given by now.
        """
        if isinstance(state, Missing | OtherType):
            return self._start_over(0, until=now)
        if state.last_id < self.position:
            return self._look_back(state, now)
        return self._look_ahead(state)

    def _look_back(self, info: StreamInfo, now: EntryId) -> Lost | None:
        if self._was_read(info):
            self.position = info.last_id
            self._anchor(info.added)
            return None
        return self._start_over(_removed(info), until=now)

    def _was_read(self, info: StreamInfo) -> bool:
        """Whether a last id that is before ours is that of an entry we read."""
        if info.last_id in self._recent:
            return True
        if self._recent and info.last_id >= self._recent[0]:
            return False
        known, first = self._first_id, info.first_id
        return known is not None and first is not None and first <= known <= info.last_id

    def _look_ahead(self, info: StreamInfo) -> Lost | None:
        if self._first_id is None:
            self._first_id = info.first_id
        removed = _removed(info)
        if self.position == FIRST_ID:
            # Nothing was read of it: nothing can be missed.
            self._base = removed
            return None
        if info.last_id == self.position:
            self._anchor(info.added)
            return None
        if info.first_id is not None and info.first_id <= self.position:
            return None
        index = None if self._base is None else self._base + self._taken
        self._taken, self._base = 0, removed
        if index is not None and index == removed:
            return None
        until = info.last_id if info.first_id is None else previous(info.first_id)
        return Lost(self.position, until) if until > self.position else None

    def _start_over(self, removed: int | None, *, until: EntryId) -> Lost | None:
        position = self.position
        self.position = FIRST_ID
        self._taken, self._base = 0, removed
        self._first_id = None
        self._recent.clear()
        return Lost(position, until) if FIRST_ID < position < until else None

    def _anchor(self, added: int | None) -> None:
        """Everything that was ever added was taken, or is passed over."""
        self._base = added
        self._taken = 0


def _removed(info: StreamInfo) -> int | None:
    """How many entries are gone."""
    return None if info.added is None else info.added - info.length
