"""What each endpoint of the stream protocol says, hears and hides: one row an endpoint.

Sessions, request handlers and the AsyncAPI document read these rows and know no endpoint by name:
a new endpoint is a new row.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

import msgspec

from hewston_bff.protocol import commands, dashboard_messages, event_messages, notices
from hewston_bff.protocol.frame_messages import EchoedCtrl, Frame, MergedFrame

MessageType = type[msgspec.Struct]
"""A struct of `commands`, `notices` or `frame_messages`, by its class."""

SUBPROTOCOL: Final = "hewston.bff.v1"
QUERY_MEMBERS: Final = ("speed", "max_fps", "mode", "paused", "from", "updates")
"""The members of `subscribe` that endpoints of one run take from the query."""


class Carrier(Enum):
    """What messages travel in."""

    SOCKET = auto()
    """Text messages of a WebSocket, both ways."""
    EVENTS = auto()
    """Server-Sent Events, to the client only; of one run with ids, so that they can be resumed."""
    REQUEST = auto()
    """The body of a request, to us only; answered on the client's event stream."""


class EventStyle(Enum):
    """How events of topics are written."""

    STREAM = auto()
    """As `event` messages."""
    DASHBOARD = auto()
    """As `messagebus` messages, for the dashboard of a trading node."""
    PLATFORM = auto()
    """By what they are about, for the events page of the trading backend."""


class Refusal(Enum):
    """What becomes of a client whose subscription the backend refuses, after an `err`."""

    STAYS = auto()
    """It may subscribe to something else."""
    CLOSES_IF_CODED = auto()
    """It is closed if the error has a close code: 401 and 403 have, 404 has not."""
    ENDS = auto()
    """Its stream ends, whatever the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One endpoint's row. `title` and `description` are the AsyncAPI document's."""

    name: str
    title: str
    description: str
    carrier: Carrier
    received: tuple[MessageType, ...] = ()
    """What clients may say there, in the document's order."""
    sent: tuple[MessageType, ...] = ()
    """What we may say there: any other notice is withheld."""
    subscribes: commands.Subscribe | None = None
    """At an endpoint of one run: what is subscribed to on connect. None: runs by `subscribe`."""
    on_connect: tuple[commands.SubscribeEvents, ...] = ()
    """The events that are subscribed to on connect, as far as their kinds are configured."""
    event_style: EventStyle = EventStyle.STREAM
    greeting: dashboard_messages.Greeting | None = None
    """The first message, where it is not `hello`."""
    is_of_one_pattern: bool = False
    """Whether a client watches the events of one topic or pattern from connect on."""
    takes_query: bool = False
    """Whether the query changes what is subscribed to on connect."""
    refusal: Refusal = Refusal.STAYS
    is_silent_until_spoken_to: bool = False
    """Whether nothing but frames and echoes is sent before the client's first message."""
    is_forgiving: bool = False
    """Whether malformed or too many messages are only answered, and never close the socket."""
    ends_with_run: bool = False
    """Whether the stream is over after `end`."""

    @property
    def is_of_one_topic(self) -> bool:
        """Whether a client has its subscription from connect on, and makes no other."""
        return bool(self.subscribes or self.is_of_one_pattern or self.on_connect)

    @property
    def introduces_itself(self) -> bool:
        """Whether it begins with `hello`, and tells of subscriptions and snapshots."""
        return notices.Hello in self.sent

    @property
    def echoes_ctrl(self) -> bool:
        """Whether a `ctrl` is sent back, as the backend does."""
        return EchoedCtrl in self.sent


_FRAMES: tuple[MessageType, ...] = (Frame, MergedFrame)
_NEWS: tuple[MessageType, ...] = (
    *_FRAMES,
    *(notices.State, notices.UpstreamNews, notices.RunNews, notices.Metrics),
    *(notices.Lag, notices.Reset, notices.Ended, notices.Err, notices.Hb, notices.Bye),
)
_OPENING: tuple[MessageType, ...] = (notices.Hello, notices.Subscribed, notices.Snapshot)
_OF_ONE_RUN: tuple[MessageType, ...] = (commands.Ctrl, commands.Ping, commands.ClientHeartbeat)
_OF_MANY_RUNS: tuple[MessageType, ...] = (
    *(commands.Subscribe, commands.SubscribeEvents, commands.Unsubscribe),
    *_OF_ONE_RUN,
)
_OF_EVENTS: tuple[MessageType, ...] = (
    *(event_messages.EventsSubscribed, event_messages.EventMessage, event_messages.EventsState),
    *(event_messages.SourceNews, event_messages.EventsLag),
)
ANSWERS: dict[MessageType, tuple[MessageType, ...]] = {
    commands.Subscribe: (notices.Subscribed, notices.Err),
    commands.SubscribeEvents: (event_messages.EventsSubscribed, notices.Err),
    commands.Unsubscribe: (notices.Unsubscribed, notices.Err),
    commands.Ctrl: (notices.State, event_messages.EventsState, notices.Err),
    commands.Ping: (notices.Pong,),
    commands.ClientHeartbeat: (),
    dashboard_messages.DashboardPing: (dashboard_messages.DashboardPong,),
}
"""What each command is answered with, where the dialect has it."""

_ONE_RUN = commands.Subscribe(run_id="")
_PAUSED_RUN = commands.Subscribe(run_id="", paused=True)
_RUN_EVENTS_DESCRIPTION = (
    "Server-Sent Events, one way only: events `frame`, `end` and `err`, each with one of these "
    "messages as its data. A frame's id is `<epoch>:<seq>`; sent as `Last-Event-ID` it resumes."
)

STREAM: Final = Dialect(
    name="stream",
    title="Many runs on one socket",
    description="Every subscription has a `sid`, the lowest free number.",
    carrier=Carrier.SOCKET,
    received=_OF_MANY_RUNS,
    sent=(*_OPENING, *_NEWS, *_OF_EVENTS, notices.Unsubscribed, notices.Pong),
)
RUN_STREAM: Final = Dialect(
    name="run",
    title="One run on a socket",
    description="Subscribed on connect, as the query says; no `sid` is needed either way.",
    carrier=Carrier.SOCKET,
    received=_OF_ONE_RUN,
    sent=(*_OPENING, *_NEWS, notices.Pong),
    subscribes=_ONE_RUN,
    takes_query=True,
    refusal=Refusal.CLOSES_IF_CODED,
)
BACKEND_STREAM: Final = Dialect(
    name="backend",
    title="One run on a socket, as the backend has it",
    description=(
        "Silent until the first message, and paused until `play`. `ctrl` is echoed, as the "
        "backend does. Never closed at the end of a run, nor while the backend is away."
    ),
    carrier=Carrier.SOCKET,
    received=_OF_ONE_RUN,
    sent=(*_NEWS, EchoedCtrl, notices.Pong),
    subscribes=_PAUSED_RUN,
    refusal=Refusal.CLOSES_IF_CODED,
    is_silent_until_spoken_to=True,
    is_forgiving=True,
)
EVENTS: Final = Dialect(
    name="many_events",
    title="Many runs as Server-Sent Events",
    description=(
        "What `/api/v1/stream` sends, each message an event of its name, and before the end "
        "`closed` with the code that a socket would be closed with. `subscribe`, once for each "
        "run, is a run id or that message's members as JSON. Events have no id: who comes back "
        "subscribes with `resume`."
    ),
    carrier=Carrier.EVENTS,
    sent=(*_OPENING, *_NEWS, *_OF_EVENTS, notices.Unsubscribed, notices.Pong, notices.Closed),
)
EVENT_COMMANDS: Final = Dialect(
    name="event_commands",
    title="Commands to an event stream",
    description=(
        "One message a request; `stream_id` is what `hello` calls `stream`. Answered on the "
        "event stream, by `re`. 404: it has ended, open another."
    ),
    carrier=Carrier.REQUEST,
    received=_OF_MANY_RUNS,
)
RUN_EVENTS: Final = Dialect(
    name="events",
    title="One run as Server-Sent Events",
    description=_RUN_EVENTS_DESCRIPTION,
    carrier=Carrier.EVENTS,
    sent=(*_FRAMES, notices.Ended, notices.Err),
    subscribes=_ONE_RUN,
    takes_query=True,
    refusal=Refusal.ENDS,
    ends_with_run=True,
)
BACKEND_EVENTS: Final = Dialect(
    name="backend_events",
    title="One run as Server-Sent Events, where the backend has them",
    description=_RUN_EVENTS_DESCRIPTION,
    carrier=Carrier.EVENTS,
    sent=RUN_EVENTS.sent,
    subscribes=_ONE_RUN,
    takes_query=True,
    refusal=Refusal.ENDS,
    ends_with_run=True,
)
TOPIC_EVENTS: Final = Dialect(
    name="topic_events",
    title="Events of a topic or pattern as Server-Sent Events",
    description=(
        "Server-Sent Events, one way only: `event`, `source`, `lag`, `state` and `err`, each with "
        "one of these messages as its data. The id of an event is that of its entry; sent as "
        "`Last-Event-ID` it resumes."
    ),
    carrier=Carrier.EVENTS,
    sent=(*_OF_EVENTS[1:], notices.Err),
    is_of_one_pattern=True,
    refusal=Refusal.ENDS,
)
_DASHBOARD_SENT: tuple[MessageType, ...] = (
    *(dashboard_messages.Greeting, dashboard_messages.MessageBusEvent),
    *(dashboard_messages.DashboardError, dashboard_messages.DashboardPong),
)
_EVERY_BUS_EVENT = (commands.SubscribeEvents(topic="bus:*", mode="all", from_="live"),)
_DASHBOARD_DESCRIPTION = (
    "Every event of the message bus from connect on. A text that is no JSON, or too long, is "
    "answered with `error`, a ping with `pong`; all else is ignored. With `dialect=events` in the "
    "query: `{type, data}` by what an event is about, `system_status`, `trading_signals`, "
    "`job_updates` or `market_data`."
)
DASHBOARD: Final = Dialect(
    name="dashboard",
    title="The message bus, for the dashboard of a trading node",
    description=_DASHBOARD_DESCRIPTION,
    carrier=Carrier.SOCKET,
    received=(dashboard_messages.DashboardPing,),
    sent=_DASHBOARD_SENT,
    on_connect=_EVERY_BUS_EVENT,
    event_style=EventStyle.DASHBOARD,
    greeting=dashboard_messages.Greeting("Connected to Nautilus Trader API"),
    refusal=Refusal.ENDS,
    is_forgiving=True,
)
REALTIME: Final = replace(
    DASHBOARD,
    name="realtime",
    title="The message bus in real time, for the dashboard of a trading node",
    greeting=dashboard_messages.Greeting("Connected to Nautilus Trader Real-time API"),
)
PLATFORM_EVENTS: Final = replace(
    DASHBOARD,
    name="platform_events",
    title="Events by what they are about, for the events page of the trading backend",
    sent=(dashboard_messages.DashboardError, dashboard_messages.DashboardPong),
    on_connect=(
        commands.SubscribeEvents(topic="system:status", mode="latest", from_="last"),
        *(
            commands.SubscribeEvents(topic=topic, mode="all", from_="live")
            for topic in (
                *("bus:signals*", "bus:ticks*", "bus:data.quotes.*", "bus:data.trades.*"),
                "job:*",
            )
        ),
    ),
    event_style=EventStyle.PLATFORM,
    greeting=None,
)
