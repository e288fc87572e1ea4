"""REST answers have the shapes, and the oddities, of the recorded ones."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from hewston_bff.tools.simulator import (
    AnswerWith,
    Delay,
    Lifecycle,
    RefuseConnection,
    SimulatedBackend,
    SimulatedRun,
    generated_run,
)
from hewston_bff.tools.simulator.runs import FIRST_CREATED
from tests.recordings import RECORDINGS, needs_recordings
from tests.tools.simulator.conftest import Serve
from tests.tools.simulator.support import PLAY, QUICK, decoded, texts
from tests.waiting import eventually

_WEEK = "from=2024-01-02&to=2024-01-08"


def _runs() -> list[SimulatedRun]:
    aapl = generated_run("a" * 32, frame_count=5 * 390)
    tsla = generated_run(
        "t", symbol="TSLA", created_at=FIRST_CREATED + timedelta(days=1), frame_count=22 * 390
    )
    return [aapl, tsla]


async def _get(
    session: aiohttp.ClientSession, path: str, **kwargs: object
) -> tuple[int, str, bytes]:
    async with session.get(path, allow_redirects=False, **kwargs) as answer:  # type: ignore[arg-type]
        return answer.status, answer.headers.get("Content-Type", ""), await answer.read()


def _shape(value: object) -> object:
    """The keys and types of a JSON value; of a list, of its first item."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


@needs_recordings
@pytest.mark.parametrize(
    ("recording", "path"),
    [
        ("detail", f"/backtests/{'a' * 32}"),
        ("detail_upper", "/backtests/NOPE"),
        ("detail_slash_enc", "/backtests/t%2Fws"),
        ("detail_nul", "/backtests/%00"),
        ("sub_orders", "/backtests/t/orders"),
        ("root", "/"),
        ("bars_root", "/bars"),
        ("list_frontend_query", "/backtests?limit=20&offset=0&order=-created_at"),
        ("list_limit_abc", "/backtests?limit=abc"),
        ("list_strategy_none", "/backtests?strategy_id=nope"),
        ("list_big_offset", "/backtests?offset=99999999999999999999"),
        ("daily_AAPL_all", "/bars/daily?symbol=AAPL"),
        ("daily_empty_from", "/bars/daily?symbol=AAPL&from="),
        ("daily_nosymbol", "/bars/daily"),
        ("daily_lower", "/bars/daily?symbol=aapl"),
        ("daily_dot_symbol", "/bars/daily?symbol=."),
        ("daily_bad_date2", "/bars/daily?symbol=AAPL&from=2024-1-1"),
        ("daily_bad_date3", "/bars/daily?symbol=AAPL&from=2024-02-30"),
        ("daily_300_symbol", f"/bars/daily?symbol={'A' * 300}"),
        ("daily_from_gt_to", "/bars/daily?symbol=AAPL&from=2024-01-31&to=2024-01-02"),
        ("daily_from_gt_to_years", "/bars/daily?symbol=AAPL&from=2025-12-31&to=2024-01-02"),
        ("daily_range_nodata", "/bars/daily?symbol=AAPL&from=2024-05-01&to=2024-05-31"),
        ("daily_year_nodata", "/bars/daily?symbol=AAPL&from=2023-01-01&to=2023-12-31"),
        ("minute_AAPL_1d", "/bars/minute?symbol=AAPL&from=2024-01-02&to=2024-01-02"),
        ("minute_rth_1", "/bars/minute?symbol=AAPL&from=2024-01-02&to=2024-01-02&rth_only=1"),
        ("minute_nofrom", "/bars/minute?symbol=AAPL"),
        ("minute_unknown", f"/bars/minute?symbol=ZZZZ&{_WEEK}"),
        ("minute_bad_date", "/bars/minute?symbol=AAPL&from=2024-13-45&to=2024-12-31"),
        ("hour_AAPL_2024", f"/bars/hour?symbol=AAPL&{_WEEK}"),
        ("hour_weekend", "/bars/hour?symbol=AAPL&from=2024-01-06&to=2024-01-07"),
        ("hour_bad_date", "/bars/hour?symbol=AAPL&from=2024-13-45&to=2024-12-31"),
        ("hour_garbage_date", "/bars/hour?symbol=AAPL&from=banana&to=2024-12-31"),
        ("decim_AAPL_2024", f"/bars/minute_decimated?symbol=AAPL&{_WEEK}"),
        ("decim_target_1e3", f"/bars/minute_decimated?symbol=AAPL&{_WEEK}&target=1e3"),
        ("decim_weekend", "/bars/minute_decimated?symbol=AAPL&from=2024-01-06&to=2024-01-07"),
        ("ws_plain_get", "/backtests/t/ws"),
    ],
)
async def test_an_answer_has_the_status_the_type_and_the_shape_of_the_recorded_one(
    serve: Serve, recording: str, path: str
) -> None:
    recorded = decoded((RECORDINGS / "rest" / f"{recording}.json").read_bytes())
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    status, content_type, body = await _get(session, path)
    assert status == recorded["status"]
    assert content_type == recorded["headers"]["content-type"]
    if isinstance(recorded["body"], str):
        assert body.decode() == recorded["body"]
    elif "detail" in recorded["body"]:
        assert decoded(body) == recorded["body"]
    else:
        assert _shape(decoded(body)) == _shape(recorded["body"])


async def test_the_list_is_clamped_filtered_and_ordered_newest_first(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))

    async def ids(query: str) -> list[str]:
        page = decoded((await _get(session, f"/backtests?{query}"))[2])
        return [item["run_id"] for item in page["items"]]

    assert await ids("") == ["t", "a" * 32]
    assert await ids("order=created_at") == ["a" * 32, "t"]
    assert await ids("order=symbol") == ["t", "a" * 32]
    assert await ids("limit=-5") == ["t"]
    assert await ids("limit=1&offset=1") == ["a" * 32]
    assert await ids("limit=1&limit=2&offset=-1") == ["t", "a" * 32]
    assert await ids("symbol=AAPL") == ["a" * 32]
    assert await ids("symbol=aapl") == []
    assert await ids("from=2024-01-20&to=2024-12-31") == ["t"]
    page = decoded((await _get(session, "/backtests?limit=9999"))[2])
    assert (page["limit"], page["total"]) == (500, 2)


async def test_bars_are_the_ones_the_frames_hold(serve: Serve) -> None:
    run = _runs()[0]
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    held = [(message["ts"], message["ohlc"]) for message in map(decoded, run.frames)]

    async def bars(path: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = decoded((await _get(session, path))[2])["bars"]
        return found

    minutes = await bars(f"/bars/minute?symbol=AAPL&{_WEEK}")
    assert minutes == [{"t": ts, **bar} for ts, bar in held]
    first_hour, first_day = held[:60], held[:390]
    assert (await bars(f"/bars/hour?symbol=AAPL&{_WEEK}"))[0] == _merged(first_hour)
    (day, *_) = await bars(f"/bars/daily?symbol=AAPL&{_WEEK}")
    assert day.pop("n")
    assert day == {**_merged(first_day), "t": "2024-01-02T00:00:00Z"}
    # a path as a symbol reads another folder there, so it must never be passed on
    assert await bars(f"/bars/minute?symbol=..%2Fother%2FAAPL&{_WEEK}") == minutes


def _merged(held: list[tuple[str, dict[str, float]]]) -> dict[str, object]:
    bars = [bar for _, bar in held]
    return {
        "t": held[0][0],
        "o": bars[0]["o"],
        "h": max(bar["h"] for bar in bars),
        "l": min(bar["l"] for bar in bars),
        "c": bars[-1]["c"],
        "v": sum(bar["v"] for bar in bars),
    }


async def test_equity_and_orders_are_there_only_where_they_are_wanted(serve: Serve) -> None:
    run = generated_run("t", frame_count=390)
    queued = generated_run("queued", lifecycle=Lifecycle(queued_s=60.0))
    frames = [decoded(frame) for frame in run.frames]
    _, session = await serve(
        SimulatedBackend([run, queued], options=replace(QUICK, has_parts=True))
    )
    points = decoded((await _get(session, "/backtests/t/equity"))[2])["equity"]
    assert points == [
        {"timestamp": frame["ts"], "equity": frame["equity"]["value"]} for frame in frames
    ]
    placed = decoded((await _get(session, "/backtests/t/orders"))[2])["orders"]
    assert placed == [order for frame in frames for order in frame["orders"]]
    for path in ("/backtests/queued/equity", "/backtests/no/orders", "/backtests/t/metrics"):
        assert (await _get(session, path))[0] == 404
    _, session = await serve(SimulatedBackend([run], options=QUICK))
    assert (await _get(session, "/backtests/t/equity"))[0] == 404


async def test_decimation_misses_its_target_as_the_real_one_does(serve: Serve) -> None:
    runs = [generated_run("r", frame_count=252 * 390)]
    _, session = await serve(SimulatedBackend(runs, options=QUICK))
    year = "/bars/minute_decimated?symbol=AAPL&from=2024-01-01&to=2024-12-31"
    expected = {"": (60, 7), "&target=1000": (240, 3), "&target=0": (240, 3)}
    for query, (stride, most_a_day) in expected.items():
        meta = decoded((await _get(session, year + query))[2])["meta"]
        assert meta["stride_minutes"] == stride
        assert 252 < meta["points"] <= 252 * (most_a_day + 1)


async def test_a_trailing_slash_is_redirected_to_its_own_absolute_address(serve: Serve) -> None:
    running, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    async with session.get("/backtests/t/?x=1", allow_redirects=False) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == f"{running.url}/backtests/t?x=1"
        assert await answer.read() == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "/healthz", "GET"),
        ("POST", "/healthz", "GET"),
        ("PUT", "/backtests", "POST"),
        ("OPTIONS", "/backtests", "POST"),
        ("POST", "/bars/daily", "GET"),
    ],
)
async def test_other_methods_are_not_allowed(
    serve: Serve, method: str, path: str, allowed: str
) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    async with session.request(method, path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:5173", "http://localhost:5173"])
async def test_the_frontends_origins_are_allowed_with_credentials(
    serve: Serve, origin: str
) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }
    async with session.options("/backtests", headers=headers) as answer:
        assert (answer.status, await answer.text()) == (200, "OK")
        assert answer.headers["Access-Control-Max-Age"] == "600"
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type,idempotency-key"
    async with session.get("/backtests/nope", headers={"Origin": origin}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"


async def test_other_origins_are_not_allowed(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    async with session.get("/healthz", headers={"Origin": "http://evil.example"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_after_a_500_the_next_request_on_that_connection_fails(serve: Serve) -> None:
    running, _ = await serve(SimulatedBackend(_runs(), options=QUICK))
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(running.url, connector=connector) as session:
        assert (await _get(session, "/bars/daily?symbol=AAPL&from=x"))[0] == 500
        # POST is not retried by the client, as it may have been carried out
        with pytest.raises(aiohttp.ClientError):
            await session.post("/backtests", data=b"{}")
        assert (await _get(session, "/healthz"))[0] == 200


_BODY: dict[str, object] = {
    "dataset_id": "AAPL-2024-1m",
    "strategy_id": "sma_crossover",
    "params": {"fast": 20, "slow": 50},
    "from": "2024-12-02",
    "to": "2024-12-03",
}


async def test_a_created_run_is_queued_then_running_then_plays(serve: Serve) -> None:
    options = replace(QUICK, created_queued_s=0.2, created_running_s=1.5)
    _, session = await serve(SimulatedBackend(_runs(), options=options))
    async with session.post("/backtests", json=_BODY) as answer:
        assert answer.status == 202
        created = decoded(await answer.read())
    assert created["status"] == "QUEUED"
    path = f"/backtests/{created['run_id']}"
    # It may have gone on before the first look at it.
    seen: list[str] = [created["status"]]

    async def is_done() -> bool:
        seen.append(decoded((await _get(session, path))[2])["status"])
        return seen[-1] == "DONE"

    await eventually(is_done)
    assert list(dict.fromkeys(seen)) == ["QUEUED", "RUNNING", "DONE"]
    async with session.ws_connect(f"{path}/ws") as socket:
        await socket.send_str(PLAY)
        frames = await texts(socket, count=780)
    assert decoded(frames[0])["ts"] == "2024-12-02T14:30:00Z"
    newest = decoded((await _get(session, "/backtests?limit=1"))[2])["items"][0]
    assert newest["run_id"] == created["run_id"]


async def test_the_same_key_or_the_same_input_finds_the_run(serve: Serve) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))

    async def post(body: dict[str, object], **headers: str) -> tuple[int, str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with session.post("/backtests", json=body, headers=named) as answer:
            created = decoded(await answer.read())
            return answer.status, created["status"], created["run_id"]

    status, _, run_id = await post(_BODY, Idempotency_Key="K")
    assert status == 202
    other = {**_BODY, "seed": 7}
    assert await post(other, Idempotency_Key="K") == (200, "EXISTS", run_id)
    assert await post(_BODY) == (200, "EXISTS", run_id)
    assert (await post(other, X_Idempotency_Key="K"))[:2] == (202, "QUEUED")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "invalid JSON"),
        (b'{"params":{}}', "missing strategy_id/params"),
        (b'{"strategy_id":"x","params":null}', "missing strategy_id/params"),
        (b'{"strategy_id":"x","params":{}}', "provide dataset_id or (symbol, year)"),
    ],
)
async def test_a_bad_body_is_refused(serve: Serve, body: bytes, message: str) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    async with session.post("/backtests", data=body) as answer:
        assert answer.status == 400
        assert decoded(await answer.read()) == {
            "error": {"code": "BAD_REQUEST", "message": message}
        }


@pytest.mark.parametrize("change", [{"speed": None}, {"dataset_id": "ZZZ-2024-1m"}, {"seed": "x"}])
async def test_a_body_it_trips_over_is_a_500_in_plain_text(
    serve: Serve, change: dict[str, object]
) -> None:
    _, session = await serve(SimulatedBackend(_runs(), options=QUICK))
    async with session.post("/backtests", json={**_BODY, **change}) as answer:
        assert (answer.status, await answer.text()) == (500, "Internal Server Error")
        assert answer.content_type == "text/plain"


async def test_a_run_over_days_without_bars_fails(serve: Serve) -> None:
    options = replace(QUICK, created_queued_s=0.0, created_running_s=0.0)
    _, session = await serve(SimulatedBackend(_runs(), options=options))
    body = {**_BODY, "from": "2023-01-01", "to": "2023-12-31"}
    async with session.post("/backtests", json=body) as answer:
        run_id = decoded(await answer.read())["run_id"]
    assert decoded((await _get(session, f"/backtests/{run_id}"))[2])["status"] == "ERROR"


async def test_symbol_and_year_stop_the_backend_for_a_while(serve: Serve) -> None:
    backend = SimulatedBackend(_runs(), options=replace(QUICK, crash_s=0.1))
    _, session = await serve(backend)
    body = {"strategy_id": "x", "params": {}, "symbol": "AAPL", "year": 2024}
    async with session.ws_connect("/backtests/t/ws") as socket:
        with pytest.raises(aiohttp.ClientError):
            await session.post("/backtests", json=body)
        assert await texts(socket, count=1) == []
    with pytest.raises(aiohttp.ClientError):
        await session.post("/backtests", json=_BODY)

    async def is_back() -> bool:
        try:
            return (await _get(session, "/healthz"))[0] == 200
        except aiohttp.ClientError:
            return False

    await eventually(is_back)


async def test_rest_faults_come_in_order_and_then_all_is_well(serve: Serve) -> None:
    faults = (AnswerWith(status=503, body=b"x"), None, RefuseConnection(), Delay(seconds=0.1))
    options = replace(QUICK, rest_faults={"GET /backtests/{run_id}": faults})
    _, session = await serve(SimulatedBackend(_runs(), options=options))
    assert (await _get(session, "/backtests/t"))[::2] == (503, b"x")
    assert (await _get(session, "/backtests/t"))[0] == 200
    assert (await _get(session, "/backtests"))[0] == 200
    began_s = asyncio.get_running_loop().time()
    # the client repeats a GET that was dropped: the repetition is the late one
    assert (await _get(session, "/backtests/t"))[0] == 200
    assert asyncio.get_running_loop().time() - began_s >= 0.1
    assert (await _get(session, "/backtests/t"))[0] == 200
