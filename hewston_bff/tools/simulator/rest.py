"""The REST handlers: thin, each answering with the bytes and the errors of the real backend."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from hewston_bff.tools.simulator import bars, parts
from hewston_bff.tools.simulator.bars import BarsRefused, BarsWindow
from hewston_bff.tools.simulator.catalog import BadRequest, ListQuery, SimulatedCatalog
from hewston_bff.tools.simulator.options import SimulatorOptions
from hewston_bff.tools.simulator.runs import Lifecycle, SimulatedStatus

_MOST_ITEMS = 500
_LARGEST_OFFSET = (1 << 63) - 1
_TRUE = frozenset({"1", "true", "on", "yes", "y", "t"})
_FALSE = frozenset({"0", "false", "off", "no", "n", "f"})


class BadQuery(Exception):
    """Query parameters that answer 422; `problems` is the `detail`."""

    def __init__(self, problems: list[dict[str, object]]) -> None:
        super().__init__("bad query")
        self.problems = problems


def json_answer(value: object, *, status: int = 200) -> web.Response:
    """Compact JSON, with a content type without a charset."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def detail_answer(status: int, text: str) -> web.Response:
    """The framework's own error shape."""
    return json_answer({"detail": text}, status=status)


def envelope_answer(status: int, *, code: str, message: str) -> web.Response:
    """The application's error shape."""
    return json_answer({"error": {"code": code, "message": message}}, status=status)


class RestHandlers:
    """The handlers of all routes that are no streams."""

    def __init__(self, catalog: SimulatedCatalog, *, options: SimulatorOptions) -> None:
        self._catalog = catalog
        self._options = options

    async def healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a handler
        """`GET /healthz`."""
        return json_answer({"status": "ok"})

    async def list_runs(self, request: web.Request) -> web.Response:
        """`GET /backtests`."""
        query = _Query(request)
        limit = query.integer("limit", default=20)
        offset = query.integer("offset", default=0)
        query.check()
        wanted = ListQuery(
            limit=min(max(limit, 1), _MOST_ITEMS),
            offset=max(offset, 0),
            symbol=query.text("symbol") or None,
            strategy_id=query.text("strategy_id") or None,
            overlap_from=query.text("from"),
            overlap_to=query.text("to"),
            is_ascending=query.text("order") == "created_at",
        )
        # too large for the catalogue's database: it fails, and the answer is a page of nothing
        items, total = ([], 0) if offset > _LARGEST_OFFSET else self._catalog.items(wanted)
        page = {"items": items, "total": total, "limit": wanted.limit, "offset": "@"}
        # integers of any size are echoed; msgspec stops at 64 bits
        body = msgspec.json.encode(page).replace(b'"@"', str(wanted.offset).encode())
        return web.Response(body=body, content_type="application/json")

    async def run_detail(self, request: web.Request) -> web.Response:
        """`GET /backtests/{id}`."""
        run_id = request.match_info["run_id"]
        live = self._catalog.get(run_id)
        if live is None:
            return envelope_answer(404, code="RUN_NOT_FOUND", message=f"Run {run_id} not found")
        return json_answer(live.run.detail(status=live.progress().status))

    async def equity(self, request: web.Request) -> web.Response:
        """`GET /backtests/{id}/equity`."""
        return await self._part(request, parts.equity)

    async def orders(self, request: web.Request) -> web.Response:
        """`GET /backtests/{id}/orders`."""
        return await self._part(request, parts.orders)

    async def _part(
        self, request: web.Request, read: Callable[[Sequence[bytes]], bytes]
    ) -> web.Response:
        live = self._catalog.get(request.match_info["run_id"])
        # What a run comes to is written when it is done.
        if live is None or live.progress().status not in {
            SimulatedStatus.DONE,
            SimulatedStatus.COMPLETED,
        }:
            return detail_answer(404, "Not Found")
        # Of a year it takes half a second, which the demo's own server would miss.
        run = live.run
        body = await asyncio.to_thread(lambda: read(run.frames))
        return web.Response(body=body, content_type="application/json")

    async def create_run(self, request: web.Request) -> web.Response:
        """`POST /backtests`; `X-Idempotency-Key`, which is documented, is ignored."""
        lifecycle = Lifecycle(
            queued_s=self._options.created_queued_s, running_s=self._options.created_running_s
        )
        try:
            created = self._catalog.create(
                await request.read(),
                idempotency_key=request.headers.get("Idempotency-Key"),
                lifecycle=lifecycle,
            )
        except BadRequest as exc:
            return envelope_answer(400, code="BAD_REQUEST", message=str(exc))
        if created.is_new:
            return json_answer({"run_id": created.run_id, "status": "QUEUED"}, status=202)
        return json_answer({"run_id": created.run_id, "status": "EXISTS"})

    async def daily(self, request: web.Request) -> web.Response:
        """`GET /bars/daily`: the dates are optional here only."""
        query = _Query(request)
        window = BarsWindow(query.required("symbol"), query.text("from"), query.text("to"))
        query.check()
        return _bars_answer(lambda: bars.daily(self._catalog, window))

    async def minute(self, request: web.Request) -> web.Response:
        """`GET /bars/minute`."""
        window = _window(_Query(request))
        return _bars_answer(lambda: bars.minute(self._catalog, window))

    async def hour(self, request: web.Request) -> web.Response:
        """`GET /bars/hour`."""
        window = _window(_Query(request))
        return _bars_answer(lambda: bars.hour(self._catalog, window))

    async def minute_decimated(self, request: web.Request) -> web.Response:
        """`GET /bars/minute_decimated`."""
        query = _Query(request)
        target = query.integer("target", default=10_000)
        window = _window(query)
        return _bars_answer(lambda: bars.minute_decimated(self._catalog, window, target=target))


class _Query:
    """Reads parameters as the framework does: the last of equal names; all problems at once."""

    def __init__(self, request: web.Request) -> None:
        self._values = dict(request.query)
        self._values.update({name: request.query.getall(name)[-1] for name in request.query})
        self._problems: list[dict[str, object]] = []

    def text(self, name: str) -> str | None:
        """The value, or None."""
        return self._values.get(name)

    def required(self, name: str) -> str:
        """The value; without one it is a problem."""
        if name not in self._values:
            self._problem("missing", name, "Field required", value=None)
        return self._values.get(name, "")

    def integer(self, name: str, *, default: int) -> int:
        """A whole number; other text is a problem."""
        value = self._values.get(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            message = "Input should be a valid integer, unable to parse string as an integer"
            self._problem("int_parsing", name, message, value=value)
            return default

    def flag(self, name: str) -> None:
        """Only checks: all simulated bars are of regular trading hours."""
        value = self._values.get(name)
        if value is not None and value.lower() not in _TRUE | _FALSE:
            message = "Input should be a valid boolean, unable to interpret input"
            self._problem("bool_parsing", name, message, value=value)

    def check(self) -> None:
        """Raise BadQuery if there was any problem."""
        if self._problems:
            raise BadQuery(self._problems)

    def _problem(self, kind: str, name: str, message: str, *, value: str | None) -> None:
        self._problems.append(
            {"type": kind, "loc": ["query", name], "msg": message, "input": value}
        )


def _window(query: _Query) -> BarsWindow:
    window = BarsWindow(query.required("symbol"), query.required("from"), query.required("to"))
    query.flag("rth_only")
    query.check()
    return window


def _bars_answer(read: Callable[[], dict[str, object]]) -> web.Response:
    try:
        return json_answer(read())
    except BarsRefused as exc:
        return detail_answer(exc.status, exc.detail)
