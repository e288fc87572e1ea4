"""Long computations that give way to others."""

import asyncio
from itertools import pairwise
from time import monotonic

import pytest

from hewston_bff.market.cooperative import Cooperative
from hewston_bff.services.cooperative_runner import CooperativeRunner


def busy(steps: int, log: list[str], name: str = "") -> Cooperative[str]:
    """Steps that each take a little more than a millisecond."""
    for _ in range(steps):
        log.append(name)
        ends_s = monotonic() + 0.0011
        while monotonic() < ends_s:
            pass
        yield
    return name


async def test_others_come_between_any_two_slow_steps() -> None:
    log: list[str] = []

    async def other() -> None:
        while True:
            log.append("other")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        assert await CooperativeRunner().run(busy(20, log, "work")) == "work"
        task.cancel()
    at = [place for place, name in enumerate(log) if name == "work"]
    assert all("other" in log[a:b] for a, b in pairwise(at))


async def test_quick_steps_share_a_turn() -> None:
    turns = 0

    def quick() -> Cooperative[None]:
        for _ in range(1_000):
            yield

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        await CooperativeRunner().run(quick())
        task.cancel()
    assert turns < 500


async def test_there_is_one_at_a_time() -> None:
    log: list[str] = []
    runner = CooperativeRunner()
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(runner.run(busy(3, log, name)))
    assert log == list("aaabbbccc")


async def test_what_fails_or_is_cancelled_leaves_the_place_to_the_next() -> None:
    runner = CooperativeRunner()

    def failing() -> Cooperative[None]:
        yield
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await runner.run(failing())
    log: list[str] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runner.run(busy(10_000, log)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    assert await runner.run(busy(1, log, "next")) == "next"
    assert 1 < len(log) < 10_000
