"""What the kind `system` needs of the world, as protocols."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from hewston_bff.topics.system.statuses import ProbeOutcome, ServiceRows


class Probe(Protocol):
    """Asks one service how it is."""

    name: str

    async def ask(self, *, within_s: float) -> ProbeOutcome:
        """What came of it; whatever goes wrong is an outcome. A cancellation ends the request."""


class ServiceReport(Protocol):
    """How the services are, and who wants to hear of it."""

    def rows(self) -> ServiceRows | None:
        """All of them; None while one of them was not checked yet."""

    def listening(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `changed` on each change of a status while the block lasts. It must not raise."""
