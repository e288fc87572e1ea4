"""`GET /api/v1/chart-data`."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from aiohttp import ETag, web
from pydantic import BaseModel, BeforeValidator, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from hewston_bff.feature_flags import Feature
from hewston_bff.services.chart import ChartMetadata, ChartQuery, Layout, Timeframe
from hewston_bff.web.bodies import private_json, put_body
from hewston_bff.web.features import require_feature
from hewston_bff.web.keys import CHARTS
from hewston_bff.web.parameters import Symbol, count, parameters
from hewston_bff.web.streams import credentials_of

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


class ChartBar(BaseModel):
    """One bar; `timestamp` is where it begins."""

    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int | float | None


class ChartColumns(BaseModel):
    """Bars as columns of equal length; `t` in epoch seconds."""

    t: list[int]
    o: list[float]
    h: list[float]
    l: list[float]  # noqa: E741 - the contract's name
    c: list[float]
    v: list[int | float | None]


class ChartPage(BaseModel):
    """What comes back, for the documents: no bar is ever made a model of."""

    symbol: str
    timeframe: Timeframe
    from_date: date
    to_date: date
    bars: list[ChartBar] | ChartColumns
    metadata: ChartMetadata


async def chart_data(request: web.Request) -> web.Response:
    """`GET /api/v1/chart-data`: bars of one symbol, never more than `target_points`."""
    require_feature(request, Feature.CHART_DATA)
    query = ChartQuery(**parameters(request, ChartParameters).model_dump())
    chart = await request.app[CHARTS].get(query, credentials_of(request))
    response = private_json()
    response.etag = ETag(chart.etag, is_weak=True)
    if any(tag.value in {chart.etag, "*"} for tag in request.if_none_match or ()):
        response.set_status(304)
    else:
        await put_body(request, response, chart.body, end=chart.end)
    return response
