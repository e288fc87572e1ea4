"""`/api/v1/jobs`: a trading pipeline's background work, made and looked at."""

import asyncio
import re
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from aiohttp import hdrs, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hewston_bff.credentials import Scope
from hewston_bff.errors import (
    BffError,
    Busy,
    Conflict,
    FeatureDisabled,
    InvalidRequest,
    JobNotFound,
    PayloadTooLarge,
    SourceUnavailable,
)
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.protocol.ids import JOB_TYPE_PATTERN
from hewston_bff.protocol.topics import JOB, Topic
from hewston_bff.services.jobs import JobFilter, JobPage, Jobs
from hewston_bff.topics.job.record import JobView
from hewston_bff.topics.job.update import JobStatus
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, require
from hewston_bff.web.addresses import way
from hewston_bff.web.endpoint import ApiAnswer, DocumentedModel, Endpoint, Header, Tag
from hewston_bff.web.keys import JOBS, SETTINGS
from hewston_bff.web.parameters import count, parameters

PATH: Final = "/api/v1/jobs"
_KEY: Final = "Idempotency-Key"
_KEY_TEXT: Final = re.compile("[!-~]{1,255}")
_AROUND_PAYLOAD_BYTES: Final = 4_096
"""So much longer than the payload may the body be."""
_CURSOR: Final = re.compile("[0-9]{1,15}")
_DISABLED: Final = "jobs are switched off here: the operator sets BFF_JOBS_URL"


class NewJob(DocumentedModel):
    """What a job is made of; for the documents."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    type: str = Field(examples=["backtest"], description="One of those that are configured.")
    payload: dict[str, Any] = Field({}, examples=[{"symbol": "AAPL"}])


class CreatedJobBody(msgspec.Struct):
    """A job that was made now, or was there already. `topic` is where its updates are."""

    job_id: str
    status: JobStatus
    topic: str


def _cursor(value: object) -> object:
    if not isinstance(value, str) or _CURSOR.fullmatch(value) is None:
        raise ValueError("must be the next_cursor of a page")
    return value


class JobsQuery(BaseModel):
    """The query of a list of jobs."""

    # Inline: a body's model names the same states already.
    status: (
        Annotated[JobStatus, WithJsonSchema({"type": "string", "enum": list(JobStatus)})] | None
    ) = None
    type: Annotated[str, Field(pattern=f"^{JOB_TYPE_PATTERN}$")] | None = None
    limit: Annotated[int, BeforeValidator(count), Field(ge=1, le=200)] = 50
    cursor: (
        Annotated[
            int,
            BeforeValidator(_cursor),
            WithJsonSchema({"type": "string", "pattern": f"^{_CURSOR.pattern}$"}),
        ]
        | None
    ) = None


async def create_job(request: web.Request) -> web.Response:
    """`POST /api/v1/jobs`: 202 for a new job, 200 for that of an idempotency key."""
    jobs = _jobs(request)
    key = request.headers.get(_KEY)
    if key is not None and _KEY_TEXT.fullmatch(key) is None:
        reason = "must be 1 to 255 printable ASCII characters without spaces"
        msg = f"{_KEY}: {reason}"
        raise InvalidRequest(msg, details={_KEY: reason})
    made = await jobs.create(await _body(request), key=key)
    told = CreatedJobBody(made.job_id, JobStatus(made.status), str(Topic(JOB, made.job_id)))
    response = _json(told, status=202 if made.is_new else 200)
    response.headers[hdrs.LOCATION] = f"{way(request).prefix}{PATH}/{made.job_id}"
    return response


async def get_job(request: web.Request) -> web.Response:
    """`GET /api/v1/jobs/{job_id}`."""
    return _json(await _jobs(request).view(request.match_info["job_id"]))


async def list_jobs(request: web.Request) -> web.Response:
    """`GET /api/v1/jobs`: newest first."""
    jobs = _jobs(request)
    asked = parameters(request, JobsQuery)
    return _json(await jobs.page(JobFilter(asked.status, asked.type, asked.limit, asked.cursor)))


async def cancel_job(request: web.Request) -> web.Response:
    """`DELETE /api/v1/jobs/{job_id}`: 200 if it is cancelled now, 202 if its worker was asked."""
    cancelled = await _jobs(request).cancel(request.match_info["job_id"])
    return _json(cancelled.job, status=200 if cancelled.is_done else 202)


def _jobs(request: web.Request) -> Jobs:
    """The jobs, for every handler here, if its caller may.

    Raises:
        FeatureDisabled: none are configured.
        ApiKeyRequired, Forbidden: the caller may not.
    """
    jobs = request.app.get(JOBS)
    if jobs is None:
        raise FeatureDisabled(_DISABLED)
    require(request, Scope.JOBS)
    return jobs


async def _body(request: web.Request) -> bytes:
    """The body, of at most as many bytes as a payload may have and what is around it."""
    settings = request.app[SETTINGS]
    most_bytes = settings.bff_jobs_payload_bytes + _AROUND_PAYLOAD_BYTES
    too_large = PayloadTooLarge(
        f"payload: may have {settings.bff_jobs_payload_bytes} bytes: send less"
    )
    if request.content_length is not None and request.content_length > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(settings.bff_backend_timeout):
            async for part in request.content.iter_any():
                body += part
                if len(body) > most_bytes:
                    raise too_large
    except (web.RequestPayloadError, ConnectionError, TimeoutError) as exc:
        raise InvalidRequest("body: broke off, or did not come in time") from exc
    return bytes(body)


def _json(told: msgspec.Struct, *, status: int = 200) -> web.Response:
    response = web.Response(
        status=status, body=msgspec.json.encode(told), content_type="application/json"
    )
    # It changes, and is nobody else's business.
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


_ERRORS: tuple[type[BffError], ...] = (FeatureDisabled, SourceUnavailable, *API_KEY_ERRORS)
_CREATE = Endpoint(
    name="create_job",
    path=PATH,
    methods=(hdrs.METH_POST,),
    handler=create_job,
    tag=Tag.JOBS,
    summary="Have a job done",
    description=(
        "It is put into the queue, where a worker takes it. Without an `Idempotency-Key` a request "
        "that is repeated makes another job."
    ),
    headers=(
        API_KEY_HEADER,
        Header(
            _KEY,
            "The same key is the same job, for a day: 1 to 255 printable ASCII characters.",
        ),
    ),
    body=NewJob,
    answers=(
        ApiAnswer(202, "It is queued; `Location` is its address.", CreatedJobBody),
        ApiAnswer(200, "The key has this job already.", CreatedJobBody),
    ),
    errors=(*_ERRORS, InvalidRequest, PayloadTooLarge, Conflict, Busy),
    limit=RouteClass.PROXIED,
)

ENDPOINTS = (
    _CREATE,
    replace(_CREATE, name="create_job_unprefixed", path="/jobs"),
    Endpoint(
        name="list_jobs",
        path=PATH,
        handler=list_jobs,
        tag=Tag.JOBS,
        headers=(API_KEY_HEADER,),
        summary="Jobs, newest first",
        description=(
            "Without results. As long as `next_cursor` is not null there may be more, even if a "
            "page has few jobs or none: a page looks at 2 000 jobs at most."
        ),
        query=JobsQuery,
        answers=(ApiAnswer(200, "One page.", JobPage),),
        errors=(*_ERRORS, InvalidRequest),
        limit=RouteClass.PROXIED,
    ),
    Endpoint(
        name="get_job",
        path=f"{PATH}/{{job_id}}",
        handler=get_job,
        tag=Tag.JOBS,
        headers=(API_KEY_HEADER,),
        summary="One job",
        answers=(ApiAnswer(200, "What its last update says.", JobView),),
        errors=(*_ERRORS, JobNotFound),
        limit=RouteClass.PROXIED,
    ),
    Endpoint(
        name="cancel_job",
        path=f"{PATH}/{{job_id}}",
        methods=(hdrs.METH_DELETE,),
        handler=cancel_job,
        tag=Tag.JOBS,
        headers=(API_KEY_HEADER,),
        summary="Cancel a job that waits, or ask its worker to stop",
        answers=(
            ApiAnswer(200, "It is cancelled: nobody had taken it.", JobView),
            ApiAnswer(202, "Its worker was asked to stop.", JobView),
        ),
        errors=(*_ERRORS, JobNotFound, Conflict),
        limit=RouteClass.PROXIED,
    ),
)
