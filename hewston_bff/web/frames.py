"""`GET /api/v1/runs/{id}/frames`: the source frames of a range, line by line."""

import asyncio
import re
from typing import Annotated, Literal

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, field_validator
from pydantic_core.core_schema import ValidationInfo

from hewston_bff.errors import BffError, LimitReached, NoData
from hewston_bff.feature_flags import Feature
from hewston_bff.hub.log_reader import reading
from hewston_bff.log.log import Evicted
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.protocol.positions import AtIndex, AtTime
from hewston_bff.protocol.times import parse_time
from hewston_bff.protocol.topics import RUN, Topic
from hewston_bff.services.run_frames import RunFrames
from hewston_bff.topics.run.frame_range import FrameRange, Place
from hewston_bff.web.addresses import client_address
from hewston_bff.web.credentials import credentials_of
from hewston_bff.web.endpoint import ApiAnswer, Endpoint, Tag
from hewston_bff.web.keys import CLIENTS, HUB, RUN_KIND, SETTINGS
from hewston_bff.web.parameters import parameters, run_id_of
from hewston_bff.web.runs import RUN_ERRORS

NDJSON = "application/x-ndjson"

logger = structlog.get_logger(__name__)

_INDEX = re.compile(r"\d{1,15}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d.{0,30}", re.ASCII)


def _place(value: object) -> object:
    if isinstance(value, str) and _INDEX.fullmatch(value):
        return AtIndex(int(value))
    ts_ns = parse_time(value) if isinstance(value, str) and _TIME.fullmatch(value) else None
    if ts_ns is None:
        raise ValueError("must be a frame's index or an ISO 8601 time")
    return AtTime(ts_ns)


_Place = Annotated[
    Place,
    BeforeValidator(_place),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]


class FramesParameters(BaseModel):
    """The query of frames."""

    first: Annotated[
        _Place | None,
        Field(description="index of the first frame, or earliest time; else the run's first frame"),
    ] = Field(default=None, alias="from")
    last: Annotated[
        _Place | None,
        Field(description="index of the last frame, or latest time; else the run's last frame"),
    ] = Field(default=None, alias="to")
    format: Literal["ndjson"] = "ndjson"

    @field_validator("last")
    @classmethod
    def _is_range(cls, value: Place | None, info: ValidationInfo) -> Place | None:
        match info.data.get("first"), value:
            case (AtIndex(first), AtIndex(last)) | (AtTime(first), AtTime(last)) if last < first:
                raise ValueError("must not be before from")
        return value


async def frames(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/runs/{id}/frames`: cut off if it can't be given whole."""
    run_id = run_id_of(request)
    asked = parameters(request, FramesParameters)
    hub, settings = request.app[HUB], request.app[SETTINGS]
    with (
        request.app[CLIENTS].slot(client_address(request)),
        reading(hub, Topic(RUN, run_id), credentials_of(request)) as reader,
    ):
        wanted = FrameRange(asked.first or AtIndex(0), asked.last)
        source = RunFrames(
            request.app[RUN_KIND], reader, wanted, patience_s=settings.bff_backend_timeout
        )
        await source.begin()
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: NDJSON, hdrs.CACHE_CONTROL: "no-store"}
        )
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            await _send(source, response, patience_s=settings.bff_ws_stalled_after_seconds)
        except (BffError, Evicted, OSError) as error:
            # Half a range must not look like a whole one.
            logger.warning("frames.cut_off", run_id=run_id, error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response


async def _send(source: RunFrames, response: web.StreamResponse, *, patience_s: float) -> None:
    """All pieces, each of which the client has `patience_s` to take."""
    while piece := await source.next():
        async with asyncio.timeout(patience_s):
            await response.write(piece)
        # A quick client takes all without ever making us wait: others want their turn too.
        await asyncio.sleep(0)
    await response.write_eof()


ENDPOINTS = (
    Endpoint(
        name="get_run_frames",
        path="/api/v1/runs/{run_id}/frames",
        handler=frames,
        tag=Tag.RUNS,
        summary="The source frames of a range",
        description=(
            "Each a line of JSON, a `frame` of the AsyncAPI document. Without `to` all frames of a "
            "run that is over, else those that are there. `to` is not before `from`. A range that "
            "can't be given whole is cut off: the connection breaks."
        ),
        query=FramesParameters,
        answers=(ApiAnswer(200, "The frames.", None, NDJSON),),
        errors=(*RUN_ERRORS, NoData, LimitReached),
        limit=RouteClass.AGGREGATED,
        feature=Feature.RUN_DATA,
        is_for_viewers=True,
    ),
)
