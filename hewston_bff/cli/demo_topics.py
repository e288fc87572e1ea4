"""The demo's topics: a simulated trading node's bus, jobs and services, without any Redis."""

from typing import Final

from hewston_bff.app import Refusal
from hewston_bff.credentials import Scope
from hewston_bff.events.pattern import any_of
from hewston_bff.ports import EventKind
from hewston_bff.tools.node import (
    BUS_LATEST,
    SimulatedSource,
    bus_script,
    job_script,
    system_script,
)

_BUS_RING_BYTES: Final = 32 << 20
"""About three minutes."""
_RING_BYTES: Final = 4 << 20
"""Of jobs and services: hours."""
_MAX_JOBS: Final = 500


def demo_kinds(refusal: Refusal) -> tuple[EventKind, ...]:
    """`bus`, `job` and `system`, marked as simulated."""
    return (
        EventKind(
            name="bus",
            is_mergeable=any_of(BUS_LATEST),
            default_mode="latest",
            refusal=lambda caller: refusal(caller, Scope.BUS),
            open=lambda intake: SimulatedSource(intake, "bus", bus_script),
            is_simulated=True,
            ring_bytes=_BUS_RING_BYTES,
        ),
        EventKind(
            name="job",
            is_mergeable=lambda _: False,
            default_mode="all",
            refusal=lambda caller: refusal(caller, Scope.JOBS),
            open=lambda intake: SimulatedSource(intake, "job", job_script),
            is_simulated=True,
            ring_bytes=_RING_BYTES,
            max_topics=_MAX_JOBS,
        ),
        EventKind(
            name="system",
            is_mergeable=lambda _: True,
            default_mode="latest",
            refusal=lambda caller: refusal(caller, Scope.BUS),
            open=lambda intake: SimulatedSource(intake, "system", system_script),
            is_simulated=True,
            ring_bytes=_RING_BYTES,
        ),
    )
