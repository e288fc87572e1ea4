"""A job as its record in Redis has it, and as answers show it."""

from collections.abc import Mapping
from typing import Final

import msgspec

from hewston_bff.topics.job.update import (
    InvalidUpdate,
    JobStatus,
    JobUpdate,
    parse_state,
    parse_ts,
    result_json,
)

SUMMARY_FIELDS: Final = (
    *("type", "status", "progress", "error", "ts"),
    *("created_at", "started_at", "finished_at", "cancel"),
)
"""Fields of a record that a list needs."""
RECORD_FIELDS: Final = (*SUMMARY_FIELDS, "result")
"""Fields of a record that tell of the job; `entry`, its text in the queue, is not among them."""


class JobSummary(msgspec.Struct, frozen=True):
    """A job in a list. Null is what nobody has said."""

    job_id: str
    type: str
    status: JobStatus
    progress: float | None
    error: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    updated_at: str | None
    """When its last update was written: of a worker that died, its last sign of life."""
    cancel_requested_at: str | None


class JobView(JobSummary, frozen=True):
    """A job, its result included."""

    result: msgspec.Raw


class UnreadableRecord(Exception):
    """Somebody wrote something into a job's record that is no state."""


def parse_summary(job_id: str, fields: Mapping[bytes, bytes]) -> JobSummary | None:
    """The job of a record; None if we never made such a job, or its record is gone.

    Raises:
        UnreadableRecord: it has no readable state.
    """
    return _summary(_state(job_id, fields), fields) if is_record(fields) else None


def parse_view(job_id: str, fields: Mapping[bytes, bytes]) -> JobView | None:
    """See `parse_summary`."""
    if not is_record(fields):
        return None
    update = _state(job_id, fields)
    told = msgspec.structs.asdict(_summary(update, fields))
    return JobView(**told, result=msgspec.Raw(result_json(update.result)))


def is_record(fields: Mapping[bytes, bytes]) -> bool:
    """Whether we made this record: an update for a job that never was may have left one too."""
    return bool(fields.get(b"type")) and bool(fields.get(b"created_at"))


def _state(job_id: str, fields: Mapping[bytes, bytes]) -> JobUpdate:
    try:
        return parse_state(job_id, fields)
    except InvalidUpdate as exc:
        raise UnreadableRecord(str(exc)) from exc


def _summary(update: JobUpdate, fields: Mapping[bytes, bytes]) -> JobSummary:
    def time(name: str) -> str | None:
        return parse_ts(fields.get(name.encode(), b"").decode("utf-8", "replace"))

    return JobSummary(
        job_id=update.job_id,
        type=fields[b"type"].decode("utf-8", "replace"),
        status=update.status,
        progress=update.progress,
        error=update.error,
        created_at=time("created_at") or "",
        started_at=time("started_at"),
        finished_at=time("finished_at"),
        updated_at=parse_ts(update.ts),
        cancel_requested_at=time("cancel"),
    )
