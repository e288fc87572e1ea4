"""Jobs: make one, look at it, list them, ask for one to be cancelled."""

from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from hewston_bff.errors import (
    Busy,
    Conflict,
    InvalidRequest,
    JobNotFound,
    PayloadTooLarge,
    SourceUnavailable,
)
from hewston_bff.net.redis.job_store import JobStore, Pushed
from hewston_bff.protocol.times import format_time
from hewston_bff.topics.job.ports import Fields
from hewston_bff.topics.job.record import (
    JobSummary,
    JobView,
    UnreadableRecord,
    is_record,
    parse_summary,
    parse_view,
)
from hewston_bff.topics.job.update import JobStatus, is_job_id

_CHUNK: Final = 100
_MOST_EXAMINED: Final = 2_000
"""So many jobs are looked at for one page: a rare filter gets a short page, and a cursor."""
_QUEUE_FULL_S: Final = 10

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.decode


class JobBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a job is made of."""

    type: str
    payload: dict[str, object] = {}


class _RawBody(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class CreatedJob(NamedTuple):
    """`is_new`: it was made now; otherwise its idempotency key had it already."""

    job_id: str
    status: str
    is_new: bool


class CancelledJob(NamedTuple):
    """`is_done`: it is cancelled; otherwise its worker was asked to stop."""

    job: JobView
    is_done: bool


class JobFilter(NamedTuple):
    """Which jobs are listed; `before`: those older than the cursor of a page."""

    status: JobStatus | None
    type: str | None
    limit: int
    before: int | None


class JobPage(msgspec.Struct):
    """Jobs, newest first. There may be more if there is a cursor, however few these are."""

    jobs: list[JobSummary]
    next_cursor: str | None


class Jobs:
    """The use cases of the job API. All raise SourceUnavailable if Redis gives no answer."""

    def __init__(
        self,
        store: JobStore,
        *,
        types: tuple[str, ...],
        payload_bytes: int,
        now_ns: Callable[[], int],
    ) -> None:
        """`types`: those that may be made. `payload_bytes`: of a payload's JSON, at most."""
        self._store = store
        self._types = types
        self._payload_bytes = payload_bytes
        self._now_ns = now_ns

    async def create(self, body: bytes, *, key: str | None) -> CreatedJob:
        """Make a job of a request's body. Cancelled, it may have been made.

        Raises:
            InvalidRequest: the body is none.
            PayloadTooLarge: the payload is.
            Conflict: the key was used with another body.
            Busy: the queue is full.
        """
        wanted, payload = self._parsed(body)
        digest = sha256(_encode([wanted.type, wanted.payload])).hexdigest()
        job_id = uuid4().hex
        head = b'{"id":"%b","type":%b,"payload":' % (job_id.encode(), _encode(wanted.type))
        pushed = await self._store.push(
            job_id, wanted.type, head + payload + b"}", now=self._now(), key=key, digest=digest
        )
        return self._created(pushed)

    async def view(self, job_id: str) -> JobView:
        """A job.

        Raises:
            JobNotFound: there is none with this id.
        """
        fields = await self._store.record(job_id) if is_job_id(job_id) else {}
        try:
            job = parse_view(job_id, fields)
        except UnreadableRecord as exc:
            msg = f"somebody wrote what is no state into the record of this job ({exc})"
            raise SourceUnavailable(msg) from exc
        if job is None:
            raise JobNotFound("there is no such job, or it was forgotten: check the id")
        return job

    async def cancel(self, job_id: str) -> CancelledJob:
        """Cancel a job that waits, or ask the worker that has it to stop. It may be repeated.

        Raises:
            JobNotFound: there is none with this id.
            Conflict: it is over.
        """
        if not is_job_id(job_id):
            raise JobNotFound("there is no such job, or it was forgotten: check the id")
        stopped = await self._store.cancel(job_id, now=self._now())
        if stopped.what == "finished":
            msg = f"this job is over ({stopped.status}): it cannot be cancelled any more"
            raise Conflict(msg, details={"status": stopped.status})
        return CancelledJob(await self.view(job_id), stopped.what == "cancelled")

    async def page(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first: each once over all pages, whatever is added meanwhile."""
        jobs: list[JobSummary] = []
        before = wanted.before
        examined = 0
        while examined < _MOST_EXAMINED:
            chunk = await self._store.newest(before, count=_CHUNK)
            gone = [one.job_id for one in chunk if not is_record(one.fields)]
            if gone:
                await self._store.forget(gone)
            for one in chunk:
                before = one.number
                job = _summary(one.job_id, one.fields)
                if job is not None and _is_wanted(job, wanted):
                    jobs.append(job)
                    if len(jobs) == wanted.limit:
                        return JobPage(jobs, str(before))
            if len(chunk) < _CHUNK:
                return JobPage(jobs, None)
            examined += len(chunk)
        return JobPage(jobs, str(before))

    def _parsed(self, body: bytes) -> tuple[JobBody, bytes]:
        """What a body asks for, and the text of its payload."""
        try:
            # All of it is decoded: what a worker is given can be read by every decoder.
            wanted = _decode(body, type=JobBody)
            payload = bytes(_decode(body, type=_RawBody).payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            msg = f"body: must be a JSON object with `type` and `payload` ({_why(exc)})"
            raise InvalidRequest(msg, details={"body": _why(exc)}) from exc
        if wanted.type not in self._types:
            reason = f"must be one of {', '.join(self._types)}"
            msg = f"type: {reason}"
            raise InvalidRequest(msg, details={"type": reason})
        if len(payload) > self._payload_bytes:
            msg = f"payload: may have {self._payload_bytes} bytes: send less"
            raise PayloadTooLarge(msg)
        return wanted, payload

    def _created(self, pushed: Pushed) -> CreatedJob:
        match pushed.what:
            case "full":
                msg = "the queue is full: try again later"
                raise Busy(msg, retry_after_s=_QUEUE_FULL_S)
            case "conflict":
                msg = "this Idempotency-Key was used with another body: use a new one"
                raise Conflict(msg, details={"job_id": pushed.job_id})
            case "new" | "known":
                return CreatedJob(pushed.job_id, pushed.status, pushed.what == "new")

    def _now(self) -> str:
        return format_time(self._now_ns())


def _summary(job_id: str, fields: Fields) -> JobSummary | None:
    """The job, unless its record is gone or cannot be read."""
    try:
        return parse_summary(job_id, fields)
    except UnreadableRecord:
        return None


def _is_wanted(job: JobSummary, wanted: JobFilter) -> bool:
    return wanted.status in {None, job.status} and wanted.type in {None, job.type}


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
