"""One event of a topic, and its id."""

import re
from typing import Final, NamedTuple

import msgspec

_ID: Final = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_ID_LIMIT: Final = 1 << 64


class EntryId(NamedTuple):
    """The id of an entry of a Redis stream; ids are ordered. Source: Redis, "Streams"."""

    ms: int
    """When it was written, by the clock of Redis: ms since 1970."""
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


FIRST_ID: Final = EntryId(0, 0)
"""Before every entry: Redis has none of this id."""


def parse_entry_id(text: str) -> EntryId | None:
    """The id in `text`, `ms-seq` or `ms` alone; None if it is no id."""
    found = _ID.fullmatch(text)
    if found is None:
        return None
    ms, seq = int(found[1]), int(found[2] or 0)
    return EntryId(ms, seq) if ms < _ID_LIMIT and seq < _ID_LIMIT else None


class Event:
    """One event. Immutable; slots and a plain class, for thousands are made each second."""

    __slots__ = ("_data", "_tail", "id", "size_bytes", "topic", "ts", "type")

    def __init__(self, topic: str, id: EntryId, ts: str, type: str, data: bytes) -> None:  # noqa: A002 - the wire's names
        """`topic`: `kind:name`. `ts`: RFC 3339, UTC. `type`: empty if unknown. `data`: JSON."""
        self.topic = topic
        self.id = id
        self.ts = ts
        self.type = type
        self._data = data
        self.size_bytes = len(data) + len(topic) + _OVERHEAD_BYTES
        self._tail = b""

    @property
    def tail(self) -> bytes:
        """The members of its message from `topic` to `data`, without braces; made once."""
        if not self._tail:
            topic, kind = _encode(self.topic), _encode(self.type)
            self._tail = b'"topic":%b,"id":"%b","ts":"%b","type":%b,"data":%b' % (
                topic,
                str(self.id).encode(),
                self.ts.encode(),
                kind,
                self._data,
            )
            # It is in there now: thousands of events are held, and each once.
            self._data = b""
        return self._tail

    @property
    def data(self) -> bytes:
        """What was published, as JSON."""
        size = self.size_bytes - len(self.topic) - _OVERHEAD_BYTES
        return self._data or self._tail[len(self._tail) - size :]


_OVERHEAD_BYTES: Final = 540
"""What an event needs in memory besides topic and data: the objects around them, and its tail's
head. Measured with `tracemalloc`, rounded up."""
_encode = msgspec.json.Encoder().encode
