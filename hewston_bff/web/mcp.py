"""What is passed on to the market-connectivity service, and who may ask for it."""

from dataclasses import replace

import msgspec
from aiohttp import hdrs, web
from pydantic import ConfigDict

from hewston_bff.api_keys import digest_of
from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import (
    BackendTimeout,
    BackendUnavailable,
    FeatureDisabled,
    InvalidRequest,
    OrderOutcomeUnknown,
    PayloadTooLarge,
    Unauthorized,
)
from hewston_bff.net.limits.rate_limits import RouteClass
from hewston_bff.net.mcp_requests import McpAction
from hewston_bff.services.mcp import Mcp, McpLogin, McpPassed
from hewston_bff.web.access import API_KEY_ERRORS, API_KEY_HEADER, require
from hewston_bff.web.addresses import client_address
from hewston_bff.web.bodies import read_body
from hewston_bff.web.endpoint import JSON, ApiAnswer, DocumentedModel, Endpoint, RequestHandler, Tag
from hewston_bff.web.keys import API_KEYS, MCP, SETTINGS

_BODY_BYTES = 1 << 16
_OFF = "the market-connectivity service is not configured here: BFF_MCP_URL"
_NO_ORDERS = "orders are switched off here: BFF_MCP_ORDERS"


class Passed(DocumentedModel):
    """Whatever the service says, without its token."""

    model_config = ConfigDict(extra="allow", defer_build=True)


async def login(request: web.Request) -> web.Response:
    """`GET|POST /mcp/login`: log in with the configured account, or that of the body."""
    mcp, holder = _admitted(request, Scope.BUS)
    given = None
    if request.method == hdrs.METH_POST and request.body_exists:
        given = _login(await _body(request))
    return _answer(await mcp.login(holder, given))


async def holdings(request: web.Request) -> web.Response:
    """`GET /mcp/holdings`."""
    mcp, holder = _admitted(request, Scope.BUS)
    return _answer(await mcp.read(holder, McpAction.HOLDINGS))


async def positions(request: web.Request) -> web.Response:
    """`GET /mcp/positions`."""
    mcp, holder = _admitted(request, Scope.BUS)
    return _answer(await mcp.read(holder, McpAction.POSITIONS))


async def order(request: web.Request) -> web.Response:
    """`POST /mcp/orders`: one order, sent once."""
    mcp, holder = _admitted(request, Scope.ORDERS)
    if not request.app[SETTINGS].bff_mcp_orders:
        raise FeatureDisabled(_NO_ORDERS)
    body = await _body(request)
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest("body: must be one JSON object, the order") from None
    return _answer(await mcp.order(holder, body))


def _admitted(request: web.Request, scope: Scope) -> tuple[Mcp, str]:
    """The service, and whom a session there is bound to, if the caller may ask."""
    # These are no addresses of topics: `Authorization` does not count as a key.
    caller = require(request, scope, bearer_counts=False)
    mcp = request.app.get(MCP)
    if mcp is None:
        raise FeatureDisabled(_OFF)
    return mcp, _holder(request, caller)


def _holder(request: web.Request, caller: ApiCaller) -> str:
    """The caller's key, as its digest; its address while there are no keys."""
    if request.app[API_KEYS].has_file and caller.key is not None:
        return digest_of(caller.key).hex()
    return client_address(request)


def _login(body: bytes) -> McpLogin:
    try:
        return msgspec.json.decode(body, type=McpLogin)
    except (msgspec.DecodeError, RecursionError):
        # The library's text may quote what was sent.
        raise InvalidRequest("body: must be a JSON object with username and password") from None


async def _body(request: web.Request) -> bytes:
    within_s = request.app[SETTINGS].bff_backend_timeout
    return await read_body(request, max_bytes=_BODY_BYTES, within_s=within_s)


def _answer(passed: McpPassed) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(status=passed.status, body=passed.body, content_type=JSON, headers=headers)


def _endpoint(name: str, path: str, handler: RequestHandler, summary: str) -> Endpoint:
    return Endpoint(
        name=name,
        path=path,
        handler=handler,
        tag=Tag.ACCOUNT,
        summary=summary,
        description="Answered as the service answers, without its token; its 4xx too.",
        headers=(API_KEY_HEADER,),
        answers=(
            ApiAnswer(200, "As the service answers.", Passed),
            ApiAnswer("default", "Any other answer of the service.", Passed),
        ),
        errors=(
            *API_KEY_ERRORS,
            *(Unauthorized, FeatureDisabled, BackendTimeout, BackendUnavailable),
        ),
        limit=RouteClass.PROXIED,
    )


_LOGIN = _endpoint("mcp_log_in", "/mcp/login", login, "Log in with the configured account")
_BODY_ERRORS = (InvalidRequest, PayloadTooLarge)
ENDPOINTS = (
    replace(_LOGIN, errors=(*_LOGIN.errors, InvalidRequest)),
    replace(
        _LOGIN,
        name="mcp_log_in_with",
        methods=(hdrs.METH_POST,),
        summary="Log in with the account of the body, or without a body with the configured one",
        body=McpLogin,
        errors=(*_LOGIN.errors, *_BODY_ERRORS),
    ),
    _endpoint("mcp_holdings", "/mcp/holdings", holdings, "What the account holds"),
    _endpoint("mcp_positions", "/mcp/positions", positions, "The open positions of the account"),
    replace(
        _endpoint("mcp_order", "/mcp/orders", order, "Send one order"),
        methods=(hdrs.METH_POST,),
        description=(
            "Sent exactly once, as it comes. `ORDER_OUTCOME_UNKNOWN`: it was sent, and no answer "
            "tells whether it was taken; look before you send it again."
        ),
        body=Passed,
        errors=(
            *API_KEY_ERRORS,
            *(Unauthorized, FeatureDisabled, BackendUnavailable, OrderOutcomeUnknown),
            *_BODY_ERRORS,
        ),
    ),
)
