"""One client at any endpoint: what it watches goes out, as its endpoint's dialect has it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

import structlog
from msgspec import UNSET

from hewston_bff.credentials import ApiCaller, Credentials
from hewston_bff.errors import BffError
from hewston_bff.hub.hub import Hub
from hewston_bff.hub.subscriptions import SubscriptionLimits, Subscriptions
from hewston_bff.hub.ticker import contain
from hewston_bff.net.clients.carriers import ClientCarrier
from hewston_bff.net.clients.client_writer import ClientWriter, WriterLimits
from hewston_bff.net.clients.command_reader import CommandReader
from hewston_bff.net.clock import now_ms
from hewston_bff.protocol.close_codes import INTERNAL_REASON, CloseCode
from hewston_bff.protocol.commands import RequestId
from hewston_bff.protocol.dialects import Dialect, Refusal
from hewston_bff.protocol.notices import Bye, Ended, Err, Hello, Limits, Notice

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one client may do."""

    subscriptions: SubscriptionLimits = SubscriptionLimits()
    writer: WriterLimits = WriterLimits()
    message_bytes: int = 65_536
    messages_per_s: int = 50
    subscribe_within_s: float = 10.0
    close_s: float = 2.0
    """How long the client is given to answer our close."""


class Session:
    """One client's stream, and its subscriptions' sink. `serve` waits; all else is synchronous."""

    def __init__(
        self,
        session_id: str,
        transport: asyncio.Transport,
        hub: Hub,
        *,
        dialect: Dialect,
        carrier: ClientCarrier,
        credentials: Credentials,
        caller: ApiCaller,
        limits: SessionLimits,
        jitter: float,
        stream_id: str | None = None,
    ) -> None:
        """`stream_id`: where it takes commands, if that is another address."""
        self.session_id = session_id
        self._stream_id = stream_id
        self._hub = hub
        self._dialect = dialect
        self.carrier = carrier
        self._limits = limits
        self.scheduled = -1
        self.subscriptions = Subscriptions(
            hub, credentials, limits.subscriptions, caller=caller, refused=self._on_refused
        )
        self.writer = ClientWriter(
            transport,
            hub,
            carrier,
            limits=limits.writer,
            jitter=jitter,
            heartbeat=self._heartbeat,
            end=self.end,
        )
        self.commands = CommandReader(self, hub, dialect, messages_per_s=limits.messages_per_s)
        self._is_silent = dialect.is_silent_until_spoken_to
        self._empty_since_s = hub.ticker.next_s
        self.ending: tuple[CloseCode, str] | None = None
        """Why it ends, once we have it end."""
        self._deadline: asyncio.Timeout | None = None
        self.framing = carrier.framing
        # The hot path of every delivered message: no method of ours in between.
        self.can_take = self.writer.can_take
        self.push = self.writer.push
        self.offer = self.writer.offer

    async def serve(
        self, hear: Callable[[], Awaitable[None]], *, begin: Callable[[], None]
    ) -> None:
        """Begin, and let `hear` wait until the client goes; cancelled there if it has to go.

        `begin` subscribes to what the client came for. A cancellation loses nothing that `close`,
        which the caller owes, does not let go of.
        """
        self.writer.start()
        self._hub.ticker.wake(self)
        self._begin(begin)
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._apply_ending()
                await hear()
        except TimeoutError:
            if self.ending is None:
                raise

    def _begin(self, begin: Callable[[], None]) -> None:
        """Introduce us and subscribe: trouble with that ends the open connection."""
        try:
            self.notify(_hello(self.session_id, self._stream_id, self._limits))
            begin()
            if self._dialect.is_of_one_topic:
                self.subscriptions.answer_all()
        except BffError as error:
            self.send_error(error)
            self.end(error.outcome.close or CloseCode.TOO_MANY, error.message)
        except Exception as exc:  # noqa: BLE001 - the last line before the socket
            contain(self, "session.crashed", exc, session_id=self.session_id)

    # -- what goes out

    def notify(self, notice: Notice) -> None:
        """See `ports.Sink`: sent if the dialect has it, and the client has spoken if it has to."""
        message = b"" if self._is_silent else self.carrier.message(notice)
        if not message:
            return
        self.writer.send_control(message)
        if self._dialect.ends_with_run and isinstance(notice, Ended):
            self.end(CloseCode.NORMAL, "the run has ended")

    def say(self, text: bytes) -> None:
        """Send a message that is no notice, where the dialect has some."""
        self.writer.send_control(self.carrier.text("", text))

    def send_error(
        self, error: BffError, *, sid: int | None = None, re: RequestId | None = None
    ) -> None:
        """What went wrong, as an `err`."""
        self.notify(
            Err(
                re=UNSET if re is None else re,
                sid=UNSET if sid is None else sid,
                code=error.code,
                msg=error.message,
                details=error.details or UNSET,
            )
        )

    def _heartbeat(self) -> bytes:
        return b"" if self._is_silent else self.carrier.heartbeat(now_ms())

    def spoken_to(self) -> None:
        """The client has said something: now it is told things too."""
        if self._is_silent:
            self._is_silent = False
            self.subscriptions.repeat_news()

    # -- its end

    def end(self, code: CloseCode, reason: str) -> None:
        """See `ports.Sink`."""
        if self.ending is not None:
            return
        self.ending = (code, reason)
        farewell = self.carrier.farewell(code, reason)
        if farewell:
            self.writer.send_last(farewell)
        self.writer.is_ended = True
        self._apply_ending()
        if code not in {CloseCode.SERVICE_RESTART, CloseCode.NORMAL}:
            logger.info("session.ended", session_id=self.session_id, code=int(code), reason=reason)

    def _apply_ending(self) -> None:
        if self.ending is not None and self._deadline is not None:
            self._deadline.reschedule(0)

    def bye(self, *, after_ms: int) -> None:
        """Say that we are going, and go."""
        goodbye = self.carrier.goodbye(Bye(code=CloseCode.SERVICE_RESTART, after_ms=after_ms))
        if goodbye and not self._is_silent:
            self.writer.send_last(goodbye)
        self.end(CloseCode.SERVICE_RESTART, "restarting: come back and resume")

    def crashed(self) -> None:
        """See `Ticked`."""
        self.end(CloseCode.INTERNAL, INTERNAL_REASON)

    def close(self) -> None:
        """Let go of everything; the connection is gone."""
        self.writer.is_ended = True
        self.subscriptions.close()

    # -- its subscriptions

    def tick(self, now_s: float) -> float:
        """Answer subscriptions that waited long enough; end a client that watches nothing."""
        if self.writer.is_ended:
            return inf
        self.subscriptions.answer_overdue(now_s)
        if self.subscriptions or self._dialect.is_of_one_topic:
            return self.subscriptions.overdue_s
        closes_s = self._empty_since_s + self._limits.subscribe_within_s
        if now_s >= closes_s:
            self.end(CloseCode.NOTHING_SUBSCRIBED, "nothing subscribed: subscribe to a run")
            return inf
        return closes_s

    def subscription_gone(self) -> None:
        """A subscription has gone, perhaps the last."""
        self._empty_since_s = self._hub.ticker.next_s
        self._hub.ticker.wake(self)

    def _on_refused(
        self, error: BffError, *, sid: int | None, re: RequestId | None, closes: bool = False
    ) -> None:
        """A subscription is not allowed (any more)."""
        self.subscription_gone()
        self.send_error(error, sid=sid, re=re)
        close = error.outcome.close
        if closes and close is not None:
            self.end(close, error.message)
            return
        match self._dialect.refusal:
            case Refusal.CLOSES_IF_CODED if close is not None:
                self.end(close, error.message)
            case Refusal.ENDS:
                self.end(close or CloseCode.FORBIDDEN, error.message)
            case _:
                pass


def _hello(session_id: str, stream_id: str | None, limits: SessionLimits) -> Hello:
    return Hello(
        session=session_id,
        stream=UNSET if stream_id is None else stream_id,
        hb_ms=round(limits.writer.heartbeat_s * 1e3),
        limits=Limits(
            subscriptions=limits.subscriptions.subscriptions,
            message_bytes=limits.message_bytes,
            messages_per_s=limits.messages_per_s,
        ),
    )
