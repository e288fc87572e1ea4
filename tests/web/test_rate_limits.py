"""How often an address may ask, and what it is told."""

from typing import Any

import structlog

from hewston_bff.net.limits.rate_limits import RateLimits, RateVerdict, RouteClass
from hewston_bff.net.redis.shared_redis import shared_redis
from hewston_bff.tools.simulator import generated_run
from tests.redis_server import redis_server
from tests.support import Bff, stack
from tests.waiting import eventually

DAY = generated_run("day")
LIST = "/api/v1/backtests"
FEW = {RouteClass.PROXIED: 3, RouteClass.AGGREGATED: 2}


async def _hit(limits: RateLimits, address: str = "a") -> RateVerdict:
    verdict = await limits.hit(RouteClass.PROXIED, address)
    assert verdict is not None
    return verdict


async def _status(bff: Bff, path: str = LIST, **headers: str) -> int:
    async with bff.session.get(bff.url + path, headers=headers) as response:
        await response.read()
        return response.status


async def test_the_limit_is_told_and_then_kept() -> None:
    async with stack(DAY, bff_rate_proxied_per_minute=3) as (bff, backend, _):
        left = []
        for path in (LIST, "/backtests/day", "/backtests/%00"):
            async with bff.session.get(bff.url + path) as response:
                assert response.headers["RateLimit-Limit"] == "3"
                assert 1 <= int(response.headers["RateLimit-Reset"]) <= 60
                left.append(response.headers["RateLimit-Remaining"])
        assert left == ["2", "1", "0"]
        asked = len(backend.stats().requests)
        origin = {"Origin": "http://127.0.0.1:5173"}
        async with bff.session.post(bff.url + "/backtests", headers=origin) as response:
            assert response.status == 429
            assert (await response.json())["error"]["code"] == "RATE_LIMITED"
            assert response.headers["Retry-After"] == response.headers["RateLimit-Reset"]
            assert response.headers["RateLimit-Remaining"] == "0"
            assert "RateLimit-Reset" in response.headers["Access-Control-Expose-Headers"]
        assert len(backend.stats().requests) == asked
        async with bff.session.get(bff.url + "/api/v1/health/live") as response:
            assert response.status == 200
            assert "RateLimit-Limit" not in response.headers
        preflight = {**origin, "Access-Control-Request-Method": "POST"}
        async with bff.session.options(bff.url + "/backtests", headers=preflight) as response:
            assert response.status == 200


async def test_classes_of_routes_are_counted_apart() -> None:
    settings: dict[str, Any] = {
        "bff_rate_proxied_per_minute": 1,
        "bff_rate_aggregated_per_minute": 2,
    }
    chart = f"/api/v1/chart-data?symbol={DAY.symbol}&timeframe=1D&from=2024-01-01&to=2024-01-31"
    async with stack(DAY, **settings) as (bff, *_):
        assert [await _status(bff) for _ in range(2)] == [200, 429]
        assert [await _status(bff, chart) for _ in range(3)] == [200, 200, 429]


async def test_no_limit_is_possible() -> None:
    async with stack(DAY, bff_rate_proxied_per_minute=0) as (bff, *_):
        async with bff.session.get(bff.url + LIST) as response:
            assert response.status == 200
            assert "RateLimit-Limit" not in response.headers


async def test_an_address_is_believed_only_from_trusted_proxies() -> None:
    async with stack(DAY, bff_rate_proxied_per_minute=1) as (bff, *_):
        assert await _status(bff, **{"X-Forwarded-For": "203.0.113.1"}) == 200
        assert await _status(bff, **{"X-Forwarded-For": "203.0.113.2"}) == 429
    settings: dict[str, Any] = {
        "bff_rate_proxied_per_minute": 1,
        "bff_trusted_proxies": "127.0.0.1/32, 10.0.0.0/8",
    }
    async with stack(DAY, **settings) as (bff, *_):
        for forwarded, status in (
            ("203.0.113.1", 200),
            ("203.0.113.2", 200),
            ("203.0.113.1", 429),
            ("6.6.6.6, 203.0.113.1", 429),
            ("6.6.6.6, 203.0.113.1, 10.1.2.3", 429),
            ("203.0.113.1, 198.51.100.7", 200),
            ("203.0.113.9, nonsense", 200),
            ("203.0.113.8, nonsense", 429),
        ):
            assert await _status(bff, **{"X-Forwarded-For": forwarded}) == status, forwarded


async def test_sockets_are_counted_by_the_same_address() -> None:
    settings: dict[str, Any] = {
        "bff_trusted_proxies": "127.0.0.1/32",
        "bff_ws_sockets_per_address": 1,
    }
    async with (
        stack(DAY, **settings) as (bff, *_),
        bff.viewer(headers={"X-Forwarded-For": "203.0.113.1"}),
        bff.viewer(headers={"X-Forwarded-For": "203.0.113.2"}),
    ):
        headers = {"X-Forwarded-For": "203.0.113.1", "Upgrade": "websocket"}
        assert await _status(bff, "/api/v1/stream", **headers) == 429


async def test_processes_share_the_count_through_redis() -> None:
    async with redis_server() as redis:
        # A busy machine answers late, and then memory alone would count.
        async with (
            shared_redis(redis.url, wait_s=5.0) as one,
            shared_redis(redis.url, wait_s=5.0) as other,
        ):
            first, second = RateLimits(FEW, redis=one), RateLimits(FEW, redis=other)
            verdicts = [await _hit(limits) for limits in (first, second, first, second)]
    assert [verdict.is_allowed for verdict in verdicts] == [True, True, True, False]
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert all(1 <= verdict.reset_s <= 60 for verdict in verdicts)


async def test_without_redis_memory_counts_and_one_hit_finds_out() -> None:
    async with redis_server() as redis, shared_redis(redis.url, wait_s=2.0) as shared:
        limits = RateLimits(FEW, redis=shared)
        assert (await _hit(limits)).remaining == 2
        with structlog.testing.capture_logs() as logs:
            for trouble in (redis.freeze, redis.kill):
                stopped = trouble()
                if stopped is not None:
                    await stopped
                for _ in range(5):
                    await _hit(limits, trouble.__name__)
                assert shared.errors <= 4, "not every hit asked"
                assert not (await _hit(limits, trouble.__name__)).is_allowed
            assert [log["event"] for log in logs] == ["redis.down"]
            await redis.start()

            async def is_used() -> bool:
                await _hit(limits)
                return bool(logs[-1]["event"] == "redis.up")

            await eventually(is_used)


async def test_a_window_moves_and_forgets() -> None:
    now_s = 1_000.0
    limits = RateLimits({RouteClass.PROXIED: 2}, clock=lambda: now_s)
    assert (await _hit(limits)).reset_s == 60
    now_s += 40
    assert await _hit(limits) == RateVerdict(is_allowed=True, limit=2, remaining=0, reset_s=20)
    assert await _hit(limits) == RateVerdict(is_allowed=False, limit=2, remaining=0, reset_s=20)
    assert (await _hit(limits, "b")).is_allowed
    now_s += 20
    assert await _hit(limits) == RateVerdict(is_allowed=True, limit=2, remaining=0, reset_s=40)
    assert not (await _hit(limits)).is_allowed
    assert await limits.hit(RouteClass.AGGREGATED, "a") is None
