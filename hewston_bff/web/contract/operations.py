"""The table of all addresses, as the OpenAPI document tells of them."""

from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    Busy,
    FeatureDisabled,
    Forbidden,
    InvalidRequest,
    LimitReached,
    NoData,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RunNotFound,
    Unauthorized,
)
from hewston_bff.protocol.commands import ClientHeartbeat, Ctrl, Ping, Subscribe, Unsubscribe
from hewston_bff.web.chart import ChartPage, ChartParameters
from hewston_bff.web.contract.backend import backend_operations
from hewston_bff.web.contract.operation import Answer, Header, Operation, Tag
from hewston_bff.web.events import EventsParameters
from hewston_bff.web.features import FeaturesPage
from hewston_bff.web.frames import NDJSON, FramesParameters
from hewston_bff.web.health import Health, Liveness, Readiness, SocketHealth, StatsPage
from hewston_bff.web.runs import CompletePage, CompleteParameters, RunStatus

_STREAM_ERRORS = (
    InvalidRequest,
    RunNotFound,
    Unauthorized,
    Forbidden,
    RateLimited,
    LimitReached,
    Busy,
)
_OPENED = Answer(101, "The socket is open. Its messages are in the AsyncAPI document.", None, None)
_EVENTS = (
    Answer(
        200,
        "Events `frame`, `end` and `err` until the end of the run. The messages in them are in the "
        "AsyncAPI document.",
        None,
        "text/event-stream",
    ),
    Answer(204, "`Last-Event-ID` is the end of the run: nothing will follow.", None, None),
)
_LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "Where to go on: the id of the last event received, `<epoch>:<seq>`. Wins over `from`.",
    r"^([^:]{1,64}:[0-9]{1,15})?$",
)
_NO_UPGRADE = "A WebSocket: without an upgrade it answers 422. "

_STREAMS = (
    Operation(
        name="open_stream",
        path="/api/v1/stream",
        tag=Tag.STREAMS,
        summary="Many runs on one socket",
        description=_NO_UPGRADE + "Subscribe to runs once it is open.",
        answers=(_OPENED,),
        errors=(InvalidRequest, Forbidden, RateLimited, Busy, FeatureDisabled),
        is_for_viewers=True,
    ),
    Operation(
        name="open_run_stream",
        path="/api/v1/runs/{run_id}/stream",
        tag=Tag.STREAMS,
        summary="One run on a socket",
        description=_NO_UPGRADE + "Subscribed from the start, as the parameters say.",
        query=Subscribe,
        answers=(_OPENED,),
        errors=(*_STREAM_ERRORS, FeatureDisabled),
        is_for_viewers=True,
    ),
    Operation(
        name="open_backend_stream",
        path="/backtests/{run_id}/ws",
        tag=Tag.STREAMS,
        summary="One run on a socket, as the backend has it",
        description=_NO_UPGRADE + "Silent until spoken to, and paused until `play`.",
        answers=(_OPENED,),
        errors=_STREAM_ERRORS,
        is_for_viewers=True,
    ),
    Operation(
        name="open_events",
        path="/api/v1/events",
        tag=Tag.STREAMS,
        summary="Many runs as Server-Sent Events",
        description=(
            "For where WebSockets do not pass. The first event, `hello`, names the `stream` that "
            "takes commands. A client that comes back opens another, and goes on by `resume`."
        ),
        query=EventsParameters,
        answers=(
            Answer(
                200,
                "Each message an event of its name. The messages are in the AsyncAPI document.",
                None,
                "text/event-stream",
            ),
        ),
        errors=(InvalidRequest, Forbidden, RateLimited, Busy, FeatureDisabled),
        is_for_viewers=True,
    ),
    Operation(
        name="command_events",
        path="/api/v1/events/{stream_id}",
        method="post",
        tag=Tag.STREAMS,
        summary="One message to an open event stream",
        description="With the credentials that opened it. Answered on the stream, by `re`.",
        body=(Subscribe, Unsubscribe, Ctrl, Ping, ClientHeartbeat),
        answers=(Answer(202, "Taken.", None, None),),
        errors=(InvalidRequest, NotFound, Forbidden, PayloadTooLarge, FeatureDisabled),
        is_for_viewers=True,
    ),
    Operation(
        name="get_events",
        path="/api/v1/runs/{run_id}/events",
        tag=Tag.STREAMS,
        summary="One run as Server-Sent Events",
        query=Subscribe,
        headers=(_LAST_EVENT_ID,),
        answers=_EVENTS,
        errors=(*_STREAM_ERRORS, FeatureDisabled),
        is_for_viewers=True,
    ),
    Operation(
        name="get_backend_events",
        path="/backtests/{run_id}/stream",
        tag=Tag.STREAMS,
        summary="One run as Server-Sent Events, where the backend has them",
        query=Subscribe,
        headers=(_LAST_EVENT_ID,),
        answers=_EVENTS,
        errors=_STREAM_ERRORS,
        is_for_viewers=True,
    ),
)
_RUN_ERRORS = (
    *(InvalidRequest, RunNotFound, Unauthorized, Forbidden, RateLimited),
    *(BackendUnavailable, BackendTimeout, Busy, FeatureDisabled),
)
_AGGREGATED = (
    Operation(
        name="get_chart_data",
        path="/api/v1/chart-data",
        tag=Tag.CHARTS,
        summary="Bars of one symbol, never more than `target_points`",
        description=(
            "Whole bars are merged: first open, highest high, lowest low, last close, sum of the "
            "volumes. `to` is not before `from`, nor more than 20 years after it."
        ),
        query=ChartParameters,
        headers=(Header("If-None-Match", "The tag of what the caller has."),),
        answers=(
            Answer(200, "The chart. `ETag` is a tag of the data, not of `metadata`.", ChartPage),
            Answer(304, "What the caller has is the chart.", None, None),
        ),
        errors=(
            *(InvalidRequest, NoData, Unauthorized, Forbidden, RateLimited),
            *(BackendUnavailable, BackendTimeout, Busy, FeatureDisabled),
        ),
        is_for_viewers=True,
    ),
    Operation(
        name="get_complete_run",
        path="/api/v1/runs/{run_id}/complete",
        tag=Tag.RUNS,
        summary="One run in one call",
        description=(
            "Facts, figures, equity and orders. A part that nobody has in time is null, and "
            "`metadata` names it; without the facts there is no answer."
        ),
        query=CompleteParameters,
        answers=(Answer(200, "The run, and what is lacking.", CompletePage),),
        errors=_RUN_ERRORS,
        is_for_viewers=True,
    ),
    Operation(
        name="get_run_status",
        path="/api/v1/runs/{run_id}/status",
        tag=Tag.RUNS,
        summary="What changes while a run is being made",
        answers=(Answer(200, "The status.", RunStatus),),
        errors=_RUN_ERRORS,
        is_for_viewers=True,
    ),
    Operation(
        name="get_run_frames",
        path="/api/v1/runs/{run_id}/frames",
        tag=Tag.RUNS,
        summary="The source frames of a range",
        description=(
            "Each a line of JSON, a `frame` of the AsyncAPI document. Without `to` all frames of a "
            "run that is over, else those that are there. `to` is not before `from`. A range that "
            "can't be given whole is cut off: the connection breaks."
        ),
        query=FramesParameters,
        answers=(Answer(200, "The frames.", None, NDJSON),),
        errors=(*_RUN_ERRORS, NoData, LimitReached),
        is_for_viewers=True,
    ),
)
_OPERATIONS = (
    Operation(
        name="get_health",
        path="/api/v1/health",
        tag=Tag.OPERATIONS,
        summary="How we are, and what we depend on",
        answers=(Answer(200, "Always, however we are.", Health),),
    ),
    Operation(
        name="get_readiness",
        path="/api/v1/health/ready",
        tag=Tag.OPERATIONS,
        summary="Whether new clients should come here",
        answers=(
            Answer(200, "They should.", Readiness),
            Answer(503, "They should not, for these reasons.", Readiness),
        ),
    ),
    Operation(
        name="get_liveness",
        path="/api/v1/health/live",
        tag=Tag.OPERATIONS,
        summary="Whether the process answers",
        answers=(Answer(200, "It does.", Liveness),),
    ),
    Operation(
        name="get_websocket_stats",
        path="/api/v1/websocket/stats",
        tag=Tag.OPERATIONS,
        summary="Streaming in numbers",
        answers=(Answer(200, "The numbers.", StatsPage),),
    ),
    Operation(
        name="get_websocket_health",
        path="/api/v1/websocket/health",
        tag=Tag.OPERATIONS,
        summary="Streaming in a word",
        answers=(Answer(200, "The word.", SocketHealth),),
    ),
    Operation(
        name="get_features",
        path="/api/v1/features",
        tag=Tag.OPERATIONS,
        summary="What a frontend may use here",
        answers=(Answer(200, "By name.", FeaturesPage),),
    ),
    Operation(
        name="get_metrics",
        path="/metrics",
        tag=Tag.OPERATIONS,
        summary="Numbers for Prometheus",
        answers=(Answer(200, "Prometheus text.", None, "text/plain"),),
    ),
)
_FILE_KNOWN = Answer(304, "What the caller has is the file.", None, None)
_IF_NONE_MATCH = (Header("If-None-Match", "The tag of what the caller has."),)
_PAGES = (
    Operation(
        name="get_openapi",
        path="/api/v1/openapi.json",
        tag=Tag.PAGES,
        summary="This document",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "OpenAPI 3.1."), _FILE_KNOWN),
    ),
    Operation(
        name="get_asyncapi",
        path="/api/v1/asyncapi.json",
        tag=Tag.PAGES,
        summary="The document of the streams' messages",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "AsyncAPI 3."), _FILE_KNOWN),
    ),
    Operation(
        name="get_docs",
        path="/api/v1/docs",
        tag=Tag.PAGES,
        summary="This document, for people",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The page.", None, "text/html"), _FILE_KNOWN),
    ),
    Operation(
        name="get_docs_of_streams",
        path="/api/v1/docs/streams",
        tag=Tag.PAGES,
        summary="The document of the streams' messages, for people",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The page.", None, "text/html"), _FILE_KNOWN),
    ),
    Operation(
        name="get_docs_file",
        path="/api/v1/docs/{name}",
        tag=Tag.PAGES,
        summary="What these pages consist of",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The file.", None, "*/*"), _FILE_KNOWN),
        errors=(NotFound,),
    ),
    Operation(
        name="get_console",
        path="/",
        tag=Tag.PAGES,
        summary="The console",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The page.", None, "text/html"), _FILE_KNOWN),
        errors=(NotFound,),
    ),
    Operation(
        name="get_console_file",
        path="/console/{path}",
        tag=Tag.PAGES,
        summary="What the console consists of",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The file.", None, "*/*"), _FILE_KNOWN),
        errors=(NotFound,),
    ),
    Operation(
        name="get_client_file",
        path="/client/{name}",
        tag=Tag.PAGES,
        summary="The browser client, for other pages",
        headers=_IF_NONE_MATCH,
        answers=(Answer(200, "The file.", None, "*/*"), _FILE_KNOWN),
        errors=(NotFound,),
    ),
)


def operations() -> list[Operation]:
    """All of them, in the document's order."""
    return [*_AGGREGATED, *_STREAMS, *_OPERATIONS, *backend_operations(), *_PAGES]
