"""The sockets of a trading node's dashboard and of the trading backend's events page."""

from typing import Literal

import msgspec
from aiohttp import web
from pydantic import Field

from hewston_bff.errors import BffError, Busy, FeatureDisabled, InvalidRequest, RateLimited
from hewston_bff.hub.event_channels import EventChannels
from hewston_bff.net.clients.dashboard_reader import DashboardReader
from hewston_bff.net.clients.session import Session
from hewston_bff.protocol import dialects
from hewston_bff.protocol.dialects import Dialect
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, caller_of
from hewston_bff.web.endpoint import ApiAnswer, DocumentedModel, Endpoint, Tag
from hewston_bff.web.keys import HUB
from hewston_bff.web.parameters import single_values
from hewston_bff.web.streams import check_handshake, serve_socket

_ERRORS: tuple[type[BffError], ...] = (
    *(InvalidRequest, FeatureDisabled, RateLimited, Busy),
    *API_KEY_ERRORS,
)


_PLATFORM = "events"


class DashboardParameters(DocumentedModel):
    """The query of `/ws`."""

    dialect: Literal["events"] | None = Field(
        default=None, description="`events`: as the events page of the trading backend has it"
    )


def dashboard_endpoint(dialect: Dialect, *, name: str, path: str) -> Endpoint:
    """The endpoint at `path` for a dashboard that speaks `dialect`."""

    async def serve(request: web.Request) -> web.StreamResponse:
        asked = single_values(request, ("dialect",)).get("dialect")
        if asked not in {None, _PLATFORM}:
            raise InvalidRequest("dialect: must be `events`, or left out")
        return await _serve(request, dialect if asked is None else dialects.PLATFORM_EVENTS)

    return Endpoint(
        name=name,
        path=path,
        handler=serve,
        tag=Tag.STREAMS,
        summary=dialect.title,
        description=dialect.description,
        query=DashboardParameters,
        headers=(API_KEY_HEADER,),
        answers=(ApiAnswer(101, "The socket is open.", None, None),),
        errors=_ERRORS,
        dialect=dialect,
    )


async def _serve(request: web.Request, dialect: Dialect) -> web.StreamResponse:
    check_handshake(request)
    caller = caller_of(request, bearer_counts=True)
    channels = request.app[HUB].events
    wanted = [each for each in dialect.on_connect if _is_configured(channels, each.topic)]
    if not wanted:
        raise FeatureDisabled("no message bus is configured here: set BFF_BUS_URL")
    refusals = [channels.get(_kind(each.topic)).kind.refusal(caller) for each in wanted]
    allowed = [one for one, refusal in zip(wanted, refusals, strict=True) if refusal is None]
    if not allowed:
        raise next(refusal for refusal in refusals if refusal is not None)

    def begin(session: Session) -> None:
        if dialect.greeting is not None:
            session.say(msgspec.json.encode(dialect.greeting))
        for each in allowed:
            session.subscriptions.subscribe_events(each, session)

    return await serve_socket(
        request,
        dialect,
        begin=begin,
        caller=caller,
        reader=lambda session: DashboardReader(session).read,
    )


def _is_configured(channels: EventChannels, topic: str) -> bool:
    return any(channel.kind.name == _kind(topic) for channel in channels)


def _kind(topic: str) -> str:
    return topic.partition(":")[0]


ENDPOINTS = (
    dashboard_endpoint(dialects.DASHBOARD, name="open_dashboard", path="/ws"),
    dashboard_endpoint(dialects.REALTIME, name="open_realtime", path="/ws/realtime"),
)
