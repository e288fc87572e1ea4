"""A report as a table for people."""

from rich.table import Table

from hewston_bff.tools.loadtest.histogram import Percentiles
from hewston_bff.tools.loadtest.report import Report

NONE = "–"


def title(report: Report) -> str:
    """What was tested, in a line."""
    return (
        f"{report.url}, endpoint {report.endpoint}: {report.clients} clients, {report.runs} runs, "
        f"{report.streams} streams, {report.seconds:.1f} s"
    )


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
    if report.buffering:
        waiting = f"{report.buffering} of {report.streams} streams wait for the backend (buffering)"
        found.append(f"{waiting}: the gaps count that as silence")
    return found


def _lines(report: Report) -> list[tuple[str, str]]:
    return [
        ("connected", f"{report.connected} of {report.clients}"),
        ("failed", _counts(report.failed)),
        ("closed by the server", _counts(report.closed)),
        ("messages/s", f"{report.messages_per_s:,.0f} ({report.messages:,} frame messages)"),
        ("bytes/s", f"{report.bytes_per_s:,.0f}"),
        ("fps per stream", f"p50 {report.fps_p50:.1f} · p5 {report.fps_p5:.1f}"),
        ("gap, ms", _percentiles(report.gap_ms)),
        (f"gap, ms, {_due(report)}", _percentiles(report.gap_corrected_ms)),
        ("stream start, ms", _percentiles(report.start_ms)),
        ("latency, ms", _percentiles(report.latency_ms)),
        ("merged", f"{report.merged:,} source frames inside others' messages"),
        ("lost", f"{report.lost:,} source frames"),
        ("continuity breaks", f"{report.breaks:,}"),
        ("runs played to the end", f"{report.ended:,}"),
        ("errors", _counts(report.errors)),
        ("server CPU", _server(report)),
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
