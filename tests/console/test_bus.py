"""The console's pages of topics, in a real browser: what is shown is what was published."""

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from hewston_bff.events.event import EntryId
from hewston_bff.events.source_state import Lost, SourceLink
from hewston_bff.tools.simulator import generated_run
from tests.console.browser import console, tab
from tests.console.desk import desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = generated_run("day")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}


def quote_row(page: Page, topic: str) -> Locator:
    """The row of a quote on the board."""
    return page.locator(f'.board tr[data-topic="bus:{topic}"]')


def cell(row: Locator, column: str) -> Locator:
    """One of its cells."""
    return row.locator(f'td[data-column="{column}"]')


async def shown_age_s(where: Locator) -> float:
    """An age, in seconds."""
    text = await where.inner_text()
    number, unit = text.split()
    return float(number) * {"s": 1, "min": 60, "h": 3_600}[unit]


async def test_each_quote_is_shown_with_the_digits_it_was_published_with(browser: Browser) -> None:
    published = {
        "AUD/USD": ("0.65010", "0.65030"),
        "EUR/USD": ("1.10000", "1.1"),
        "BTCUSDT": ("97513.70", "97513.7100"),
        "XAU": (2001.5, 2001.75),
    }
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        for symbol, (bid, ask) in published.items():
            bus.quote(symbol, bid, ask, age_ms=125_000)
        async with tab(browser, f"{bff.url}/#/bus") as user:
            await expect(user.page.locator(".board tbody tr")).to_have_count(len(published))
            for symbol, (bid, ask) in published.items():
                row = quote_row(user.page, f"data.quotes.SIM.{symbol}")
                await expect(row.locator("th")).to_have_text(f"{symbol}.SIM")
                await expect(cell(row, "bid")).to_have_text(str(bid))
                await expect(cell(row, "ask")).to_have_text(str(ask))
                await expect(cell(row, "bidSize")).to_have_text("4200000")
                await expect(cell(row, "askSize")).to_have_text("400000")
                spread = str(Decimal(str(ask)) - Decimal(str(bid)))
                await expect(cell(row, "spread")).to_have_text(spread)
                await expect(row).to_have_class("stale")
                assert 120 <= await shown_age_s(cell(row, "age")) <= 600
            bus.quote("AUD/USD", "0.65011", "0.65031")
            row = quote_row(user.page, "data.quotes.SIM.AUD/USD")
            await expect(cell(row, "bid")).to_have_text("0.65011")
            await user.keep("bus")


# Every cell that was ever moved by an animation, for what is over too soon to be looked at.
_WATCH_FLASHES = """() => {
window.flashed = [];
const real = Element.prototype.animate;
Element.prototype.animate = function (...how) {
  window.flashed.push(this.dataset.column + " " + this.dataset.move);
  return real.apply(this, how);
};
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
async def test_a_change_flashes_and_an_arrow_says_which_way(browser: Browser, motion: str) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        bus.quote("AUD/USD", "0.65010", "0.65030")
        async with tab(browser, f"{bff.url}/#/runs", reduced_motion=motion) as user:
            await user.page.evaluate(_WATCH_FLASHES)
            await user.page.get_by_role("link", name="Bus").click()
            row = quote_row(user.page, "data.quotes.SIM.AUD/USD")
            bid, ask = cell(row, "bid"), cell(row, "ask")
            await expect(bid).to_have_text("0.65010")
            assert await bid.get_attribute("data-move") is None
            bus.quote("AUD/USD", "0.65011", "0.65030")
            await expect(bid).to_have_attribute("data-move", "up")
            assert await ask.get_attribute("data-move") is None
            bus.quote("AUD/USD", "0.65009", "0.65028")
            await expect(bid).to_have_attribute("data-move", "down")
            await expect(ask).to_have_attribute("data-move", "down")
            arrow = "el => getComputedStyle(el, '::before').content"
            assert "▼" in await bid.evaluate(arrow)
            flashed = await user.page.evaluate("window.flashed")
            assert flashed == ([] if motion == "reduce" else ["bid up", "bid down", "ask down"])


async def test_the_tree_has_every_topic_with_its_value_and_can_be_folded(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        for symbol in ("AUD/USD", "EUR/USD"):
            bus.quote(symbol, "1.5", "1.6")
        bus.fill(7)
        bus.source.intake.publish(
            [
                bus.event("data.PeerGauge*", "PeerGauge", value=3, unit="bar"),
                bus.event("odd..dots.", "Odd", note="kept"),
            ]
        )
        async with tab(browser, f"{bff.url}/#/bus") as user:
            tree = user.page.get_by_role("region", name="Topics")
            await expect(tree.get_by_role("status")).to_have_text("5 topics")
            values = {
                "data.quotes.SIM.EUR/USD": "1.5 / 1.6",
                "events.fills.AUD/USD.SIM": "AUD/USD.SIM BUY 7 @ 0.65002",
                "data.PeerGauge*": "value 3, unit bar",
                "odd..dots.": "note kept",
            }
            for topic, value in values.items():
                row = tree.locator(f'.row[data-topic="bus:{topic}"]')
                await expect(row.locator(".value")).to_have_text(value)
            listed = await bff.get("/api/v1/topics?match=bus:data.*")
            assert {one["class"] for one in listed["topics"]} == {"latest"}
            rate = tree.locator('.row[data-topic="bus:data.quotes.SIM.AUD/USD"] .rate')
            await expect(rate).to_have_text(re.compile(r"^(0\.1|< 0\.1|0)$"))
            data = tree.get_by_role("button", name=re.compile("^data"))
            await expect(data).to_have_attribute("aria-expanded", "true")
            await data.press("Enter")
            await expect(data).to_have_attribute("aria-expanded", "false")
            await expect(tree.locator('[data-topic^="bus:data."]')).to_have_count(0)
            await data.press("ArrowDown")
            await expect(user.page.locator(":focus")).to_contain_text("events")
            await tree.locator('.row[data-topic="bus:odd..dots."] button').click()
            dialog = user.page.get_by_role("dialog")
            await expect(dialog.locator("pre")).to_contain_text('"note": "kept"')
            await user.page.keyboard.press("Escape")
            await expect(dialog).to_have_count(0)


async def test_a_filter_is_in_the_address_and_nothing_else_is_shown(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        for symbol in ("AUD/USD", "AUD/JPY", "EUR/USD"):
            bus.quote(symbol, "1.5", "1.6")
        bus.fill(1)
        async with tab(browser, f"{bff.url}/#/bus") as user:
            rows = user.page.locator(".board tbody tr")
            await expect(rows).to_have_count(3)
            await user.page.keyboard.press("/")
            await user.page.keyboard.type("data.quotes.*.AUD/???")
            await user.page.keyboard.press("Enter")
            await expect(rows).to_have_count(2)
            assert user.page.url.endswith("#/bus/data.quotes.*.AUD%2F%3F%3F%3F")
            await expect(user.page.get_by_role("region", name="Topics")).to_contain_text("2 topics")
            await user.page.get_by_label("Filter of topics").fill("USD")
            await user.page.get_by_role("button", name="Filter").click()
            await expect(rows).to_have_count(2)
            assert user.page.url.endswith("#/bus/*USD*")
            await expect(rows.last).to_contain_text("EUR/USD.SIM")
            await expect(user.page.locator(".events")).to_contain_text("1 came")
            await user.page.get_by_label("Filter of topics").fill("bus:data.quotes.*EUR*")
            await user.page.get_by_role("button", name="Filter").click()
            await expect(rows).to_have_count(1)
            assert user.page.url.endswith("#/bus/data.quotes.*EUR*")
        async with tab(browser, f"{bff.url}/#/bus/a%5C", may_complain=True) as user:
            await expect(user.page.get_by_text("Not a pattern of topics")).to_be_visible()


async def test_events_are_the_newest_first_wait_while_paused_and_name_what_is_lost(
    browser: Browser,
) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        async with tab(browser, f"{bff.url}/#/bus") as user:
            await expect(user.page.locator(".source .pill")).to_have_text("up")
            values = user.page.locator(".events .event .value")
            count = user.page.locator(".events").get_by_role("status")
            for number in (1, 2, 3):
                bus.fill(number)
            await expect(values).to_have_text(
                [f"AUD/USD.SIM BUY {number} @ 0.65002" for number in (3, 2, 1)]
            )
            await expect(user.page.locator(".events .when").first).to_have_text("03:49:59.763")
            await user.page.keyboard.press("p")
            for number in range(4, 9):
                bus.fill(number)
            await expect(count).to_have_text("8 came. Paused: 5 wait")
            await expect(values).to_have_count(3)
            after = bus.source.intake
            lost = Lost(EntryId(2_000, 0), EntryId(3_000, 7))
            after.lost(lost)
            last = bus.fill(9)
            await expect(count).to_have_text("9 came. Paused: 6 wait")
            await user.page.get_by_role("button", name="Go on").click()
            await expect(count).to_have_text("9 came")
            order = user.page.locator(".events .row")
            await expect(order.nth(0)).to_have_attribute("data-id", str(last.id))
            await expect(order.nth(1)).to_contain_text("after 2000-0 up to 3000-7")
            await expect(order.nth(2)).to_contain_text("BUY 8 ")
            await order.nth(0).get_by_role("button").click()
            shown = user.page.get_by_role("dialog").locator("pre")
            await expect(shown).to_contain_text('"last_qty": "9"')
            await user.keep("bus-event")


async def test_more_events_and_topics_than_a_page_holds_are_counted(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        topics, fills = 3_000, 2_000
        quotes = [
            bus.event(f"data.quotes.X.{n:05}", "QuoteTick", bid_price="1", ask_price="2")
            for n in range(topics)
        ]
        bus.source.intake.publish(quotes)
        async with tab(browser, f"{bff.url}/#/bus") as user:
            board = user.page.get_by_role("region", name="Quotes")
            await expect(board).to_contain_text("200 of 3,000 instruments are shown")
            await expect(board.locator("tbody tr")).to_have_count(200)
            tree = user.page.get_by_role("region", name="Topics")
            await expect(tree.get_by_role("status")).to_have_text("3,000 topics")
            for number in range(fills):
                bus.fill(number)
            events = user.page.locator(".events")
            await expect(events.get_by_role("status")).to_contain_text("2,000 came")
            await expect(events.locator(".value").first).to_contain_text(f"BUY {fills - 1} ")
            elements = await user.page.evaluate("document.querySelectorAll('*').length")
            assert elements < 4_000


async def test_a_source_that_is_gone_greys_what_is_shown_and_comes_back(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff)
        bus.quote("AUD/USD", "0.65010", "0.65030")
        async with tab(browser, f"{bff.url}/#/bus") as user:
            source, page = user.page.locator(".source"), user.page.locator(".page.bus")
            await expect(source).to_contain_text("last event")
            await expect(page).not_to_have_class(re.compile("outdated"))
            bus.source.intake.link(SourceLink("retrying", 2, retry_in_ms=60_000))
            await expect(source).to_contain_text("attempt 2, again in")
            await expect(page).to_have_class(re.compile("outdated"))
            bus.source.intake.link(SourceLink("silent", heartbeat_age_ms=9_000))
            await expect(source.locator(".pill")).to_have_text("silent")
            await expect(source).to_contain_text(re.compile(r"no heartbeat for (9\.\d|\d\d) s"))
            await user.keep("bus-silent")
            bus.source.intake.link(SourceLink("up"))
            await expect(page).not_to_have_class(re.compile("outdated"))
            bus.quote("AUD/USD", "0.65012", "0.65030")
            row = quote_row(user.page, "data.quotes.SIM.AUD/USD")
            await expect(cell(row, "bid")).to_have_text("0.65012")


async def test_a_key_is_asked_for_and_when_it_is_withdrawn_the_page_says_so(
    browser: Browser,
) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff, keys={"sesame"})
        bus.quote("AUD/USD", "0.65010", "0.65030")
        async with tab(browser, f"{bff.url}/#/bus", may_complain=True) as user:
            await expect(user.page.get_by_text("An API key is needed")).to_be_visible()
            await expect(user.page.get_by_text("0 topics")).to_be_hidden()
            await user.page.get_by_role("button", name="Enter a key").click()
            await user.page.get_by_label("API key").fill("sesame")
            await user.page.get_by_role("button", name="Use it").click()
            await expect(user.page.locator(".board tbody tr")).to_have_count(1)
            bus.keys.clear()
            bff.hub.events.check_callers()
            await expect(user.page.get_by_text("The API key does not hold")).to_be_visible()
            await expect(user.page.locator(".source .pill")).to_have_text("failed")
            await expect(user.page.locator(".page.bus")).to_have_class(re.compile("outdated"))
            assert "sesame" not in await user.page.content()


@pytest.mark.parametrize("is_simulated", [True, False])
async def test_what_is_simulated_is_marked(browser: Browser, is_simulated: bool) -> None:  # noqa: FBT001
    async with console(DAY) as (bff, _, _):
        desk(bff, is_simulated=is_simulated)
        async with tab(browser, f"{bff.url}/#/bus") as user:
            await expect(user.page.get_by_role("heading", name="Bus")).to_be_visible()
            marks = user.page.get_by_text("simulated", exact=True)
            await expect(marks).to_have_count(1 if is_simulated else 0)


async def test_where_the_server_has_no_topics_nothing_of_them_is_shown(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _), tab(browser, bff.url) as user:
        nav = user.page.get_by_role("navigation")
        await expect(user.page.get_by_role("link", name="day")).to_be_visible()
        await expect(nav.locator("a")).to_have_text(["Runs", "Wall", "Bus", "Jobs", "Hub"])
        for name in ("Bus", "Jobs"):
            await expect(nav.get_by_text(name)).to_be_hidden()
        await user.page.goto(f"{bff.url}/#/bus")
        await expect(user.page.get_by_text("No bus here")).to_be_visible()
        await user.page.goto(f"{bff.url}/#/jobs")
        await expect(user.page.get_by_text("No jobs here")).to_be_visible()


async def test_on_a_phone_the_bus_is_not_cut_off(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        bus = desk(bff, is_simulated=True)
        bus.quote("BTCUSDT", "97513.70", "97513.71", venue="BINANCE_FUTURES")
        bus.fill(1)
        async with tab(browser, f"{bff.url}/#/bus", **PHONE) as user:
            await expect(user.page.locator(".board tbody tr")).to_have_count(1)
            await expect(user.page.locator(".events .event")).to_have_count(1)
            for element in ("document.documentElement", "document.querySelector('main')"):
                assert await user.page.evaluate(f"{element}.scrollWidth") <= 390
            age = cell(user.page.locator(".board tbody tr"), "age")
            box = await age.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 390
            await user.keep("bus-phone")
