"""The records of one topic in order, each under its seq: one writer, many readers.

Written records never change. They lie in blocks of 256, whose contents belong to the kind of topic:
a log knows positions, times, digests and eviction. A full block carries a rolling digest, so that a
replay can be checked even against evicted records.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Generic, Protocol, Self, TypeVar

from hewston_bff.protocol.ids import Epoch

BLOCK = 256
"""Records in a block; also the distance between two digests."""

_LOG_OVERHEAD_BYTES = 2_048


class Evicted(Exception):
    """The record is no longer held; the log starts at `first_seq`."""


class Record(Protocol):
    """One record, as its source made it."""

    @property
    def ts_ns(self) -> int:
        """Its time; never earlier than that of the record before it."""

    @property
    def tail(self) -> bytes:
        """Its text, which identifies it."""


class Block(Protocol):
    """Up to 256 consecutive records, from seq `first` on."""

    first: int

    @property
    def raw(self) -> bytes | bytearray:
        """The texts of all its records, joined."""

    @property
    def times(self) -> "array[int]":
        """The times of its records."""

    def append(self, record: Any) -> None:  # noqa: ANN401 - a record of its own kind
        """Take the next record."""

    def tail(self, i: int) -> bytes:
        """The text of record `i` of the block."""

    def head(self, count: int) -> Self:
        """A new, open block of its first `count` records; of 0, what eviction keeps of it."""

    def after(self) -> Self:
        """A new, empty block that follows this one, which is full."""

    def seal(self) -> None:
        """The block is full: release memory that was reserved for growth."""

    def size_bytes(self) -> int:
        """Bytes held, computed, not measured."""


BlockT = TypeVar("BlockT", bound=Block)


class Log(Generic[BlockT]):
    """The records of a topic in one epoch: seqs `first_seq` (held) to `next_seq` (not yet there).

    `is_complete`: the topic has ended and no record follows. `is_quiet`: the source has sent all it
    has for now, so no record of the last one's time is on its way.

    `origin` distinguishes topics of the same name: it goes into the epoch, with the first record.
    """

    def __init__(self, name: str, new_block: Callable[[int], BlockT], *, origin: str = "") -> None:
        self.name = name
        self.origin = origin
        self.shared = 0
        """How many records at the beginning this log shares with the one it was forked from."""
        self.epoch: Epoch | None = None
        self.first_seq = 0
        self.next_seq = 0
        self.last_ts_ns = -(1 << 63)
        self.is_complete = False
        self.is_quiet = False
        self._new_block = new_block
        self._sealed_bytes = _LOG_OVERHEAD_BYTES
        self._first_record = b""
        self._blocks: list[BlockT] = []
        self._evicted: list[BlockT] = []
        self._digests: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        """Bytes held in memory: the blocks, and the overhead of the objects around them."""
        if not self._blocks or not self.next_seq % BLOCK:
            return self._sealed_bytes
        return self._sealed_bytes + self._blocks[-1].size_bytes()

    # -- writing

    def append(self, record: Record) -> None:
        """Append `record`; the caller knows that its time is not before the last one's. O(1)."""
        seq = self.next_seq
        if not seq & (BLOCK - 1):
            self._open_block(seq)
            if self.epoch is None:
                self._first_record = record.tail
                self.epoch = _epoch(self.name, self.origin, record.tail)
        block = self._blocks[-1]
        block.append(record)
        self.next_seq = seq = seq + 1
        self.last_ts_ns = record.ts_ns
        if not seq & (BLOCK - 1):
            self._seal(block)

    def evict_block(self, below: int) -> int:
        """Evict the oldest block if it is full and lies below seq `below`; bytes freed, or 0."""
        if len(self._blocks) < 2 or self._blocks[1].first > below:
            return 0
        block = self._blocks.pop(0)
        stub = block.head(0)
        freed = block.size_bytes() - stub.size_bytes()
        self.first_seq = self._blocks[0].first
        self._evicted.append(stub)
        self._sealed_bytes -= freed
        return freed

    def fork(self, at: int, records: Sequence[Record]) -> "Log[BlockT]":
        """A log of a new epoch: records of this one before `at`, then `records`; this one stays.

        Source: design rule for a divergence; the epoch also covers the first differing record.
        """
        log = Log(self.name, self._new_block, origin=self.origin)
        log.shared = at
        log._first_record = self._first_record if at else records[0].tail
        log.epoch = _epoch(self.name, self.origin, log._first_record, records[0].tail)
        keep = at // BLOCK
        log._digests = self._digests[:keep]
        log._evicted = self._evicted[:keep]
        log._blocks = self._blocks[: max(keep - len(self._evicted), 0)]
        log._sealed_bytes += sum(each.size_bytes() for each in (*log._evicted, *log._blocks))
        log.next_seq = keep * BLOCK
        if at % BLOCK:
            log._blocks.append(self.block(at).head(at % BLOCK))
            log.next_seq = at
        elif not log._blocks:
            log._blocks.append(self._stub(keep))
        log.first_seq = log._blocks[0].first
        for record in records:
            log.append(record)
        return log

    def restarted(self, origin: str) -> "Log[BlockT]":
        """An empty log for the topic that replaced this one."""
        return Log(self.name, self._new_block, origin=origin)

    # -- reading

    def tail(self, seq: int) -> bytes:
        """The text of record `seq`. Raises Evicted."""
        block = self.block(seq)
        return block.tail(seq - block.first)

    def ts_ns(self, seq: int) -> int:
        """The time of record `seq`. Raises Evicted."""
        block = self.block(seq)
        return block.times[seq - block.first]

    def parts(self, start: int, stop: int) -> Iterator[tuple[BlockT, int, int]]:
        """The blocks of a range, each with the local start and stop of its part. Raises Evicted."""
        while start < stop:
            block = self.block(start)
            end = min(stop, block.first + BLOCK)
            yield block, start - block.first, end - block.first
            start = end

    def at_or_before(self, ts_ns: int) -> int:
        """The last held record at or before a time; the first held one if the time is earlier.

        Of several records of that time it is the last one held.
        """
        return max(self.after(ts_ns) - 1, self.first_seq)

    def after(self, ts_ns: int) -> int:
        """The first held record after a time; `next_seq` if there is none."""
        if not self.next_seq:
            return self.next_seq
        index = max(bisect_right(self._blocks, ts_ns, key=_first_ts) - 1, 0)
        block = self._blocks[index]
        return block.first + bisect_right(block.times, ts_ns)

    def is_past(self, ts_ns: int) -> bool:
        """Whether every record up to and including this time has arrived."""
        return self.is_complete or (
            self.next_seq > 0
            and (ts_ns < self.last_ts_ns or (self.is_quiet and ts_ns == self.last_ts_ns))
        )

    def holds(self, seq: int) -> bool:
        """Whether record `seq` can be read."""
        return self.first_seq <= seq < self.next_seq

    def digest(self, index: int) -> bytes | None:
        """The rolling digest after block `index`, evicted or not; None until it is full."""
        return self._digests[index] if index < len(self._digests) else None

    # -- blocks

    def block(self, seq: int) -> BlockT:
        """The block that record `seq` lies in. Raises Evicted."""
        index = (seq >> 8) - len(self._evicted)
        if index < 0 or not 0 <= seq < self.next_seq:
            msg = f"record {seq} of {self.name} is not held"
            raise Evicted(msg)
        return self._blocks[index]

    def _stub(self, index: int) -> BlockT:
        """An empty block in the place of block `index`."""
        held = index - len(self._evicted)
        if held < 0:
            return self._evicted[index].head(0)
        if held < len(self._blocks):
            return self._blocks[held].head(0)
        return self._new_block(index * BLOCK)

    def _open_block(self, seq: int) -> None:
        if not self._blocks:
            self._blocks.append(self._new_block(seq))
        elif self._blocks[-1].first != seq:
            self._blocks.append(self._blocks[-1].after())

    def _seal(self, block: BlockT) -> None:
        """Give a full block its digest and its exact size in memory."""
        before = self._digests[-1] if self._digests else b""
        block.seal()
        self._digests.append(roll(before, block.raw))
        self._sealed_bytes += block.size_bytes()


AnyLog = Log[Any]
"""A log of any kind, for code that does not read its payload."""


def roll(before: bytes, text: bytes | bytearray) -> bytes:
    """The digest after a block of records with this joined `text`, from the digest `before` it."""
    return sha256(before + text).digest()


def _epoch(name: str, origin: str, *texts: bytes) -> Epoch:
    digest = sha256(name.encode())
    if origin:
        digest.update(b"\0\0" + origin.encode("utf-8", "surrogatepass"))
    for text in texts:
        digest.update(b"\0" + text)
    return Epoch(digest.hexdigest()[:12])


def _first_ts(block: Block) -> int:
    return block.times[0]
