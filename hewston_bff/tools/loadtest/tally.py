"""What all clients of a load test saw together."""

from collections import Counter

from hewston_bff.tools.loadtest.histogram import Histogram
from hewston_bff.tools.loadtest.record import StreamRecord
from hewston_bff.tools.loadtest.topic_stream import TopicCounts, TopicStream


class Tally:
    """Counted while the test runs, read once at its end.

    Attributes:
        streams: One record a subscription, of all clients that have arrived.
        arrived: Clients whose time had come.
        connected: Clients that got in.
        failed: Clients that did not, by reason.
        closed: Sockets that the server ended, by close code.
        errors: `err` messages by code.
        wire_bytes: Received since the window began, headers of frames included.
        others: Messages that are no frames, since the window began.
        gaps: ns between two frames of a stream, since the window began.
        topics: One record a subscription to topics.
        counts: Pattern → topic → what its clients were told, brought together.
        event_latencies: ns from the time in an event's id to its arrival, since the window began.
        latencies: ns from a frame's `sent_ns` to its arrival here, since the window began.
    """

    def __init__(self) -> None:
        self.streams: list[StreamRecord] = []
        self.arrived = 0
        self.connected = 0
        self.failed: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.wire_bytes = 0
        self.others = 0
        self.gaps = Histogram()
        self.latencies = Histogram()
        self.topics: list[TopicStream] = []
        self.counts: dict[str, dict[bytes, TopicCounts]] = {}
        self.event_latencies = Histogram()

    @property
    def messages(self) -> int:
        """Frame messages since the window began."""
        return sum(stream.frames for stream in self.streams)

    @property
    def event_messages(self) -> int:
        """Messages with an event since the window began."""
        return sum(stream.messages for stream in self.topics)

    def topic_stream(self, pattern: str, *, due_ns: int) -> TopicStream:
        """A record for one more subscription to topics."""
        counts = self.counts.setdefault(pattern, {})
        stream = TopicStream(pattern, due_ns=due_ns, counts=counts)
        self.topics.append(stream)
        return stream

    def begin_window(self) -> None:
        """Rates, gaps and latencies count from here on."""
        for stream in self.streams:
            stream.begin_window()
        for topics in self.topics:
            topics.begin_window()
        self.event_latencies.clear()
        self.wire_bytes = 0
        self.others = 0
        self.gaps.clear()
        self.latencies.clear()

    def end_window(self, now_ns: int, *, expected_ns: float) -> None:
        """Count the silences that last until now: without them a stream that died looks fine."""
        for stream in self.streams:
            silence_ns = stream.open_gap_ns(now_ns)
            # A shorter one may well be an ordinary gap, of which this is only a part.
            if silence_ns > expected_ns:
                self.gaps.append(silence_ns)

    def flush(self) -> None:
        """Keep the memory bounded; to be called now and then."""
        self.gaps.flush()
        self.latencies.flush()
        self.event_latencies.flush()
