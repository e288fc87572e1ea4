"""A simulated backend for the demo and the tests: a real server, faults as data.

`SimulatedBackend(runs, options=SimulatorOptions(...)).running()` is an async context manager that
serves it. It behaves as the platform's real backend was measured to, its oddities included.
"""

from hewston_bff.tools.simulator.demo import YEAR_FRAMES, default_runs
from hewston_bff.tools.simulator.fault_text import parse_fault, parse_plan, parse_script
from hewston_bff.tools.simulator.faults import (
    AnswerWith,
    Binary,
    Close,
    CutAt,
    Delay,
    Diverge,
    Duplicate,
    EndMessage,
    FaultPlan,
    Forever,
    Garbage,
    HalfOpen,
    Huge,
    NoHeartbeat,
    NoPong,
    RandomCuts,
    Refuse,
    RefuseConnection,
    Script,
    ScriptedFault,
    Slow,
    Stall,
    StreamError,
)
from hewston_bff.tools.simulator.generated import Calendar, EquityShape, generated_run
from hewston_bff.tools.simulator.options import DEAF, SimulatorOptions
from hewston_bff.tools.simulator.recordings import load_recording
from hewston_bff.tools.simulator.runs import Lifecycle, SimulatedRun, SimulatedStatus
from hewston_bff.tools.simulator.server import RunningBackend, SimulatedBackend
from hewston_bff.tools.simulator.stats import BackendStats, ConnectionStats, RequestStats

__all__ = [
    "DEAF",
    "YEAR_FRAMES",
    "AnswerWith",
    "BackendStats",
    "Binary",
    "Calendar",
    "Close",
    "ConnectionStats",
    "CutAt",
    "Delay",
    "Diverge",
    "Duplicate",
    "EndMessage",
    "EquityShape",
    "FaultPlan",
    "Forever",
    "Garbage",
    "HalfOpen",
    "Huge",
    "Lifecycle",
    "NoHeartbeat",
    "NoPong",
    "RandomCuts",
    "Refuse",
    "RefuseConnection",
    "RequestStats",
    "RunningBackend",
    "Script",
    "ScriptedFault",
    "SimulatedBackend",
    "SimulatedRun",
    "SimulatedStatus",
    "SimulatorOptions",
    "Slow",
    "Stall",
    "StreamError",
    "default_runs",
    "generated_run",
    "load_recording",
    "parse_fault",
    "parse_plan",
    "parse_script",
]
