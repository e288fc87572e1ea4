"""The market-connectivity service, for callers who hold a session there by way of us.

Its token stays here: each caller has its own, and no answer has it.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    BffError,
    InvalidRequest,
    OrderOutcomeUnknown,
    RateLimited,
    Unauthorized,
)
from hewston_bff.net.mcp_requests import McpAction, McpAnswer, McpNoAnswer, McpRequests
from hewston_bff.services.redaction import token_of, without_secret_members, without_secrets

logger = structlog.get_logger(__name__)

_SESSIONS: Final = 1_000
_UNKNOWN: Final = (
    "the order was sent, and whether it was taken is not known: look at /mcp/positions and at the "
    "orders of your account before you send it again"
)
_NO_ACCOUNT: Final = "username and password: POST them to /mcp/login, for none are configured"


class McpLogin(msgspec.Struct, frozen=True):
    """Who logs in there."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "McpLogin()"


class McpPassed(NamedTuple):
    """An answer of the service without its secrets."""

    status: int
    body: bytes


class Mcp:
    """Sessions of callers there. A holder is whom a token is bound to, as text."""

    def __init__(
        self, requests: McpRequests, *, account: McpLogin | None, deadline_s: float
    ) -> None:
        """`account`: the one of callers who give none."""
        self._requests = requests
        self._account = account
        self._deadline_s = deadline_s
        self._tokens: OrderedDict[str, str] = OrderedDict()

    async def login(self, holder: str, given: McpLogin | None) -> McpPassed:
        """Log in and keep the token for this holder, instead of one that it has.

        Raises:
            InvalidRequest: no account is given, and none configured.
            Unauthorized: the service refuses this account.
            BackendTimeout, BackendUnavailable, RateLimited: see `_read_answer`.
        """
        account = given or self._account
        if account is None:
            raise InvalidRequest(_NO_ACCOUNT)
        body = msgspec.json.encode({"username": account.username, "password": account.password})
        answer = await self._ask(McpAction.LOGIN, body=body)
        if answer.status in {401, 403}:
            raise _error(Unauthorized, "refuses this username and password: give others")
        told = _read_answer(answer)
        token = token_of(told) if answer.status < 300 else None
        if token is not None:
            self._keep(holder, token)
        elif answer.status < 300:
            raise _error(BackendUnavailable, "has answered a login without a token")
        secrets = {account.password, *(() if token is None else (token,))}
        kept = without_secrets(without_secret_members(told), secrets)
        return McpPassed(answer.status, msgspec.json.encode(kept))

    async def read(self, holder: str, action: McpAction) -> McpPassed:
        """What the service says of the account.

        Raises:
            Unauthorized: no session, or the service has ended it.
            BackendTimeout, BackendUnavailable, RateLimited: see `_read_answer`.
        """
        token = self._token(holder)
        answer = await self._ask(action, token=token)
        self._check_session(holder, token, answer)
        return self._passed(answer, _read_answer(answer), token)

    async def order(self, holder: str, body: bytes) -> McpPassed:
        """Send an order, once. `body`: its JSON, which goes out as it is.

        A cancellation after it was sent is logged as an unknown outcome.

        Raises:
            Unauthorized: no session, or the service has ended it; no order was placed.
            BackendUnavailable: there was no connection, or the order was refused without a reason.
            OrderOutcomeUnknown: it was sent, and there is no answer that tells.
        """
        token = self._token(holder)
        try:
            answer = await self._requests.send(
                McpAction.ORDER, token=token, body=body, deadline_s=self._deadline_s
            )
        except McpNoAnswer as exc:
            if exc.was_sent:
                raise _order_unknown(str(exc)) from None
            what = "can't be reached, so the order was not sent: try again"
            raise _error(BackendUnavailable, what) from None
        except BaseException:
            logger.warning("mcp.order_unknown", reason="the caller left")
            raise
        self._check_session(holder, token, answer)
        passed = self._order_answer(answer, token)
        logger.info("mcp.order", status=answer.status)
        return passed

    def keep_only(self, holders: Collection[str]) -> None:
        """Forget the tokens of all others."""
        for holder in self._tokens.keys() - set(holders):
            del self._tokens[holder]

    def _order_answer(self, answer: McpAnswer, token: str) -> McpPassed:
        if not (200 <= answer.status < 300 or 400 <= answer.status < 500):
            reason = f"it answered {answer.status}"
            raise _order_unknown(reason)
        if not answer.body.strip():
            return McpPassed(200 if answer.status == 204 else answer.status, b"null")
        try:
            told = _decoded(answer.body)
        except BackendUnavailable:
            if answer.status < 300:
                raise _order_unknown("its answer is not JSON") from None
            what = f"has refused the order with {answer.status}, and not said why"
            raise _error(BackendUnavailable, what) from None
        return self._passed(answer, told, token)

    def _passed(self, answer: McpAnswer, told: Any, token: str) -> McpPassed:  # noqa: ANN401
        """The answer; its very bytes, unless it has a secret."""
        secrets = {token} if self._account is None else {token, self._account.password}
        kept = without_secrets(told, secrets)
        body = answer.body if kept == told else msgspec.json.encode(kept)
        return McpPassed(answer.status, body)

    async def _ask(
        self, action: McpAction, *, token: str | None = None, body: bytes | None = None
    ) -> McpAnswer:
        try:
            return await self._requests.send(
                action, token=token, body=body, deadline_s=self._deadline_s
            )
        except McpNoAnswer as exc:
            if exc.is_late:
                error = _error(BackendTimeout, "did not answer in time: try again")
            else:
                error = _error(BackendUnavailable, "can't be reached: try again in a moment")
        raise error

    def _token(self, holder: str) -> str:
        token = self._tokens.get(holder)
        if token is None:
            raise Unauthorized("no session there: log in at /mcp/login")
        self._tokens.move_to_end(holder)
        return token

    def _keep(self, holder: str, token: str) -> None:
        self._tokens[holder] = token
        self._tokens.move_to_end(holder)
        if len(self._tokens) > _SESSIONS:
            self._tokens.popitem(last=False)

    def _check_session(self, holder: str, token: str, answer: McpAnswer) -> None:
        """Forget a token that the service refuses."""
        if answer.status in {401, 403}:
            if self._tokens.get(holder) == token:
                del self._tokens[holder]
            raise _error(Unauthorized, "has ended this session: log in again at /mcp/login")


def _error(kind: type[BffError], what: str) -> BffError:
    """An error that says `what` of the service."""
    return kind(f"the market-connectivity service {what}")


def _order_unknown(reason: str) -> OrderOutcomeUnknown:
    logger.warning("mcp.order_unknown", reason=reason)
    return OrderOutcomeUnknown(_UNKNOWN)


def _read_answer(answer: McpAnswer) -> Any:  # noqa: ANN401
    """The JSON of an answer that is passed on: of a status from 200 on and below 300, or 4xx.

    Raises:
        RateLimited: the service has had too many requests.
        BackendUnavailable: another status, or no JSON.
    """
    if answer.status == 429:
        raise _error(RateLimited, "has had too many requests: try later")
    if not (200 <= answer.status < 300 or 400 <= answer.status < 500):
        raise _error(BackendUnavailable, f"answered {answer.status}: try again in a moment")
    return _decoded(answer.body)


def _decoded(body: bytes) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _error(BackendUnavailable, "has answered what is no JSON") from None
