"""How the viewer looks: a model in, a rich renderable or a line of text out."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hewston_bff.tools.viewer.keys import HELP
from hewston_bff.tools.viewer.model import WatchModel

NONE = "–"
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 48
_STYLES = {"playing": "green", "live": "green", "paused": "yellow", "buffering": "magenta"}


def sparkline(values: list[float], *, width: int = _WIDTH) -> str:
    """Values as a line of blocks, the newest at the right; flat if they are all the same."""
    if not values:
        return ""
    shown = values if len(values) <= width else _resampled(values, width)
    low, high = min(shown), max(shown)
    if high == low:
        return _BLOCKS[3] * len(shown)
    scale = (len(_BLOCKS) - 1) / (high - low)
    return "".join(_BLOCKS[round((value - low) * scale)] for value in shown)


def _resampled(values: list[float], width: int) -> list[float]:
    last = len(values) - 1
    return [values[round(at * last / (width - 1))] for at in range(width)]


def line(model: WatchModel, *, now_s: float) -> str:
    """The model in one line, for logs and pipes."""
    parts = [
        model.ts or NONE,
        model.status,
        f"x{model.speed:g}",
        _position(model),
        f"price {_price(model.price)}",
        f"equity {_money(model.equity)} ({_money(model.equity_min)}…{_money(model.equity_max)})",
        f"{model.fps(now_s):.1f} fps",
        f"merged {model.merged}",
        f"lost {model.lost}",
        f"behind {model.behind}",
    ]
    if model.skipped:
        parts.append(f"unreadable {model.skipped}")
    if model.link != "connected":
        parts.append(model.link)
    if model.error:
        parts.append(model.error)
    return "  ".join(parts)


def panel(model: WatchModel, *, now_s: float, has_keys: bool) -> RenderableType:
    """The model as a panel."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, value in _rows(model, now_s=now_s):
        grid.add_row(name, value)
    if model.skipped:
        grid.add_row("unreadable", Text(model.skipped, style="red"))
    if model.error:
        grid.add_row("error", Text(model.error, style="red"))
    title = Text(f" {model.run_id} {model.run_status} ".replace("  ", " "))
    shown = Panel(grid, title=title, expand=False)
    return Group(shown, Text(HELP, style="dim")) if has_keys else shown


def _rows(model: WatchModel, *, now_s: float) -> list[tuple[str, RenderableType]]:
    status = Text(model.status, style=_STYLES.get(model.status, ""))
    status.append(f"  ×{model.speed:g}  {30 * model.speed:,.0f} frames/s", style="default")
    bar = ProgressBar(total=max(1, model.last + 1), completed=max(0, model.seq + 1), width=_WIDTH)
    return [
        ("status", status),
        ("time", Text(model.ts or NONE)),
        ("price", Text(_price(model.price), style="bold")),
        ("bar", Text(_bar(model))),
        ("equity", Text(_equity(model))),
        ("", Text(sparkline(model.trail.values), style="cyan")),
        ("position", Text(f"{_position(model)}, {model.behind} behind")),
        ("", bar),
        ("messages", Text(_messages(model, now_s=now_s))),
        ("orders", Text(_orders(model))),
        ("upstream", Text(model.upstream or NONE)),
        ("link", Text(model.link)),
    ]


def _position(model: WatchModel) -> str:
    return f"{model.seq}/{model.last if model.last >= 0 else '?'}"


def _price(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _money(value: float | None) -> str:
    return NONE if value is None else f"{value:,.2f}"


def _bar(model: WatchModel) -> str:
    bar = model.bar
    if bar is None:
        return NONE
    prices = (("O", bar.o), ("H", bar.h), ("L", bar.l), ("C", bar.c))
    volume = NONE if bar.v is None else f"{bar.v:,.0f}"
    return " ".join(f"{name} {_price(value)}" for name, value in prices) + f" V {volume}"


def _equity(model: WatchModel) -> str:
    extremes = f"min {_money(model.equity_min)} · max {_money(model.equity_max)}"
    return f"{_money(model.equity)} · {extremes}"


def _messages(model: WatchModel, *, now_s: float) -> str:
    rate = f"{model.fps(now_s):.1f} a second"
    return f"{rate} · {model.merged:,} frames merged · {model.lost:,} lost"


def _orders(model: WatchModel) -> str:
    order = model.order
    if order is None:
        return NONE
    quantity = "" if order.qty is None else f" {order.qty:g}"
    return f"{model.orders:,} seen, last {order.side}{quantity} at {_price(order.price)}"
