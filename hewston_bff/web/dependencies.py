"""What we depend on, in a word each."""

from typing import Literal

from aiohttp import web

from hewston_bff.web.keys import ARTIFACTS, BACKEND, CATALOG, REDIS, SERVICES

DependencyState = Literal["ok", "degraded", "down", "disabled"]

_BACKEND_S = 2.0


async def dependency_states(app: web.Application) -> dict[str, DependencyState]:
    """All of them by name, the services that are probed too. The backend is given 2 s to answer."""
    states: dict[str, DependencyState] = {
        "backend_api": await app[BACKEND].state(within_s=_BACKEND_S),
        "redis": await redis_state(app),
        "catalog": await catalog_state(app),
    }
    return states | {row.name: row.status for row in app[SERVICES].known().services}


async def redis_state(app: web.Application) -> DependencyState:
    """The Redis that processes share."""
    if REDIS not in app:
        return "disabled"
    return "ok" if await app[REDIS].is_up() else "down"


async def catalog_state(app: web.Application) -> DependencyState:
    """The catalog, or without one the artifacts; `degraded` if one of two is there."""
    parts = [part for part in (app.get(CATALOG), app.get(ARTIFACTS)) if part is not None]
    up = [await part.is_up() for part in parts]
    if not parts:
        return "disabled"
    return "ok" if all(up) else "degraded" if any(up) else "down"
