"""The services around the node, one of which goes down and comes back. Topic: `status`."""

from random import Random
from typing import Any, Final

from hewston_bff.protocol.times import format_time
from hewston_bff.tools.node.text import json_bytes
from hewston_bff.tools.node.timeline import Timeline

EVENT_TYPE: Final = "SystemStatus"
_WEAK = "onnx"
_OK_S, _DOWN_S, _DEGRADED_S = 30.0, 11.0, 4.0
"""One turn: 45 s."""


class NodeServices:
    """Writes how all services are, at the start and whenever one of them changes."""

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self._timeline = timeline
        self._rng = rng
        start = format_time(timeline.now_ns)
        self._since = dict.fromkeys(("mcp", _WEAK, "scheduler"), start)
        timeline.after(0, self._up)

    def _up(self) -> None:
        self._tell("ok", None)
        self._timeline.after(_OK_S, self._go_down)

    def _go_down(self) -> None:
        self._tell("down", "nothing accepts connections there")
        self._timeline.after(_DOWN_S, self._come_back)

    def _come_back(self) -> None:
        self._tell("degraded", "it says degraded of itself")
        self._timeline.after(_DEGRADED_S, self._up)

    def _tell(self, status: str, detail: str | None) -> None:
        now = self._since[_WEAK] = format_time(self._timeline.now_ns)
        rows = [
            self._row(name, now, status, detail) if name == _WEAK else self._row(name, now)
            for name in self._since
        ]
        self._timeline.write("status", EVENT_TYPE, json_bytes({"services": rows}))

    def _row(
        self, name: str, now: str, status: str = "ok", detail: str | None = None
    ) -> dict[str, Any]:
        return {
            "name": name,
            "status": status,
            "latency_ms": None if status == "down" else round(self._rng.uniform(1.0, 20.0), 1),
            "checked_at": now,
            "since": self._since[name],
            "detail": detail,
        }
