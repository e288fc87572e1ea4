"""Spans merged, encoded and framed once, for all viewers who need the same bytes."""

from dataclasses import dataclass
from itertools import count

from hewston_bff.hub.channel import Channel
from hewston_bff.ports import Framing
from hewston_bff.protocol.commands import Mode
from hewston_bff.protocol.updates import Updates

_ENTRY_OVERHEAD_BYTES = 250


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of a subscription's messages; subscriptions of one shape share bytes."""

    framing: Framing
    sid: int | None
    updates: Updates
    mode: Mode
    key: int

    def frame(self, channel: Channel, start: int, stop: int, *, lost: int) -> bytes:
        """One framed message for records `start` to `stop`."""
        codec, epoch = channel.codec, channel.log.epoch
        sid = b"" if self.sid is None else b'"sid":%d,' % self.sid
        body = codec.encode(start, stop, updates=self.updates, lost=lost)
        assert epoch is not None  # noqa: S101 - a log with records has an epoch
        text = b'{"t":"%b",%b%b' % (codec.tag, sid, body)
        return self.framing.frame(text, epoch=epoch, seq=stop - 1)


class SpanCache:
    """Framed messages of all topics, limited in bytes; the oldest are dropped first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: dict[tuple[int, int, int, int, int], bytes] = {}
        self._shapes: dict[tuple[Framing, int | None, Updates, Mode], Shape] = {}
        self.size_bytes = 0
        self.encoded = 0
        self._log_keys = count()

    def new_log_key(self) -> int:
        """A key for a log, different from all before."""
        return next(self._log_keys)

    def shape(self, framing: Framing, *, sid: int | None, updates: Updates, mode: Mode) -> Shape:
        """The one shape object for these properties."""
        what = (framing, sid, updates, mode)
        shape = self._shapes.get(what)
        if shape is None:
            shape = self._shapes[what] = Shape(framing, sid, updates, mode, key=len(self._shapes))
        return shape

    def get(
        self, channel: Channel, log_key: int, start: int, stop: int, shape: Shape, lost: int
    ) -> bytes:
        """The bytes of a span: one message, or in `all` mode one for each frame, joined."""
        key = (log_key, start, stop, shape.key, lost)
        data = self._frames.get(key)
        if data is None:
            data = self._encode(channel, start, stop, shape, lost)
            self._frames[key] = data
            self.size_bytes += len(data) + _ENTRY_OVERHEAD_BYTES
            while self.size_bytes > self._max_bytes and len(self._frames) > 1:
                self._drop_oldest()
        return data

    def _encode(self, channel: Channel, start: int, stop: int, shape: Shape, lost: int) -> bytes:
        if shape.mode == "merge":
            self.encoded += 1
            return shape.frame(channel, start, stop, lost=lost)
        self.encoded += stop - start
        return b"".join(shape.frame(channel, seq, seq + 1, lost=lost) for seq in range(start, stop))

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._frames))
        self.size_bytes -= len(self._frames.pop(oldest)) + _ENTRY_OVERHEAD_BYTES
