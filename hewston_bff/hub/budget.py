"""The memory limit of all logs together."""

from collections.abc import Collection

import structlog

from hewston_bff.hub.topic_entry import TopicEntry

logger = structlog.get_logger(__name__)

_ROOM_AGAIN = 0.95


class Budget:
    """Keeps the logs below `limit_bytes`.

    Unwatched topics are dropped first, least recently used first; then records that no cursor needs
    are evicted; then the largest log stops growing and new topics are refused.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.is_full = False
        """Whether the limit is reached: new topics are refused."""

    def keep(self, entries: Collection[TopicEntry]) -> list[TopicEntry]:
        """Enforce the limit; returns the topics that the hub has to drop."""
        used, limit = sum(entry.log.size_bytes for entry in entries), self._limit_bytes
        room_again = int(limit * _ROOM_AGAIN)
        is_growing = all(entry.room.is_set() for entry in entries)
        # A paused log needs room to go on: freeing only down to the limit would pause it for ever.
        goal = limit if is_growing else room_again
        gone: list[TopicEntry] = []
        for entry in sorted(entries, key=_last_used_s):
            if used > goal and not entry.viewers:
                used -= entry.log.size_bytes
                gone.append(entry)
                topic, log = entry.channel.topic, entry.log
                logger.info("log.evicted", topic=str(topic), frames=log.next_seq)
        kept = [entry for entry in entries if entry not in gone]
        used = _evict(kept, used, goal)
        self.is_full = used > limit
        if self.is_full:
            _pause_largest(kept)
        elif used <= room_again:
            for entry in kept:
                entry.room.set()
        return gone


def _evict(entries: list[TopicEntry], used: int, goal: int) -> int:
    """Evict records that no cursor needs, largest log first; bytes still used."""
    if used <= goal:
        return used
    for entry in sorted(entries, key=_size_bytes, reverse=True):
        below = entry.audience.slowest_seq
        while used > goal and (freed := entry.log.evict_block(below)):
            used -= freed
    return used


def _pause_largest(entries: list[TopicEntry]) -> None:
    largest = max(entries, key=_size_bytes, default=None)
    if largest is not None and largest.room.is_set():
        largest.room.clear()
        topic, log = largest.channel.topic, largest.log
        logger.warning("log.paused", topic=str(topic), bytes=log.size_bytes)


def _size_bytes(entry: TopicEntry) -> int:
    return entry.log.size_bytes


def _last_used_s(entry: TopicEntry) -> float:
    return entry.last_used_s
