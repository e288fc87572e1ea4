"""The example worker as a process: it does jobs, is killed, comes back, and obeys."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hewston_bff.web.keys import JOB_UPDATES
from tests.program import ROOT, started
from tests.redis_server import RedisServer, redis_server
from tests.support import Bff, Message, free_port, serving
from tests.topics.job.job_stack import RecordingIntake, following
from tests.waiting import eventually

JOBS = "/api/v1/jobs"
OWN = "jobs:queue:processing:tester"
ENDLESS = {"steps": 1_000_000, "seconds": 0.01}


@dataclass
class Pipeline:
    """A server with jobs, what it delivers of them, and their Redis."""

    bff: Bff
    server: RedisServer
    intake: RecordingIntake

    async def made(self, **payload: Any) -> str:
        """A new job."""
        body = {"type": "backtest", "payload": payload}
        async with self.bff.session.post(self.bff.url + JOBS, json=body) as response:
            assert response.status == 202
            job_id: str = (await response.json())["job_id"]
            return job_id

    async def shown(self, job_id: str) -> Message:
        """A job as it is shown."""
        return await self.bff.get(f"{JOBS}/{job_id}")

    async def cancel(self, job_id: str) -> int:
        """The status of the answer to a DELETE."""
        async with self.bff.session.delete(f"{self.bff.url}{JOBS}/{job_id}") as response:
            return response.status

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """A worker, always under the same name."""
        script = str(ROOT / "scripts" / "example_worker.py")
        command = (sys.executable, script, self.server.url, "--name", "tester")
        async with started(*command, output=asyncio.subprocess.DEVNULL) as process:
            yield process

    async def until_progress(self, job_id: str, *, begun: int) -> None:
        """Wait until a job was begun so often, and has got on since."""

        def has_got_on() -> bool:
            told = [one["progress"] for one in self.intake.told(job_id)]
            starts = [number for number, progress in enumerate(told) if progress == 0.0]
            return len(starts) >= begun and len(told) > starts[-1] + 2

        await eventually(has_got_on, f"{job_id} begun {begun} times")


@pytest.fixture
async def pipeline(tmp_path: Path) -> AsyncIterator[Pipeline]:
    lasting = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    async with redis_server(*lasting) as server:
        backend = f"http://127.0.0.1:{free_port()}"
        async with serving(backend, bff_jobs_url=server.url) as bff:
            async with following(bff.app[JOB_UPDATES]) as (_, intake):
                await intake.until_up()
                yield Pipeline(bff, server, intake)


async def test_jobs_are_done_one_after_another_and_failures_told(pipeline: Pipeline) -> None:
    good = await pipeline.made(steps=4, seconds=0.001)
    bad = await pipeline.made(steps=4, seconds=0.001, fail_at=2)
    wrong = await pipeline.made(steps="many")
    async with pipeline.worker():
        await pipeline.intake.until(good, "completed")
        await pipeline.intake.until(bad, "failed")
        await pipeline.intake.until(wrong, "failed")
    told = pipeline.intake.told(good)
    assert [(one["status"], one["progress"]) for one in told] == [
        ("queued", None),
        *(("running", progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("completed", 1.0),
    ]
    shown = await pipeline.shown(good)
    assert shown["result"] == {"type": "backtest", "steps": 4}
    assert shown["created_at"] < shown["started_at"] < shown["finished_at"]
    assert (await pipeline.shown(bad))["error"] == "the payload wants step 2 to fail"
    assert (await pipeline.shown(wrong))["status"] == "failed"


async def test_a_worker_that_is_killed_leaves_its_job_running_and_does_it_again(
    pipeline: Pipeline,
) -> None:
    job_id = await pipeline.made(**ENDLESS)
    async with pipeline.worker() as worker:
        await pipeline.until_progress(job_id, begun=1)
        worker.kill()
        await worker.wait()
    # All that it wrote has been delivered once the record says the same.
    await eventually(lambda: _says_the_last(pipeline, job_id), "the last update of the dead worker")
    dead = await pipeline.shown(job_id)
    assert (dead["status"], dead["finished_at"]) == ("running", None)
    later = await pipeline.made(steps=1, seconds=0)
    assert await pipeline.shown(job_id) == dead, "nobody invents an end"
    async with pipeline.worker():
        await pipeline.until_progress(job_id, begun=2)
        shown = await pipeline.shown(job_id)
        assert shown["started_at"] == dead["started_at"]
        assert shown["updated_at"] > dead["updated_at"]
        assert await pipeline.cancel(job_id) == 202
        await pipeline.intake.until(job_id, "cancelled")
        await pipeline.intake.until(later, "completed")
    states = pipeline.intake.states(job_id)
    assert states == ["queued", *["running"] * (len(states) - 2), "cancelled"]
    assert (await pipeline.shown(job_id))["status"] == "cancelled"
    assert await pipeline.cancel(job_id) == 409


async def _says_the_last(pipeline: Pipeline, job_id: str) -> bool:
    shown = await pipeline.shown(job_id)
    return bool(shown["updated_at"] == pipeline.intake.told(job_id)[-1]["ts"])


async def test_a_job_that_is_cancelled_before_its_worker_comes_is_not_begun(
    pipeline: Pipeline,
) -> None:
    cancelled, done = await pipeline.made(**ENDLESS), await pipeline.made(steps=1, seconds=0)
    assert await pipeline.cancel(cancelled) == 200
    async with pipeline.worker():
        await pipeline.intake.until(done, "completed")
    assert pipeline.intake.states(cancelled) == ["queued", "cancelled"]


async def test_a_restart_of_redis_loses_no_job_and_no_update(pipeline: Pipeline) -> None:
    job_id = await pipeline.made(**ENDLESS)
    waiting = [await pipeline.made(steps=2, seconds=0.001) for _ in range(3)]
    async with pipeline.worker():
        await pipeline.until_progress(job_id, begun=1)
        await pipeline.server.kill()
        await eventually(lambda: pipeline.intake.links[-1].status == "retrying")
        await pipeline.server.start()
        # The worker begins again what it was at, and the source reads on.
        await pipeline.until_progress(job_id, begun=2)
        assert await pipeline.cancel(job_id) == 202
        for one in waiting:
            await pipeline.intake.until(one, "completed")
    states = pipeline.intake.states(job_id)
    assert states == ["queued", *["running"] * (len(states) - 2), "cancelled"]
    ids = [event.id for event in pipeline.intake.events]
    assert ids == sorted(set(ids)), "each update once"
    assert pipeline.intake.gaps == []
    for one in waiting:
        assert (await pipeline.shown(one))["status"] == "completed"
