"""Who waits for the backend, and for how long; on a clock of its own."""

import asyncio

import pytest

from hewston_bff.topics.run.backend_activity import SPREAD_S, BackendActivity

pytestmark = pytest.mark.looptime


async def waited_s(activity: BackendActivity, for_s: float) -> float:
    """How long a wait for the backend took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await activity.wait(for_s)
    return loop.time() - began_s


async def test_a_backend_that_is_back_ends_the_wait_of_all_not_at_once() -> None:
    activity = BackendActivity()
    activity.lost()
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(waited_s(activity, 20.0)) for _ in range(50)]
        await asyncio.sleep(3)
        activity.alive()
    took = [wait.result() for wait in waits]
    assert all(3.0 <= each <= 3.0 + SPREAD_S + 0.001 for each in took)
    assert max(took) - min(took) > SPREAD_S / 4


async def test_answers_of_a_backend_that_was_never_lost_wake_nobody() -> None:
    activity = BackendActivity()
    async with asyncio.TaskGroup() as group:
        wait = group.create_task(waited_s(activity, 20.0))
        for _ in range(10):
            await asyncio.sleep(1)
            activity.alive()
    assert wait.result() == pytest.approx(20.0, abs=0.01)


async def test_pages_go_first_but_not_for_ever() -> None:
    activity = BackendActivity()
    loop = asyncio.get_running_loop()

    async def ask(for_s: float) -> None:
        with activity.asking():
            await asyncio.sleep(for_s)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask(0.3))
        group.create_task(ask(5.0))
        await asyncio.sleep(0)
        began_s = loop.time()
        await activity.clear(within_s=1.0)
        assert loop.time() - began_s == pytest.approx(1.0, abs=0.01)
        await activity.clear(within_s=10.0)
        assert loop.time() - began_s == pytest.approx(5.0, abs=0.01)
    await activity.clear(within_s=0.0)
