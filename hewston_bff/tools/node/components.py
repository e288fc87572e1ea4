"""The parts of the node that start, and now and then degrade: `events.system.…`."""

from random import Random
from typing import Final

from hewston_bff.tools.node.text import TRADER_ID, event_id, json_bytes
from hewston_bff.tools.node.timeline import Timeline

_COMPONENTS: Final = {
    "DataEngine": "LiveDataEngine",
    "RiskEngine": "LiveRiskEngine",
    "ExecEngine": "LiveExecutionEngine",
    "SIM": "SandboxExecutionClient",
    "BINANCE": "BinanceSpotDataClient",
    "XNAS": "DatabentoDataClient",
    TRADER_ID: "Trader",
}
_WEAK = "BINANCE"
_EVERY_S = 70.0
_DEGRADED_S = 8.0


class NodeComponents:
    """Each starts once; one of them goes on degrading and coming back."""

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self._timeline = timeline
        self._rng = rng
        timeline.after(0, self._start)
        timeline.after(_EVERY_S, self._degrade)

    def _start(self) -> None:
        for state in ("READY", "STARTING", "RUNNING"):
            for component in _COMPONENTS:
                self._tell(component, state)

    def _degrade(self) -> None:
        for state in ("DEGRADING", "DEGRADED"):
            self._tell(_WEAK, state)
        self._timeline.after(_DEGRADED_S, self._resume)

    def _resume(self) -> None:
        for state in ("RESUMING", "RUNNING"):
            self._tell(_WEAK, state)
        self._timeline.after(_EVERY_S, self._degrade)

    def _tell(self, component: str, state: str) -> None:
        now = str(self._timeline.now_ns)
        payload = {
            "type": "ComponentStateChanged",
            "trader_id": TRADER_ID,
            "component_id": component,
            "component_type": _COMPONENTS[component],
            "state": state,
            "event_id": event_id(self._rng),
            "ts_event": now,
            "ts_init": now,
        }
        topic = f"events.system.{component}"
        self._timeline.write(topic, "ComponentStateChanged", json_bytes(payload))
