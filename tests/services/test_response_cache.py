"""Responses made once for all who ask, cached, served while they last."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hewston_bff.errors import BackendTimeout, BackendUnavailable, BffError, Busy, Forbidden
from hewston_bff.net.cache import Cache, CacheCounters, Entry, MemoryCache
from hewston_bff.services.response_cache import (
    STALE_IF_ERROR_S,
    CachedResponse,
    Filled,
    ResponseCache,
)
from hewston_bff.tasks import running
from tests.waiting import PATIENCE_S


class Bench:
    """Responses over a memory cache, a clock that the test moves, and a fill that the test ends."""

    def __init__(self, cache: Cache | None = None) -> None:
        self.now_ms = 1_000_000
        self.calls = 0
        self.result: bytes | Exception = b"one"
        self.ttl_s = 60.0
        self.called = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        cache = cache or MemoryCache(max_bytes=1 << 20, clock_ms=lambda: self.now_ms)
        self.responses = ResponseCache(
            cache, counters=CacheCounters(), clock_ms=lambda: self.now_ms
        )

    async def fill(self) -> Filled:
        self.calls += 1
        async with self.called:
            self.called.notify_all()
        result = self.result
        await self.gate.wait()
        if isinstance(result, Exception):
            raise result
        return Filled(result, self.ttl_s)

    async def get(self, key: str = "k") -> CachedResponse:
        return await self.responses.get(key, self.fill)

    async def until_calls(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.called:
            await self.called.wait_for(lambda: self.calls >= count)

    async def settled(self) -> None:
        """Let what runs by itself come to its end."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def bench(cache: Cache | None = None) -> AsyncIterator[Bench]:
    crashes: list[BaseException] = []
    one = Bench(cache)
    async with running(one.responses.run(), name="response cache", crashed=crashes.append):
        await one.settled()
        yield one
    assert not crashes


async def test_the_second_to_ask_gets_what_was_kept_for_the_first() -> None:
    async with bench() as b:
        assert await b.get() == CachedResponse(b"one")
        b.now_ms += 59_999
        assert await b.get() == CachedResponse(b"one", is_hit=True, age_s=59.999)
        assert b.calls == 1
        counters = b.responses.counters
        assert (counters.hits, counters.stale, counters.misses) == (1, 0, 1)


async def test_a_hundred_at_once_make_one_call() -> None:
    async with bench() as b:
        b.gate.clear()
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(b.get()) for _ in range(100)]
            await b.until_calls(1)
            b.gate.set()
        assert {task.result().value for task in asking} == {b"one"}
        assert b.calls == 1


async def test_the_one_who_asked_first_may_leave_and_the_others_are_served() -> None:
    async with bench() as b, asyncio.TaskGroup() as group:
        b.gate.clear()
        leader = group.create_task(b.get())
        await b.until_calls(1)
        others = [group.create_task(b.get()) for _ in range(5)]
        await b.settled()
        leader.cancel()
        others[0].cancel()
        await b.settled()
        b.gate.set()
        assert [(await task).value for task in others[1:]] == [b"one"] * 4
        assert leader.cancelled()
        assert b.calls == 1


async def test_who_comes_while_it_is_being_stored_has_a_hit() -> None:
    class Slow(MemoryCache):
        async def set(self, key: str, entry: Entry) -> None:
            await is_stored.wait()

    is_stored = asyncio.Event()
    async with bench(Slow(max_bytes=1 << 20)) as b:
        assert await b.get() == CachedResponse(b"one")
        assert await b.get() == CachedResponse(b"one", is_hit=True)
        assert b.calls == 1
        is_stored.set()


async def test_when_all_have_left_the_answer_is_still_kept() -> None:
    async with bench() as b, asyncio.TaskGroup() as group:
        b.gate.clear()
        only = group.create_task(b.get())
        await b.until_calls(1)
        only.cancel()
        b.gate.set()
        await b.settled()
        assert (await b.get()).is_hit


async def test_who_left_before_it_stops_is_not_missed() -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with bench() as b:
        b.gate.clear()
        asked = loop.create_task(b.get())
        await b.until_calls(1)
        asked.cancel()
        await asyncio.wait([asked])
    gc.collect()
    assert not complaints


async def test_an_error_that_nobody_waits_for_any_more_is_no_complaint() -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with bench() as b:
        b.gate.clear()
        b.result = Forbidden("no")
        asked = loop.create_task(b.get())
        await b.until_calls(1)
        asked.cancel()
        await asyncio.wait([asked])
        b.gate.set()
        await b.settled()
        b.result = b""
    gc.collect()
    assert not complaints


async def test_expired_it_is_served_at_once_while_one_refresh_runs() -> None:
    async with bench() as b:
        await b.get()
        b.now_ms += 60_000
        b.result = b"two"
        b.gate.clear()
        for _ in range(5):
            assert await b.get() == CachedResponse(b"one", is_hit=True, is_stale=True, age_s=60.0)
        assert b.calls == 2
        b.gate.set()
        await b.settled()
        assert await b.get() == CachedResponse(b"two", is_hit=True)
        assert b.responses.counters.stale == 5


@pytest.mark.parametrize(
    "outage", [BackendUnavailable("down"), BackendTimeout("late"), Busy("open")]
)
async def test_while_the_backend_is_down_the_old_is_served_for_24_hours(outage: BffError) -> None:
    async with bench() as b:
        await b.get()
        b.result = outage
        b.now_ms += 60_000 + STALE_IF_ERROR_S * 1_000 - 1
        for _ in range(2):
            assert (await b.get()).is_stale
            await b.settled()
        b.now_ms += 1
        with pytest.raises(type(outage)):
            await b.get()


async def test_a_clear_no_ends_what_was_kept() -> None:
    async with bench() as b:
        await b.get()
        b.now_ms += 60_000
        b.result = Forbidden("no more")
        assert (await b.get()).is_stale
        await b.settled()
        with pytest.raises(Forbidden):
            await b.get()


async def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    async with bench() as b:
        b.result = BackendUnavailable("down")
        b.gate.clear()
        failed = 0

        async def ask() -> None:
            nonlocal failed
            with pytest.raises(BackendUnavailable):
                await b.get()
            failed += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(ask())
            await b.until_calls(1)
            b.gate.set()
        assert (failed, b.calls) == (10, 1)
        b.result = b"up"
        assert await b.get() == CachedResponse(b"up")


async def test_a_bug_in_one_fill_fails_that_request_and_nothing_else() -> None:
    async with bench() as b:
        b.result = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await b.get()
        b.result = b"fine"
        assert (await b.get()).value == b"fine"
        b.now_ms += 60_000
        b.result = ZeroDivisionError()
        assert (await b.get()).is_stale
        await b.settled()
        assert (await b.get()).is_stale


async def test_what_is_fresh_for_no_time_is_not_kept() -> None:
    async with bench() as b:
        b.ttl_s = 0.0
        assert not (await b.get()).is_hit
        assert not (await b.get()).is_hit
        assert b.calls == 2


async def test_a_drop_forgets_also_what_is_being_made() -> None:
    async with bench() as b, asyncio.TaskGroup() as group:
        b.gate.clear()
        before = group.create_task(b.get("run:a:1"))
        await b.until_calls(1)
        b.responses.drop("run:a:")
        b.result = b"two"
        after = group.create_task(b.get("run:a:1"))
        await b.until_calls(2)
        b.gate.set()
        assert ((await before).value, (await after).value) == (b"one", b"two")
        assert (await b.get("run:a:1")).value == b"two"


async def test_who_asks_while_it_stops_is_told_so_and_does_not_hang() -> None:
    async with asyncio.TaskGroup() as group:
        async with bench() as b:
            b.gate.clear()

            async def ask() -> None:
                with pytest.raises(Busy):
                    await b.get()

            group.create_task(ask())
            await b.until_calls(1)
    with pytest.raises(Busy):
        await b.get("other")
