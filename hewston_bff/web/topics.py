"""Topics that carry events: what there is, the newest event of one, and an event stream."""

from typing import Annotated, Literal

import msgspec
from aiohttp import hdrs, web
from pydantic import BaseModel, BeforeValidator, Field

from hewston_bff.credentials import ApiCaller
from hewston_bff.errors import BffError, FeatureDisabled, InvalidRequest, NoData
from hewston_bff.events.encoding import event_text
from hewston_bff.events.event import FIRST_ID, EntryId, parse_entry_id
from hewston_bff.events.pattern import InvalidPattern, Pattern
from hewston_bff.events.topic_table import TopicRecord
from hewston_bff.hub.event_channel import EventChannel, Matcher
from hewston_bff.hub.event_control import begin_of, pattern_of
from hewston_bff.net.clients.session import Session
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.protocol import dialects
from hewston_bff.protocol.commands import EventResumePoint, SubscribeEvents, unquoted
from hewston_bff.protocol.event_messages import EventMessage
from hewston_bff.protocol.topics import EVENT_KINDS
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, caller_of
from hewston_bff.web.addresses import client_address
from hewston_bff.web.endpoint import JSON, ApiAnswer, DocumentedModel, Endpoint, Header, Tag
from hewston_bff.web.events import EVENT_STREAM, send_events
from hewston_bff.web.keys import CLIENTS, HUB
from hewston_bff.web.parameters import count, parameters, single_values
from hewston_bff.web.stream_requests import check_origin

_ERRORS: tuple[type[BffError], ...] = (InvalidRequest, FeatureDisabled, *API_KEY_ERRORS)
_QUERY_MEMBERS = ("mode", "max_fps", "from", "paused")
_LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "Where to go on: the id of the last event received. Wins over `from`.",
    r"^([0-9]{1,20}(-[0-9]{1,20})?)?$",
)


class TopicsParameters(BaseModel):
    """The query of the list of topics."""

    match: Annotated[
        str | None,
        Field(
            max_length=600,
            description="`kind:` and a pattern of names: `*`, `?`, `\\`; all topics that the "
            "caller may read if not given",
        ),
    ] = None
    limit: Annotated[int, BeforeValidator(count), Field(ge=1, le=10_000)] = 1_000


class TopicRow(msgspec.Struct):
    """One topic. `events` counts those since this server began, and what Redis held then."""

    topic: str
    class_: Literal["latest", "all"] = msgspec.field(name="class")
    """`latest`: its events replace each other."""
    events: int
    rate_per_s: float
    last_id: str | None
    last_ts: str | None


class TopicsPage(msgspec.Struct):
    """`GET /api/v1/topics`: the most recent first; `total` counts all that match."""

    topics: list[TopicRow]
    total: int


class TopicEventsParameters(DocumentedModel):
    """The query of an event stream of topics."""

    mode: Annotated[str | None, Field(pattern="^(latest|all)$")] = None
    max_fps: Annotated[float, Field(ge=0.1, le=60)] = 10.0
    from_: Annotated[
        str | None,
        Field(alias="from", max_length=64, description="`last`, `live`, `start` or an entry's id"),
    ] = None
    paused: bool = False


async def list_topics(request: web.Request) -> web.Response:
    """`GET /api/v1/topics`."""
    wanted = parameters(request, TopicsParameters)
    if wanted.match is None:
        pattern, channels = Pattern("*"), _readable(request)
    else:
        channels = [_channel(request, wanted.match, named="match")]
        try:
            pattern = Pattern(wanted.match.partition(":")[2])
        except InvalidPattern as error:
            msg = f"match: {error}"
            raise InvalidRequest(msg) from error
    found = [
        record
        for channel in channels
        for record in channel.log.table
        if pattern.matches(channel.log.name_of(record.name))
    ]
    found.sort(key=_last_id, reverse=True)
    now_s = request.app[HUB].ticker.next_s
    rows = [_row(record, now_s) for record in found[: wanted.limit]]
    page = TopicsPage(topics=rows, total=len(found))
    return _json(msgspec.json.encode(page))


def _row(record: TopicRecord[Matcher], now_s: float) -> TopicRow:
    return TopicRow(
        topic=record.name,
        class_="latest" if record.is_mergeable else "all",
        events=record.events,
        rate_per_s=round(record.rate_per_s(now_s), 3),
        last_id=None if record.last is None else str(record.last.id),
        last_ts=None if record.last is None else record.last.ts,
    )


def _last_id(record: TopicRecord[Matcher]) -> EntryId:
    return FIRST_ID if record.last is None else record.last.id


async def last_event(request: web.Request) -> web.Response:
    """`GET /api/v1/topics/{topic}/last`."""
    topic = request.match_info["topic"]
    channel = _channel(request, topic)
    record = channel.log.table.get(topic)
    if record is None or record.last is None:
        raise NoData("no event of this topic is known: GET /api/v1/topics lists those that are")
    return _json(event_text(record.last, 1, None))


async def topic_events(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/topics/{topic}/events`."""
    check_origin(request)
    topic = request.match_info["topic"]
    asked = _subscription_asked(request, topic)
    # What the subscription would refuse is refused while there is a status to say it by.
    begin_of(asked, "latest")
    _channel(request, topic)
    pattern_of(asked)
    caller = _caller(request)

    def begin(session: Session) -> None:
        session.subscriptions.watch_events(asked, session)

    with request.app[CLIENTS].slot(client_address(request)):
        return await send_events(request, dialects.TOPIC_EVENTS, begin, caller=caller)


def _subscription_asked(request: web.Request, topic: str) -> SubscribeEvents:
    query = single_values(request, _QUERY_MEMBERS)
    try:
        asked = msgspec.convert({"topic": topic, **query}, SubscribeEvents, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(unquoted(str(exc)).replace("$.", "")) from exc
    last_id = request.headers.get("Last-Event-ID")
    if not last_id:
        return asked
    if parse_entry_id(last_id) is None:
        raise InvalidRequest("`Last-Event-ID` must be the id of an entry, as those of our events")
    return msgspec.structs.replace(asked, resume=EventResumePoint(last_id))


def _channel(request: web.Request, topic: str, *, named: str = "topic") -> EventChannel:
    """The channel of the topic's kind, if the caller may read it.

    Raises:
        InvalidRequest: no kind that carries events is named.
        FeatureDisabled: this server has no such kind.
        ApiKeyRequired, Forbidden: the caller may not.
    """
    kind = topic.partition(":")[0]
    if kind not in EVENT_KINDS or ":" not in topic:
        kinds = ", ".join(sorted(EVENT_KINDS))
        msg = f"{named}: must be `kind:name`, and its kind one of {kinds}"
        raise InvalidRequest(msg)
    channel = request.app[HUB].events.get(kind)
    refusal = channel.kind.refusal(_caller(request))
    if refusal is not None:
        raise refusal
    return channel


def _readable(request: web.Request) -> list[EventChannel]:
    """The channels of all kinds that the caller may read; none if this server has none.

    Raises:
        ApiKeyRequired, Forbidden: the caller may read none of those that there are.
    """
    channels = list(request.app[HUB].events)
    refusals = [channel.kind.refusal(_caller(request)) for channel in channels]
    readable = [each for each, refusal in zip(channels, refusals, strict=True) if refusal is None]
    for refusal in refusals:
        if refusal is not None and not readable:
            raise refusal
    return readable


def _caller(request: web.Request) -> ApiCaller:
    return caller_of(request, bearer_counts=True)


def _json(body: bytes) -> web.Response:
    """An answer that is old in a moment, and for this caller alone."""
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, content_type=JSON, headers=headers)


ENDPOINTS = (
    Endpoint(
        name="list_topics",
        path="/api/v1/topics",
        handler=list_topics,
        tag=Tag.TOPICS,
        summary="The topics that are known",
        query=TopicsParameters,
        headers=(API_KEY_HEADER,),
        answers=(ApiAnswer(200, "The most recent first.", TopicsPage),),
        errors=_ERRORS,
        limit=RouteClass.PROXIED,
    ),
    Endpoint(
        name="get_last_event",
        path="/api/v1/topics/{topic:.+}/last",
        handler=last_event,
        tag=Tag.TOPICS,
        summary="The newest event of a topic",
        headers=(API_KEY_HEADER,),
        answers=(ApiAnswer(200, "As the streams have it.", EventMessage),),
        errors=(*_ERRORS, NoData),
        limit=RouteClass.PROXIED,
    ),
    Endpoint(
        name="get_topic_events",
        path="/api/v1/topics/{topic:.+}/events",
        handler=topic_events,
        tag=Tag.STREAMS,
        summary=dialects.TOPIC_EVENTS.title,
        description="`topic` is `kind:name`, or `kind:` and a pattern of names.",
        query=TopicEventsParameters,
        headers=(API_KEY_HEADER, _LAST_EVENT_ID),
        answers=(ApiAnswer(200, "The messages are in the AsyncAPI document.", None, EVENT_STREAM),),
        errors=_ERRORS,
        dialect=dialects.TOPIC_EVENTS,
    ),
)
