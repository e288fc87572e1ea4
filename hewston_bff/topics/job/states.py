"""The states of a job, and whether an update may follow what was accepted before.

    state        may be followed by
    ---------    ------------------------------------------------------
    queued       queued, running, completed, failed, cancelled
    running      running, completed, failed, cancelled
    completed    nothing: it is over, and stays as it is
    failed       nothing
    cancelled    nothing

Progress is no state: a job that another worker begins again starts at 0 again.
"""

from collections import OrderedDict
from enum import StrEnum
from typing import Final, NamedTuple

from hewston_bff.events.event import EntryId
from hewston_bff.topics.job.update import JobStatus, JobUpdate

FINISHED: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
_ORDER: Final = {JobStatus.QUEUED: 0, JobStatus.RUNNING: 1, **dict.fromkeys(FINISHED, 2)}
_REMEMBERED: Final = 8
"""So many of a job's newest updates are compared with the next: a repeated one is a duplicate."""


class UpdateRefusal(StrEnum):
    """Why an update is not delivered."""

    UNKNOWN_JOB = "unknown_job"
    DUPLICATE = "duplicate"
    BACKWARD = "backward"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"


def may_follow(before: JobStatus, after: JobStatus) -> bool:
    """Whether a job in state `before` may be in state `after` next."""
    return before not in FINISHED and _ORDER[after] >= _ORDER[before]


class AcceptedUpdate(NamedTuple):
    """The last update of a job that was accepted."""

    entry_id: EntryId
    status: JobStatus
    recent: tuple[int, ...]
    """Hashes of the newest updates, oldest first."""


class UpdateLedger:
    """What was accepted of each job. Bounded: the job that was silent longest is forgotten."""

    def __init__(self, *, max_jobs: int = 100_000) -> None:
        self._max_jobs = max_jobs
        self._last: OrderedDict[str, AcceptedUpdate] = OrderedDict()

    def last(self, job_id: str) -> AcceptedUpdate | None:
        """The last accepted update; None for a job that has none, or was forgotten."""
        return self._last.get(job_id)

    def take(self, update: JobUpdate, entry_id: EntryId) -> UpdateRefusal | None:
        """Accept an update of a job that exists; the reason if it is refused."""
        seen = hash(update)
        before = self._last.get(update.job_id)
        recent: tuple[int, ...] = ()
        if before is not None:
            if seen in before.recent:
                return UpdateRefusal.DUPLICATE
            if not may_follow(before.status, update.status):
                return UpdateRefusal.BACKWARD
            recent = before.recent[1 - _REMEMBERED :]
        self._last[update.job_id] = AcceptedUpdate(entry_id, update.status, (*recent, seen))
        self._last.move_to_end(update.job_id)
        if len(self._last) > self._max_jobs:
            self._last.popitem(last=False)
        return None


def is_astray(record: JobUpdate | None, *, refused: JobUpdate | None, accepted: JobUpdate) -> bool:
    """Whether a job's record says something that was refused, where `accepted` was the last.

    `record`: what the record says now, None if that is no update. It may also say an update that
    was written since and not read yet; that is not astray.
    """
    if record is None:
        return True
    if accepted.status in FINISHED:
        return record != accepted
    return record == refused or _ORDER[record.status] < _ORDER[accepted.status]
