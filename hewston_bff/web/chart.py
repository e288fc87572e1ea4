"""`GET /api/v1/chart-data`."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from aiohttp import ETag, web
from pydantic import BaseModel, BeforeValidator, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    Busy,
    Forbidden,
    InvalidRequest,
    NoData,
    Unauthorized,
)
from hewston_bff.feature_flags import Feature
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.services.chart import ChartMetadata, ChartQuery, Layout, Timeframe
from hewston_bff.web.bodies import private_json, put_body
from hewston_bff.web.credentials import credentials_of
from hewston_bff.web.endpoint import IF_NONE_MATCH, ApiAnswer, DocumentedModel, Endpoint, Tag
from hewston_bff.web.keys import CHARTS
from hewston_bff.web.parameters import Symbol, count, parameters

_LONGEST = timedelta(days=7_305)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: object) -> object:
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        raise ValueError("must be a date, YYYY-MM-DD")
    return value


class ChartParameters(BaseModel):
    """The query of chart data."""

    symbol: Symbol
    timeframe: Timeframe
    from_date: Annotated[date, BeforeValidator(_day)] = Field(alias="from")
    to_date: Annotated[date, BeforeValidator(_day)] = Field(alias="to")
    target_points: Annotated[
        int,
        Field(ge=100, le=50_000, description="never more bars than this come back"),
        BeforeValidator(count),
    ] = 10_000
    rth_only: Annotated[bool, Field(description="regular trading hours only")] = True
    layout: Layout = Layout.RECORDS

    @field_validator("to_date")
    @classmethod
    def _is_range(cls, value: date, info: ValidationInfo) -> date:
        first = info.data.get("from_date", value)
        if not first <= value <= first + min(_LONGEST, date.max - first):
            raise ValueError("must not be before from, nor more than 20 years after it")
        return value


class ChartBar(DocumentedModel):
    """One bar; `timestamp` is where it begins."""

    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int | float | None


class ChartColumns(DocumentedModel):
    """Bars as columns of equal length; `t` in epoch seconds."""

    t: list[int]
    o: list[float]
    h: list[float]
    l: list[float]  # noqa: E741 - the contract's name
    c: list[float]
    v: list[int | float | None]


class ChartPage(DocumentedModel):
    """What comes back, for the documents: no bar is ever made a model of."""

    symbol: str
    timeframe: Timeframe
    from_date: date
    to_date: date
    bars: list[ChartBar] | ChartColumns
    metadata: ChartMetadata


async def chart_data(request: web.Request) -> web.Response:
    """`GET /api/v1/chart-data`: bars of one symbol, never more than `target_points`."""
    query = ChartQuery(**parameters(request, ChartParameters).model_dump())
    chart = await request.app[CHARTS].get(query, credentials_of(request))
    response = private_json()
    response.etag = ETag(chart.etag, is_weak=True)
    if any(tag.value in {chart.etag, "*"} for tag in request.if_none_match or ()):
        response.set_status(304)
    else:
        await put_body(request, response, chart.body, end=chart.end)
    return response


ENDPOINTS = (
    Endpoint(
        name="get_chart_data",
        path="/api/v1/chart-data",
        handler=chart_data,
        tag=Tag.CHARTS,
        summary="Bars of one symbol, never more than `target_points`",
        description=(
            "Whole bars are merged: first open, highest high, lowest low, last close, sum of the "
            "volumes. `to` is not before `from`, nor more than 20 years after it."
        ),
        query=ChartParameters,
        headers=(IF_NONE_MATCH,),
        answers=(
            ApiAnswer(200, "The chart. `ETag` is a tag of the data, not of `metadata`.", ChartPage),
            ApiAnswer(304, "What the caller has is the chart.", None, None),
        ),
        errors=(
            *(InvalidRequest, NoData, Unauthorized, Forbidden),
            *(BackendUnavailable, BackendTimeout, Busy),
        ),
        limit=RouteClass.AGGREGATED,
        feature=Feature.CHART_DATA,
        is_for_viewers=True,
    ),
)
