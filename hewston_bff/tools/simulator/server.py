"""The simulated backend: a real aiohttp server that behaves like the platform's."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from hewston_bff.tools.simulator.catalog import SimulatedCatalog
from hewston_bff.tools.simulator.event_stream import EventStream
from hewston_bff.tools.simulator.faults import FaultPlan, Refuse, RefuseConnection, Script
from hewston_bff.tools.simulator.front import Front, dropped
from hewston_bff.tools.simulator.gate import EventsGate, Gate
from hewston_bff.tools.simulator.options import SimulatorOptions
from hewston_bff.tools.simulator.rest import RestHandlers, detail_answer
from hewston_bff.tools.simulator.runs import SimulatedRun
from hewston_bff.tools.simulator.socket_stream import SocketStream
from hewston_bff.tools.simulator.stats import BackendStats, ConnectionStats, Recorder
from hewston_bff.tools.simulator.stream_context import StreamContext

_RUN = "/backtests/{run_id:[^/]+}"
_LINGER_NOTHING = struct.pack("ii", 1, 0)


class SimulatedBackend:
    """The backend's state, which outlives its restarts: runs, counters, faults.

    Runs begin to age when the backend is first started.
    """

    def __init__(
        self, runs: Iterable[SimulatedRun], *, options: SimulatorOptions | None = None
    ) -> None:
        self._options = options if options is not None else SimulatorOptions()
        self._recorder = Recorder()
        self._gate = Gate(self._recorder, is_deafening=self._options.deaf_while_flooding)
        # the real one serves others while it streams events
        self._events_gate = EventsGate(self._recorder, behind=self._gate)
        self._origin_s: float | None = None
        self._catalog = SimulatedCatalog(runs, clock=self._age_s)
        self._front = Front(options=self._options, gate=self._gate, recorder=self._recorder)
        self._faults = self._options.faults
        self._tokens = self._options.require_token
        self._ordinals: Counter[str] = Counter()

    def build_app(self) -> web.Application:
        """A new application over this state. Serve it with `handler_cancellation`."""
        rest = RestHandlers(self._catalog, options=self._options)
        app = web.Application(middlewares=[self._front.middleware])
        app.router.add_get("/healthz", rest.healthz, allow_head=False)
        app.router.add_get("/backtests", rest.list_runs, allow_head=False)
        app.router.add_post("/backtests", rest.create_run)
        app.router.add_get(f"{_RUN}/ws", self._serve_socket, allow_head=False)
        if self._options.has_events:
            app.router.add_get(f"{_RUN}/stream", self._serve_events, allow_head=False)
        app.router.add_get(_RUN, self._permitted(rest.run_detail), allow_head=False)
        if self._options.has_parts:
            app.router.add_get(f"{_RUN}/equity", self._permitted(rest.equity), allow_head=False)
            app.router.add_get(f"{_RUN}/orders", self._permitted(rest.orders), allow_head=False)
        for name in ("daily", "minute", "hour", "minute_decimated"):
            app.router.add_get(f"/bars/{name}", getattr(rest, name), allow_head=False)
        app.on_response_prepare.append(self._front.dress)
        app.on_startup.append(self._begin)
        return app

    def running(self, *, port: int = 0, host: str = "127.0.0.1") -> "RunningBackend":
        """Serves this backend while its `async with` block lasts; port 0 is any free one."""
        return RunningBackend(self, port=port, host=host)

    def stats(self) -> BackendStats:
        """What was counted so far."""
        return self._recorder.snapshot()

    def put_run(self, run: SimulatedRun) -> None:
        """Add a run, or replace the one of its id; it begins to age now."""
        self._catalog.put(run)

    def set_faults(self, plan: FaultPlan) -> None:
        """Another plan for the connections to come; they are counted from 0 again."""
        self._faults = plan
        self._ordinals.clear()

    def set_tokens(self, tokens: Mapping[str, Collection[str] | None] | None) -> None:
        """Other permissions from now on; open streams stay."""
        self._tokens = tokens

    def revive(self) -> None:
        """Up again after a crash."""
        self._front.revive()

    @property
    def keepalive_s(self) -> float:
        """After how long an idle pooled connection is closed."""
        return self._options.keepalive_s

    def _age_s(self) -> float:
        if self._origin_s is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._origin_s

    async def _begin(self, app: web.Application) -> None:  # noqa: ARG002 - a signal's argument
        if self._origin_s is None:
            self._origin_s = asyncio.get_running_loop().time()

    def _permitted(self, handler: Handler) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            refused = self._forbidden(request, run_id=request.match_info["run_id"])
            return refused if refused is not None else await handler(request)

        return serve

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return detail_answer(404, "Not Found")
        return await self._serve_stream(request, SocketStream, transport="ws")

    async def _serve_events(self, request: web.Request) -> web.StreamResponse:
        return await self._serve_stream(request, EventStream, transport="sse")

    async def _serve_stream(
        self,
        request: web.Request,
        kind: type[SocketStream | EventStream],
        *,
        transport: str,
    ) -> web.StreamResponse:
        run_id = request.match_info["run_id"]
        refused = self._forbidden(request, run_id=run_id)
        if refused is not None:
            return refused
        script = self._faults.script_for(run_id, ordinal=self._ordinals[run_id])
        seen = ConnectionStats(
            run_id=run_id,
            ordinal=self._ordinals[run_id],
            transport=transport,
            authorization=request.headers.get("Authorization"),
            cookie=request.headers.get("Cookie"),
        )
        self._ordinals[run_id] += 1
        self._recorder.connections.append(seen)
        try:
            refused = _refused(request, script)
            if refused is not None:
                return refused
            context = StreamContext(
                request,
                run_id=run_id,
                script=script,
                seen=seen,
                catalog=self._catalog,
                options=self._options,
                gate=self._gate if transport == "ws" else self._events_gate,
                recorder=self._recorder,
            )
            return await kind(context).serve()
        finally:
            seen.is_open = False

    def _forbidden(self, request: web.Request, *, run_id: str) -> web.Response | None:
        """The 401 or 403 for this request, None if it may see the run."""
        if self._tokens is None:
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._tokens:
            return detail_answer(401, "Not authenticated")
        allowed = self._tokens[token]
        if allowed is not None and run_id not in allowed:
            return detail_answer(403, "Forbidden")
        return None


class RunningBackend:
    """A backend on a port; it can be killed and started again, on the same port."""

    def __init__(self, backend: SimulatedBackend, *, port: int, host: str) -> None:
        self.backend = backend
        self.port = port
        self._host = host
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()

    @property
    def url(self) -> str:
        """The base address, without a trailing slash."""
        return f"http://{self._host}:{self.port}"

    @property
    def is_up(self) -> bool:
        """Whether it is started."""
        return self._runner is not None

    async def start(self) -> None:
        """Listen; a second start without a kill does nothing.

        Raises:
            OSError: the port is taken.
        """
        if self._runner is not None:
            return
        self.backend.revive()
        self._runner = web.AppRunner(
            self.backend.build_app(),
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=self.backend.keepalive_s,
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        try:
            await site.start()
        except OSError:
            await self.kill()
            raise
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """Stop as a killed process does: the port is closed, every connection is reset."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        self._reset_all(runner)
        await runner.cleanup()

    async def drop_connections(self) -> None:
        """Reset every connection and go on listening."""
        if self._runner is not None:
            self._reset_all(self._runner)

    def _reset_all(self, runner: web.AppRunner) -> None:
        server = runner.server
        for connection in [] if server is None else list(server.connections):
            transport = connection.transport
            if transport is not None:
                # without lingering the kernel sends a reset and not an orderly end
                opened: socket.socket = transport.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
                transport.abort()


def _refused(request: web.Request, script: Script) -> web.Response | None:
    for fault in script:
        match fault:
            case RefuseConnection():
                return dropped(request)
            case Refuse(status=status):
                return detail_answer(status, "simulated refusal")
            case _:
                continue
    return None
