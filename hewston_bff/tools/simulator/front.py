"""What happens to every request before and after its handler: the middleware of the simulator."""

import asyncio
from collections import Counter
from http import HTTPStatus
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler

from hewston_bff.tools.simulator.catalog import Broken, Crash
from hewston_bff.tools.simulator.faults import AnswerWith, Delay, RefuseConnection
from hewston_bff.tools.simulator.gate import Gate
from hewston_bff.tools.simulator.options import SimulatorOptions
from hewston_bff.tools.simulator.rest import BadQuery, detail_answer, json_answer
from hewston_bff.tools.simulator.stats import Recorder, RequestStats

_ORIGINS = frozenset({"http://127.0.0.1:5173", "http://localhost:5173"})
_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_DOOMED_FOR_S = 0.5


class Front:
    """Counts, delays, fails and dresses up every request."""

    def __init__(self, *, options: SimulatorOptions, gate: Gate, recorder: Recorder) -> None:
        self._options = options
        self._gate = gate
        self._recorder = recorder
        self._rest_ordinals: Counter[str] = Counter()
        self._doomed: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._down_until_s = 0.0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every handler, matched or not."""
        if self._is_down() or request.transport in self._doomed:
            return dropped(request)
        if request.transport is not None:
            self._transports.add(request.transport)
        route = route_of(request)
        self._recorder.request(
            RequestStats(
                route=route,
                path=request.path_qs,
                run_id=request.match_info.get("run_id"),
                authorization=request.headers.get("Authorization"),
                cookie=request.headers.get("Cookie"),
                idempotency_key=request.headers.get("Idempotency-Key"),
            )
        )
        if "/" in request.match_info.get("run_id", ""):
            return detail_answer(404, "Not Found")  # an encoded slash matches no route there
        await self._gate.pass_by()
        if _is_preflight(request):
            return _preflight_answer(request)
        response = await self._fault(request, route)
        if response is None:
            response = await self._answered(request, handler)
        if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._doom(request)
        return response

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """CORS headers on what is about to be sent; a signal receiver."""
        origin = request.headers.get("Origin")
        if origin is None or response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return
        response.headers["Access-Control-Allow-Credentials"] = "true"
        if origin in _ORIGINS:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"

    def revive(self) -> None:
        """Up again after a crash."""
        self._down_until_s = 0.0

    async def _fault(self, request: web.Request, route: str) -> web.StreamResponse | None:
        faults = self._options.rest_faults.get(route, ())
        ordinal = self._rest_ordinals[route]
        self._rest_ordinals[route] += 1
        match faults[ordinal] if ordinal < len(faults) else None:
            case AnswerWith(status=status, body=body, content_type=content_type):
                return web.Response(status=status, body=body, content_type=content_type)
            case RefuseConnection():
                return dropped(request)
            case Delay(seconds=seconds):
                await asyncio.sleep(seconds)
            case None:
                pass
        return None

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQuery as exc:
            return json_answer({"detail": exc.problems}, status=422)
        except Broken:
            return web.Response(status=500, text="Internal Server Error")
        except Crash:
            self._crash()
            return dropped(request)
        except web.HTTPMethodNotAllowed as exc:
            response = detail_answer(405, "Method Not Allowed")
            # the real one names the methods of the first route of that path only
            response.headers["Allow"] = "POST" if "POST" in exc.allowed_methods else "GET"
            return response
        except web.HTTPNotFound:
            return await _not_found(request)

    def _crash(self) -> None:
        """The process dies and something starts it again: until then nobody is served."""
        self._down_until_s = asyncio.get_running_loop().time() + self._options.crash_s
        for transport in list(self._transports):
            transport.abort()

    def _is_down(self) -> bool:
        return asyncio.get_running_loop().time() < self._down_until_s

    def _doom(self, request: web.Request) -> None:
        """After a 500: keep the connection, say nothing, and fail whatever comes next on it."""
        transport = request.transport
        if transport is not None:
            self._doomed.add(transport)
            asyncio.get_running_loop().call_later(_DOOMED_FOR_S, transport.close)


def dropped(request: web.Request) -> web.Response:
    """No answer: the connection is aborted, what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=444)


def route_of(request: web.Request) -> str:
    """Such as `GET /backtests/{run_id}`; empty when nothing matched."""
    resource = request.match_info.route.resource
    return "" if resource is None else f"{request.method} {resource.canonical}"


async def _not_found(request: web.Request) -> web.Response:
    """A trailing slash too many is told where to go, as the framework there does."""
    path = request.rel_url.raw_path
    if path.endswith("/") and path != "/":
        url = request.url.with_path(path.rstrip("/"), encoded=True).with_query(request.query)
        bare = request.clone(rel_url=url.relative())
        found = await request.app.router.resolve(bare)
        if found.http_exception is None:
            return web.Response(status=307, headers={"Location": str(url)})
    return detail_answer(404, "Not Found")


def _is_preflight(request: web.Request) -> bool:
    wanted = "Access-Control-Request-Method"
    return request.method == "OPTIONS" and "Origin" in request.headers and wanted in request.headers


def _preflight_answer(request: web.Request) -> web.Response:
    is_allowed = request.headers["Origin"] in _ORIGINS
    response = web.Response(
        status=200 if is_allowed else 400,
        text="OK" if is_allowed else "Disallowed CORS origin",
        headers={
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        },
    )
    if wanted := request.headers.get("Access-Control-Request-Headers"):
        response.headers["Access-Control-Allow-Headers"] = wanted
    return response
