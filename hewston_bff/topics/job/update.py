"""An update of a job: fields of a stream's entry or of a record on one side, values on the other.

An update is `id`, `status`, `progress`, `result`, `error` and `ts`; a field that is not there is
the same as an empty one. Source: `docs/jobs.md`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec

from hewston_bff.events.event import EntryId, Event
from hewston_bff.protocol.json_numbers import finite
from hewston_bff.protocol.times import format_time, parse_time
from hewston_bff.protocol.topics import JOB

EVENT_TYPE: Final = "JobUpdate"
MAX_UPDATE_BYTES: Final = 1 << 20
"""Of all fields of an update together."""
JOB_ID_PATTERN: Final = r"[0-9a-f]{32}"
FIELDS: Final = ("status", "progress", "result", "error", "ts")
"""Those of a record that an update writes."""

_JOB_ID: Final = re.compile(JOB_ID_PATTERN)
_SAFE: Final = 2**53
_LINE_BREAKS: Final = b"\r\n"
_MAYBE_LARGE: Final = re.compile(rb"\d{16}")
_encode = msgspec.json.Encoder().encode


class JobStatus(StrEnum):
    """The states of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class InvalidUpdate(Exception):
    """The fields are no update; the text says why."""


class JobUpdate(NamedTuple):
    """What one update says."""

    job_id: str
    status: JobStatus
    progress: float | None = None
    """From 0 to 1; None: not said, or no such number."""
    result: bytes | None = None
    """As it was written: JSON, or else text."""
    error: str | None = None
    ts: str = ""
    """When, as it was written; empty: not said."""


def is_job_id(text: str) -> bool:
    """Whether a job of ours can have this id."""
    return _JOB_ID.fullmatch(text) is not None


def parse_update(fields: Mapping[bytes, bytes]) -> JobUpdate:
    """The update of a stream's entry.

    Raises:
        InvalidUpdate: it names no job, or no state.
    """
    job_id = _text(fields, "id")
    if not is_job_id(job_id):
        raise InvalidUpdate("id: must be the id of a job")
    return parse_state(job_id, fields)


def parse_state(job_id: str, fields: Mapping[bytes, bytes]) -> JobUpdate:
    """The update of a job with this id that the fields of an entry, or of a record, say.

    Raises:
        InvalidUpdate: the status is none.
    """
    try:
        status = JobStatus(_text(fields, "status"))
    except ValueError:
        msg = f"status: must be one of {', '.join(JobStatus)}"
        raise InvalidUpdate(msg) from None
    return JobUpdate(
        job_id,
        status,
        parse_progress(fields.get(b"progress")),
        fields.get(b"result") or None,
        _text(fields, "error") or None,
        _text(fields, "ts"),
    )


def record_fields(update: JobUpdate) -> dict[str, str | bytes]:
    """The fields of a record that says this update; empty for what it does not say."""
    return {
        "status": update.status.value,
        "progress": "" if update.progress is None else repr(update.progress),
        "result": update.result or b"",
        "error": update.error or "",
        "ts": update.ts,
    }


def parse_progress(text: bytes | None) -> float | None:
    """A number from 0 to 1; None for anything else."""
    try:
        progress = float(text or b"")
    except ValueError:
        return None
    return progress if isfinite(progress) and 0.0 <= progress <= 1.0 else None


def parse_ts(text: str) -> str | None:
    """A time as it is shown; None if there is none, or it cannot be read."""
    ts_ns = parse_time(text) if text else None
    return None if ts_ns is None else format_time(ts_ns)


def result_json(result: bytes | None) -> bytes:
    """A result as JSON: as it was written where nothing has to change.

    Integers beyond 2^53 become text, what is no number null, and what is no JSON a string. Line
    breaks go: an event stream would end a line of its data there.
    """
    if result is None:
        return b"null"
    text = finite(result)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _encode(result.decode("utf-8", "replace"))
    if _MAYBE_LARGE.search(text):
        return _encode(_with_safe_integers(value))
    return text.translate(None, _LINE_BREAKS)


def job_event(update: JobUpdate, entry_id: EntryId) -> Event:
    """The event of an accepted update."""
    ts = parse_ts(update.ts) or format_time(entry_id.ms * 1_000_000)
    data = b'{"id":"%b","job_id":"%b","status":"%b","progress":%b,"result":%b,"error":%b,"ts":"%b"}'
    job_id = update.job_id.encode()
    return Event(
        f"{JOB}:{update.job_id}",
        entry_id,
        ts,
        EVENT_TYPE,
        data
        % (
            *(job_id, job_id, update.status.encode(), _encode(update.progress)),
            *(result_json(update.result), _encode(update.error), ts.encode()),
        ),
    )


def _with_safe_integers(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return {name: _with_safe_integers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_safe_integers(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > _SAFE else value


def _text(fields: Mapping[bytes, bytes], name: str) -> str:
    return fields.get(name.encode(), b"").decode("utf-8", "replace")
