"""`GET /api/v1/chart-data`: what comes back, from what, and what is refused."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from hewston_bff.services.chart import fresh_s
from hewston_bff.tools.simulator import generated_run
from hewston_bff.web.chart import ChartPage
from tests.redis_server import redis_server
from tests.support import Bff, Message, serving, stack
from tests.waiting import eventually
from tests.web.bars_backend import BarsBackend, bars_backend

PATH = "/api/v1/chart-data"
ASKED = {"symbol": "AAPL", "timeframe": "1M", "from": "2024-01-02", "to": "2024-01-31"}
RECORDS = [
    {
        "timestamp": "2024-01-02T14:30:00Z",
        "open": 1.5,
        "high": 2.0,
        "low": 1.0,
        "close": 1.75,
        "volume": 10,
    },
    {
        "timestamp": "2024-01-02T14:31:00Z",
        "open": 1.75,
        "high": 3.0,
        "low": 1.25,
        "close": 2.5,
        "volume": 20,
    },
]


@asynccontextmanager
async def chart_stack(**settings: Any) -> AsyncIterator[tuple[Bff, BarsBackend]]:
    settings.setdefault("bff_rate_aggregated_per_minute", 0)
    async with bars_backend() as backend, serving(backend.url, **settings) as bff:
        yield bff, backend


async def ask(bff: Bff, status: int = 200, /, **parameters: Any) -> Message:
    """The answer to a query; `from_` is `from`, None leaves one out."""
    asked = ASKED | {name.rstrip("_"): value for name, value in parameters.items()}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    async with bff.session.get(f"{bff.url}{PATH}?{query}") as response:
        body: Message = await response.json()
        assert response.status == status, body
        return body


# -- what comes back


async def test_the_page_is_the_contracts() -> None:
    async with chart_stack() as (bff, _):
        page = await ask(bff)
        load_time_ms = page["metadata"].pop("load_time_ms")
        assert isinstance(load_time_ms, int)
        assert page == {
            "symbol": "AAPL",
            "timeframe": "1M",
            "from_date": "2024-01-02",
            "to_date": "2024-01-31",
            "bars": RECORDS,
            "metadata": {
                "total_bars": 2,
                "source_bars": 2,
                "decimated": False,
                "decimation_stride": None,
                "cache_hit": False,
                "backend_calls": 1,
                "data_source": "/bars/minute",
                "invalid_bars": 0,
                "merged_bars": 0,
                "stale": False,
            },
        }


@pytest.mark.parametrize("layout", ["records", "columns"])
async def test_the_page_is_as_its_model_says(layout: str) -> None:
    async with chart_stack() as (bff, _):
        page = await ask(bff, layout=layout)
        again = ChartPage.model_validate(page).model_dump(mode="json")
        assert again == page


async def test_the_backend_hears_the_correlation_id() -> None:
    async with chart_stack() as (bff, backend):
        url = f"{bff.url}{PATH}?{urlencode(ASKED)}"
        await bff.session.get(url, headers={"X-Correlation-ID": "abc-1"})
        assert backend.asked[0].headers["X-Correlation-ID"] == "abc-1"


async def test_columns_hold_the_same() -> None:
    async with chart_stack() as (bff, _):
        page = await ask(bff, layout="columns")
        assert page["bars"] == {
            "t": [1704205800, 1704205860],
            "o": [1.5, 1.75],
            "h": [2.0, 3.0],
            "l": [1.0, 1.25],
            "c": [1.75, 2.5],
            "v": [10, 20],
        }


@pytest.mark.parametrize(
    ("timeframe", "path", "also"),
    [
        ("1D", "/bars/daily", {}),
        ("1H", "/bars/hour", {"rth_only": "false"}),
        ("1M", "/bars/minute", {"rth_only": "false"}),
        ("1M_DECIMATED", "/bars/minute", {"rth_only": "false"}),
    ],
)
async def test_each_timeframe_is_one_call_with_exactly_what_it_takes(
    timeframe: str, path: str, also: dict[str, str]
) -> None:
    async with chart_stack() as (bff, backend):
        page = await ask(bff, symbol="BRK.B", timeframe=timeframe, rth_only="false")
        (asked,) = backend.asked
        dates = {"from": "2024-01-02", "to": "2024-01-31"}
        expected = {"symbol": "BRK.B", **dates, **also}
        assert asked.path == path
        assert dict(asked.query) == expected
        assert page["metadata"]["data_source"] == path
        assert page["symbol"] == "BRK.B"


async def test_a_year_of_minutes_keeps_to_its_target_and_its_extremes() -> None:
    async with stack(generated_run("year", symbol="AAPL", frame_count=98_280)) as (
        bff,
        backend,
        running,
    ):
        query = "symbol=AAPL&from=2024-01-01&to=2024-12-31"
        async with bff.session.get(f"{running.url}/bars/minute?{query}") as response:
            source = (await response.json())["bars"]
        page = await ask(
            bff, from_="2024-01-01", to="2024-12-31", timeframe="1M_DECIMATED", target_points=1_000
        )
        bars = page["bars"]
        assert 500 < len(bars) <= 1_000
        assert page["metadata"]["source_bars"] == len(source)
        assert page["metadata"]["decimated"]
        assert bars[0]["open"] == source[0]["o"]
        assert bars[-1]["close"] == source[-1]["c"]
        assert max(bar["high"] for bar in bars) == max(bar["h"] for bar in source)
        assert min(bar["low"] for bar in bars) == min(bar["l"] for bar in source)
        assert sum(bar["volume"] for bar in bars) == sum(bar["v"] for bar in source)


async def test_bars_that_cannot_be_are_left_out_and_counted() -> None:
    async with chart_stack() as (bff, backend):
        bad = '{"t":"2024-01-01T14:30:00Z","o":NaN,"h":2,"l":1,"c":1.75,"v":10}'
        backend.body = str(backend.body).replace("]}", f",{bad},null]}}")
        page = await ask(bff)
        assert page["bars"] == RECORDS
        assert page["metadata"]["invalid_bars"] == 2
        assert page["metadata"]["source_bars"] == 4


# -- kept


async def test_the_second_to_ask_is_served_without_the_backend() -> None:
    async with chart_stack() as (bff, backend):
        first, second = await ask(bff), await ask(bff)
        assert second["metadata"]["cache_hit"]
        assert second["metadata"]["backend_calls"] == 0
        assert second["bars"] == first["bars"]
        assert len(backend.asked) == 1
        text = await (await bff.session.get(f"{bff.url}/metrics")).text()
        assert "hewston_bff_cache_hits_total 1.0" in text
        assert "hewston_bff_cache_misses_total 1.0" in text


async def test_other_parameters_and_other_credentials_are_other_answers() -> None:
    async with chart_stack() as (bff, backend):
        await ask(bff)
        for parameters in ({"to": "2024-01-30"}, {"rth_only": "0"}, {"layout": "columns"}):
            await ask(bff, **parameters)
        url = f"{bff.url}{PATH}?{urlencode(ASKED)}"
        for token in ("one", "two", "one"):
            await bff.session.get(url, headers={"Authorization": token})
        sent = [request.headers.get("Authorization") for request in backend.asked]
        assert sent == [None] * 4 + ["one", "two"]


async def test_a_hundred_who_ask_at_once_make_one_call_and_the_first_may_leave() -> None:
    async with chart_stack() as (bff, backend), asyncio.TaskGroup() as group:
        backend.gate.clear()
        leaver = group.create_task(ask(bff))
        await backend.has_come.wait()
        others = [group.create_task(ask(bff)) for _ in range(100)]
        await bff.get("/api/v1/health/live")
        leaver.cancel()
        backend.gate.set()
        assert [(await task)["bars"] for task in others] == [RECORDS] * 100
        assert len(backend.asked) == 1


async def test_expired_and_the_backend_down_the_old_chart_is_served_as_stale() -> None:
    async with chart_stack(bff_redis_ttl_chart=0.0001) as (bff, backend):
        recent = (datetime.now(UTC).date() - timedelta(days=3)).isoformat()
        await ask(bff, to=recent)
        backend.status = 500
        pages = [await ask(bff, to=recent) for _ in range(3)]
        assert [page["metadata"]["stale"] for page in pages] == [True] * 3
        assert pages[-1]["bars"] == RECORDS
        backend.status = 404

        async def is_refused() -> bool:
            address = f"{bff.url}{PATH}?{urlencode(ASKED | {'to': recent})}"
            async with bff.session.get(address) as response:
                return not response.ok

        await eventually(is_refused)


@pytest.mark.parametrize(
    ("age_days", "ttl_s"),
    [(-5, 60), (0, 60), (1, 5), (7, 5), (8, 3_600), (30, 3_600), (31, 86_400), (9_000, 86_400)],
)
def test_the_older_a_chart_ends_the_longer_it_is_fresh(age_days: int, ttl_s: float) -> None:
    today = date(2026, 11, 21)
    to_date = today - timedelta(days=age_days)
    assert fresh_s(to_date, today=today, recent_s=5.0) == ttl_s


async def test_redis_killed_and_restarted_under_load_fails_no_request() -> None:
    async with redis_server() as redis:
        settings = {"bff_redis_enabled": True, "redis_url": redis.url, "bff_cache_bytes": 1_024}
        async with chart_stack(**settings) as (bff, backend):
            is_over = asyncio.Event()

            async def load(number: int) -> None:
                while not is_over.is_set():
                    page = await ask(bff, target_points=100 + number)
                    assert page["bars"] == RECORDS

            async def until_redis_is(state: str) -> None:
                async def is_so() -> bool:
                    health = await bff.get("/api/v1/health")
                    return bool(health["dependencies"]["redis"] == state)

                await eventually(is_so)

            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(load(number))
                await until_redis_is("ok")
                await redis.kill()
                await until_redis_is("down")
                await redis.start()
                await until_redis_is("ok")
                asked = len(backend.asked)
                is_over.set()
            assert asked >= 8


async def test_a_black_hole_for_a_redis_holds_up_no_request() -> None:
    async with redis_server() as redis:
        settings = {
            "bff_redis_enabled": True,
            "redis_url": redis.url,
            "bff_cache_bytes": 1_024,
            "bff_rate_aggregated_per_minute": 600,
        }
        async with chart_stack(**settings) as (bff, _):

            async def is_kept() -> bool:
                return bool((await ask(bff))["metadata"]["cache_hit"])

            # A busy machine's Redis may answer too late to be used, once.
            await eventually(is_kept, "Redis is what keeps it here")
            redis.freeze()
            for points in range(200, 210):
                assert (await ask(bff, target_points=points))["bars"] == RECORDS
            assert (await bff.get("/api/v1/health"))["dependencies"]["redis"] == "down"
            redis.thaw()


# -- on the wire


async def test_compressed_for_those_who_take_it() -> None:
    async with chart_stack() as (bff, _):
        url = f"{bff.url}{PATH}?{urlencode(ASKED)}"
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            for offer in ("gzip", "br, GZIP; q=0.5", "*", "*;q=0, gzip"):
                response = await session.get(url, headers={"Accept-Encoding": offer})
                assert response.headers["Content-Encoding"] == "gzip"
                assert gzip.decompress(await response.read()).startswith(b'{"symbol":"AAPL"')
            for offer in ("", "br", "gzip;q=0", "gzip;q=0.000, br", "*, gzip;q=0", "identity"):
                response = await session.get(url, headers={"Accept-Encoding": offer})
                assert "Content-Encoding" not in response.headers
                assert (await response.read()).startswith(b'{"symbol":"AAPL"')
                assert response.headers["Vary"] == "Accept-Encoding"


async def test_who_has_the_data_gets_304_and_who_has_others_gets_them() -> None:
    async with chart_stack() as (bff, _):
        url = f"{bff.url}{PATH}?{urlencode(ASKED)}"
        first = await bff.session.get(url)
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')
        again = await bff.session.get(url)
        assert again.headers["ETag"] == tag, "it is of the data, not of how they came"
        for offer in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            response = await bff.session.get(url, headers={"If-None-Match": offer})
            assert response.status == 304
            assert response.headers["ETag"] == tag
            assert await response.read() == b""
        response = await bff.session.get(url, headers={"If-None-Match": 'W/"x"'})
        assert response.status == 200
        other = await bff.session.get(url + "&layout=columns")
        assert other.headers["ETag"] != tag


# -- what is not there, or not well


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, '{"detail":"No data for symbol/year range"}', (404, "NO_DATA")),
        (200, '{"symbol":"AAPL","bars":[]}', (404, "NO_DATA")),
        (200, "[]", (404, "NO_DATA")),
        (200, '{"bars":[{"o":1}]}', (404, "NO_DATA")),
        (400, '{"detail":"Invalid from/to format; expected YYYY-MM-DD"}', (422, "VALIDATION")),
        (422, '{"detail":[]}', (422, "VALIDATION")),
        (500, "Internal Server Error", (502, "BACKEND_UNAVAILABLE")),
        (307, "", (502, "BACKEND_UNAVAILABLE")),
        (200, "Internal Server Error", (502, "BACKEND_UNAVAILABLE")),
        (200, '{"symbol":"AAPL","bars":[{"t":"2024', (502, "BACKEND_UNAVAILABLE")),
        (200, b"\xff\xfe", (502, "BACKEND_UNAVAILABLE")),
        (401, "{}", (401, "UNAUTHORIZED")),
        (403, "{}", (403, "FORBIDDEN")),
        (429, "{}", (429, "RATE_LIMITED")),
    ],
)
async def test_what_the_backend_says_instead_of_bars(
    status: int, body: str | bytes, expected: tuple[int, str]
) -> None:
    async with chart_stack() as (bff, backend):
        backend.status, backend.body = status, body
        answer = await ask(bff, expected[0])
        assert answer["error"]["code"] == expected[1]
        backend.status, backend.body = 200, BarsBackend.body
        assert (await ask(bff))["bars"] == RECORDS, "an error is not kept"


async def test_a_limit_of_the_backends_says_when_to_come_back() -> None:
    async with chart_stack() as (bff, backend):
        backend.status = 429
        async with bff.session.get(f"{bff.url}{PATH}?{urlencode(ASKED)}") as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0


async def test_a_backend_that_is_not_there_or_hangs() -> None:
    async with serving("http://127.0.0.1:9") as bff:
        assert (await ask(bff, 502))["error"]["code"] == "BACKEND_UNAVAILABLE"
    async with chart_stack(bff_backend_timeout=0.1) as (bff, backend):
        backend.gate.clear()
        assert (await ask(bff, 504))["error"]["code"] == "BACKEND_TIMEOUT"


async def test_switched_off_it_says_so_before_all_else() -> None:
    async with chart_stack(bff_feature_chart_aggregation=False) as (bff, backend):
        answer = await ask(bff, 503, symbol="..")
        assert answer["error"]["code"] == "FEATURE_DISABLED"
        assert not backend.asked


# -- bad input


LONG = "A" * 10_000
ARABIC_500 = "\u0665\u0660\u0660"
BAD = {
    "symbol": [
        *("", "..", "A..B", "/A", "A//B", " A", "A ", "A\r\nB", "A\0", "A\x7f", "A" * 65, LONG),
        *("A\u200b", "A\u2028"),
    ],
    "timeframe": ["", "1m", "1W", "1D ", "1M\r\n", LONG],
    "from": [
        *("", "2024-1-2", "2024-13-01", "2024-02-30", "banana", "1704067200", "0000-01-01", LONG),
        *("2024-01-02T00:00:00Z", "2024-01-02\r\n", "2024-01-\u0660\u0661"),
    ],
    "to": ["", "2024-01-01", "2044-01-09", "9999-99-99", "2024-01-31\0", LONG],
    "target_points": [
        *("", "99", "50001", "-100", "1e3", "1_000", "100.0", ARABIC_500, "+500", LONG),
    ],
    "rth_only": ["", "maybe", "2", "true\r\n", LONG],
    "layout": ["", "rows", "Records", LONG],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=lambda value: value[:24].encode("unicode_escape").decode(),
)
async def test_a_bad_value_is_refused_by_name_and_the_backend_hears_nothing(
    name: str, value: str
) -> None:
    async with chart_stack() as (bff, backend):
        error = (await ask(bff, 422, **{name: value}))["error"]
        assert error["code"] == "VALIDATION"
        assert list(error["details"]) == [name]
        assert name in error["message"]
        assert len(str(error)) < 600, "it does not repeat what it was given"
        assert not backend.asked


async def test_a_query_of_any_length_is_refused_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with chart_stack() as (bff, backend):
        for name in BAD:
            query = urlencode(ASKED | {name: "A" * 10_000})
            response = await bff.session.get(f"{bff.url}{PATH}?{query}")
            assert 400 <= response.status < 500
            assert "Traceback" not in await response.text()
        assert not backend.asked
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_missing_and_a_repeated_parameter_are_named() -> None:
    async with chart_stack() as (bff, backend):
        for name in ("symbol", "timeframe", "from", "to"):
            error = (await ask(bff, 422, **{name: None}))["error"]
            assert list(error["details"]) == [name]
        for name in BAD:
            query = urlencode([*ASKED.items(), (name, ASKED.get(name, "1"))] * 2)
            response = await bff.session.get(f"{bff.url}{PATH}?{query}")
            assert response.status == 422
            assert name in (await response.json())["error"]["details"]
        assert not backend.asked


@pytest.mark.parametrize("raw", ["%FF", "A%00", "..%2F..", "A%0d%0aX:%20y", "%C0%AE", "%"])
async def test_bytes_that_are_no_text_are_refused(raw: str) -> None:
    async with chart_stack() as (bff, backend):
        url = URL(
            f"{bff.url}{PATH}?timeframe=1D&from=2024-01-02&to=2024-01-31&symbol={raw}", encoded=True
        )
        response = await bff.session.get(url)
        assert response.status == 422
        assert list((await response.json())["error"]["details"]) == ["symbol"]
        assert not backend.asked


SYMBOLS = (
    *("BTC/USDT:USDT", "BINANCE:BTCUSDT", "M&M", "M&M.NS", "CL1!", "$SPX", "@ES#", "TRX+", "GC*1"),
    *("BF B", "kPEPE", "RDSa", "^GSPC", "EUR/USD", "ES=F", "A_1", "A%2FB?", "Z" * 64, "Ñ½\u6771"),
)


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_a_symbol_reaches_the_backend_as_it_is_at_every_address(symbol: str) -> None:
    async with chart_stack() as (bff, backend):
        assert (await ask(bff, symbol=symbol))["symbol"] == symbol
        for name in ("daily", "minute", "minute_decimated", "hour"):
            for prefix in ("", "/api/v1"):
                url = f"{bff.url}{prefix}/bars/{name}?{urlencode({'symbol': symbol})}"
                async with bff.session.get(URL(url, encoded=True)) as response:
                    assert response.status == 200
        assert [request.query["symbol"] for request in backend.asked] == [symbol] * 9


async def test_a_symbol_nobody_knows_is_looked_for_in_capitals_and_the_answer_says_so() -> None:
    async with chart_stack() as (bff, backend):
        backend.only_symbol = "AAPL"
        page = await ask(bff, symbol="aapl")
        assert (page["symbol"], page["bars"]) == ("AAPL", RECORDS)
        assert page["metadata"]["backend_calls"] == 2
        assert [request.query["symbol"] for request in backend.asked] == ["aapl", "AAPL"]
        backend.only_symbol = "aapl"
        assert (await ask(bff, 404, symbol="AAPL.X"))["error"]["code"] == "NO_DATA"
        assert len(backend.asked) == 3, "what is in capitals is asked for once"


async def test_prices_below_zero_are_drawn() -> None:
    """Crude oil for May 2020, on 17, 20 and 21 April."""
    async with chart_stack() as (bff, backend):
        backend.body = (
            '{"bars":[{"t":"2020-04-17T00:00:00Z","o":19.9,"h":20.1,"l":17.3,"c":18.27,"v":5},'
            '{"t":"2020-04-20T00:00:00Z","o":17.73,"h":17.85,"l":-40.32,"c":-37.63,"v":9},'
            '{"t":"2020-04-21T00:00:00Z","o":0,"h":0,"l":-16.74,"c":0,"v":null}]}'
        )
        page = await ask(bff, timeframe="1D")
        prices = [
            tuple(bar[name] for name in ("open", "high", "low", "close")) for bar in page["bars"]
        ]
        assert prices == [
            *((19.9, 20.1, 17.3, 18.27), (17.73, 17.85, -40.32, -37.63), (0.0, 0.0, -16.74, 0.0)),
        ]
        assert page["metadata"]["invalid_bars"] == 0


async def test_bars_of_one_second_are_merged_and_counted() -> None:
    async with chart_stack() as (bff, backend):
        backend.body = (
            '{"bars":[{"t":"2024-03-01T14:30:00.000001Z","o":1,"h":2,"l":1,"c":2,"v":1},'
            '{"t":"2024-03-01T14:30:00.0000012Z","o":2,"h":9,"l":0.5,"c":3,"v":2},'
            '{"t":1709303401500,"o":3,"h":3,"l":3,"c":3,"v":4}]}'
        )
        page = await ask(bff)
        assert [tuple(bar.values()) for bar in page["bars"]] == [
            ("2024-03-01T14:30:00Z", 1.0, 9.0, 0.5, 3.0, 3),
            ("2024-03-01T14:30:01Z", 3.0, 3.0, 3.0, 3.0, 4),
        ]
        assert page["metadata"]["merged_bars"] == 1
        assert page["metadata"]["invalid_bars"] == 0


async def test_twenty_years_are_taken_and_a_parameter_we_do_not_know_is_ignored() -> None:
    async with chart_stack() as (bff, _):
        await ask(bff, from_="2004-01-31", to="2024-01-31", _="1")
