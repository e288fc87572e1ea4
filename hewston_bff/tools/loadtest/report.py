"""The result of a load test: numbers out of the tally, for people, programs and pictures."""

from collections.abc import Sequence

import msgspec
import numpy as np

from hewston_bff.tools.loadtest.histogram import Percentiles
from hewston_bff.tools.loadtest.plan import Plan
from hewston_bff.tools.loadtest.record import StreamRecord
from hewston_bff.tools.loadtest.tally import Tally
from hewston_bff.tools.loadtest.topic_stream import TopicStream


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What the clock and /proc say of the measuring window.

    `server_cpu_s` is None when no process was named, or it ended meanwhile; `expected_gap_ns` when
    no frame is due at any certain time.
    """

    seconds: float
    own_cpu_s: float
    server_cpu_s: float | None
    expected_gap_ns: float | None


class TopicsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What subscriptions to topics got. Rates, shares, latency: of the window.

    Attributes:
        silent: Subscriptions without any event in the window.
        topics: Topics of which anybody got anything.
        events: What the messages stand for: the sum of `n`.
        merged_percent: Events that came inside another's message, of all.
        latency_ms: From the time in an event's id to its arrival: on one machine, the way from
            Redis to here. Of merged ones it is that of the newest.
        lags: How often a subscription was told that events are lost.
        breaks: Messages out of the order of their topic.
        uneven: Messages whose `n` is not what other clients were told for the same events.
        events_by_client_p50: Events a second of the median subscription.
    """

    patterns: list[str]
    subscriptions: int
    silent: int
    buffering: int
    topics: int
    messages: int
    messages_per_s: float
    events: int
    events_per_s: float
    events_by_client_p50: float
    merged_percent: float
    start_ms: Percentiles | None
    latency_ms: Percentiles | None
    lags: int
    breaks: int
    uneven: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures. Rates, gaps, latency, CPU: of the measuring window; the rest: from the start.

    Attributes:
        streams: Subscriptions: clients × runs on each.
        silent: Streams without any frame in the window.
        buffering: Streams that the server had nothing more for in the end. Their wait is a gap.
        fps_p50, fps_p5: Frame messages a second of the median stream, and of one of the slowest.
        gap_ms: Between two frames of a stream, as they came.
        gap_corrected_ms: The same with stalls weighed for all the frames that were due in them
            every `expected_gap_ms`.
        start_ms: From when a client was to arrive to the first frame of each of its streams.
        latency_ms: From `sent_ns` to here, if the server stamps its frames.
        merged: Source frames that came inside another's message; nothing is lost by that.
        breaks: Violations of the continuity rule.
        own_cpu_percent: What the load generator used of a core.
    """

    url: str
    endpoint: str = msgspec.field(name="door")  # what readers of reports know
    runs: int
    clients: int
    streams: int
    seconds: float
    connected: int
    failed: dict[str, int]
    closed: dict[str, int]
    silent: int
    buffering: int
    ended: int
    messages: int
    messages_per_s: float
    bytes_per_s: float
    other_messages: int
    fps_p50: float
    fps_p5: float
    gap_ms: Percentiles | None
    gap_corrected_ms: Percentiles | None
    expected_gap_ms: float | None
    start_ms: Percentiles | None
    latency_ms: Percentiles | None
    merged: int
    lost: int
    breaks: int
    errors: dict[str, int]
    own_cpu_percent: float
    server_cpu_percent: float | None
    server_cpu_us_per_message: float | None
    topics: TopicsReport | None = None

    @property
    def is_ok(self) -> bool:
        """Whether every client got in, frames came, and events of topics if they were wanted."""
        has_frames = self.messages > 0 or not self.runs
        has_events = self.topics is None or self.topics.messages > 0
        return not self.failed and has_frames and has_events

    @property
    def is_doubtful(self) -> bool:
        """Whether the generator was too busy itself to see what the server does."""
        return self.own_cpu_percent > 80


def report(plan: Plan, tally: Tally, window: Window) -> Report:
    """The report on a test that is over."""
    streams = tally.streams
    seconds = max(window.seconds, 1e-9)
    messages = tally.messages
    all_messages = messages + tally.event_messages
    fps = np.array([stream.frames / seconds for stream in streams] or [0.0])
    fps_p5, fps_p50 = np.percentile(fps, [5, 50])
    server_s, expected_ns = window.server_cpu_s, window.expected_gap_ns
    return Report(
        url=str(plan.url),
        endpoint=plan.endpoint.value,
        runs=len(set(plan.runs)),
        clients=tally.arrived,
        streams=len(streams),
        seconds=round(window.seconds, 3),
        connected=tally.connected,
        failed=dict(tally.failed),
        closed=dict(tally.closed),
        silent=sum(stream.frames == 0 for stream in streams),
        buffering=sum(stream.is_buffering for stream in streams),
        ended=sum(stream.ends for stream in streams),
        messages=messages,
        messages_per_s=round(messages / seconds, 1),
        bytes_per_s=round(tally.wire_bytes / seconds, 1),
        other_messages=tally.others,
        fps_p50=round(float(fps_p50), 2),
        fps_p5=round(float(fps_p5), 2),
        gap_ms=tally.gaps.percentiles(),
        gap_corrected_ms=tally.gaps.corrected(expected_ns).percentiles() if expected_ns else None,
        expected_gap_ms=round(expected_ns / 1e6, 3) if expected_ns else None,
        start_ms=_starts(streams),
        latency_ms=tally.latencies.percentiles(),
        merged=sum(stream.merged for stream in streams),
        lost=sum(stream.lost for stream in streams),
        breaks=sum(stream.breaks for stream in streams),
        errors=dict(tally.errors),
        own_cpu_percent=round(100 * window.own_cpu_s / seconds, 1),
        server_cpu_percent=None if server_s is None else round(100 * server_s / seconds, 1),
        server_cpu_us_per_message=None
        if server_s is None or not all_messages
        else round(1e6 * server_s / all_messages, 2),
        topics=_topics(tally, seconds) if plan.topics else None,
    )


def _topics(tally: Tally, seconds: float) -> TopicsReport:
    streams = tally.topics
    events = sum(stream.events for stream in streams)
    messages = tally.event_messages
    by_client = [stream.events / seconds for stream in streams]
    return TopicsReport(
        patterns=list(dict.fromkeys(stream.pattern for stream in streams)),
        subscriptions=len(streams),
        silent=sum(not stream.messages for stream in streams),
        buffering=sum(stream.is_buffering for stream in streams),
        topics=len(set[bytes]().union(*(stream.topics for stream in streams))),
        messages=messages,
        messages_per_s=round(messages / seconds, 1),
        events=events,
        events_per_s=round(events / seconds, 1),
        events_by_client_p50=round(float(np.median(by_client or [0.0])), 1),
        merged_percent=round(100 * (events - messages) / events, 2) if events else 0.0,
        start_ms=_starts(streams),
        latency_ms=tally.event_latencies.percentiles(),
        lags=sum(stream.lags for stream in streams),
        breaks=sum(stream.breaks for stream in streams),
        uneven=sum(stream.uneven for stream in streams),
    )


def _starts(streams: Sequence[StreamRecord | TopicStream]) -> Percentiles | None:
    starts = [stream.first_ns - stream.due_ns for stream in streams if stream.first_ns]
    if not starts:
        return None
    p50, p95, p99 = (round(float(p) / 1e6, 3) for p in np.percentile(starts, [50, 95, 99]))
    return Percentiles(p50, p95, p99, round(max(starts) / 1e6, 3))
