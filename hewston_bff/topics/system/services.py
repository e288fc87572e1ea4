"""The services we depend on, each probed again and again by a task of its own."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from hewston_bff.topics.system.ports import Probe
from hewston_bff.topics.system.statuses import ServiceRow, ServiceRows, checked, unchecked

logger = structlog.get_logger(__name__)

EVERY_S = 5.0
WITHIN_S = 2.0


class Services:
    """How each service is, as far as is known; asking for it asks no service."""

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        now_ms: Callable[[], int],
        every_s: float = EVERY_S,
        within_s: float = WITHIN_S,
    ) -> None:
        """`probes` have different names. `now_ms`: the wall clock, milliseconds since 1970."""
        self._probes = probes
        self._now_ms = now_ms
        self._every_s = every_s
        self._within_s = within_s
        self._rows = {probe.name: unchecked(probe.name, now_ms()) for probe in probes}
        self._listeners: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def known(self) -> ServiceRows:
        """All of them, also those that were not checked yet."""
        return ServiceRows(tuple(self._rows.values()))

    def rows(self) -> ServiceRows | None:
        """All of them; None while one of them was not checked yet."""
        return self.known() if self._are_checked() else None

    @contextmanager
    def listening(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` on each change of a status while the block lasts. It must not raise.

        Once all were checked for the first time is one change.
        """
        self._listeners.append(changed)
        try:
            yield
        finally:
            self._listeners.remove(changed)

    async def run(self) -> None:
        """Probe all until cancelled. A slow service delays its own next probe, and no other's."""
        async with asyncio.TaskGroup() as group:
            for probe in self._probes:
                group.create_task(self._watch(probe), name=f"probe of {probe.name}")

    async def _watch(self, probe: Probe) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            outcome = await probe.ask(within_s=self._within_s)
            self._take(checked(self._rows[probe.name], outcome, self._now_ms()))
            await asyncio.sleep(max(0.0, began_s + self._every_s - loop.time()))

    def _take(self, row: ServiceRow) -> None:
        old, were_checked = self._rows[row.name], self._are_checked()
        self._rows[row.name] = row
        if old.checked_at is None and row.status != "ok":
            logger.warning("services.changed", name=row.name, new=row.status, why=row.detail)
        elif old.checked_at is not None and old.status != row.status:
            logger.warning(
                "services.changed",
                name=row.name,
                old=old.status,
                new=row.status,
                why=row.detail,
            )
        is_change = old.status != row.status if were_checked else self._are_checked()
        for changed in tuple(self._listeners) if is_change else ():
            changed()

    def _are_checked(self) -> bool:
        return all(row.checked_at is not None for row in self._rows.values())
