"""The source of job updates on a real Redis: what it delivers, refuses, mends and survives."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from structlog.testing import capture_logs

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import SourceUnavailable
from hewston_bff.events.event import FIRST_ID, EntryId, Event, parse_entry_id
from hewston_bff.events.source_state import HistoryPage
from hewston_bff.net.clock import now_ms
from hewston_bff.topics.job.kind import job_kind
from hewston_bff.topics.job.source import JobSource, JobSourceTimes
from tests.redis_server import redis_server
from tests.support import free_port
from tests.topics.job.job_stack import QUICK, JobStack, RecordingIntake, following, job_stack, text
from tests.waiting import eventually

LAST_ID = EntryId((1 << 64) - 1, 0)
FINISHED = {"completed", "failed", "cancelled"}


async def pages(
    source: JobSource, after: EntryId, before: EntryId = LAST_ID, job_id: str | None = None
) -> tuple[list[Event], list[HistoryPage]]:
    found = [
        page async for page in source.history(after, before, lambda name: job_id in {None, name})
    ]
    return [event for page in found for event in page.events], found


async def test_every_update_is_an_event_old_ones_first() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        one, other = await jobs.made(), await jobs.made()
        await jobs.write(one, "running", progress="0.5", ts="2026-11-25T03:50:00Z")
        async with following(jobs.updates) as (source, intake):
            await intake.until_up()
            assert [len(intake.held), len(intake.remembered), intake.floor] == [3, 0, FIRST_ID]
            await jobs.write(other, "failed", error="no data")
            await jobs.write(one, "completed", progress="1", result='{"pnl":1.5}')
            await intake.until(one, "completed")
            assert [event.topic[4:] for event in intake.events] == [one, other, one, other, one]
            assert sorted(event.id for event in intake.events) == [e.id for e in intake.events]
            assert intake.states(one) == ["queued", "running", "completed"]
            assert intake.told(one)[1]["progress"] == 0.5
            assert intake.told(one)[2]["result"] == {"pnl": 1.5}
            assert intake.told(other)[1]["error"] == "no data"
            assert (source.stats.events, source.stats.left_out) == (5, {})
            assert source.stats.connected_at_ms is not None
            assert source.stats.last_event_at_ms is not None
            assert [link.status for link in intake.links] == ["up"]
            assert abs(intake.skew_ms) < 60_000


async def test_of_a_long_past_the_newest_is_held_and_the_rest_remembered() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        old = await jobs.made()
        busy = await jobs.made()
        for step in range(300):
            await jobs.write(busy, "running", progress=str(step / 300))
        times = JobSourceTimes(held_bytes=20_000)
        async with following(jobs.updates, times) as (_, intake):
            await intake.until_up()
        assert [event.topic for event in intake.remembered] == [f"job:{old}"]
        assert 10 < len(intake.held) < 60
        assert intake.floor is not None
        assert intake.remembered[0].id < intake.floor < intake.held[0].id
        assert intake.told(busy)[-1]["progress"] == 299 / 300


async def test_what_goes_back_is_refused_and_the_record_put_back() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        job_id = await jobs.made()
        async with following(jobs.updates) as (source, intake):
            await jobs.write(job_id, "running", progress="0.5")
            await jobs.write(job_id, "completed", progress="1", result="[1]", ts="t1")
            await jobs.write(job_id, "running", progress="0.9", ts="t2")

            async def is_mended() -> bool:
                return (await jobs.record(job_id))["status"] == "completed"

            await eventually(lambda: source.stats.left_out == {"backward": 1})
            await eventually(is_mended)
            record = await jobs.record(job_id)
            assert (record["progress"], record["result"], record["ts"]) == ("1.0", "[1]", "t1")
            assert intake.states(job_id) == ["queued", "running", "completed"]


async def test_duplicates_strangers_and_rubbish_are_refused_and_counted_by_reason() -> None:
    stranger = "f" * 32
    async with redis_server() as server, job_stack(server.url) as jobs:
        job_id, last = await jobs.made(), await jobs.made()
        async with following(jobs.updates) as (source, intake):
            await intake.until_up()
            await jobs.write(job_id, "running", progress="0.5", ts="t")
            await jobs.write(job_id, "running", progress="0.5", ts="t")
            await jobs.write(stranger, "completed")
            await jobs.write(job_id, "nearly")
            await jobs.redis.xadd("jobs:updates", {"anything": "else"})
            await jobs.redis.xadd(
                "jobs:updates", {"id": job_id, "status": "completed", "result": "1" * (1 << 20)}
            )
            await jobs.write(last, "completed")
            await intake.until(last, "completed")
            assert source.stats.left_out == {
                "duplicate": 1,
                "unknown_job": 1,
                "malformed": 2,
                "too_large": 1,
            }
            assert intake.states(job_id) == ["queued", "running"]
            assert intake.told(stranger) == []

            async def is_mended() -> bool:
                return (await jobs.record(job_id))["status"] == "running"

            await eventually(is_mended)


async def test_a_flood_of_refused_updates_is_logged_a_few_times() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        job_id, last = await jobs.made(), await jobs.made()
        with capture_logs() as logs:
            async with following(jobs.updates) as (source, intake):
                await intake.until_up()
                for _ in range(300):
                    await jobs.redis.xadd("jobs:updates", {"id": job_id, "status": "?"})
                await jobs.write(last, "completed")
                await intake.until(last, "completed")
                assert source.stats.left_out == {"malformed": 300}
        lines = [log for log in logs if log["event"] == "jobs.update_refused"]
        assert 1 <= len(lines) <= 9, "1, 2, 4, …, 256 at most"
        assert {line["job_id"] for line in lines} == {job_id}


async def test_a_job_that_is_over_keeps_its_record_and_loses_its_payload() -> None:
    async with redis_server() as server, job_stack(server.url, record_s=600) as jobs:
        job_id = await jobs.made()
        await jobs.redis.expire(f"job:{job_id}", 100)
        async with following(jobs.updates) as (_, intake):
            await intake.until_up()
            await jobs.write(job_id, "running")

            async def is_kept() -> bool:
                return int(await jobs.redis.ttl(f"job:{job_id}")) > 500

            await eventually(is_kept)
            assert "entry" in await jobs.record(job_id)
            await jobs.write(job_id, "completed")

            async def is_light() -> bool:
                return "entry" not in await jobs.record(job_id)

            await eventually(is_light)


async def test_redis_restarted_with_its_data_loses_and_repeats_nothing(tmp_path: Path) -> None:
    lasting = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    async with redis_server(*lasting) as server, job_stack(server.url) as jobs:
        job_id = await jobs.made()
        async with following(jobs.updates) as (source, intake):
            await intake.until_up()
            await jobs.write(job_id, "running", progress="0.1")
            await intake.until(job_id, "running")
            await server.kill()
            await eventually(lambda: intake.links[-1].status == "retrying")
            assert source.stats.error == "the Redis of the jobs does not answer: try again later"
            await server.start()
            await jobs.redis.connection_pool.disconnect()
            await jobs.write(job_id, "running", progress="0.2")
            await jobs.write(job_id, "completed")
            await intake.until(job_id, "completed")
            assert [one["progress"] for one in intake.told(job_id)] == [None, 0.1, 0.2, None]
            assert (intake.begun, intake.gaps) == (1, [])
            assert not source.stats.error
            assert source.stats.reconnects == 1
            assert {one.attempt for one in intake.links if one.status == "retrying"} >= {1}


async def test_redis_that_comes_back_empty_is_followed_from_its_new_start() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        gone = await jobs.made()
        async with following(jobs.updates) as (_, intake):
            await intake.until_up()
            await jobs.write(gone, "running")
            await intake.until(gone, "running")
            await server.kill()
            await server.start()
            await intake.until_up(2)
            await jobs.redis.connection_pool.disconnect()
            job_id = await jobs.made()
            await jobs.write(job_id, "running")
            await intake.until(job_id, "running")
            assert intake.states(job_id) == ["queued", "running"]


async def test_what_was_trimmed_before_it_was_read_is_named(tmp_path: Path) -> None:
    lasting = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    async with redis_server(*lasting) as server, job_stack(server.url) as jobs:
        job_id = await jobs.made()
        async with following(jobs.updates) as (source, intake):
            await intake.until(job_id, "queued")
            read = intake.events[-1].id
            # The source cannot read while clients other than this one may not.
            async with Redis.from_url(server.url, db=0) as operator:
                await operator.config_set("requirepass", "secret")
                await operator.client_kill_filter(_type="normal", skipme=True)
                await eventually(lambda: "password" in str(source.stats.error))
                ids = [
                    await operator.xadd(
                        "jobs:updates",
                        {"id": job_id, "status": "running", "progress": f"0.{step}"},
                    )
                    for step in range(5)
                ]
                await operator.xtrim("jobs:updates", maxlen=1, approximate=False)
                await operator.config_set("requirepass", "")
            await intake.until(job_id, "running")
            last = parse_entry_id(text(ids[-1]))
            assert last is not None
            assert len(intake.gaps) == 1
            assert intake.gaps[0].after == read
            assert read < intake.gaps[0].until < last
            assert [one["progress"] for one in intake.told(job_id)] == [None, 0.4]
            _, found = await pages(source, read)
            assert found[0].lost == intake.gaps[0]
            assert (await pages(source, FIRST_ID))[1][0].lost is None


async def test_history_has_what_was_accepted_between_two_ids_and_nothing_else() -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        job_id, other = await jobs.made(), await jobs.made()
        for status in ("running", "completed", "running", "failed"):
            await jobs.write(job_id, status)
        for step in range(450):
            await jobs.write(other, "running", progress=str(step / 450))
        async with following(jobs.updates) as (source, intake):
            await intake.until_up()
            everything = [event.id for event in intake.held]
            assert len(everything) == 2 + 2 + 450
            assert [event.id for event in (await pages(source, FIRST_ID))[0]] == everything
            after, before = everything[1], everything[300]
            between, _ = await pages(source, after, before)
            assert [event.id for event in between] == everything[2:300]
            own, _ = await pages(source, after, job_id=job_id)
            assert [event.topic for event in own] == [f"job:{job_id}"] * 2
            await server.kill()
            with pytest.raises(SourceUnavailable):
                await pages(source, FIRST_ID)


@pytest.mark.parametrize("name", ["jobs:updates"])
async def test_a_stream_that_is_none_is_told_and_waited_for(name: str) -> None:
    async with redis_server() as server, job_stack(server.url) as jobs:
        await jobs.redis.set(name, "a text")
        async with following(jobs.updates) as (source, intake):
            await eventually(lambda: intake.links and intake.links[-1].status == "retrying")
            assert "has something else under a name of the jobs" in str(source.stats.error)
            await jobs.redis.delete(name)
            job_id = await jobs.made()
            await intake.until(job_id, "queued")


async def test_without_redis_it_backs_off_and_says_so() -> None:
    async with job_stack(f"redis://127.0.0.1:{free_port()}/0") as jobs:
        async with following(jobs.updates) as (source, intake):
            await eventually(lambda: len(intake.links) >= 3)
            assert [one.attempt for one in intake.links[:3]] == [1, 2, 3]
            assert all((one.retry_in_ms or 0) <= 100 for one in intake.links)
            assert (intake.begun, source.stats.reconnects) == (0, 1)


async def test_the_kind_merges_nothing_and_opens_the_source() -> None:
    async with job_stack(f"redis://127.0.0.1:{free_port()}/0") as jobs:
        kind = job_kind(jobs.updates, refusal=lambda caller: None, now_ms=now_ms, times=QUICK)
        assert (kind.name, kind.default_mode) == ("job", "all")
        assert not kind.is_mergeable("a" * 32)
        assert kind.refusal(ApiCaller()) is None
        assert isinstance(kind.open(RecordingIntake()), JobSource)


# -- random updates: the record says what was accepted last, and no state goes back

writes = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["queued", "running", "completed", "failed", "cancelled", "rubbish"]),
        st.sampled_from(["", "0.25", "0.75"]),
        st.sampled_from(["t1", "t2", "t3"]),
    ),
    max_size=12,
)


async def _accepted(jobs: JobStack, written: list[tuple[int, str, str, str]]) -> None:
    ids = [await jobs.made(), await jobs.made()]
    # What must come of it, worked out here.
    expected = {job_id: [("queued", "", "2026-11-25T03:49:59Z")] for job_id in ids}
    order = ["queued", "running"]
    for index, status, progress, ts in written:
        own = expected[ids[index]]
        before = own[-1][0]
        can_follow = (
            before not in FINISHED
            and status != "rubbish"
            and (status in FINISHED or order.index(status) >= order.index(before))
        )
        if can_follow and (status, progress, ts) not in own[-8:]:
            own.append((status, progress, ts))
    seal = await jobs.made()
    async with following(jobs.updates) as (_, intake):
        for index, status, progress, ts in written:
            await jobs.write(ids[index], status, progress=progress, ts=ts)
        await jobs.write(seal, "completed")
        await intake.until(seal, "completed")
        for job_id, own in expected.items():
            assert intake.states(job_id) == [status for status, _, _ in own]

            async def is_as_accepted(
                job_id: str = job_id, last: tuple[str, str, str] = own[-1]
            ) -> bool:
                record = await jobs.record(job_id)
                return (record["status"], record.get("progress", ""), record["ts"]) == last

            await eventually(is_as_accepted, f"{own}")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=writes)
async def test_records_say_the_last_accepted_of_random_updates(
    jobs: JobStack, written: list[tuple[int, str, str, str]]
) -> None:
    await jobs.redis.flushall()
    await _accepted(jobs, written)


@pytest.fixture
async def jobs() -> AsyncIterator[JobStack]:
    async with redis_server() as server, job_stack(server.url) as jobs:
        yield jobs
