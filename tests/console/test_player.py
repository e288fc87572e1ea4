"""What the player says, and what its keys and buttons do, when something is unusual."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, hdrs, web
from msgspec import json
from playwright.async_api import Browser, expect

from hewston_bff.tools.simulator import (
    AnswerWith,
    Lifecycle,
    SimulatedStatus,
    SimulatorOptions,
    generated_run,
)
from tests.console.browser import console, tab
from tests.console.runs import frame, given_run, order, priced
from tests.console.support import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = generated_run("day")
MONTH = generated_run("month", frame_count=21 * 390)
TWO = generated_run("two", frame_count=2)
BUTTONS = ("− 1", "Play", "+ 1", "Jump", "Go live")


async def test_a_backend_that_is_gone_is_told_with_the_attempts(browser: Browser) -> None:
    growth = Lifecycle(history=600, growth_fps=20, is_endless=True)
    growing = generated_run("growing", frame_count=20_000, lifecycle=growth)
    backoff: dict[str, Any] = {
        "bff_hub_backoff_base_seconds": 2.0,
        "bff_hub_backoff_cap_seconds": 4.0,
    }
    async with console(growing, **backoff) as (bff, _, running):
        async with tab(browser, f"{bff.url}/#/run/growing", may_complain=True) as user:
            await user.past(0)
            await user.page.get_by_role("button", name="Go live").click()
            await user.status("live")
            await running.kill()
            await user.status("backend lost")
            lost = user.page.locator(".note.lost").first
            await expect(lost).to_contain_text("The server has lost the backend: no new frames")
            await expect(lost).to_contain_text(
                re.compile(r"Attempt \d+: (the next try is in \d+ s|trying now)")
            )
            await user.keep("backend-lost")
            await running.start()
            await user.status("live")
            await expect(lost).to_be_hidden()


async def test_a_run_that_failed_says_why_and_has_no_buttons(browser: Browser) -> None:
    failed = generated_run("failed", lifecycle=Lifecycle(final=SimulatedStatus.ERROR))
    async with console(failed) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/failed", may_complain=True) as user:
            page = user.page
            await expect(
                page.get_by_role("heading", name="This run ended in ERROR")
            ).to_be_visible()
            await expect(page.locator(".cover")).to_contain_text("The backend gives no reason.")
            await expect(page.locator(".cover")).to_contain_text("create the run anew")
            for name in BUTTONS:
                await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
            await user.keep("run-error")


async def test_a_run_without_a_frame_has_no_data_and_no_buttons(browser: Browser) -> None:
    async with console(given_run("empty", [])) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/empty", may_complain=True) as user:
            await expect(user.page.get_by_role("heading", name="No data")).to_be_visible()
            for name in BUTTONS:
                await expect(
                    user.page.get_by_role("button", name=name, exact=True)
                ).to_be_disabled()
            await user.keep("no-data")
            await user.page.goto(f"{bff.url}/#/wall")
            await expect(user.page.locator(".tile .words")).to_have_text(
                "No data: it has no frames."
            )


async def test_the_reason_that_the_backend_gives_is_told(browser: Browser) -> None:
    failed = generated_run("failed", lifecycle=Lifecycle(final=SimulatedStatus.ERROR))
    detail = failed.detail(status=SimulatedStatus.ERROR) | {"error_message": "no bars for AAPL"}
    answers = tuple(AnswerWith(status=200, body=json.encode(detail)) for _ in range(50))
    options = SimulatorOptions(
        play_silence_s=0.02, hb_interval_s=0.3, rest_faults={"GET /backtests/{run_id}": answers}
    )
    async with console(failed, options=options) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/failed", may_complain=True) as user:
            await expect(user.page.locator(".cover")).to_contain_text(
                "The backend says: no bars for AAPL"
            )


async def test_a_description_is_asked_for_until_it_is_there(browser: Browser) -> None:
    faults = {
        "GET /backtests/{run_id}": (*(AnswerWith(status=503, body=b"{}") for _ in range(4)), None)
    }
    options = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3, rest_faults=faults)
    async with console(DAY, options=options) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/day", may_complain=True) as user:
            await expect(user.page.locator(".about")).to_have_text("AAPL · sma_crossover")


async def test_a_refused_token_is_not_taken_for_none(browser: Browser) -> None:
    guarded = SimulatorOptions(play_silence_s=0.02, hb_interval_s=0.3, require_token={"good": None})
    async with console(MONTH, options=guarded) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month", may_complain=True) as user:
            page = user.page
            await expect(
                page.get_by_role("heading", name="A token is needed", level=1)
            ).to_be_visible()
            await page.get_by_role("button", name="Enter a token").click()
            await page.get_by_label("Access token").fill("stale")
            await page.get_by_role("button", name="Use it").click()
            await expect(
                page.get_by_role("heading", name="The token was refused", level=1)
            ).to_be_visible()
            await user.keep("token-refused")
            await page.get_by_role("button", name="Enter another token").click()
            await page.get_by_label("Access token").fill("good")
            await page.get_by_role("button", name="Use it").click()
            await user.past(0)


async def test_on_the_backends_own_path_is_said_what_does_not_work(browser: Browser) -> None:
    async with console(MONTH, bff_feature_websocket_proxy=False) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month", may_complain=True) as user:
            page = user.page
            await user.past(0)
            await expect(page.locator("[data-note=limits]")).to_contain_text(
                "single steps, figures"
            )
            for name in ("− 1", "+ 1", "Go live"):
                await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
            await expect(page.get_by_role("button", name="Jump")).to_be_enabled()
            await user.pause()


async def test_the_last_day_can_be_reached_and_the_range_is_told_as_times(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/day", may_complain=True) as user:
            page = user.page
            await user.past(0)
            date = page.get_by_label("Jump to (UTC)")
            await date.fill("2024-01-02T23:59")
            await page.get_by_role("button", name="Jump").click()
            await expect(page.locator(".strip .time")).to_have_text("2024-01-02 20:59 UTC")
            said = page.locator(".said")
            await expect(said).to_contain_text(
                "The run goes from 2024-01-02 14:30 UTC to 2024-01-02 20:59 UTC"
            )
            await expect(said).not_to_contain_text(re.compile("`(min|max)"))
            await date.fill("2020-03-01T00:00")
            await page.get_by_role("button", name="Jump").click()
            await expect(said).to_have_text(
                "The run begins later than that: this is its beginning."
            )


async def test_orders_jumped_over_are_told_while_a_run_is_followed(browser: Browser) -> None:
    growth = Lifecycle(history=2_000, growth_fps=20, is_endless=True)
    growing = generated_run("growing", frame_count=20_000, lifecycle=growth)
    async with console(growing) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/growing", may_complain=True) as user:
            await user.past(0)
            await user.page.get_by_role("button", name="Go live").click()
            await user.status("live")
            told = user.page.locator(".orders > p")
            await expect(told).to_have_text(re.compile(r"^\d+ earlier ones were jumped over\.$"))


async def test_a_tile_of_a_run_that_failed_has_not_lost_the_backend(browser: Browser) -> None:
    failed = generated_run("failed", lifecycle=Lifecycle(final=SimulatedStatus.ERROR))
    # So long between the attempts that what is told between them stays.
    async with console(failed, bff_hub_backoff_base_seconds=60, bff_hub_backoff_cap_seconds=60) as (
        bff,
        _,
        _,
    ):
        async with tab(browser, f"{bff.url}/#/wall", may_complain=True) as user:
            await expect(user.page.locator(".tile .words")).to_have_text(
                "It ended in ERROR, without frames."
            )
            await expect(user.page.locator(".tile .pill")).to_have_text("buffering")


async def test_a_running_run_without_frames_tells_that_the_backend_is_lost(
    browser: Browser,
) -> None:
    growth = Lifecycle(history=600, growth_fps=20, is_endless=True)
    growing = generated_run("growing", frame_count=20_000, lifecycle=growth)
    slow = SimulatorOptions(play_silence_s=600.0, hb_interval_s=0.3)
    async with console(growing, options=slow) as (bff, _, running):
        async with tab(browser, f"{bff.url}/#/run/growing", may_complain=True) as user:
            await expect(user.page.locator(".cover")).to_contain_text("Waiting for the run")
            await running.kill()
            await user.status("backend lost")
            await expect(user.page.locator(".cover")).to_contain_text("The backend is down")


async def test_keys_work_after_a_date_and_after_a_choice_by_mouse(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month") as user:
            page, press = user.page, user.page.keyboard.press
            await user.past(0)
            # By mouse, as a select's list does it: a press on it, and a change.
            speed = page.get_by_label("Speed")
            await speed.click()
            await speed.select_option("0.1")
            await press("Space")
            await user.status("paused")
            await page.get_by_role("button", name="+ 1").click()
            stands = await user.seq()
            await press("Space")
            await user.status("playing")
            await press("Space")
            await user.status("paused")
            assert await user.seq() >= stands
            date = page.get_by_label("Jump to (UTC)")
            await press("J")
            await expect(date).to_be_focused()
            await date.fill("2024-01-03T15:00")
            await press("Enter")
            await expect(page.locator(".strip .time")).to_have_text("2024-01-03 15:00 UTC")
            await press("ArrowRight")
            await expect(page.locator(".strip .time")).to_have_text("2024-01-03 15:01 UTC")
            await press("j")
            await press("Escape")
            await expect(date).not_to_be_focused()
            await press("Shift+H")
            await expect(page.get_by_role("heading", name="Hub")).to_be_visible()


@pytest.mark.parametrize(("run", "speed"), [(TWO, "0.01"), (DAY, "0.2"), (MONTH, "5")])
async def test_a_run_is_played_in_about_a_minute_unless_told_otherwise(
    browser: Browser, run: Any, speed: str
) -> None:
    async with console(run) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/{run.run_id}") as user:
            await expect(user.page.get_by_label("Speed")).to_have_value(speed)
            await user.page.get_by_label("Speed").select_option("1")
            await user.past(0)
            await expect(user.page.get_by_label("Speed")).to_have_value("1")


async def test_a_clock_is_not_read_aloud_while_it_runs(browser: Browser) -> None:
    async with console(MONTH) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/month") as user:
            await user.past(0)
            clock = user.page.locator(".strip .time")
            assert await clock.evaluate("e => e.tagName") == "SPAN"
            assert (
                await clock.evaluate("e => e.closest('[aria-live], [role=status], output')") is None
            )
            spoken = user.page.locator(".spoken")
            before = await spoken.text_content()
            await user.past(await user.seq() + 100)
            assert await spoken.text_content() == before
            await user.pause()
            await expect(spoken).to_have_text(f"At {await clock.text_content()}")


async def test_every_page_says_that_its_times_are_utc(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/day", timezone_id="America/New_York") as user:
            page = user.page
            await user.past(0)
            await expect(page.locator(".strip .time")).to_have_text(re.compile(r" UTC$"))
            await expect(page.locator(".zone")).to_be_visible()
            await expect(page.locator(".jump")).to_contain_text("UTC")
            await expect(page.get_by_text("Time (UTC)")).to_be_visible()
            await page.goto(f"{bff.url}/#/wall")
            await expect(page.get_by_text("times are UTC")).to_be_visible()
            await page.goto(f"{bff.url}/#/runs")
            await expect(page.get_by_text("Created (UTC)")).to_be_visible()


async def test_orders_without_a_zone_are_utc_in_new_york(browser: Browser) -> None:
    bare = given_run(
        "bare",
        [frame(m, priced(10, 1), 100, order(m, "BUY", 1, 10, zone="")) for m in range(3)],
    )
    async with console(bare) as (bff, _, _):
        url = f"{bff.url}/#/run/bare"
        async with tab(browser, url, timezone_id="America/New_York", may_complain=True) as user:
            await user.page.get_by_label("Speed").select_option("60")
            await user.status("ended")
            rows = user.page.locator(".orders tbody tr td:first-child")
            await expect(rows).to_have_text(
                ["2024-03-04 14:32", "2024-03-04 14:31", "2024-03-04 14:30"]
            )


async def test_what_could_not_be_read_is_told_and_stays(browser: Browser) -> None:
    frames = [frame(minute, priced(10, 1), 100) for minute in range(400)]
    for minute in (20, 30, 40):
        frames[minute] = frames[minute] | {"ts": "soon"}
    async with console(given_run("unread", frames)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/unread", may_complain=True) as user:
            await user.past(10)
            await expect(user.page.locator("[data-note=skipped]")).to_have_text(
                "3 frames of this run could not be read and are missing here: time unreadable (3)."
            )
            await user.keep("skipped")
            await user.page.goto(f"{bff.url}/#/wall")
            await expect(user.page.locator(".missing")).to_contain_text("time unreadable (3)")


async def test_a_base_that_is_not_positive_is_told_in_money(browser: Browser) -> None:
    frames = [frame(minute, priced(10, 1), -100 + minute) for minute in range(300)]
    async with console(given_run("debt", frames)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/run/debt", may_complain=True) as user:
            page = user.page
            await user.past(0)
            await page.get_by_label("Speed").select_option("60")
            await user.status("ended")
            await expect(page.locator("[data-figure=total_return]")).to_have_text("+299")
            await expect(page.locator("[data-figure=sharpe]")).to_have_text("–")
            await expect(page.locator(".side")).to_contain_text(
                "No ratios from 2024-03-04 14:30 UTC on"
            )
            await page.goto(f"{bff.url}/#/wall")
            change = page.locator(".tile[data-run=debt] .change")
            await expect(change).to_have_text(re.compile(r"^\+\d+$"))
            await user.keep("debt-on-the-wall")


async def test_an_address_that_leads_nowhere_has_a_heading(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/nowhere", may_complain=True) as user:
            await expect(user.page.get_by_role("heading", level=1)).to_have_text("No such page")
            await user.page.goto(f"{bff.url}/#/run/unknown")
            await expect(user.page.get_by_role("heading", level=1)).to_have_text("No such run")


# -- the wall


async def test_a_tile_says_what_the_run_has_come_to_since_its_first_frame(browser: Browser) -> None:
    """A tenth is lost in the first hour; then nothing happens, however late one looks."""
    frames = [frame(m, priced(10, 1), 1_000 - min(100, m * 2)) for m in range(3_000)]
    async with console(given_run("falling", frames)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/wall") as user:
            tile = user.page.locator(".tile[data-run=falling]")
            await expect(tile.locator(".change")).to_have_text("−10.00 %")
            await expect(tile.locator(".value")).to_have_text("900")


async def test_the_whole_of_a_tile_leads_to_its_run(browser: Browser) -> None:
    frames = [frame(m, priced(10, 1), 100 + m) for m in range(400)]
    async with console(given_run("rising", frames)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/wall", may_complain=True) as user:
            tile = user.page.locator(".tile[data-run=rising]")
            await expect(tile.locator(".value")).to_have_text(re.compile(r"\d"))
            box = await tile.bounding_box()
            assert box is not None
            await user.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            await expect(user.page).to_have_url(re.compile("#/run/rising$"))


# -- under a prefix


@asynccontextmanager
async def behind_prefix(target: str, *, port: int) -> AsyncIterator[str]:
    """A proxy that serves `target` below /hewston/ and nothing elsewhere, as nginx does it."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        url = f"{target}/{request.match_info['rest']}"
        if request.query_string:
            url += f"?{request.query_string}"
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await _pass_socket(request, session, url)
        kept = {k: v for k, v in request.headers.items() if k not in {hdrs.HOST, hdrs.CONNECTION}}
        async with session.get(url, headers=kept, allow_redirects=False) as answer:
            body = await answer.read()
            passed = {
                k: v
                for k, v in answer.headers.items()
                if k not in {"Transfer-Encoding", "Connection"}
            }
            return web.Response(status=answer.status, body=body, headers=passed)

    async with ClientSession(auto_decompress=False) as session:
        app = web.Application()
        app.router.add_get("/hewston/{rest:.*}", pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield f"http://127.0.0.1:{port}/hewston/"
        finally:
            await runner.cleanup()


async def _pass_socket(
    request: web.Request, session: ClientSession, url: str
) -> web.WebSocketResponse:
    near = web.WebSocketResponse(protocols=("hewston.bff.v1",))
    await near.prepare(request)
    headers = {hdrs.ORIGIN: request.headers[hdrs.ORIGIN]}
    async with session.ws_connect(url, protocols=("hewston.bff.v1",), headers=headers) as far:

        async def pump() -> None:
            async for message in near:
                await far.send_str(message.data)
            await far.close()

        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(pump())
            async for message in far:
                await near.send_str(message.data)
            pumping.cancel()
    return near


async def test_the_console_works_under_any_prefix(browser: Browser) -> None:
    front = free_port()
    origin = f"http://127.0.0.1:{front}"
    async with console(MONTH, bff_public_origins=(origin,)) as (bff, _, _):
        async with behind_prefix(bff.url, port=front) as url:
            asked: list[str] = []
            async with tab(browser, "about:blank") as user:
                page = user.page
                page.on("request", lambda request: asked.append(request.url))
                page.on("websocket", lambda ws: asked.append(ws.url))
                await page.goto(url)
                await page.get_by_role("link", name="month").click()
                await user.past(30)
                await expect(page.locator(".connection")).to_have_text("Connected")
                await expect(page.locator(".chart canvas").first).to_be_visible()
                await page.goto(f"{url}#/hub")
                await expect(page.get_by_role("heading", name="Hub", exact=True)).to_be_visible()
                await expect(page.locator("tr[data-run=month]")).to_be_visible()
                for path, link in (
                    ("api/v1/docs", "/api/v1/chart-data"),
                    ("api/v1/docs/streams", "One run on a socket, as the backend has it"),
                ):
                    await page.goto(url + path)
                    await expect(page.get_by_text(link, exact=True).first).to_be_visible()
                await page.get_by_role("link", name="Addresses").click()
                await expect(page).to_have_url(f"{url}api/v1/docs")
            own = [address for address in asked if not address.startswith("data:")]
            assert own
            assert all(
                address.partition("//")[2].startswith(f"127.0.0.1:{front}/hewston/")
                for address in own
            )
