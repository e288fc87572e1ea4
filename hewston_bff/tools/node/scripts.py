"""What happens on each kind of topics of the simulated node, from a time on."""

from random import Random
from typing import Final

from hewston_bff.tools.node.bars import BarMaker
from hewston_bff.tools.node.components import NodeComponents
from hewston_bff.tools.node.desk import TradingDesk
from hewston_bff.tools.node.instruments import INSTRUMENTS
from hewston_bff.tools.node.jobs import JobDesk
from hewston_bff.tools.node.market import InstrumentMarket
from hewston_bff.tools.node.services import NodeServices
from hewston_bff.tools.node.timeline import Timeline

BUS_LATEST: Final = ("data.quotes.*", "data.trades.*", "data.bars.*")
"""Topics of the bus whose events replace each other."""


def bus_script(start_ns: int, *, seed: int = 42) -> Timeline:
    """Quotes, trades and bars of 40 instruments, three strategies' orders, components' states.

    About 320 entries a second. Equal arguments give equal entries.
    """
    timeline, rng = _beginning(start_ns, seed)
    bars = (
        BarMaker(timeline, step_s=1, name="1-SECOND"),
        BarMaker(timeline, step_s=60, name="1-MINUTE"),
    )
    markets = [
        InstrumentMarket(each, timeline=timeline, rng=rng, bars=bars) for each in INSTRUMENTS
    ]
    TradingDesk(markets, timeline=timeline, rng=rng)
    NodeComponents(timeline, rng)
    return timeline


def job_script(start_ns: int, *, seed: int = 42) -> Timeline:
    """Jobs, one every few seconds."""
    timeline, rng = _beginning(start_ns, seed)
    JobDesk(timeline, rng)
    return timeline


def system_script(start_ns: int, *, seed: int = 42) -> Timeline:
    """Services, one of which goes down every 45 seconds."""
    timeline, rng = _beginning(start_ns, seed)
    NodeServices(timeline, rng)
    return timeline


def _beginning(start_ns: int, seed: int) -> tuple[Timeline, Random]:
    # The time is part of it: jobs of another start are other jobs.
    return Timeline(start_ns), Random(f"{seed} {start_ns}")  # noqa: S311 - it hides nothing
