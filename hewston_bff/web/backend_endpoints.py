"""The backend's own endpoints, passed on: what is known of bodies that we do not read."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from aiohttp import hdrs
from pydantic import BaseModel, ConfigDict, Field, RootModel

from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    Busy,
    InvalidRequest,
    PayloadTooLarge,
)
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.web.endpoint import ApiAnswer, DocumentedModel, Endpoint, Header, Tag
from hewston_bff.web.parameters import Symbol
from hewston_bff.web.proxy import PREFIX, passed_on


class _Open(DocumentedModel):
    """The backend may say more."""

    model_config = ConfigDict(extra="allow", defer_build=True)


class RunItem(_Open):
    """A run in a list."""

    run_id: str
    created_at: datetime | None
    strategy_id: str | None
    status: str
    symbol: str | None
    run_from: date | None
    run_to: date | None
    duration_ms: float | None


class RunList(_Open):
    """One page of runs."""

    items: list[RunItem]
    total: int
    limit: int
    offset: int


class RunDetail(_Open):
    """One run. The backend names no symbol: it is the first part of `dataset_id`."""

    run_id: str
    dataset_id: str | None
    strategy_id: str | None
    params: dict[str, Any] | None
    seed: int | None
    slippage_fees: dict[str, Any] | None
    speed: float | None
    code_hash: str | None
    created_at: datetime | None
    status: str
    duration_ms: float | None
    artifacts: dict[str, str | None] | None
    manifest: dict[str, str | None] | None
    run_from: date | None
    run_to: date | None


class NewRun(_Open):
    """What a run is made of."""

    dataset_id: str | None = Field(None, examples=["AAPL-2024-1m"])
    strategy_id: str | None = Field(None, examples=["sma_crossover"])
    params: dict[str, Any] | None = Field(None, examples=[{"fast": 20, "slow": 50}])
    seed: int | None = None
    speed: float | None = Field(None, examples=[60])
    from_date: str | None = Field(None, alias="from", examples=["2024-01-02"])
    to_date: str | None = Field(None, alias="to", examples=["2024-01-31"])


class CreatedRun(_Open):
    """A run that was made now (`QUEUED`), or was there already (`EXISTS`)."""

    run_id: str
    status: str


class BackendBar(_Open):
    """One bar; `t` is where it begins."""

    t: datetime
    o: float
    h: float
    l: float  # noqa: E741 - the backend's name
    c: float
    v: float | None


class BackendDay(BackendBar):
    """One day; `n` is the number of trades."""

    n: int | None


class BarsPage(_Open):
    """Bars of one symbol."""

    symbol: str
    bars: list[BackendBar]


class DaysPage(_Open):
    """Days of one symbol."""

    symbol: str
    bars: list[BackendDay]


class Stride(_Open):
    """How bars were merged."""

    stride_minutes: int
    points: int


class DecimatedBarsPage(BarsPage):
    """Bars of one symbol, merged."""

    meta: Stride


class DetailError(_Open):
    """An error as the backend's framework tells it."""

    detail: str | list[dict[str, Any]]


class BackendFault(_Open):
    """What went wrong."""

    code: str
    message: str


class CodedError(_Open):
    """An error as the backend itself tells it."""

    error: BackendFault


class BackendHealth(_Open):
    """What the backend says of itself."""

    status: str = Field(examples=["ok"])


class BackendError(RootModel[DetailError | CodedError]):
    """An error of the backend's, in one of its shapes."""

    model_config = ConfigDict(defer_build=True)


class _RunsQuery(DocumentedModel):
    limit: int = 20
    offset: int = 0
    symbol: Symbol | None = None
    strategy_id: str | None = None
    from_date: str | None = Field(None, alias="from")
    to_date: str | None = Field(None, alias="to")
    order: str = Field("-created_at", examples=["-created_at", "created_at"])


class _DaysQuery(DocumentedModel):
    symbol: Symbol
    from_date: date | None = Field(None, alias="from")
    to_date: date | None = Field(None, alias="to")


class _BarsQuery(DocumentedModel):
    symbol: Symbol
    from_date: date = Field(alias="from")
    to_date: date = Field(alias="to")
    rth_only: bool = True


class _DecimatedQuery(_BarsQuery):
    target: int = 10_000


_OTHER = ApiAnswer(
    "default", "Any other answer of the backend, unchanged.", BackendError, or_type="text/plain"
)
_ERRORS = (InvalidRequest, BackendUnavailable, BackendTimeout, Busy)
_PASSED_ON = (
    "Passed through byte for byte: the query as it is, the body unread, the answer as it comes."
)


def _reading(
    name: str,
    path: str,
    summary: str,
    *,
    query: type[BaseModel] | None = None,
    answer: type[BaseModel],
) -> Endpoint:
    return Endpoint(
        name=name,
        path=path,
        methods=(hdrs.METH_GET, hdrs.METH_HEAD),
        handler=passed_on,
        tag=Tag.BACKEND,
        summary=summary,
        description=_PASSED_ON,
        query=query,
        answers=(ApiAnswer(200, "As the backend answers.", answer), _OTHER),
        errors=_ERRORS,
        limit=RouteClass.PROXIED,
        is_for_viewers=True,
        has_slash_variant=True,
    )


_OF_BACKEND = (
    _reading("list_runs", "/backtests", "Runs, newest first", query=_RunsQuery, answer=RunList),
    Endpoint(
        name="create_run",
        path="/backtests",
        methods=(hdrs.METH_POST,),
        handler=passed_on,
        tag=Tag.BACKEND,
        summary="Have a run made",
        description=f"{_PASSED_ON} Sent to the backend exactly once, never again.",
        headers=(
            Header("Idempotency-Key", "The same key is the same run."),
            Header("X-Idempotency-Key", "Passed on; the backend that is known ignores it."),
        ),
        body=NewRun,
        answers=(
            ApiAnswer(202, "It is queued.", CreatedRun),
            ApiAnswer(200, "It was there already.", CreatedRun),
            _OTHER,
        ),
        errors=(*_ERRORS, PayloadTooLarge),
        limit=RouteClass.PROXIED,
        is_for_viewers=True,
        has_slash_variant=True,
    ),
    _reading("get_run", "/backtests/{run_id}", "One run", answer=RunDetail),
    _reading("get_days", "/bars/daily", "Bars of days", query=_DaysQuery, answer=DaysPage),
    _reading("get_hours", "/bars/hour", "Bars of hours", query=_BarsQuery, answer=BarsPage),
    _reading("get_minutes", "/bars/minute", "Bars of minutes", query=_BarsQuery, answer=BarsPage),
    _reading(
        "get_minutes_decimated",
        "/bars/minute_decimated",
        "Bars of minutes, merged by the backend",
        query=_DecimatedQuery,
        answer=DecimatedBarsPage,
    ),
)
# At this address alone: whoever watched the backend there still does.
_HEALTHZ = replace(
    _reading("get_backend_health", "/healthz", "Whether the backend is well", answer=BackendHealth),
    tag=Tag.UNPREFIXED,
    is_for_viewers=False,
    has_slash_variant=False,
)

ENDPOINTS = (
    _HEALTHZ,
    *(replace(one, path=PREFIX + one.path) for one in _OF_BACKEND),
    *(replace(one, name=f"{one.name}_unprefixed", tag=Tag.UNPREFIXED) for one in _OF_BACKEND),
)
