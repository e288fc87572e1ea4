"""How topics look in a terminal: a model in, a rich renderable or a line of text out."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hewston_bff.protocol.times import parse_time
from hewston_bff.tools.viewer.topic_keys import HELP
from hewston_bff.tools.viewer.topic_model import TopicNote, TopicRowView, TopicsModel

NONE = "–"
_STATUS = {"live": "green", "playing": "green", "paused": "yellow", "buffering": "magenta"}
_DIRECTIONS = {1: ("▲", "bold green"), -1: ("▼", "bold red"), 0: ("•", "bold cyan")}
_EVENTS_SHARE = 3
"""The list of events has a third of the screen, if there is a table as well."""
_FRAME_LINES = 6  # what is neither a row nor an event


def topics_line(note: TopicNote) -> str:
    """One event, or a piece of news, in a line, for logs and pipes."""
    if note.is_news:
        return f"# {note.text}"
    merged = f"  n={note.n}" if note.n > 1 else ""
    return f"{note.ts}  {note.topic}  {note.type or NONE}  {note.text}{merged}"


def topics_panel(
    model: TopicsModel, *, now_s: float, wall_ns: int, height: int, has_keys: bool
) -> RenderableType:
    """The model for a terminal of so many lines."""
    room = max(height - _FRAME_LINES, 4)
    notes = room if not model.rows else max(room // _EVENTS_SHARE, 3)
    notes = min(notes, len(model.notes)) if model.rows else notes
    parts: list[RenderableType] = [_head(model)]
    if model.rows:
        parts.append(_table(model, now_s=now_s, wall_ns=wall_ns, room=max(room - notes, 3)))
    parts.extend(_note(note, now_s) for note in list(model.notes)[-notes:] if notes)
    if has_keys:
        parts.append(Text(HELP, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _head(model: TopicsModel) -> Text:
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(model.topic, style="bold")
    head.append(f"  {model.status}", style=_STATUS.get(model.status, ""))
    head.append(f"  {model.mode}")
    for kind, words in model.sources.items():
        style = "yellow" if not words.startswith("up") else "dim"
        head.append(f"  source {kind}: {words}", style=style)
    head.append(f"  {model.events:,} events in {model.messages:,} messages")
    if model.lags:
        head.append(f"  lost {model.lags} ×", style="bold red")
    if model.link != "connected":
        head.append(f"  {model.link}", style="yellow")
    if model.error:
        head.append(f"  {model.error}", style="red")
    return head


def _table(model: TopicsModel, *, now_s: float, wall_ns: int, room: int) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=True)
    for title in ("", "topic", "age", "rate/s", "n", "type", "data"):
        right = title in {"age", "rate/s", "n"}
        table.add_column(
            title,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=3 if title == "data" else None,
        )
    names = sorted(model.rows)
    shown = names[model.offset : model.offset + room]
    for name in shown:
        table.add_row(*_cells(model.rows[name], now_s=now_s, wall_ns=wall_ns))
    hidden = len(names) - len(shown)
    if not hidden:
        return table
    rest = Text(f"rows {model.offset + 1}–{model.offset + len(shown)} of {len(names)}", style="dim")
    return Group(table, rest)


def _cells(row: TopicRowView, *, now_s: float, wall_ns: int) -> list[Text]:
    mark, style = _DIRECTIONS[row.direction] if row.is_fresh(now_s) else (" ", "")
    return [
        Text(mark, style=style),
        Text(row.name),
        Text(age_text(row.ts, wall_ns), style="dim"),
        Text(f"{row.rate_per_s(now_s):.1f}"),
        Text(f"{row.events:,}"),
        Text(row.type, style="dim"),
        Text(row.text, style=style),
    ]


def _note(note: TopicNote, now_s: float) -> Text:
    if note.is_news:
        return Text(f"— {note.text}", style="yellow", no_wrap=True, overflow="ellipsis")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(note.ts[11:23].ljust(12), style="dim")
    text.append(f"  {note.topic}", style="bold" if now_s - note.at_s < 1.0 else "")
    text.append(f"  {note.type}", style="dim")
    text.append(f"  {note.text}")
    return text


def age_text(ts: str, wall_ns: int) -> str:
    """How long ago a time of an event was, by our clock, in the unit that fits."""
    ts_ns = parse_time(ts)
    if ts_ns is None:
        return NONE
    seconds = max(0.0, (wall_ns - ts_ns) / 1e9)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"
