"""A simulated trading node for the demo and tests: its message bus, its jobs, its services.

`timeline` keeps what is to happen, in order; `market`, `bars`, `desk`, `components`, `jobs` and
`services` make it happen, as pure functions of a seed and a time to start at. `source`, which
publishes what is due, and `redis_writer`, which writes it to a Redis, have clocks.
"""

from hewston_bff.tools.node.redis_writer import STREAM, NodeWriter
from hewston_bff.tools.node.scripts import BUS_LATEST, bus_script, job_script, system_script
from hewston_bff.tools.node.source import NodeClock, SimulatedSource

__all__ = [
    "BUS_LATEST",
    "STREAM",
    "NodeClock",
    "NodeWriter",
    "SimulatedSource",
    "bus_script",
    "job_script",
    "system_script",
]
