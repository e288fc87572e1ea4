"""The job API on a real Redis: what it makes, shows, lists and cancels, and what it refuses."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis

from hewston_bff.settings import Settings, SettingsError
from hewston_bff.web.contract.openapi import openapi
from hewston_bff.web.routes import ENDPOINTS
from tests.program import once_up, program
from tests.redis_server import RedisServer, late_line, redis_server
from tests.support import Bff, Message, free_port, serving
from tests.waiting import eventually
from tests.web.documented import Documented

DOCUMENTED = Documented(openapi(ENDPOINTS))
JOBS = "/api/v1/jobs"
ONE = "/api/v1/jobs/{job_id}"
BACKTEST = {"type": "backtest", "payload": {"symbol": "AAPL", "n": 12345678901234567890}}


@dataclass
class JobApi:
    """A server with jobs, and the Redis that it keeps them in."""

    bff: Bff
    server: RedisServer
    redis: Any

    async def ask(
        self, method: str, path: str, *, status: int, job_id: str = "", **options: Any
    ) -> Message:
        """The body of an answer, which has this status and is as documented."""
        url = self.bff.url + path.format(job_id=job_id)
        async with self.bff.session.request(method, url, **options) as response:
            assert response.status == status, await response.text()
            await DOCUMENTED.check(response, path, method=method.lower())
            if status == 503:
                assert int(response.headers["Retry-After"]) > 0
            body: Message = await response.json()
            return body

    async def made(self, kind: str = "backtest", key: str | None = None) -> str:
        """A new job."""
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"type": kind, "payload": {}}
        made = await self.ask("POST", JOBS, status=202, json=body, headers=headers)
        job_id: str = made["job_id"]
        return job_id

    async def write(self, job_id: str, **fields: str) -> None:
        """What a worker writes into a job's record."""
        await self.redis.hset(f"job:{job_id}", mapping=fields)

    async def listed(self, query: str = "") -> tuple[list[str], str | None]:
        """The ids of one page, and its cursor."""
        page = await self.ask("GET", JOBS, status=200, params=query)
        return [job["job_id"] for job in page["jobs"]], page["next_cursor"]


@asynccontextmanager
async def job_api(*options: str, **settings: Any) -> AsyncIterator[JobApi]:
    async with redis_server(*options) as server, Redis.from_url(server.url) as redis:
        backend = f"http://127.0.0.1:{free_port()}"
        settings = {"bff_rate_proxied_per_minute": 0} | settings
        async with serving(backend, bff_jobs_url=server.url, **settings) as bff:
            yield JobApi(bff, server, redis)


@pytest.fixture
async def api() -> AsyncIterator[JobApi]:
    async with job_api() as api:
        yield api


# -- one job


async def test_a_job_is_queued_recorded_announced_and_shown(api: JobApi) -> None:
    job_id, record = "", {}
    for number, path in enumerate((JOBS, "/jobs"), 1):
        async with api.bff.session.post(api.bff.url + path, json=BACKTEST) as response:
            assert response.status == 202
            await DOCUMENTED.check(response, path, method="post")
            made = await response.json()
            job_id = made["job_id"]
            assert made == {"job_id": job_id, "status": "queued", "topic": f"job:{job_id}"}
            assert response.headers["Location"] == f"/api/v1/jobs/{job_id}"
        # Read with other means than ours.
        entry = msgspec.json.decode(await api.redis.lindex("jobs:queue", -1))
        assert entry == {"id": job_id, **BACKTEST}
        record = await api.redis.hgetall(f"job:{job_id}")
        assert (record[b"type"], record[b"status"]) == (b"backtest", b"queued")
        (_, update), *_ = await api.redis.xrevrange("jobs:updates", count=1)
        assert (update[b"id"].decode(), update[b"status"]) == (job_id, b"queued")
        assert await api.redis.llen("jobs:queue") == number
    shown = await api.ask("GET", ONE, job_id=job_id, status=200)
    assert shown == {
        "job_id": job_id,
        "type": "backtest",
        "status": "queued",
        "created_at": record[b"ts"].decode(),
        "updated_at": record[b"ts"].decode(),
        **dict.fromkeys(("progress", "result", "error", "started_at"), None),
        **dict.fromkeys(("finished_at", "cancel_requested_at"), None),
    }


async def test_a_job_is_shown_as_its_worker_says(api: JobApi) -> None:
    job_id = await api.made()
    times = {"started_at": "2026-11-25T03:50:00.123456789Z", "finished_at": "never"}
    await api.write(
        job_id, status="completed", progress="1", result='{"pnl":[1.5]}', ts="1795229399", **times
    )
    shown = await api.ask("GET", ONE, job_id=job_id, status=200)
    assert (shown["status"], shown["progress"], shown["result"]) == (
        *("completed", 1.0, {"pnl": [1.5]}),
    )
    assert shown["updated_at"] == "2026-11-21T02:49:59Z"
    assert (shown["started_at"], shown["finished_at"]) == (times["started_at"], None)


async def test_a_record_that_is_no_job_or_has_no_state_is_not_shown_as_one(api: JobApi) -> None:
    job_id = await api.made()
    await api.write("f" * 32, status="completed")
    for unknown in ("f" * 32, "0" * 32, "x", "..%2Fqueue", "F" * 32):
        error = await api.ask("GET", ONE, job_id=unknown, status=404)
        assert error["error"]["code"] == "JOB_NOT_FOUND"
        await api.ask("DELETE", ONE, job_id=unknown, status=404)
    await api.write(job_id, status="nearly")
    error = await api.ask("GET", ONE, job_id=job_id, status=503)
    assert error["error"]["code"] == "SOURCE_UNAVAILABLE"
    assert (await api.listed())[0] == []


async def test_all_names_are_settings() -> None:
    names = {
        "bff_jobs_queue": "a:queue",
        "bff_jobs_hash_prefix": "a:job:",
        "bff_jobs_updates": "a:updates",
        "bff_jobs_types": "mine",
    }
    async with job_api(**names) as api:
        job_id = await api.made("mine", key="k")
        keys = {key.decode() for key in await api.redis.keys("*")}
        assert len(keys) == 5
        assert keys > {"a:queue", f"a:job:{job_id}", "a:updates", "a:queue:index"}
        assert all(key.startswith("a:") for key in keys)


# -- the same request again


async def test_a_hundred_equal_requests_at_once_make_one_job(api: JobApi) -> None:
    seen: list[tuple[int, str]] = []

    async def post() -> None:
        headers = {"Idempotency-Key": "the-same"}
        async with api.bff.session.post(
            api.bff.url + JOBS, json=BACKTEST, headers=headers
        ) as response:
            seen.append((response.status, (await response.json())["job_id"]))

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(post())
    assert Counter(status for status, _ in seen) == {202: 1, 200: 99}
    assert len({job_id for _, job_id in seen}) == 1
    assert await api.redis.llen("jobs:queue") == 1
    assert await api.redis.xlen("jobs:updates") == 1
    assert await api.redis.zcard("jobs:queue:index") == 1


async def test_a_key_with_another_body_is_a_conflict(api: JobApi) -> None:
    headers = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    first = {"type": "backtest", "payload": {"a": 1, "b": 2}}
    made = await api.ask("POST", JOBS, status=202, json=first, headers=headers)
    # Another order, and other spaces, are the same body.
    same = b'{"payload" : {"b":2,"a":1}, "type":"backtest"}'
    again = await api.ask("POST", JOBS, status=200, data=same, headers=headers)
    assert again == made
    for other in ({"a": 1, "b": 3}, {"a": 1}, {"a": 1, "b": 2.5}):
        body = {"type": "backtest", "payload": other}
        error = await api.ask("POST", JOBS, status=409, json=body, headers=headers)
        assert error["error"]["code"] == "CONFLICT"
        assert error["error"]["details"] == {"job_id": made["job_id"]}
    await api.write(made["job_id"], status="running")
    again = await api.ask("POST", "/jobs", status=200, json=first, headers=headers)
    assert again["status"] == "running"
    assert await api.redis.llen("jobs:queue") == 1


async def test_without_a_key_each_request_is_a_job(api: JobApi) -> None:
    assert await api.made() != await api.made()
    assert await api.made(key="a") != await api.made(key="b")


async def test_a_server_killed_before_it_answers_has_made_the_keys_job() -> None:
    headers = {"Idempotency-Key": "k"}
    delays = [0.0]
    async with job_api() as api, late_line(api.server.port, delay_s=lambda: delays[0]) as line:
        port = free_port()
        environ = {"BFF_JOBS_URL": line, "HEWSTON_BACKEND_URL": "http://127.0.0.1:1"}
        url = f"http://127.0.0.1:{port}"
        async with program("serve", "--port", str(port), **environ) as process:
            async with aiohttp.ClientSession(url) as session:
                await once_up(session, JOBS)
                async with session.post(JOBS, json=BACKTEST) as response:
                    assert response.status == 202
                # Its connection and script are there; from here on answers are late.
                delays[0] = 3_600.0

                async def post() -> None:
                    try:
                        async with session.post(JOBS, json=BACKTEST, headers=headers) as response:
                            assert response.status == 503, "it gave up before it was killed"
                    except aiohttp.ClientError:
                        pass

                async def is_pushed() -> bool:
                    return bool(await api.redis.llen("jobs:queue") == 2)

                async with asyncio.TaskGroup() as group:
                    group.create_task(post())
                    await eventually(is_pushed)
                    process.kill()
        made = await api.ask("POST", JOBS, status=200, json=BACKTEST, headers=headers)
        entry = msgspec.json.decode(await api.redis.lindex("jobs:queue", 1))
        assert made["job_id"] == entry["id"]
        assert await api.redis.llen("jobs:queue") == 2


# -- limits and bad requests


async def test_a_full_queue_takes_no_more_even_at_once_and_keys_still_answer() -> None:
    async with job_api(bff_jobs_queue_limit=5) as api:
        first = await api.made(key="first")
        seen: list[int] = []

        async def post() -> None:
            async with api.bff.session.post(api.bff.url + JOBS, json=BACKTEST) as response:
                seen.append(response.status)

        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(post())
        assert Counter(seen) == {202: 4, 503: 26}
        error = await api.ask("POST", JOBS, status=503, json=BACKTEST)
        assert error["error"]["code"] == "BUSY"
        body = {"type": "backtest", "payload": {}}
        headers = {"Idempotency-Key": "first"}
        again = await api.ask("POST", JOBS, status=200, json=body, headers=headers)
        assert again["job_id"] == first
        await api.redis.lpop("jobs:queue")
        await api.ask("POST", JOBS, status=202, json=BACKTEST)


async def test_a_payload_of_one_byte_too_many_is_refused(api: JobApi) -> None:
    fits = b'{"a":"' + b"x" * (65_536 - 8) + b'"}'
    assert len(fits) == 64 * 1_024
    for payload, status in ((fits, 202), (fits.replace(b"x", b"xx", 1), 413)):
        body = b'{"type":"backtest","payload":' + payload + b"}"
        await api.ask("POST", JOBS, status=status, data=body)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b" " * 10_000

    error = await api.ask("POST", JOBS, status=413, data=endless())
    assert error["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert await api.redis.llen("jobs:queue") == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"type":"backtest","payload":{"a":NaN}}', "body"),
        (b'{"type":"backtest","payload":{"a":"\xff"}}', "body"),
        (b'{"type":"backtest","payload":[]}', "payload"),
        (b'{"type":"backtest","payload":null}', "payload"),
        (b'{"type":"backtest","playload":{}}', "playload"),
        (b'{"type":"backtest"} {}', "body"),
        (b'{"type":"backtest","payload":{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}}", "nested"),
        (b'{"payload":{}}', "type"),
        (b'{"type":1,"payload":{}}', "type"),
        (b'{"type":"mining","payload":{}}', "must be one of suggestion, backtest"),
    ],
)
async def test_a_body_that_is_no_job_is_refused_and_told_why(
    api: JobApi, body: bytes, told: str
) -> None:
    error = await api.ask("POST", JOBS, status=422, data=body)
    assert error["error"]["code"] == "VALIDATION"
    assert told in error["error"]["message"]
    assert await api.redis.keys("*") == []


async def test_a_key_that_is_none_is_refused_by_name(api: JobApi) -> None:
    for key in ("", "a b", "a\tb", "ä", "k" * 256):
        headers = {"Idempotency-Key": key}
        error = await api.ask("POST", JOBS, status=422, json=BACKTEST, headers=headers)
        assert "Idempotency-Key" in error["error"]["details"]
    assert await api.redis.keys("*") == []


# -- lists


async def test_a_list_has_the_newest_first_by_status_and_type(api: JobApi) -> None:
    made = [await api.made(kind) for kind in ("backtest", "suggestion", "backtest")]
    await api.write(made[0], status="failed", error="no data", progress="0.5", result="[1]")
    assert await api.listed() == (made[::-1], None)
    assert await api.listed("type=backtest") == ([made[2], made[0]], None)
    assert await api.listed("status=failed") == ([made[0]], None)
    assert await api.listed("status=queued&type=suggestion") == ([made[1]], None)
    assert await api.listed("type=nothing") == ([], None)
    page = await api.ask("GET", JOBS, status=200, params="status=failed")
    assert (page["jobs"][0]["error"], page["jobs"][0]["progress"]) == ("no data", 0.5)
    assert "result" not in page["jobs"][0]


async def test_pages_have_each_job_once_while_others_are_made(api: JobApi) -> None:
    made = [await api.made(("backtest", "suggestion")[n % 2]) for n in range(23)]
    seen: list[str] = []
    query = "limit=4&type=backtest"
    ids, cursor = await api.listed(query)
    while cursor is not None:
        seen += ids
        await api.made()
        ids, cursor = await api.listed(f"{query}&cursor={cursor}")
    seen += ids
    assert seen == made[::-2]


async def test_a_rare_filter_gets_short_pages_and_finds_all(api: JobApi) -> None:
    first = await api.made("suggestion")
    async with api.redis.pipeline(transaction=False) as pipe:
        for number in range(2_100):
            job_id = f"{number:032x}"
            fields = {"type": "backtest", "status": "queued", "created_at": "2026-11-25T03:49:59Z"}
            pipe.hset(f"job:{job_id}", mapping=fields)
            pipe.zadd("jobs:queue:index", {job_id: number + 2})
        await pipe.execute()
    ids, cursor = await api.listed("type=suggestion")
    assert ids == []
    assert await api.listed(f"type=suggestion&cursor={cursor}") == ([first], None)


async def test_jobs_that_are_forgotten_leave_the_list_and_the_index(api: JobApi) -> None:
    made = [await api.made() for _ in range(3)]
    await api.redis.delete(f"job:{made[1]}")
    assert await api.listed() == ([made[2], made[0]], None)
    assert await api.redis.zcard("jobs:queue:index") == 2
    await api.redis.delete(f"job:{made[0]}")
    await api.made()
    assert await api.redis.zcard("jobs:queue:index") == 2


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "status=done", "status=", "type=", "type=a%20b"),
        *("cursor=", "cursor=x", "cursor=-1", "cursor=1.5", "cursor=1234567890123456"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_name(api: JobApi, query: str) -> None:
    error = await api.ask("GET", JOBS, status=422, params=query)
    assert query.partition("=")[0] in error["error"]["details"]


# -- cancel


async def test_a_job_that_waits_is_cancelled_at_once(api: JobApi) -> None:
    kept, job_id = await api.made(), await api.made()
    shown = await api.ask("DELETE", ONE, job_id=job_id, status=200)
    assert (shown["status"], shown["started_at"]) == ("cancelled", None)
    assert shown["finished_at"] == shown["updated_at"] == shown["cancel_requested_at"] is not None
    queue = [msgspec.json.decode(one)["id"] for one in await api.redis.lrange("jobs:queue", 0, -1)]
    assert queue == [kept]
    (_, update), *_ = await api.redis.xrevrange("jobs:updates", count=1)
    assert (update[b"id"].decode(), update[b"status"]) == (job_id, b"cancelled")
    error = await api.ask("DELETE", ONE, job_id=job_id, status=409)
    assert error["error"]["code"] == "CONFLICT"


async def test_the_worker_of_a_job_that_it_has_is_asked_to_stop(api: JobApi) -> None:
    job_id = await api.made()
    await api.redis.lpop("jobs:queue")
    # Taken and not begun, then running.
    asked = await api.ask("DELETE", ONE, job_id=job_id, status=202)
    assert (asked["status"], asked["finished_at"]) == ("queued", None)
    await api.write(job_id, status="running")
    again = await api.ask("DELETE", ONE, job_id=job_id, status=202)
    assert again["status"] == "running"
    assert again["cancel_requested_at"] == asked["cancel_requested_at"] is not None
    assert await api.redis.xlen("jobs:updates") == 1, "nothing has happened to it yet"
    await api.write(job_id, status="completed")
    await api.ask("DELETE", ONE, job_id=job_id, status=409)


# -- without Redis


async def test_without_redis_jobs_say_so_and_nothing_else_suffers(api: JobApi) -> None:
    job_id = await api.made()
    await api.server.kill()
    for method, path in (("POST", JOBS), ("GET", JOBS), ("GET", ONE), ("DELETE", ONE)):
        options = {"json": BACKTEST} if method == "POST" else {}
        error = await api.ask(method, path, job_id=job_id, status=503, **options)
        assert error["error"]["code"] == "SOURCE_UNAVAILABLE"
    async with api.bff.session.get(f"{api.bff.url}/api/v1/health/ready") as response:
        assert response.status == 200
    await api.server.start()
    await api.ask("POST", JOBS, status=202, json=BACKTEST)


async def test_a_redis_that_answers_nothing_is_given_up() -> None:
    async with job_api() as api:
        await api.made()
        api.server.freeze()
        error = await api.ask("GET", JOBS, status=503)
        assert "does not answer" in error["error"]["message"]
        api.server.thaw()


async def test_a_redis_that_wants_a_password_is_told_without_any() -> None:
    async with job_api("--requirepass", "opensesame") as api:
        error = await api.ask("POST", JOBS, status=503, json=BACKTEST)
        assert "wants a password" in error["error"]["message"]


@pytest.mark.parametrize("key", ["jobs:queue", "jobs:updates", "jobs:queue:index"])
async def test_a_name_that_holds_something_else_is_told_and_nothing_written(
    api: JobApi, key: str
) -> None:
    await api.redis.set(key, "text")
    error = await api.ask("POST", JOBS, status=503, json=BACKTEST)
    assert "something else under a name" in error["error"]["message"]
    assert await api.redis.keys("*") == [key.encode()]


async def test_without_the_setting_jobs_are_off() -> None:
    async with serving("http://127.0.0.1:1") as bff:
        for method, path in (
            *(("POST", JOBS), ("POST", "/jobs"), ("GET", JOBS)),
            *(("GET", ONE), ("DELETE", ONE)),
        ):
            async with bff.session.request(method, bff.url + path.format(job_id="x")) as response:
                assert response.status == 503
                await DOCUMENTED.check(response, path, method=method.lower())
                assert (await response.json())["error"]["code"] == "FEATURE_DISABLED"


def test_the_setting_shows_no_password_and_refuses_what_is_no_redis() -> None:
    settings = Settings(bff_jobs_url="rediss://user:opensesame@jobs:1/2")
    assert settings.model_dump()["bff_jobs_url"] == "rediss://jobs:1/2"
    assert "opensesame" not in repr(settings)
    assert Settings(bff_jobs_url="").bff_jobs_url is None
    assert Settings(bff_jobs_types=" a, b ,").bff_jobs_types == ("a", "b")
    for wrong in (
        {"bff_jobs_url": "http://opensesame"},
        {"bff_jobs_types": ""},
        {"bff_jobs_types": "a b"},
        {"bff_jobs_queue_limit": 0},
    ):
        with pytest.raises(SettingsError) as caught:
            Settings.from_env(**wrong)
        assert next(iter(wrong)).upper() in str(caught.value)
        assert "opensesame" not in str(caught.value)
