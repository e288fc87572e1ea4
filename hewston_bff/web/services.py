"""How the platform's other services are, and ours in a word each."""

import msgspec
from aiohttp import web

from hewston_bff.topics.system.statuses import ServiceRows
from hewston_bff.web.dependencies import DependencyState, catalog_state, redis_state
from hewston_bff.web.endpoint import JSON, ApiAnswer, Endpoint, RequestHandler, Tag
from hewston_bff.web.keys import SERVICES


class StateInAWord(msgspec.Struct, frozen=True):
    """How one of our own dependencies is."""

    status: DependencyState


async def services(request: web.Request) -> web.Response:
    """`GET /api/v1/health/services`: what the last probes found; none is made for this."""
    return _json(request.app[SERVICES].known())


async def redis(request: web.Request) -> web.Response:
    """`GET /api/v1/health/redis`: the Redis that processes share."""
    return _json(StateInAWord(await redis_state(request.app)))


async def catalog(request: web.Request) -> web.Response:
    """`GET /api/v1/health/db`: the catalog."""
    return _json(StateInAWord(await catalog_state(request.app)))


def _json(answer: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON)


def _endpoints(
    name: str, what: str, handler: RequestHandler, answer: type[msgspec.Struct], summary: str
) -> tuple[Endpoint, ...]:
    """The endpoint at its two addresses."""
    return tuple(
        Endpoint(
            name=f"get_{name}_health{suffix}",
            path=f"{prefix}/health/{what}",
            handler=handler,
            tag=Tag.OPERATIONS,
            summary=summary,
            answers=(ApiAnswer(200, "Always, however they are.", answer),),
        )
        for prefix, suffix in (("/api/v1", ""), ("", "_unprefixed"))
    )


ENDPOINTS = (
    *_endpoints("service", "services", services, ServiceRows, "How the services are that we probe"),
    *_endpoints("redis", "redis", redis, StateInAWord, "Whether the shared Redis answers"),
    *_endpoints("catalog", "db", catalog, StateInAWord, "Whether the catalog can be read"),
)
