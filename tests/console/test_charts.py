"""What the chart shows, read from the chart itself and held against the source frames."""

from dataclasses import astuple
from math import isnan
from typing import Any

import pytest
from msgspec import json
from playwright.async_api import Browser, expect

from hewston_bff.tools.simulator import Calendar, SimulatedRun, generated_run
from tests.console import reference
from tests.console.browser import Tab, console, tab
from tests.console.runs import frame, given_run, order, priced, walk_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SPARSE = generated_run("sparse", frame_count=3 * 1_440, calendar=Calendar.ALL_MINUTES)
NIGHTS = given_run(
    "nights",
    [
        frame(minute, priced(10 + minute % 7, 0.5) if minute % 1_440 < 60 else None, 1_000)
        for minute in range(3 * 1_440)
    ],
)
CRUDE = given_run(
    "crude",
    [
        frame(0, [18.27, 18.27, 17.73, 18.27, 10], 100),
        frame(60, [17.73, 17.85, -40.32, -37.63, 1], -20),
        frame(120, [-14.0, 13.86, -16.74, 10.01, 2], -55.5),
        frame(180, [0, 0, 0, 0, 3], 12.5),
    ],
)
HOLES = given_run(
    "holes",
    [
        frame(minute, _bar, None if minute % 3 else 1_000 - minute)
        for minute in range(600)
        for _bar in [
            [[None, 11, 9, 10 + minute % 5, 3], None, [10, 12.5, None, None, None]][minute % 3]
        ]
    ],
)
# Several frames of one time, each with its own prices and worth.
SHARED = given_run(
    "shared",
    [frame(seq // 3, priced(10 + seq % 5, 1 + seq % 2), 1_000 + seq % 4) for seq in range(180)],
)
FLAT = given_run("flat", [frame(minute, [4.6e14] * 4 + [1], 4.6e14) for minute in range(120)])
WILD = given_run(
    "wild",
    [
        frame(minute, priced(1e300 if minute % 2 else 1e-300, 0), 1e-9 * minute)
        for minute in range(90)
    ],
)
_DRAWN = "document.querySelector('.chart').drawn()"


async def play_to_the_end(user: Tab) -> None:
    """At a speed at which each frame comes alone."""
    await user.page.get_by_label("Speed").select_option("60")
    await user.status("ended")


async def drawn(user: Tab, series: str) -> list[dict[str, Any]]:
    """What the chart has of a series; whitespace has no value."""
    await user.page.wait_for_function(f"() => {_DRAWN}?.{series}.length > 0")
    rows: list[dict[str, Any]] = await user.page.evaluate(f"{_DRAWN}.{series}")
    return rows


def expected_rows(run: SimulatedRun, timeframe: str) -> list[tuple[float, ...]]:
    """Time, open, high, low, close of the candles that have a price and all members."""
    made = reference.candles([json.decode(text) for text in run.frames], timeframe)
    rows = [astuple(candle)[:5] for candle in made]
    return [row for row in rows if not any(isnan(value) for value in row)]


@pytest.mark.parametrize("timeframe", ["1m", "1H"])
@pytest.mark.parametrize("run", [SPARSE, NIGHTS, CRUDE, HOLES, SHARED], ids=lambda run: run.run_id)
async def test_the_candles_drawn_are_those_of_the_frames(
    browser: Browser, run: SimulatedRun, timeframe: str
) -> None:
    async with console(run) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/{run.run_id}") as user:
            await user.past(-1)
            await user.page.get_by_role("button", name=timeframe, exact=True).click()
            await play_to_the_end(user)
            shown = [
                tuple(row[name] for name in ("time", "open", "high", "low", "close"))
                for row in await drawn(user, "candles")
                if "open" in row
            ]
            expected = {row[0]: row for row in expected_rows(run, timeframe)}
            # The chart has a window of a long run; what it has is right and without a hole.
            assert shown
            inside = [row for time, row in expected.items() if shown[0][0] <= time]
            known = [row for row in shown if row[0] in expected]
            assert [pytest.approx(row) for row in inside] == known
            await user.keep(f"candles-{run.run_id}-{timeframe}")


async def test_prices_are_in_sight_after_minutes_without_any(browser: Browser) -> None:
    async with console(NIGHTS) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/nights") as user:
            await user.past(-1)
            await play_to_the_end(user)
            times = await user.page.evaluate(f"{_DRAWN}.times")
            rows = await drawn(user, "candles")
            # One hour a day has prices; there is no bucket for the others.
            assert len(rows) == 3
            assert times["from"] <= rows[0]["time"]
            assert rows[-1]["time"] <= times["to"]


async def test_drawdown_hangs_from_zero_and_is_money_where_no_share_is_defined(
    browser: Browser,
) -> None:
    debt = given_run(
        "debt", [frame(minute * 60, priced(5, 1), -100 - 10 * minute) for minute in range(6)]
    )
    async with console(CRUDE, debt) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/crude") as user:
            await user.past(-1)
            await play_to_the_end(user)
            depths = [row["value"] for row in await drawn(user, "drawdown")]
            assert depths == pytest.approx([0, -1.2, -1.555, -0.875])
            await expect(user.page.locator("[data-figure=drawdown]")).to_have_text("−87.5 %")
            await user.page.goto(f"{bff.url}/#/run/debt")
            await user.past(-1)
            await play_to_the_end(user)
            depths = [row["value"] for row in await drawn(user, "drawdown")]
            assert depths == pytest.approx([0, -10, -20, -30, -40, -50])
            await expect(user.page.locator("[data-figure=drawdown]")).to_have_text("−50")
            await user.keep("drawdown-in-money")


@pytest.mark.parametrize("run", [FLAT, WILD], ids=lambda run: run.run_id)
async def test_no_number_stops_the_page(browser: Browser, run: SimulatedRun) -> None:
    async with console(run) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/{run.run_id}") as user:
            await user.past(-1)
            for timeframe in ("1m", "1D", "1H"):
                await user.page.get_by_role("button", name=timeframe, exact=True).click()
            await play_to_the_end(user)
            last = (await drawn(user, "candles"))[-1]
            unit = await user.page.evaluate(f"{_DRAWN}.units.price")
            assert last["close"] * unit == pytest.approx(
                json.decode(run.frames[-1])["ohlc"]["c"], rel=1e-9
            )
            # It still answers.
            await user.page.keyboard.press("ArrowLeft")
            await user.status("paused")
            await user.keep(run.run_id)


async def test_digits_are_those_of_the_run(browser: Browser) -> None:
    tiny = given_run(
        "tiny",
        [
            frame(
                minute,
                priced(0.00001234, 0.00000002),
                0.0153,
                order(minute, side, 0.032, 0.00001234),
            )
            for minute, side in enumerate(["BUY", "SELL"] * 20)
        ],
    )
    huge = walk_of("huge", price=64_000_000, step=1_000, digits=0, quantity=64_000_000, count=120)
    async with console(tiny, huge) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/tiny") as user:
            await user.past(-1)
            await play_to_the_end(user)
            await expect(user.page.locator("[data-figure=close]")).to_have_text("0.00001234")
            await expect(user.page.locator("[data-figure=equity]")).to_have_text("0.0153")
            first = user.page.locator(".orders tbody tr").first
            await expect(first.locator("td").nth(2)).to_have_text("0.032")
            await expect(first.locator("td").nth(3)).to_have_text("0.00001234")
            await user.keep("tiny")
            await user.page.goto(f"{bff.url}/#/run/huge")
            await user.past(-1)
            await play_to_the_end(user)
            close = json.decode(huge.frames[-1])["ohlc"]["c"]
            await expect(user.page.locator("[data-figure=close]")).to_have_text(f"{close:,.0f}")
            first = user.page.locator(".orders tbody tr").first
            await expect(first.locator("td").nth(2)).to_have_text("64,000,000")
            await user.keep("huge")


async def test_all_figures_shown_are_of_one_frame(browser: Browser) -> None:
    run = walk_of("walk", price=100, step=1, gain=50, count=3_000)
    frames = [json.decode(text) for text in run.frames]
    worth = [one["equity"]["value"] for one in frames]
    # What the panel showed, each time it changed, while it played.
    watch = """() => {
      window.seen = [];
      const read = (name) => document.querySelector(`[data-figure=${name}]`).textContent;
      new MutationObserver(() => window.seen.push([document.querySelector(".of").dataset.seq,
        ...["close", "equity", "total_return", "drawdown", "max_drawdown", "orders"].map(read)]))
        .observe(document.querySelector(".of"), { attributes: true });
    }"""
    async with console(run) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/walk") as user:
            await user.past(-1)
            await user.page.get_by_label("Speed").select_option("15")
            await user.page.evaluate(watch)
            await user.status("ended")
            seen = [row for row in await user.page.evaluate("window.seen") if row[0]]
    peaks = [max(worth[: index + 1]) for index in range(len(worth))]
    depths = [(peak - value) / peak for value, peak in zip(worth, peaks, strict=True)]
    placed = [sum(len(one["orders"]) for one in frames[: index + 1]) for index in range(len(worth))]
    whole = [row for row in seen if "–" not in row]
    assert len(whole) > 2
    for text, close, equity, gained, drawdown, deepest, orders in whole:
        seq = int(text)
        assert number(close) == pytest.approx(frames[seq]["ohlc"]["c"])
        assert number(equity) == pytest.approx(worth[seq])
        assert number(gained) == pytest.approx((worth[seq] / worth[0] - 1) * 100, abs=0.051)
        assert number(drawdown) == pytest.approx(-depths[seq] * 100, abs=0.051)
        assert number(deepest) == pytest.approx(-max(depths[: seq + 1]) * 100, abs=0.051)
        assert number(orders) == placed[seq]


def number(text: str) -> float:
    """What a figure says."""
    return float(text.replace("−", "-").replace(",", "").replace(" %", ""))


async def test_what_is_in_sight_stays_there(browser: Browser) -> None:
    quarter = generated_run("quarter", frame_count=63 * 390)
    async with console(quarter) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/quarter", pause_past=8_000) as user:
            page = user.page
            await user.past(8_000)
            await user.stands()
            await page.get_by_role("button", name="5m", exact=True).click()
            # Half of it to the right: the newest is out of sight.
            box = await page.locator(".chart").bounding_box()
            assert box is not None
            await page.mouse.move(box["x"] + 100, box["y"] + 100)
            await page.mouse.down()
            await page.mouse.move(box["x"] + 800, box["y"] + 100, steps=8)
            await page.mouse.up()
            before = await in_sight(user)
            stood = await user.seq()
            for _ in range(3):
                await page.keyboard.press("ArrowLeft")
            await page.wait_for_function(f"() => window.painted.at(-1) === {stood - 3}")
            assert await in_sight(user) == before, "a step back moves nothing"
            await page.get_by_role("button", name="15m", exact=True).click()
            after = await in_sight(user)
            assert abs(after["from"] - before["from"]) <= 900
            assert abs(after["to"] - before["to"]) <= 900
            await page.get_by_role("button", name="5m", exact=True).click()
            assert await in_sight(user) == before, "there and back is where it was"


async def in_sight(user: Tab) -> dict[str, float]:
    """The times at the left and right of the chart, once the chart has drawn."""
    await user.page.evaluate(
        "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    )
    times: dict[str, float] = await user.page.evaluate(f"{_DRAWN}.times")
    return times


async def test_arrows_that_are_left_out_are_counted(browser: Browser) -> None:
    busy = given_run(
        "busy",
        [
            frame(
                minute,
                priced(10 + minute % 9, 1),
                1_000,
                order(minute, "BUY", 1, 10),
                order(minute, "sell", 1, 10),
            )
            for minute in range(900)
        ],
    )
    async with console(busy) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/busy") as user:
            page = user.page
            await user.past(-1)
            await page.get_by_role("button", name="1m", exact=True).click()
            await play_to_the_end(user)
            thinned = page.locator(".thinned")
            await expect(thinned).to_be_hidden()
            await page.wait_for_function(f"() => {_DRAWN}.arrows.length >= 260")
            await page.locator(".chart").hover()
            for _ in range(12):
                await page.mouse.wheel(0, 400)
            await expect(thinned).to_contain_text("arrows drawn: zoom in for all")
            assert await page.evaluate(f"{_DRAWN}.arrows.length") <= 400
            await user.keep("arrows-thinned")


async def test_a_long_run_is_given_to_the_chart_in_a_window(browser: Browser) -> None:
    quarter = generated_run("quarter", frame_count=63 * 390)
    async with console(quarter) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/quarter", pause_past=100) as user:
            page = user.page
            await user.past(100)
            await user.stands()
            await page.get_by_role("button", name="1m", exact=True).click()
            await page.get_by_label("Speed").select_option("60")
            stands = await user.play_past(15_000)
            # What is in sight a few times over, before it is given anew; one picture may add more.
            given = [row["time"] for row in await drawn(user, "candles")]
            sight = await in_sight(user)
            seen = sum(sight["from"] <= time <= sight["to"] for time in given)
            assert len(given) <= 4 * (seen + 2 * max(200, seen)) + 2_000 < stands
            # Who goes back finds what is there.
            first = (await drawn(user, "candles"))[0]["time"]
            box = await page.locator(".chart").bounding_box()
            assert box is not None
            for _ in range(20):
                await page.mouse.move(box["x"] + 50, box["y"] + 100)
                await page.mouse.down()
                await page.mouse.move(box["x"] + 900, box["y"] + 100, steps=4)
                await page.mouse.up()
            await page.wait_for_function(f"first => {_DRAWN}.candles[0].time < first", arg=first)
            times = await in_sight(user)
            rows = await drawn(user, "candles")
            assert rows[0]["time"] <= times["from"]
            assert len(rows) < 2_000
