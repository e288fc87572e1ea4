"""The streams that are read, and how new ones are found."""

from collections.abc import Iterable, Iterator, Sequence

import structlog

from hewston_bff.events.event import EntryId
from hewston_bff.events.streams_setting import StreamRule, rule_of
from hewston_bff.topics.bus.ports import BusConnection, KeyState, OtherType
from hewston_bff.topics.bus.stream import Stream

logger = structlog.get_logger(__name__)

_KEYS_AT_ONCE = 256
_LOOKED_AT = 64
"""Streams that are looked at after each scan, besides those that are named."""


class Streams:
    """By key. Named keys are there from the start: XREAD waits for a key that does not exist."""

    def __init__(self, rules: Sequence[StreamRule], *, refused_names: list[str]) -> None:
        """`refused_names`: where to note the names of refused keys."""
        self._rules = tuple(rules)
        self._refused_names = refused_names
        self.by_key: dict[bytes, Stream] = {}
        self.refused: set[bytes] = set()
        """Named keys that hold something else than a stream."""
        self._others: set[bytes] = set()
        """Keys of streams that no rule covers, so that they are matched once."""
        for rule in rules:
            if rule.key is not None:
                self.by_key.setdefault(rule.key, Stream(rule.key, rule.layout))

    @property
    def has_patterns(self) -> bool:
        """Whether there may be streams that are not known yet."""
        return any(rule.key is None for rule in self._rules)

    def positions(self) -> list[tuple[bytes, EntryId]]:
        """Where each stream is read from, but for those that are refused."""
        return [
            (key, stream.position) for key, stream in self.by_key.items() if key not in self.refused
        ]

    def find(self, keys: Iterable[bytes]) -> list[bytes]:
        """Take note of the streams of these keys; which of them are new and wanted."""
        found: list[bytes] = []
        for key in keys:
            if key in self.by_key or key in self._others:
                continue
            rule = rule_of(key.decode("utf-8", "replace"), self._rules)
            if rule is None:
                self._others.add(key)
            else:
                self.by_key[key] = Stream(key, rule.layout)
                found.append(key)
        return found

    def named(self) -> list[bytes]:
        """The keys that are named."""
        return [rule.key for rule in self._rules if rule.key is not None]

    def forget(self, key: bytes) -> None:
        """A stream is gone; one that is named stays, for it may come back."""
        if key not in self.named():
            self.note_refused(key, is_refused=False)
            self.by_key.pop(key, None)

    def forget_others(self, present: set[bytes]) -> None:
        """Forget keys that were not wanted and are gone."""
        self._others &= present

    async def scan(self, connection: BusConnection) -> None:
        """Look for streams that are not named, all at once. Raises `BusUnavailable`."""
        cursor = -1 if self.has_patterns else 0
        while cursor:
            cursor, keys = await connection.scan(max(cursor, 0))
            self.find(keys)

    def note_refused(self, key: bytes, *, is_refused: bool) -> None:
        """Take note of whether a key holds something else than a stream."""
        if is_refused == (key in self.refused):
            return
        name = self.by_key[key].name
        if is_refused:
            self.refused.add(key)
            self._refused_names.append(name)
            logger.warning("bus.no_stream", key=name)
        else:
            self.refused.discard(key)
            self._refused_names.remove(name)
            logger.info("bus.stream", key=name)


class Discovery:
    """Looks for new streams, a step at a time between reads, and at what became of known ones."""

    def __init__(self, streams: Streams, *, every_s: float) -> None:
        self._streams = streams
        self._every_s = every_s
        self._next_s: float | None = None
        self._cursor = 0
        self._seen: set[bytes] = set()
        self._turn = 0
        self.is_scanning = False

    async def step(self, connection: BusConnection, now_s: float) -> list[bytes]:
        """Scan some more if it is time; keys that should be looked at. Raises `BusUnavailable`."""
        if self._next_s is None:
            self._next_s = now_s + self._every_s
        if not self.is_scanning:
            if now_s < self._next_s:
                return []
            self._next_s = now_s + self._every_s
            if not self._streams.has_patterns:
                return self._streams.named()
            self.is_scanning = True
            self._cursor, self._seen = 0, set()
        self._cursor, keys = await connection.scan(self._cursor)
        self._seen.update(keys)
        found = self._streams.find(keys)
        if self._cursor:
            return found
        self.is_scanning = False
        self._streams.forget_others(self._seen)
        return list(dict.fromkeys([*found, *self._due()]))

    def _due(self) -> list[bytes]:
        """The named ones, those that seem to be gone, and some others in turn."""
        keys = list(self._streams.by_key)
        self._turn = self._turn if self._turn < len(keys) else 0
        some = keys[self._turn : self._turn + _LOOKED_AT]
        self._turn += _LOOKED_AT
        gone = [key for key in keys if key not in self._seen]
        return list(dict.fromkeys([*self._streams.named(), *gone, *some]))


def chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The keys, some hundreds at a time."""
    for at in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[at : at + _KEYS_AT_ONCE]


async def look(
    connection: BusConnection, streams: Streams, keys: Sequence[bytes]
) -> list[tuple[Stream, KeyState]]:
    """What these keys hold now. Raises `BusUnavailable`."""
    found = []
    for some in chunks(keys):
        for key, state in zip(some, await connection.inspect(some), strict=True):
            streams.note_refused(key, is_refused=isinstance(state, OtherType))
            found.append((streams.by_key[key], state))
    return found
