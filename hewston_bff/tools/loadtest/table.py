"""A report as a table for people."""

from rich.table import Table

from hewston_bff.tools.loadtest.histogram import Percentiles
from hewston_bff.tools.loadtest.report import Report, TopicsReport

NONE = "–"


def title(report: Report) -> str:
    """What was tested, in a line."""
    parts = [f"{report.clients} clients"]
    if report.runs:
        parts.append(f"{report.runs} runs, {report.streams} streams")
    if report.topics is not None:
        topics = report.topics
        parts.append(f"{topics.subscriptions} subscriptions to {', '.join(topics.patterns)}")
    told = ", ".join([*parts, f"{report.seconds:.1f} s"])
    return f"{report.url}, endpoint {report.endpoint}: {told}"


def table(report: Report) -> Table:
    """The report, a figure a line."""
    grid = Table(show_header=False)
    grid.add_column(style="bold")
    grid.add_column()
    for name, value in _lines(report):
        grid.add_row(name, value)
    return grid


def remarks(report: Report) -> list[str]:
    """What a reader should know of how far to trust it."""
    share = f"load generator used {report.own_cpu_percent:.0f} % of a core"
    found = [f"{share}; figures are doubtful above 80 %" if report.is_doubtful else share]
    if report.silent:
        found.append(f"{report.silent} of {report.streams} streams got no frame in the window")
    topics = report.topics
    if topics is not None and topics.silent:
        found.append(f"{topics.silent} of {topics.subscriptions} subscriptions got no event")
    if report.buffering:
        waiting = f"{report.buffering} of {report.streams} streams wait for the backend (buffering)"
        found.append(f"{waiting}: the gaps count that as silence")
    return found


def _lines(report: Report) -> list[tuple[str, str]]:
    return [
        ("connected", f"{report.connected} of {report.clients}"),
        ("failed", _counts(report.failed)),
        ("closed by the server", _counts(report.closed)),
        ("bytes/s", f"{report.bytes_per_s:,.0f}"),
        *(_run_lines(report) if report.runs else ()),
        *(() if report.topics is None else _topic_lines(report.topics)),
        ("errors", _counts(report.errors)),
        ("server CPU", _server(report)),
    ]


def _run_lines(report: Report) -> list[tuple[str, str]]:
    return [
        ("messages/s", f"{report.messages_per_s:,.0f} ({report.messages:,} frame messages)"),
        ("fps per stream", f"p50 {report.fps_p50:.1f} · p5 {report.fps_p5:.1f}"),
        ("gap, ms", _percentiles(report.gap_ms)),
        (f"gap, ms, {_due(report)}", _percentiles(report.gap_corrected_ms)),
        ("stream start, ms", _percentiles(report.start_ms)),
        ("latency, ms", _percentiles(report.latency_ms)),
        ("merged", f"{report.merged:,} source frames inside others' messages"),
        ("lost", f"{report.lost:,} source frames"),
        ("continuity breaks", f"{report.breaks:,}"),
        ("runs played to the end", f"{report.ended:,}"),
    ]


def _topic_lines(report: TopicsReport) -> list[tuple[str, str]]:
    messages = f"{report.messages_per_s:,.0f} ({report.messages:,} event messages)"
    events = f"{report.events_per_s:,.0f} ({report.events:,}; {report.topics:,} topics)"
    return [
        ("event messages/s", messages),
        ("events/s", f"{events}, p50 of a client {report.events_by_client_p50:,.0f}"),
        ("merged", f"{report.merged_percent:.1f} % of events inside others' messages"),
        ("topic start, ms", _percentiles(report.start_ms)),
        ("event latency, ms", _percentiles(report.latency_ms)),
        ("told as lost", f"{report.lags:,} times"),
        ("out of order", f"{report.breaks:,} messages"),
        ("counts that differ", f"{report.uneven:,} messages, between clients of a pattern"),
    ]


def _due(report: Report) -> str:
    expected_ms = report.expected_gap_ms
    return "none due" if expected_ms is None else f"{expected_ms:.1f} due"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items())) or "0"


def _percentiles(of: Percentiles | None) -> str:
    if of is None:
        return NONE
    return f"p50 {of.p50:.1f} · p95 {of.p95:.1f} · p99 {of.p99:.1f} · max {of.max:.1f}"


def _server(report: Report) -> str:
    if report.server_cpu_percent is None:
        return f"{NONE} (name its process with --pid)"
    cost = report.server_cpu_us_per_message
    a_message = NONE if cost is None else f"{cost:.1f}"
    return f"{a_message} µs a message, {report.server_cpu_percent:.0f} % of a core"
