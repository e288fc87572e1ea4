#!/usr/bin/env python3
"""A worker that does jobs: the whole contract of `docs/jobs.md`, with redis-py alone.

    scripts/example_worker.py redis://127.0.0.1:6379/0 --name worker-1

It takes one job at a time, moving its entry from the queue to a list of its own in the same step.
So a crash loses no job: started again under the same name it finds the entry there, and does that
job again from its beginning. What is lost is the work on it so far, nothing else; work that must
not be done twice has to know the job's id. A name must not be used by two workers at a time.

The work itself stands for yours: `steps` of `seconds` each, and a failure if the payload says so.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis

FINISHED = {"completed", "failed", "cancelled"}
_BLOCK_S = 1
_AGAIN_S = 0.5


class Worker:
    """Takes jobs from the queue and writes what becomes of them."""

    def __init__(self, options: argparse.Namespace) -> None:
        # Its answers are typed as bytes or text, which `decode_responses` decides.
        self._redis: Any = redis.Redis.from_url(
            options.url, decode_responses=True, socket_timeout=10
        )
        self._queue = options.queue
        self._own = f"{options.queue}:processing:{options.name}"
        self._prefix = options.hash_prefix
        self._updates = options.updates
        self._updates_kept = options.updates_kept

    def run(self) -> None:
        """Do jobs for ever; whatever is lost with Redis is done again when it is back."""
        while True:
            try:
                self._do_all()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                say("lost Redis", type(error).__name__)
                time.sleep(_AGAIN_S)

    def _do_all(self) -> None:
        for entry in self._redis.lrange(self._own, 0, -1):
            say("found again", entry)
            self._do(entry)
        while True:
            entry = self._redis.blmove(self._queue, self._own, _BLOCK_S, "LEFT", "RIGHT")
            if entry is not None:
                self._do(entry)

    def _do(self, entry: str) -> None:
        """One job, from its first update to its last."""
        job = json.loads(entry)
        job_id = job["id"]
        status, cancel = self._redis.hmget(self._prefix + job_id, "status", "cancel")
        if status is None or status in FINISHED:
            # It was forgotten, or its last update arrived although we did not hear so.
            self._redis.lrem(self._own, 1, entry)
            return
        if cancel:
            self._update(job_id, "cancelled", finishes=entry)
            return
        self._update(job_id, "running", progress=0.0)
        try:
            for progress in work(job["payload"]):
                if self._update(job_id, "running", progress=progress):
                    self._update(job_id, "cancelled", progress=progress, finishes=entry)
                    return
        except (ValueError, TypeError, KeyError) as error:
            self._update(job_id, "failed", error=str(error), finishes=entry)
            return
        result = {"type": job["type"], "steps": int(job["payload"].get("steps", 3))}
        self._update(job_id, "completed", progress=1.0, result=result, finishes=entry)

    def _update(
        self,
        job_id: str,
        status: str,
        *,
        progress: float | None = None,
        result: object = None,
        error: str = "",
        finishes: str | None = None,
    ) -> bool:
        """Write an update into the job's record and the stream at once; whether to stop."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        fields = {
            "status": status,
            "progress": "" if progress is None else repr(progress),
            "result": "" if result is None else json.dumps(result),  # noqa: TID251 - redis-py alone
            "error": error,
            "ts": now,
        }
        record = self._prefix + job_id
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(record, "cancel")
            pipe.hset(record, mapping=fields)
            if status == "running":
                pipe.hsetnx(record, "started_at", now)
            pipe.xadd(self._updates, {"id": job_id, **fields}, maxlen=self._updates_kept)
            if finishes is not None:
                pipe.hset(record, "finished_at", now)
                pipe.lrem(self._own, 1, finishes)
            cancel = pipe.execute()[0]
        say(status, job_id, fields["progress"])
        return bool(cancel)


def work(payload: dict[str, Any]) -> Iterator[float]:
    """The work of a job: yields its progress, from 0 to 1, after each step."""
    steps, seconds = int(payload.get("steps", 3)), float(payload.get("seconds", 0.1))
    for step in range(1, steps + 1):
        time.sleep(seconds)
        if payload.get("fail_at") == step:
            msg = f"the payload wants step {step} to fail"
            raise ValueError(msg)
        yield step / steps


def say(*words: str) -> None:
    """Tell what happens."""
    print(*words, file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and work."""
    parser = argparse.ArgumentParser(description="Do jobs")
    parser.add_argument("url", help="redis://…, as BFF_JOBS_URL")
    parser.add_argument("--name", default="worker-1", help="of this worker alone, and kept")
    parser.add_argument("--queue", default="jobs:queue", help="as BFF_JOBS_QUEUE")
    parser.add_argument("--hash-prefix", default="job:", help="as BFF_JOBS_HASH_PREFIX")
    parser.add_argument("--updates", default="jobs:updates", help="as BFF_JOBS_UPDATES")
    parser.add_argument("--updates-kept", type=int, default=100_000)
    Worker(parser.parse_args()).run()


if __name__ == "__main__":
    main()
