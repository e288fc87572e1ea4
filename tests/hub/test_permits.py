"""Who may read: asked for, renewed, suspended, refused, and taken from the source's memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from hewston_bff.credentials import Credentials
from hewston_bff.errors import BackendTimeout, BackendUnavailable, BffError, Busy, Forbidden
from hewston_bff.hub.permits import Permit, Permits, PermitTimes, watch_permit
from hewston_bff.protocol.topics import Topic

pytestmark = pytest.mark.looptime

TOPIC = Topic("run", "day")
MINE, YOURS = Credentials("Bearer mine"), Credentials("Bearer yours")
TIMES = PermitTimes(fresh_s=30.0, stale_s=600.0, backoff_base_s=1.0, backoff_cap_s=20.0)


@dataclass
class Gate:
    """A source that permits or raises, and remembers when it permitted."""

    says: BffError | None = None
    permitted_s: float | None = None
    asked_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    async def feed(self) -> None:
        """Nothing is fed."""

    async def permit(self, credentials: Credentials) -> None:
        now_s = asyncio.get_running_loop().time()
        self.asked_s.append(now_s)
        if self.says is not None:
            raise self.says
        self.permitted_s = now_s

    def permitted_at_s(self, credentials: Credentials) -> float | None:
        return self.permitted_s

    async def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        await asyncio.sleep(5.0)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Heard:
    """What happened, and when."""

    events: list[tuple[float, str]] = field(default_factory=list)

    def _note(self, event: str) -> None:
        self.events.append((round(asyncio.get_running_loop().time(), 3), event))

    def granted(self, permit: Permit) -> None:
        assert permit.is_granted
        self._note("granted")

    def refused(self, permit: Permit, error: BffError) -> None:
        assert permit.refusal is error
        self._note("refused")

    def suspended(self, permit: Permit) -> None:
        assert not permit.is_granted
        self._note("suspended")

    def unanswered(self, attempt: int, wait_s: float) -> None:
        self._note(f"unanswered {attempt}")


def may_read(permit: Permit) -> bool:
    """Whether it is granted now."""
    return permit.is_granted


@asynccontextmanager
async def watching(gate: Gate) -> AsyncIterator[tuple[Permit, Heard]]:
    permit, heard = Permit(TOPIC, MINE, viewers=1), Heard()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch_permit(permit, gate, times=TIMES, events=heard))
        yield permit, heard
        task.cancel()


async def test_a_yes_is_renewed_every_thirty_seconds() -> None:
    gate = Gate()
    async with watching(gate) as (permit, heard):
        await asyncio.sleep(65.0)
        assert gate.asked_s == pytest.approx([0.0, 30.0, 60.0])
        assert [event for _, event in heard.events] == ["granted"] * 3
        assert permit.decided.is_set()


async def test_an_answer_that_somebody_else_got_is_taken_instead_of_another_request() -> None:
    gate = Gate()
    async with watching(gate) as (permit, heard):
        await asyncio.sleep(20.0)
        gate.permitted_s = 20.0
        await asyncio.sleep(25.0)
        assert gate.asked_s == [0.0]
        assert permit.granted_at_s == 20.0
        await asyncio.sleep(10.0)
        assert gate.asked_s == pytest.approx([0.0, 50.0])
        assert [at_s for at_s, _ in heard.events] == [0.0, 30.0, 50.0]


async def test_an_answer_that_is_too_old_is_not_taken() -> None:
    await asyncio.sleep(100.0)
    gate = Gate(permitted_s=70.0)
    async with watching(gate) as (permit, _):
        await asyncio.sleep(1.0)
        assert gate.asked_s == pytest.approx([100.0])
        assert permit.granted_at_s == pytest.approx(100.0)


async def test_a_clear_no_is_the_end() -> None:
    gate = Gate()
    async with watching(gate) as (permit, heard):
        await asyncio.sleep(1.0)
        gate.says = Forbidden("no")
        await asyncio.sleep(100.0)
        assert [event for _, event in heard.events] == ["granted", "refused"]
        assert not may_read(permit)
        assert permit.refusal is gate.says


@pytest.mark.parametrize("outage", [BackendUnavailable("x"), BackendTimeout("x"), Busy("x")])
async def test_without_an_answer_a_yes_holds_for_ten_minutes_and_comes_back(
    outage: BffError,
) -> None:
    gate = Gate()
    async with watching(gate) as (permit, heard):
        await asyncio.sleep(1.0)
        gate.says = outage
        await asyncio.sleep(590.0)
        assert may_read(permit)
        await asyncio.sleep(20.0)
        assert not may_read(permit)
        assert sum(event == "suspended" for _, event in heard.events) == 1
        assert all(0.0 <= wait_s <= 20.0 for wait_s in gate.waits_s)
        gate.says = None
        await asyncio.sleep(10.0)
        assert may_read(permit)
        assert heard.events[-1][1] == "granted"
        asked = len(gate.asked_s)
        await asyncio.sleep(20.0)
        assert len(gate.asked_s) == asked, "and is fresh again"


async def test_a_yes_to_somebody_else_ends_a_suspension() -> None:
    gate = Gate(says=Busy("open"))
    async with watching(gate) as (permit, heard):
        await asyncio.sleep(12.0)
        assert not may_read(permit)
        gate.permitted_s = 11.0
        await asyncio.sleep(5.0)
        assert may_read(permit)
        assert heard.events[-1] == (15.0, "granted")
        assert gate.asked_s == [0.0, 5.0, 10.0]


async def test_permits_are_of_those_who_rely_on_them() -> None:
    permits = Permits(TOPIC)
    mine, yours = permits.of(MINE), permits.of(YOURS)
    assert permits.of(Credentials("Bearer mine")) is mine
    assert not permits.credentials()
    yours.grant(1.0)
    mine.grant(2.0)
    assert permits.credentials() == [MINE, YOURS], "who came first"
    permits.drop(mine)
    another = permits.of(MINE)
    assert another is not mine
    permits.drop(mine)
    assert permits.of(MINE) is another, "only the permit itself is dropped"


async def test_a_feed_waits_until_somebody_may_read() -> None:
    permits = Permits(TOPIC)
    mine, yours = permits.of(MINE), permits.of(YOURS)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(permits.wait())
        await asyncio.sleep(1.0)
        assert not waiting.done()
        assert not permits.is_known
        mine.refuse(Forbidden("no"))
        permits.drop(mine)
        yours.grant(1.0)
        permits.granted()
    assert permits.credentials() == [YOURS]
    assert permits.is_known
