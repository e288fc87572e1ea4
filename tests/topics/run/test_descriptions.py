"""Descriptions: asked for once, remembered for those who may know them, forgotten in time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from hewston_bff.credentials import Credentials
from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    BffError,
    Busy,
    Forbidden,
    RateLimited,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.protocol.ids import RunId
from hewston_bff.topics.run.description import RunDescription, parse_description
from hewston_bff.topics.run.descriptions import DescriptionTimes, KnownRun, RunDescriptions

pytestmark = pytest.mark.looptime

RUN, OTHER_RUN = RunId("run"), RunId("other")
MINE, YOURS = Credentials("Bearer mine"), Credentials("Bearer yours")
DONE, RUNNING, QUEUED = (b'{"status":"%b"}' % one for one in (b"DONE", b"RUNNING", b"QUEUED"))
OUTAGE = BackendUnavailable("down")


@dataclass
class Platform:
    """A backend that says what it is told to, after `takes_s`."""

    says: bytes | Exception = DONE
    takes_s: float = 1.0
    asked: list[tuple[RunId, str | None]] = field(default_factory=list)
    deadlines_s: list[float] = field(default_factory=list)
    under_way: int = 0

    async def describe(
        self, run_id: RunId, credentials: Credentials, *, deadline_s: float, is_retried: bool
    ) -> RunDescription:
        asked_s = asyncio.get_running_loop().time()
        self.asked.append((run_id, credentials.authorization))
        self.deadlines_s.append(deadline_s)
        self.under_way += 1
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(self.takes_s)
        except TimeoutError as exc:
            raise BackendTimeout("late") from exc
        finally:
            self.under_way -= 1
        if isinstance(self.says, Exception):
            raise self.says
        told_s = asyncio.get_running_loop().time()
        return parse_description(run_id, self.says, asked_s=asked_s, told_s=told_s)


class Bench:
    def __init__(self) -> None:
        self.platform = Platform()
        times = DescriptionTimes(
            fresh_s=30.0, running_s=10.0, stale_s=600.0, patience_s=2.0, request_s=25.0
        )
        self.descriptions = RunDescriptions(self.platform, times=times)
        self.heard: list[str | None] = []
        self.outdated: list[RunId] = []
        self.descriptions.heard = lambda _, description: self.heard.append(description.status)
        self.descriptions.outdated = self.outdated.append

    async def get(self, credentials: Credentials = MINE, run_id: RunId = RUN) -> KnownRun:
        return await self.descriptions.get(run_id, credentials, deadline_s=25.0)

    async def ask(self, credentials: Credentials = MINE) -> RunDescription:
        """As a stream asks: again and again."""
        return await self.descriptions.ask(RUN, credentials)

    def permitted_at_s(self, credentials: Credentials = MINE) -> float | None:
        return self.descriptions.permitted_at_s(RUN, credentials)

    @property
    def calls(self) -> int:
        return len(self.platform.asked)


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    assert one.platform.under_way == 0


# -- one request


async def test_all_who_ask_at_once_make_one_request_and_get_the_same(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(bench.ask()) for _ in range(50)]
        asking += [
            group.create_task(bench.descriptions.ask(RUN, MINE, deadline_s=25.0)) for _ in range(50)
        ]
    assert bench.platform.asked == [(RUN, "Bearer mine")]
    assert bench.heard == ["DONE"]
    assert len({id(task.result()) for task in asking}) == 1


async def test_other_runs_and_other_credentials_are_other_requests(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        for credentials, run_id in ((MINE, RUN), (YOURS, RUN), (MINE, OTHER_RUN)):
            group.create_task(bench.get(credentials, run_id))
    assert bench.platform.asked == [
        *((RUN, "Bearer mine"), (RUN, "Bearer yours"), (OTHER_RUN, "Bearer mine")),
    ]


@pytest.mark.parametrize("error", [Forbidden("no"), Busy("open"), ZeroDivisionError()])
async def test_an_error_is_of_all_who_wait_and_the_next_to_ask_tries_again(
    bench: Bench, error: Exception
) -> None:
    bench.platform.says = error
    raised = []

    async def ask() -> None:
        with pytest.raises(type(error)) as info:
            await bench.ask()
        raised.append(info.value)

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(ask())
    assert raised == [error] * 5
    assert bench.calls == 1
    bench.platform.says = DONE
    assert (await bench.ask()).is_over


async def test_whoever_asked_first_may_leave_and_the_next_one_asks(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        first, second, third = [group.create_task(bench.ask()) for _ in range(3)]
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0.25)
        assert (bench.platform.under_way, bench.calls) == (1, 2)
        assert (await second, await third) == (RunDescription("DONE"), RunDescription("DONE"))
    assert bench.calls == 2


async def test_when_all_have_left_nothing_is_asked_any_more(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bench.ask()) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
    assert bench.platform.under_way == 0
    assert bench.permitted_at_s() is None


async def test_everyone_waits_for_as_long_as_they_can_and_no_longer(bench: Bench) -> None:
    bench.platform.takes_s = 20.0
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        stream = group.create_task(bench.ask())
        await asyncio.sleep(0)
        with pytest.raises(BackendTimeout):
            await bench.descriptions.ask(RUN, MINE, deadline_s=5.0)
        assert loop.time() == pytest.approx(5.0)
        assert (await stream).is_over
    assert loop.time() == pytest.approx(20.0)
    assert bench.calls == 1


async def test_whoever_asks_once_does_not_share_the_bad_luck_of_who_asks_again(
    bench: Bench,
) -> None:
    bench.platform.says = OUTAGE
    async with asyncio.TaskGroup() as group:

        async def stream() -> None:
            with pytest.raises(BackendUnavailable):
                await bench.ask()
            bench.platform.says = DONE

        group.create_task(stream())
        await asyncio.sleep(0)
        assert (await bench.get()).description.is_over
    assert bench.calls == 2


# -- one memory


async def test_what_a_stream_asked_for_is_what_rest_knows_and_the_other_way_round(
    bench: Bench,
) -> None:
    await bench.ask()
    assert bench.permitted_at_s() == pytest.approx(1.0)
    assert await bench.get() == KnownRun(RunDescription("DONE"), calls=0)
    assert bench.calls == 1
    await bench.get(YOURS)
    assert bench.permitted_at_s(YOURS) == pytest.approx(2.0)
    assert bench.permitted_at_s() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("says", "holds_s"), [(DONE, 30.0), (RUNNING, 10.0), (QUEUED, 0.0), (b"{}", 0.0)]
)
async def test_how_long_an_answer_serves_depends_on_the_status(
    bench: Bench, says: bytes, holds_s: float
) -> None:
    bench.platform.says = says
    await bench.get()
    if holds_s:
        await asyncio.sleep(holds_s - 0.01)
        assert (await bench.get()).calls == 0
        await asyncio.sleep(0.02)
    assert (await bench.get()).calls == 1
    assert bench.calls == 2


async def test_once_somebody_heard_that_it_is_over_nobody_is_told_that_it_runs(
    bench: Bench,
) -> None:
    bench.platform.says = RUNNING
    await bench.get(MINE)
    bench.platform.says = DONE
    await bench.ask(YOURS)
    assert await bench.get(MINE) == KnownRun(RunDescription("DONE"), calls=1)


@pytest.mark.parametrize("error", [RunNotFound("no"), Unauthorized("no"), Forbidden("no")])
async def test_a_clear_no_to_one_caller_is_remembered_by_forgetting_the_yes(
    bench: Bench, error: BffError
) -> None:
    await bench.get(MINE)
    await bench.get(YOURS)
    bench.platform.says = error
    with pytest.raises(type(error)):
        await bench.ask(MINE)
    assert bench.permitted_at_s(MINE) is None
    with pytest.raises(type(error)):
        await bench.get(MINE)
    assert (await bench.get(YOURS)).calls == 0


@pytest.mark.parametrize("error", [OUTAGE, BackendTimeout("late"), Busy("open"), RateLimited("x")])
async def test_a_run_that_is_over_can_be_read_while_the_backend_is_away(
    bench: Bench, error: BffError
) -> None:
    await bench.get()
    bench.platform.says = error
    await asyncio.sleep(599.0)
    assert await bench.get() == KnownRun(RunDescription("DONE"), calls=1, is_stale=True)
    await asyncio.sleep(2.0)
    with pytest.raises(type(error)):
        await bench.get()


async def test_a_deaf_backend_is_waited_for_only_if_nothing_is_known(bench: Bench) -> None:
    bench.platform.says = RUNNING
    await bench.get()
    bench.platform.takes_s = 1_000.0
    await asyncio.sleep(60.0)
    with pytest.raises(BackendTimeout):
        await bench.get()
    bench.platform.says, bench.platform.takes_s = DONE, 1.0
    await bench.get()
    bench.platform.takes_s = 1_000.0
    await asyncio.sleep(60.0)
    assert (await bench.get()).is_stale
    assert bench.platform.deadlines_s == [25.0, 25.0, 25.0, 2.0]


async def test_the_oldest_go_when_memory_is_used_up(bench: Bench) -> None:
    bench.platform.says = b'{"status":"DONE","params":"%b"}' % (b"x" * 1_000_000)
    runs = [RunId(f"run-{n}") for n in range(20)]
    for run_id in runs:
        await bench.get(run_id=run_id)
    assert bench.descriptions.permitted_at_s(runs[0], MINE) is None
    assert bench.descriptions.permitted_at_s(runs[-1], MINE) is not None


# -- what is made of a run


async def test_what_was_made_of_a_run_is_outdated_when_it_ends_whoever_hears_it(
    bench: Bench,
) -> None:
    for says in (QUEUED, RUNNING, RUNNING):
        bench.platform.says = says
        await bench.ask(MINE)
    assert not bench.outdated
    bench.platform.says = DONE
    await bench.ask(YOURS)
    await bench.ask(MINE)
    assert bench.outdated == [RUN]
    assert bench.heard == ["QUEUED", "RUNNING", "RUNNING", "DONE", "DONE"]


async def test_a_run_made_anew_is_forgotten_before_its_answer_is_remembered(bench: Bench) -> None:
    await bench.get(MINE)
    await bench.get(YOURS)
    await bench.get(MINE, OTHER_RUN)
    bench.descriptions.heard = lambda run_id, _: bench.descriptions.forget(run_id)
    await bench.ask(MINE)
    assert bench.outdated == [RUN]
    assert bench.permitted_at_s(MINE) is not None
    assert bench.permitted_at_s(YOURS) is None
    assert bench.descriptions.permitted_at_s(OTHER_RUN, MINE) is not None
