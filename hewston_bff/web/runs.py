"""`GET /api/v1/runs/{id}/complete` and `/status`: one run in one call."""

from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    BffError,
    Busy,
    Forbidden,
    InvalidRequest,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.feature_flags import Feature
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.services.run_parts import Part
from hewston_bff.services.runs import RunMetadata, RunQuery
from hewston_bff.web.bodies import private_json, put_body
from hewston_bff.web.credentials import credentials_of
from hewston_bff.web.endpoint import ApiAnswer, DocumentedModel, Endpoint, Tag
from hewston_bff.web.keys import RUNS
from hewston_bff.web.parameters import count, parameters, run_id_of

RUN_ERRORS: tuple[type[BffError], ...] = (
    *(InvalidRequest, RunNotFound, Unauthorized, Forbidden),
    *(BackendUnavailable, BackendTimeout, Busy),
)
"""What may go wrong where the backend is asked about a run."""
_ALL = "all"
_USUAL_POINTS = 2_000


def _points(value: object) -> object:
    return None if value == _ALL else count(value)


_Points = Annotated[
    Annotated[int, Field(ge=100, le=50_000)] | None,
    BeforeValidator(_points),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({_ALL}|[1-9][0-9]{{2,3}}|[1-4][0-9]{{4}}|50000)$",
            "description": "never more points than this come back, 100 to 50 000, or `all`; peaks "
            "and troughs stay. 2 000 if not given",
        }
    ),
]


class CompleteParameters(BaseModel):
    """The query of a whole run."""

    include_orders: bool = True
    include_equity: bool = True
    include_metrics: bool = True
    # A factory: the schema is of text, which a number as its default would contradict.
    equity_points: _Points = Field(default_factory=lambda: _USUAL_POINTS)


class _KnownOfRun(DocumentedModel):
    """What both answers tell of a run; null is what nobody told."""

    run_id: str
    status: str | None
    strategy_id: str | None
    symbol: str | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


class RunStatus(_KnownOfRun):
    """What changes while a run is being made; null is what nobody told."""

    error_message: str | None
    progress: float | None


class WholeRun(_KnownOfRun):
    """What is known of a run: these, and all else that the backend says."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    params: dict[str, Any] | None
    error_message: str | None


class EquityPoint(DocumentedModel):
    """`drawdown`: how far it lies below the highest before, as a part of that if that is > 0.

    `equity` is null where the source has no finite number.
    """

    timestamp: datetime
    equity: float | None
    drawdown: float | None


class CompletePage(DocumentedModel):
    """What comes back, for the documents: nothing long is ever made a model of."""

    run: WholeRun
    metrics: dict[str, Any] | None
    equity: list[EquityPoint] | None
    orders: list[dict[str, Any]] | None
    metadata: RunMetadata


async def complete(request: web.Request) -> web.Response:
    """`GET /api/v1/runs/{id}/complete`: what is not there is null, and named."""
    run_id = run_id_of(request)
    asked = parameters(request, CompleteParameters)
    is_wanted = {
        Part.METRICS: asked.include_metrics,
        Part.EQUITY: asked.include_equity,
        Part.ORDERS: asked.include_orders,
    }
    parts = frozenset(part for part, wanted in is_wanted.items() if wanted)
    query = RunQuery(run_id, parts, asked.equity_points)
    page = await request.app[RUNS].complete(query, credentials_of(request))
    response = private_json()
    await put_body(request, response, page.body, end=page.end)
    return response


async def status(request: web.Request) -> web.Response:
    """`GET /api/v1/runs/{id}/status`."""
    run_id = run_id_of(request)
    response = private_json()
    response.body = await request.app[RUNS].status(run_id, credentials_of(request))
    return response


ENDPOINTS = (
    Endpoint(
        name="get_complete_run",
        path="/api/v1/runs/{run_id}/complete",
        handler=complete,
        tag=Tag.RUNS,
        summary="One run in one call",
        description=(
            "Facts, figures, equity and orders. A part that nobody has in time is null, and "
            "`metadata` names it; without the facts there is no answer."
        ),
        query=CompleteParameters,
        answers=(ApiAnswer(200, "The run, and what is lacking.", CompletePage),),
        errors=RUN_ERRORS,
        limit=RouteClass.AGGREGATED,
        feature=Feature.RUN_DATA,
        is_for_viewers=True,
    ),
    Endpoint(
        name="get_run_status",
        path="/api/v1/runs/{run_id}/status",
        handler=status,
        tag=Tag.RUNS,
        summary="What changes while a run is being made",
        answers=(ApiAnswer(200, "The status.", RunStatus),),
        errors=RUN_ERRORS,
        limit=RouteClass.AGGREGATED,
        feature=Feature.RUN_DATA,
        is_for_viewers=True,
    ),
)
