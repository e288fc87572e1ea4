"""The Redis of the jobs: what is said of its trouble, and that a cancellation is never lost."""

import asyncio

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from hewston_bff.errors import SourceUnavailable
from hewston_bff.net.redis.jobs_redis import JobsRedis, jobs_redis
from tests.redis_server import redis_server
from tests.support import free_port
from tests.waiting import PATIENCE_S

SECRET = "opensesame"


async def refused(redis: JobsRedis, *command: str) -> str:
    with pytest.raises(SourceUnavailable) as caught:
        await redis.ask(redis.client.execute_command(*command))
    assert caught.value.retry_after_s is not None
    return caught.value.message


async def test_a_cancellation_ends_a_reader_whenever_it_comes() -> None:
    async with redis_server() as server, jobs_redis(server.url) as redis:
        await redis.ask(redis.client.ping())

        async def read_for_ever() -> None:
            while True:
                await redis.ask(redis.client.ping())

        for moments in range(60):
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(read_for_ever())
                for _ in range(moments):
                    await asyncio.sleep(0)
                reader.cancel()
                await asyncio.wait([reader], timeout=PATIENCE_S)
                assert reader.cancelled(), moments


async def test_a_password_that_is_wrong_or_missing_is_told_and_not_shown() -> None:
    async with redis_server("--requirepass", SECRET) as server:
        wrong = server.url.replace("//", f"//:{SECRET}-wrong@")
        for url in (server.url, wrong):
            with capture_logs() as logs:
                async with jobs_redis(url) as redis:
                    for _ in range(2):
                        assert await refused(redis, "GET", "a") == (
                            "the Redis of the jobs wants a password, or another one: "
                            "try again later"
                        )
            assert [log["event"] for log in logs] == ["jobs.redis_down"]
            assert SECRET not in str(logs)
        async with jobs_redis(server.url.replace("//", f"//:{SECRET}@")) as redis:
            assert await redis.ask(redis.client.ping())


async def test_what_redis_refuses_is_told_by_its_kind() -> None:
    async with redis_server() as server, jobs_redis(server.url) as redis:
        async with Redis.from_url(server.url) as operator:
            await operator.set("text", "x")
            assert "has something else under a name" in await refused(redis, "LLEN", "text")
            await operator.config_set("maxmemory", "1")
            assert "is full" in await refused(redis, "SET", "a", "b")
            await operator.config_set("maxmemory", "0")
            await operator.replicaof("127.0.0.1", str(free_port()))
            assert "is a replica" in await refused(redis, "SET", "a", "b")
            assert "refuses what jobs need" in await refused(redis, "NONSENSE")


async def test_once_redis_is_back_nobody_meets_a_dead_connection() -> None:
    async with redis_server() as server, jobs_redis(server.url) as redis:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(redis.ask(redis.client.ping()))
        await server.kill()
        assert "does not answer" in await refused(redis, "PING")
        await server.start()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(redis.ask(redis.client.ping()))
