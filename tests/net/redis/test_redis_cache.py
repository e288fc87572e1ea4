"""The shared cache on a real Redis: well, frozen, killed, slow, flushed, full of rubbish."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from redis.asyncio import Redis
from structlog.testing import capture_logs

from hewston_bff.net.cache import Entry
from hewston_bff.net.clock import now_ms
from hewston_bff.net.redis.redis_cache import RedisCache
from hewston_bff.net.redis.shared_redis import SharedRedis, shared_redis
from tests.redis_server import late_line, redis_server
from tests.support import free_port
from tests.waiting import eventually

USUAL_S = 0.045
"""The deadline of a question in the service."""


def entry(value: bytes) -> Entry:
    now = now_ms()
    return Entry(value, stored_ms=now, fresh_until_ms=now + 60_000, kept_until_ms=now + 90_000)


@asynccontextmanager
async def cache_at(
    url: str, namespace: str = "http://backend", **options: float
) -> AsyncIterator[tuple[RedisCache, SharedRedis]]:
    # A busy machine may answer late; where lateness matters the test says how late.
    async with shared_redis(url, **{"wait_s": 2.0, **options}) as redis:
        yield RedisCache(redis, namespace=namespace), redis


async def left_alone_no_more() -> None:
    """Let the time pass in which nobody asks."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, over.set)
    await over.wait()


async def answers_again(cache: RedisCache) -> None:
    """Ask as a request would until Redis is used again."""

    async def is_used() -> bool:
        await cache.set("probe", entry(b"1"))
        return await cache.get("probe") is not None

    await eventually(is_used)


async def test_an_entry_comes_back_whole_compressed_and_with_an_end() -> None:
    async with redis_server() as server, cache_at(server.url) as (cache, _):
        text = entry(b'{"close": 101.5}' * 5_000)
        await cache.set("chart:a", text)
        assert await cache.get("chart:a") == text
        async with Redis.from_url(server.url) as redis:
            keys = await redis.keys("*")
            assert [str(key).startswith("b'hewston-bff:") for key in keys] == [True]
            assert await redis.strlen(keys[0]) < len(text.value) / 10
            assert 89_000 < await redis.pttl(keys[0]) <= 90_000


async def test_what_does_not_compress_comes_back_too() -> None:
    noise = entry(bytes(range(256)) * 2)
    async with redis_server() as server, cache_at(server.url) as (cache, _):
        for one in (noise, entry(b"")):
            await cache.set("a", one)
            assert await cache.get("a") == one


async def test_two_backends_share_a_redis_and_no_entry() -> None:
    async with redis_server() as server:
        async with (
            cache_at(server.url, "http://one") as (one, _),
            cache_at(server.url, "http://two") as (two, _),
        ):
            await one.set("a", entry(b"1"))
            assert await two.get("a") is None


async def test_delete_and_drop_forget_what_they_name_and_nothing_else() -> None:
    async with redis_server() as server, cache_at(server.url) as (cache, _):
        for key in ("run:a:1", "run:a:2", "run:ab:1", "chart:1"):
            await cache.set(key, entry(b"1"))
        await cache.drop("run:a:")
        await cache.delete("chart:1")
        found = [await cache.get(key) for key in ("run:a:1", "run:a:2", "run:ab:1", "chart:1")]
        assert [one is not None for one in found] == [False, False, True, False]


async def test_a_drop_among_thousands_of_keys_finds_all_of_its_own() -> None:
    async with redis_server() as server, cache_at(server.url) as (cache, shared):
        async with Redis.from_url(server.url) as redis:
            await redis.mset({f"other:{number}": "" for number in range(5_000)})
            for number in range(20):
                await cache.set(f"run:a:{number}", entry(b"1"))
            await cache.drop("run:a:")
            assert await redis.dbsize() == 5_000
        assert shared.errors == 0


async def test_what_is_too_large_to_arrive_in_time_is_not_sent() -> None:
    async with redis_server() as server, cache_at(server.url) as (cache, shared):
        await cache.set("a", entry(Random(0).randbytes(5 << 20)))
        assert await cache.get("a") is None
        assert shared.errors == 0


async def test_rubbish_under_our_key_is_a_miss() -> None:
    async with redis_server() as server, cache_at(server.url) as (cache, _):
        await cache.set("a", entry(b"x" * 1_000))
        async with Redis.from_url(server.url) as redis:
            (key,) = await redis.keys("*")
            whole = await redis.get(key)
            assert isinstance(whole, bytes)
            for rubbish in (b"", b"\x01", b"\x01" * 40, whole[:-5]):
                await redis.set(key, rubbish)
                assert await cache.get("a") is None
            await redis.delete(key)
            await redis.lpush(key, "a list")
            assert await cache.get("a") is None


async def test_a_black_hole_is_asked_once_and_then_left_alone() -> None:
    async with redis_server() as server, cache_at(server.url, wait_s=USUAL_S) as (cache, shared):
        await cache.set("a", entry(b"1"))
        server.freeze()
        assert await cache.get("a") is None
        for _ in range(100):
            assert await cache.get("a") is None
            await cache.set("a", entry(b"2"))
        assert shared.errors == 1, "whoever asks waits, and counts"
        server.thaw()
        await answers_again(cache)


async def test_a_closed_port_is_asked_once_and_logged_once() -> None:
    with capture_logs() as logs:
        async with cache_at(f"redis://127.0.0.1:{free_port()}/0") as (cache, shared):
            for _ in range(100):
                assert await cache.get("a") is None
            assert shared.errors == 1
    assert [log["event"] for log in logs] == ["redis.down"]


async def test_killed_and_restarted_it_is_used_again_and_each_change_is_logged_once() -> None:
    with capture_logs() as logs:
        async with redis_server() as server, cache_at(server.url) as (cache, shared):
            await cache.set("a", entry(b"1"))
            await server.kill()
            for _ in range(100):
                assert await cache.get("a") is None
            assert shared.errors >= 1
            await server.start()
            await answers_again(cache)
            assert await cache.get("a") is None, "it came back empty"
    assert [log["event"] for log in logs] == ["redis.down", "redis.up"]


async def test_while_down_one_asker_at_a_time_finds_out() -> None:
    async with redis_server() as server, cache_at(server.url, wait_s=USUAL_S) as (cache, shared):
        server.freeze()
        await cache.get("a")
        await left_alone_no_more()
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(cache.get("a"))
        assert shared.errors == 2
        server.thaw()


async def test_a_late_answer_is_not_taken_for_that_to_the_next_question() -> None:
    delays = [0.0]
    async with redis_server() as server:
        async with (
            late_line(server.port, delay_s=lambda: delays[0]) as url,
            cache_at(url, wait_s=1.5) as (c, _),
        ):
            await c.set("a", entry(b"first"))
            await c.set("b", entry(b"second"))
            delays[0] = 2.0
            assert await c.get("a") is None
            delays[0] = 0.0
            await answers_again(c)
            found = [await c.get(key) for key in ("a", "b", "a")]
            assert [one and one.value for one in found] == [b"first", b"second", b"first"]


async def test_it_is_up_or_it_is_not() -> None:
    async with redis_server() as server, cache_at(server.url) as (_, shared):
        assert await shared.is_up()
        await server.kill()
        assert not await shared.is_up()
        await server.start()
        assert await shared.is_up()


async def test_a_server_that_speaks_no_redis_is_down() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, cache_at(f"redis://127.0.0.1:{port}/0") as (cache, shared):
        assert await cache.get("a") is None
        assert shared.errors == 1
