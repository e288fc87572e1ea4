"""Never more replays than slots, on a clock of its own."""

import asyncio

import pytest

from hewston_bff.topics.run.replay_limiter import ReplayLimiter, Slot

pytestmark = pytest.mark.looptime


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_handshake_that_hangs_holds_its_slot_for_as_long_as_it_hangs() -> None:
    limiter = ReplayLimiter(2)
    under_way = most = 0

    async def hang() -> None:
        nonlocal under_way, most
        slot = Slot(limiter)
        await slot.acquire()
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(35)
        under_way -= 1
        slot.release()

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(hang())
    assert most == 2
    assert now_s() < 35 * 3 + 10


async def test_one_loads_at_a_time_and_the_next_at_the_first_frame() -> None:
    limiter = ReplayLimiter(2)
    one, two = Slot(limiter), Slot(limiter)
    await one.acquire()
    waiting = asyncio.ensure_future(two.acquire())  # noqa: TID251
    await asyncio.sleep(2)
    assert not two.is_held
    one.note_frame(now_s())
    await waiting
    assert one.is_held
    assert two.is_held


async def test_a_second_without_a_frame_after_the_first_gives_the_slot_up() -> None:
    slot = Slot(ReplayLimiter(1))
    await slot.acquire()
    await asyncio.sleep(30)
    assert slot.is_held
    slot.note_frame(now_s())
    await asyncio.sleep(0.9)
    slot.note_frame(now_s())
    await asyncio.sleep(0.9)
    assert slot.is_held
    await asyncio.sleep(0.2)
    assert not slot.is_held


async def test_who_has_frames_lends_its_slot_to_who_has_none_and_gets_one_back() -> None:
    limiter = ReplayLimiter(1)
    shown, new = Slot(limiter), Slot(limiter)
    await shown.acquire()
    shown.note_frame(now_s())
    async with asyncio.TaskGroup() as group:
        group.create_task(new.acquire())
        await asyncio.sleep(0)
        assert shown.is_wanted
        shown.lend()
        await asyncio.sleep(0)
        assert (shown.is_held, new.is_held) == (False, True)
        back = group.create_task(shown.acquire())
        await asyncio.sleep(0.1)
        assert not back.done()
        new.release()
    assert shown.is_held


async def test_a_cancelled_wait_loses_no_slot() -> None:
    limiter = ReplayLimiter(1)
    holder = Slot(limiter)
    await holder.acquire()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(Slot(limiter).acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        holder.release()
        tasks[1].cancel()  # was just granted the slot, and does not know yet
    last = Slot(limiter)
    async with asyncio.timeout(1):
        await last.acquire()
    assert last.is_held


async def test_a_run_that_goes_on_may_have_no_frame_and_then_keeps_nobody_waiting() -> None:
    slot = Slot(ReplayLimiter(1))
    await slot.acquire()
    slot.expect_frames(10)
    await asyncio.sleep(9.9)
    assert slot.is_held
    await asyncio.sleep(0.2)
    assert not slot.is_held
