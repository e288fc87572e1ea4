"""Who asks, where API keys decide: topics of events, jobs, orders, figures of the service."""

from aiohttp import hdrs, web

from hewston_bff.credentials import ApiCaller, Scope
from hewston_bff.errors import ApiKeyRequired, BffError, Forbidden
from hewston_bff.web.addresses import is_trusted
from hewston_bff.web.credentials import offered_api_key
from hewston_bff.web.endpoint import Header
from hewston_bff.web.keys import API_KEYS

API_KEY = "X-API-Key"
API_KEY_HEADER = Header(API_KEY, "The caller's API key, where the operator has a file of them.")
API_KEY_ERRORS: tuple[type[BffError], ...] = (ApiKeyRequired, Forbidden)
"""What `require` raises."""
_BEARER = "bearer "
_BEARER_SCOPES = frozenset({Scope.BUS, Scope.JOBS})


def caller_of(request: web.Request, *, bearer_counts: bool) -> ApiCaller:
    """Who asks: with the key of `X-API-Key`, else with one offered as subprotocol `apikey.<key>`.

    `bearer_counts`: else with that of `Authorization: Bearer`. Only where that header is not the
    viewer's credentials: on addresses of topics of events alone.
    """
    key = request.headers.get(API_KEY) or offered_api_key(request)
    if not key and bearer_counts:
        authorization = request.headers.get(hdrs.AUTHORIZATION, "")
        if authorization.lower().startswith(_BEARER):
            key = authorization[len(_BEARER) :].strip()
    return ApiCaller(key or None, is_trusted=is_trusted(request))


def require(request: web.Request, scope: Scope, *, bearer_counts: bool | None = None) -> ApiCaller:
    """Who asks, if it may what needs `scope`.

    `bearer_counts`: see `caller_of`; by default on addresses of `bus` and `jobs`.

    Raises:
        ApiKeyRequired: it sent no key, or one that does not hold.
        Forbidden: its key has not this scope; or there are no keys and it is not trusted.
    """
    counts = scope in _BEARER_SCOPES if bearer_counts is None else bearer_counts
    caller = caller_of(request, bearer_counts=counts)
    refusal = request.app[API_KEYS].refusal(caller, scope)
    if refusal is not None:
        raise refusal
    return caller
