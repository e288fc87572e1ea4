"""Jobs that wait, run and end, again and again; every fifth of them fails. Topics: their ids."""

from random import Random
from typing import Any, Final

from hewston_bff.protocol.times import format_time
from hewston_bff.tools.node.text import json_bytes
from hewston_bff.tools.node.timeline import Timeline

EVENT_TYPE: Final = "JobUpdate"
_EVERY_S = 7.0
_FAILS_EVERY = 5
_STEPS = 10


class JobDesk:
    """Begins a job every few seconds."""

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self.timeline = timeline
        self.rng = rng
        self._count = 0
        timeline.after(0.5, self._begin)

    def _begin(self) -> None:
        self._count += 1
        BackgroundJob(self, fails=self._count % _FAILS_EVERY == 0)
        self.timeline.after(self.rng.uniform(0.6, 1.4) * _EVERY_S, self._begin)


class BackgroundJob:
    """One job: queued → running, with progress → completed or failed."""

    def __init__(self, desk: JobDesk, *, fails: bool) -> None:
        self._timeline = desk.timeline
        self._rng = desk.rng
        self._id = f"{desk.rng.getrandbits(128):032x}"
        self._fails_at = desk.rng.randint(3, _STEPS - 2) if fails else None
        self._step_s = desk.rng.uniform(0.5, 2.0)
        self._step = 0
        self._tell("queued")
        self._timeline.after(desk.rng.uniform(1.0, 4.0), self._run)

    def _run(self) -> None:
        if self._step == self._fails_at:
            self._tell("failed", error="the worker could not read its data: the file is empty")
        elif self._step == _STEPS:
            found = {"candidates": self._rng.randint(3, 90), "score": round(self._rng.random(), 4)}
            self._tell("completed", result=found)
        else:
            self._tell("running")
            self._step += 1
            self._timeline.after(self._step_s * self._rng.uniform(0.7, 1.3), self._run)

    def _tell(self, status: str, *, result: Any = None, error: str | None = None) -> None:  # noqa: ANN401 - any JSON
        payload = {
            "id": self._id,
            "job_id": self._id,
            "status": status,
            "progress": self._step / _STEPS,
            "result": result,
            "error": error,
            "ts": format_time(self._timeline.now_ns),
        }
        self._timeline.write(self._id, EVENT_TYPE, json_bytes(payload))
