"""The console in a real browser: what a trader, a developer and an operator do with it."""

import re
from typing import Any

import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, expect

from hewston_bff.tools.simulator import Lifecycle, SimulatedBackend, SimulatorOptions, generated_run
from hewston_bff.web.console import CHARTS, CONSOLE
from tests.console.browser import console, tab
from tests.console.support import free_port
from tests.program import once_up, program
from tests.support import QUICK

pytestmark = pytest.mark.asyncio(loop_scope="session")

MONTH = generated_run("month", frame_count=21 * 390)
QUARTER = generated_run("quarter", frame_count=63 * 390)
WALL = tuple(generated_run(f"wall-{number}", frame_count=780) for number in range(12))
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}


async def test_a_run_plays_after_one_click(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _), tab(browser, bff.url) as user:
        await user.page.get_by_role("link", name="month").click()
        await user.past(0)
        await user.status("playing")
        await expect(user.page.locator(".chart canvas").first).to_be_visible()
        await user.keep("player")


async def test_the_cursor_goes_where_the_user_says(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month") as user:
            await user.slowly()
            await user.pause_past(100)
            await user.page.get_by_label("Jump to (UTC)").fill("2024-01-16T15:00")
            await user.page.get_by_role("button", name="Jump").click()
            time = user.page.locator(".strip .time")
            await expect(time).to_have_text("2024-01-16 15:00 UTC")
            await user.page.get_by_role("button", name="+ 1").click()
            await expect(time).to_have_text("2024-01-16 15:01 UTC")
            await user.page.get_by_role("button", name="− 1").click()
            await expect(time).to_have_text("2024-01-16 15:00 UTC")
            await user.keep("seek")
            slider = user.page.get_by_role("slider")
            box = await slider.bounding_box()
            assert box is not None
            await slider.click(position={"x": box["width"] * 0.1, "y": box["height"] / 2})
            await expect(time).not_to_contain_text("2024-01-16")
            await user.page.get_by_label("Speed").select_option("300")
            await user.page.get_by_role("button", name="Play", exact=True).click()
            await user.status("ended")
            await expect(user.page.locator("[data-figure=merged]")).not_to_have_text("0")
            await expect(user.page.locator("[data-figure=dropped]")).to_have_text("0")


async def test_what_a_jump_passed_over_is_there_minute_by_minute(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month") as user:
            await user.slowly()
            await user.pause_past(30)
            await user.page.get_by_role("button", name="1m", exact=True).click()
            await user.page.get_by_label("Jump to (UTC)").fill("2024-01-05T15:00")
            await user.page.get_by_role("button", name="Jump").click()
            passed = 3 * 390 + 31
            player = user.page.locator(".player")
            await expect(player).to_have_attribute("data-seq", str(passed - 1))
            await expect(player).to_have_attribute("data-held", str(passed))
            await user.page.get_by_label("Jump to (UTC)").fill("2024-01-03T15:00")
            await user.page.get_by_role("button", name="Jump").click()
            await expect(player).to_have_attribute("data-seq", str(390 + 30))
            await expect(player).to_have_attribute("data-held", str(390 + 31))


async def test_two_tabs_on_one_run_are_independent(browser: Browser) -> None:
    async with console(MONTH) as (bff, backend, _):
        url = f"{bff.url}/#/run/month"
        async with tab(browser, url) as first, tab(browser, url) as second:
            await first.slowly()
            await second.slowly()
            stands = await first.pause_past(50)
            await second.past(await second.seq() + 100)
            await second.status("playing")
            assert await first.seq() == stands
        assert backend.stats().opened("month") == 1


async def test_playing_survives_a_killed_server_without_a_click_or_a_jump(
    browser: Browser,
) -> None:
    port = free_port()
    backend = SimulatedBackend([MONTH], options=QUICK)
    url = f"http://127.0.0.1:{port}"
    async with backend.running() as running:
        serve = ("serve", "--port", str(port), "--backend-url", running.url)
        async with program(*serve) as server, ClientSession(url) as session:
            await once_up(session, "/api/v1/health/live")
            opened = tab(browser, f"{url}/#/run/month", may_complain=True)
            user = await opened.__aenter__()
            await user.slowly()
            await user.past(150)
            server.kill()
            await server.wait()
        connection = user.page.locator(".connection")
        await expect(connection).to_have_attribute("data-connection", "offline")
        await expect(connection).to_have_text(re.compile(r"attempt ([4-9]|\d\d)"))
        await user.keep("offline")
        stood = await user.seq()
        async with program(*serve):
            stands = await user.pause_past(stood + 150)
            held = await user.page.locator(".player").get_attribute("data-held")
            assert held == str(stands + 1), "each frame is in the picture once"
            painted = await user.painted()
            assert painted == sorted(painted)
            await expect(user.page.locator("[data-figure=dropped]")).to_have_text("0")
            await expect(user.page.locator(".said")).to_have_text("")
            await expect(connection).to_have_text("Connected")
            await opened.__aexit__(None, None, None)


async def test_a_run_plays_however_long_its_list_was_looked_at(browser: Browser) -> None:
    async with console(MONTH, bff_ws_subscribe_within_seconds=0.2) as (bff, _, _):
        async with tab(browser, bff.url) as user:
            connection = user.page.locator(".connection")
            await expect(connection).to_have_attribute("data-connection", "idle")
            await user.page.get_by_role("link", name="month").click()
            await user.past(0)
            await user.page.goto(f"{bff.url}/#/hub")
            await expect(connection).to_have_attribute("data-connection", "idle")
            await user.page.goto(f"{bff.url}/#/run/month")
            await user.past(0)


async def test_a_wall_of_twelve_runs_needs_one_socket(browser: Browser) -> None:
    async with console(*WALL) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/wall") as user:
            tiles = user.page.locator(".tile")
            await expect(tiles).to_have_count(12)
            await expect(tiles.locator(".value:not(:empty)")).to_have_count(12)
            totals = await bff.totals()
            assert (totals["active_connections"], totals["total_subscribers"]) == (1, 12)
            await user.keep("wall")
            await user.page.get_by_role("button", name="Remove wall-3").click()
            await expect(tiles).to_have_count(11)
            await user.page.reload()
            await expect(tiles).to_have_count(11)
            await user.page.get_by_label("Run to add").fill("wall-3")
            await user.page.get_by_role("button", name="Add", exact=True).click()
            await expect(tiles).to_have_count(12)


async def test_the_hub_is_shown_live(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/hub") as user:
            await expect(user.page.get_by_text("Nobody watches")).to_be_visible()
            async with bff.viewer() as viewer:
                await viewer.subscribe("month", speed=1)
                row = user.page.locator("tr[data-run=month]")
                await expect(row).to_contain_text("8,190")
                await expect(row.locator("[data-cell=Viewers]")).to_have_text("1")
                await user.keep("hub")
            await expect(row.locator("[data-cell=Viewers]")).to_have_text("0")


async def test_all_of_the_player_can_be_done_by_keys(browser: Browser) -> None:
    async with console(QUARTER) as (bff, _, _), tab(browser, bff.url) as user:
        press = user.page.keyboard.press
        await expect(user.page.get_by_role("link", name="quarter")).to_be_visible()
        await press("ArrowDown")
        await press("Enter")
        speed = user.page.get_by_label("Speed")
        await expect(speed).to_have_value("15")
        for slower in ("5",):
            await press("-")
            await expect(speed).to_have_value(slower)
        await user.past(30)
        await press(" ")
        await user.status("paused")
        stands = await user.seq()
        await press("Shift+ArrowRight")
        await user.past(stands + 59)
        assert await user.seq() == stands + 60
        await press("Home")
        await user.page.wait_for_function("() => window.painted.at(-1) === 0")
        await press("+")
        await expect(speed).to_have_value("15")
        await press("2")
        five = user.page.get_by_role("button", name="5m", exact=True)
        await expect(five).to_have_attribute("aria-pressed", "true")
        keys = user.page.get_by_role("heading", name="Keys")
        await press("?")
        await expect(keys).to_be_visible()
        await press("Escape")
        await expect(keys).to_be_hidden()
        await press("t")
        await expect(user.page.locator("html")).to_have_attribute("data-theme", "dark")
        await press("h")
        await expect(user.page.get_by_role("heading", name="Hub")).to_be_visible()


async def test_on_a_phone_nothing_is_cut_off(browser: Browser) -> None:
    async with console(MONTH, *WALL[:2]) as (bff, _, _):
        async with tab(browser, bff.url, **PHONE) as user:
            for place in ("runs", "wall", "hub", "run/month"):
                await user.page.goto(f"{bff.url}/#/{place}")
                await expect(user.page.locator("main > *")).to_be_visible()
                width = await user.page.evaluate("document.documentElement.scrollWidth")
                assert width <= 390, place
            await user.slowly()
            await user.pause_past(60)
            await user.keep("phone")


async def test_a_growing_run_is_followed_at_its_edge(browser: Browser) -> None:
    growth = Lifecycle(history=3_000, growth_fps=20, is_endless=True)
    growing = generated_run("growing", frame_count=20_000, lifecycle=growth)
    async with console(growing) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/growing") as user:
            await user.past(100)
            await user.page.get_by_role("button", name="Go live").click()
            await user.status("live")
            await user.past(2_998)
            await expect(user.page.locator("[data-figure=behind]")).to_have_text("0")


async def test_what_cannot_be_shown_is_said_in_words(browser: Browser) -> None:
    async with console(MONTH, bff_backend_timeout=0.5) as (bff, _, running):
        async with tab(browser, f"{bff.url}/#/run/nothing", may_complain=True) as user:
            await expect(user.page.get_by_text("No such run")).to_be_visible()
            await user.keep("no-such-run")
            await user.page.get_by_role("link", name="All runs").click()
            await expect(user.page.get_by_role("link", name="month")).to_be_visible()
            await running.kill()
            await expect(user.page.get_by_text("The backend is down")).to_be_visible()
            await user.keep("backend-down")
            await user.page.goto(f"{bff.url}/#/run/month")
            await expect(user.page.get_by_text("playing goes on by itself")).to_be_visible()
            await running.start()
            await user.past(0)
            await expect(user.page.locator(".about")).not_to_be_empty()
            await user.page.goto(f"{bff.url}/#/nowhere")
            await expect(user.page.get_by_text("No such page")).to_be_visible()


async def test_a_refused_token_is_asked_for_and_then_it_plays(browser: Browser) -> None:
    guarded = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3, require_token={"good": None})
    async with console(MONTH, options=guarded) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month", may_complain=True) as user:
            await expect(user.page.get_by_text("A token is needed")).to_be_visible()
            await user.page.get_by_role("button", name="Enter a token").click()
            await user.page.get_by_label("Access token").fill("good")
            await user.page.get_by_role("button", name="Use it").click()
            await user.past(60)


async def test_with_streams_switched_off_the_run_plays_all_the_same(browser: Browser) -> None:
    async with console(MONTH, bff_feature_websocket_proxy=False) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month", may_complain=True) as user:
            await user.past(60)
            await expect(user.page.locator(".connection")).to_contain_text("own path")


async def test_without_its_charts_the_page_says_so_and_the_rest_works(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        del bff.app[CONSOLE][CHARTS]
        async with tab(browser, f"{bff.url}/#/run/month", may_complain=True) as user:
            await expect(user.page.get_by_text("No charts here")).to_be_visible()
            await user.past(60)
