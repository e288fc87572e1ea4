"""Jobs and services in the console, against a real Redis and real services."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, expect
from redis.asyncio import Redis

from hewston_bff.tools.simulator import generated_run
from tests.api_key_files import STATS, key_file
from tests.console.browser import console, tab
from tests.console.support import in_node
from tests.platform_service import platform_service, says
from tests.redis_server import redis_server
from tests.support import Bff
from tests.topics.ticker_tape import TapeSource, tape_kind

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = generated_run("day")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}


class Worker:
    """What a worker writes, by hand."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def tell(self, job_id: str, status: str, **fields: str) -> None:
        """One update, into the job's record and the stream at once."""
        names = ("progress", "result", "error")
        update = {"status": status, **{name: fields.get(name, "") for name in names}}
        update["ts"] = datetime.now(UTC).isoformat()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(f"job:{job_id}", mapping=update)
            pipe.xadd("jobs:updates", {"id": job_id, **update})
            await pipe.execute()

    async def queued(self) -> list[dict[str, Any]]:
        """What waits in the queue."""
        return [msgspec.json.decode(text) for text in await self._redis.lrange("jobs:queue", 0, -1)]


@asynccontextmanager
async def pipeline() -> AsyncIterator[tuple[Bff, Worker]]:
    """A server with jobs, and the hand of a worker."""
    async with redis_server() as server, console(DAY, bff_jobs_url=server.url) as (bff, _, _):
        redis = Redis.from_url(server.url)
        try:
            yield bff, Worker(redis)
        finally:
            await redis.aclose()


async def test_a_job_is_made_followed_and_its_result_is_shown(browser: Browser) -> None:
    async with pipeline() as (bff, worker), tab(browser, f"{bff.url}/#/jobs") as user:
        page = user.page
        await expect(page.get_by_text("No jobs yet")).to_be_visible()
        await page.get_by_text("New job").click()
        await page.get_by_label("Type").fill("backtest")
        payload, create = (
            page.get_by_label("Payload (JSON)"),
            page.get_by_role("button", name="Create"),
        )
        for wrong, said in (("{", "This is no JSON"), ("[1]", "has to be a JSON object")):
            await payload.fill(wrong)
            await create.click()
            await expect(page.locator("#job-problem")).to_contain_text(said)
            await expect(payload).to_have_attribute("aria-invalid", "true")
        assert await worker.queued() == []
        await payload.fill('{"symbol": "AAPL", "days": 3}')
        await create.click()
        row = page.locator("tr[data-job]")
        await expect(row).to_have_count(1)
        await expect(row.locator(".pill")).to_have_text("queued")
        (queued,) = await worker.queued()
        assert (queued["type"], queued["payload"]) == ("backtest", {"symbol": "AAPL", "days": 3})
        job_id = queued["id"]
        await expect(row).to_have_attribute("data-job", job_id)
        await expect(row).to_contain_text("backtest")
        await worker.tell(job_id, "running", progress="0.375")
        await expect(row.locator(".pill")).to_have_text("running")
        await expect(row.locator(".number")).to_have_text("37.5 %")
        await expect(row.get_by_role("progressbar")).to_have_js_property("value", 0.375)
        await worker.tell(job_id, "completed", progress="1", result='{"sharpe": 1.25}')
        await expect(row.locator(".pill")).to_have_text("completed")
        await expect(row.get_by_role("button", name="Cancel")).to_be_hidden()
        await row.get_by_role("button", name="Result").click()
        await expect(page.get_by_role("dialog").locator("pre")).to_contain_text('"sharpe": 1.25')
        await user.keep("jobs")


async def test_a_job_is_cancelled_and_an_error_is_shown(browser: Browser) -> None:
    async with pipeline() as (bff, worker):
        made = []
        for number in range(3):
            body = {"type": "pattern_scan", "payload": {"number": number}}
            async with bff.session.post(f"{bff.url}/api/v1/jobs", json=body) as response:
                made.append((await response.json())["job_id"])
        waiting, running, failing = made
        await worker.tell(running, "running", progress="0.1")
        async with tab(browser, f"{bff.url}/#/jobs", **PHONE) as user:
            rows = {job: user.page.locator(f'tr[data-job="{job}"]') for job in made}
            await expect(rows[running].locator(".pill")).to_have_text("running")
            await rows[waiting].get_by_role("button", name="Cancel").click()
            await expect(rows[waiting].locator(".pill")).to_have_text("cancelled")
            await rows[running].get_by_role("button", name="Cancel").click()
            await expect(rows[running].locator(".pill")).to_have_text("running, asked to stop")
            await worker.tell(failing, "failed", error="the file is empty")
            await expect(rows[failing]).to_contain_text("the file is empty")
            assert await user.page.evaluate("document.documentElement.scrollWidth") <= 390
            await user.page.get_by_label("Status").select_option("failed")
            await expect(user.page.locator("tr[data-job]")).to_have_count(1)
            await user.keep("jobs-phone")


async def test_a_service_that_is_down_is_unmistakable_until_it_is_back(browser: Browser) -> None:
    async with platform_service() as mcp, platform_service() as onnx:
        services = f"mcp={mcp.url}/health,onnx={onnx.url}/health"
        onnx.answer = says({"status": "down"}, status=503)
        async with console(DAY, bff_services=services) as (bff, _, _):
            async with tab(browser, f"{bff.url}/#/hub") as user:
                panel = user.page.get_by_role("region", name="Services")
                row = panel.locator('tr[data-service="onnx"]')
                await expect(row.locator(".pill")).to_have_text("✕ down")
                well = panel.locator('tr[data-service="mcp"]')
                await expect(well.locator(".pill")).to_have_text("ok")
                await expect(well).to_contain_text(re.compile(r"\d+\.\d ms"))
                alarm = panel.get_by_role("alert")
                await expect(alarm).to_contain_text("onnx is down since 20")
                known = (await bff.get("/api/v1/health/services"))["services"]
                down = next(one for one in known if one["name"] == "onnx")
                since = down["since"][:16].replace("T", " ")
                await expect(row).to_contain_text(since)
                await user.keep("hub-service-down")
                onnx.answer = says({"status": "ok"})
                await expect(row.locator(".pill")).to_have_text("ok")
                await expect(alarm).to_be_empty()


async def test_services_that_only_their_topic_tells_of_are_shown_too(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(replace(tape_kind(sources, name="system"), is_simulated=True))
        sources[0].open()
        since = "2026-11-25T03:49:59Z"
        row = {"name": "onnx", "since": since, "checked_at": since, "latency_ms": 2.5}
        async with tab(browser, f"{bff.url}/#/hub") as user:
            panel = user.page.get_by_role("region", name="Services")
            for status, shown in (("ok", "ok"), ("down", "✕ down"), ("ok", "ok")):
                data = msgspec.json.encode({"services": [row | {"status": status, "detail": None}]})
                event = sources[0].write("status", data.decode(), kind="system")
                sources[0].intake.publish([event])
                await expect(panel.locator(".pill[data-status]")).to_have_text(shown)
            await expect(panel.get_by_text("simulated")).to_be_visible()
            await expect(user.page.locator("[data-hub=subscriptions]")).to_have_text("1")


async def test_of_simulated_jobs_only_what_their_topic_says_is_asked_for(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _):
        sources: list[TapeSource] = []
        bff.hub.events.register(replace(tape_kind(sources, name="job"), is_simulated=True))
        sources[0].open()
        update = '{"job_id":"one","status":"running","progress":0.4,"result":null,"error":null}'
        # Its list is not there: a request for it would be an error that the browser complains of.
        async with tab(browser, f"{bff.url}/#/jobs") as user:
            await expect(user.page.get_by_text("No jobs yet")).to_be_visible()
            sources[0].intake.publish([sources[0].write("one", update, kind="job")])
            await expect(user.page.get_by_text("40.0 %")).to_be_visible()
            await expect(user.page.get_by_text("New job")).to_be_hidden()


async def test_figures_that_need_a_key_are_shown_with_one(browser: Browser, tmp_path: Path) -> None:
    async with console(DAY, bff_api_keys_file=key_file(tmp_path)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/hub", may_complain=True) as user:
            await expect(user.page.get_by_text("backend ok")).to_be_visible()
            await expect(user.page.locator("[data-hub=clients]")).to_be_hidden()
            await user.page.get_by_role("button", name="Enter a key").click()
            await user.page.get_by_label("API key").fill(STATS)
            await user.page.get_by_role("button", name="Use it").click()
            await expect(user.page.get_by_text("Nobody watches")).to_be_visible()
            await expect(user.page.locator("[data-hub=clients]")).to_have_text("0")


async def test_without_services_the_hub_shows_none(browser: Browser) -> None:
    async with console(DAY) as (bff, _, _), tab(browser, f"{bff.url}/#/hub") as user:
        await expect(user.page.get_by_text("Nobody watches")).to_be_visible()
        await expect(user.page.get_by_role("region", name="Services")).to_have_count(0)


def _book(script: str) -> Any:
    return in_node(script, modules={"JobBook": "jobs/job-book.js"})


async def test_what_comes_late_does_not_undo_what_is_newer() -> None:
    told = _book("""
      const job = (status, updated_at) => ({
        job_id: "a", type: "backtest", status, progress: null, error: null,
        created_at: "2026-11-25T10:00:00Z", started_at: null, finished_at: null, updated_at,
      });
      const book = new JobBook(), seen = [];
      const note = () => seen.push(book.jobs[0]?.status);
      book.listed([job("queued", null)]); note();
      book.updated({ job_id: "a", status: "running", progress: 0.5, ts: "2026-11-25T10:00:02Z" }); note();
      book.listed([job("queued", "2026-11-25T10:00:01Z")]); note();
      book.updated({ job_id: "a", status: "completed", ts: "2026-11-25T10:00:03Z" }); note();
      book.updated({ job_id: "a", status: "running", ts: "2026-11-25T10:00:04Z" }); note();
      return [...seen, book.updated({ job_id: "b", status: "queued", ts: "2026-11-25T10:00:05Z" })];""")
    assert told == ["queued", "running", "running", "completed", "completed", False]
