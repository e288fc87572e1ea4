#!/usr/bin/env python3
"""What the console costs a browser: bytes, first paint, click to play, pictures a second, memory.

    scripts/bench_console.py
    scripts/bench_console.py --passes 1
    scripts/bench_console.py --only-year --timeframe 1m

A demo of its own and the system's Chromium, headless and without a GPU, share this machine: the
figures are a floor. A picture counts if the player drew newer frames in it. Memory is read after a
garbage collection, at the end of each pass over the year; `rss` is that of the page's process. Of
tasks of the page longer than 50 ms the browser tells: the longest, and how many were over 200 ms.
The year is played at speed 60.
"""

import asyncio
import statistics
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize
from typing import Any

from demo_page import chromium, demo
from playwright.async_api import Browser, CDPSession, Page
from rich.console import Console
from rich.table import Table

LOADS = 5
YEAR = "demo-year"
LONG_MS = 200
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
_BYTES = """[performance.getEntriesByType('navigation')[0],
    ...performance.getEntriesByType('resource').filter(({name}) => !name.includes('/api/'))]
    .reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0)"""
# From the click on a run to the first picture of it, in ms.
_CLICK = """run => new Promise((resolve) => {
  document.querySelector(`tr[data-run=${run}] a`).click();
  const clicked = performance.now();
  (function look() {
    const seq = Number(document.querySelector('.player')?.dataset.seq ?? -1);
    if (seq > 0) resolve(performance.now() - clicked); else requestAnimationFrame(look);
  })();
})"""
# Notes the time of every picture with newer frames, once in a page.
_WATCH = """() => {
  window.pictures = [];
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.tasks.push(duration);
  }).observe({ type: "longtask" });
  let last = null;
  (function look() {
    const seq = document.querySelector('.player')?.dataset.seq ?? null;
    if (seq !== last) window.pictures.push(performance.now());
    last = seq;
    requestAnimationFrame(look);
  })();
}"""


@dataclass(frozen=True)
class Pass:
    """One pass over the year."""

    seconds: float
    pictures_per_s: list[int]
    heap_mb: float
    rss_mb: float
    merged: str
    dropped: str
    tasks_ms: list[float]


async def opened(browser: Browser, url: str) -> Page:
    """A page in a profile of its own: nothing is cached."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(120_000)
    await page.goto(url)
    return page


async def loads(browser: Browser, url: str) -> tuple[list[float], int]:
    """First paints, ms; bytes of all that the page consists of, as sent."""
    paints = []
    for _ in range(LOADS):
        page = await opened(browser, url)
        await page.wait_for_selector("tr[data-run]")
        paints.append(float(await page.evaluate(_FIRST_PAINT)))
        await page.context.close()
    page = await opened(browser, f"{url}/#/run/demo-day")
    await page.wait_for_selector(".chart canvas")
    size = int(await page.evaluate(_BYTES))
    await page.context.close()
    return paints, size


async def click(browser: Browser, url: str, run: str) -> float:
    """From the click on a run to its first picture, ms."""
    page = await opened(browser, url)
    await page.wait_for_selector(f"tr[data-run={run}]")
    taken_ms = float(await page.evaluate(_CLICK, run))
    await page.context.close()
    return taken_ms


async def cold_click(browser: Browser, run: str) -> float:
    """The same in a demo where nobody has watched anything."""
    async with demo() as url:
        return await click(browser, url, run)


async def passes(browser: Browser, url: str, *, count: int, timeframe: str) -> list[Pass]:
    """The year, played from start to end, `count` times in one page."""
    page = await opened(browser, f"{url}/#/run/{YEAR}")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await page.wait_for_function("() => document.querySelector('.player')?.dataset.seq > 0")
    ended = []
    await page.evaluate(_WATCH)
    await page.get_by_role("button", name=timeframe, exact=True).click()
    await page.get_by_label("Speed").select_option("60")
    for number in range(count):
        if number:
            await page.get_by_role("button", name="Play", exact=True).click()
            await page.wait_for_selector(".strip .pill[data-status=playing]")
        await page.evaluate("window.pictures = []; window.tasks = []")
        await page.wait_for_selector(".strip .pill[data-status=ended]", timeout=180_000)
        ended.append(await _read(browser, page, devtools))
    await page.context.close()
    return ended


async def _read(browser: Browser, page: Page, devtools: CDPSession) -> Pass:
    pictures: list[float] = await page.evaluate("window.pictures")
    first, last = pictures[0], pictures[-1]
    whole = range(int((last - first) / 1_000))
    counts = [sum(int((at - first) / 1_000) == second for at in pictures) for second in whole]
    await devtools.send("HeapProfiler.collectGarbage")
    metrics = await devtools.send("Performance.getMetrics")
    heap = next(m["value"] for m in metrics["metrics"] if m["name"] == "JSHeapUsedSize")
    return Pass(
        (last - first) / 1_000,
        counts,
        heap / 1e6,
        await _rss_mb(browser),
        await page.inner_text("[data-figure=merged]"),
        await page.inner_text("[data-figure=dropped]"),
        await page.evaluate("window.tasks"),
    )


async def _rss_mb(browser: Browser) -> float:
    devtools = await browser.new_browser_cdp_session()
    info: dict[str, Any] = await devtools.send("SystemInfo.getProcessInfo")
    pages = [process["id"] for process in info["processInfo"] if process["type"] == "renderer"]
    return max(_resident_mb(pid) for pid in pages)


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize() / 1e6


def percentile(values: list[int], share: float) -> int:
    """The value that this share of all values is at or below."""
    return sorted(values)[max(0, round(share * len(values)) - 1)]


async def measure_year(table: Table, browser: Browser, url: str, options: Namespace) -> None:
    """The year, as often as asked for."""
    played_all = await passes(browser, url, count=options.passes, timeframe=options.timeframe)
    for number, played in enumerate(played_all, 1):
        fps = played.pictures_per_s
        long = sum(ms > LONG_MS for ms in played.tasks_ms)
        table.add_row(
            f"year at {options.timeframe}, pass {number}",
            f"{played.seconds:.1f} s; pictures/s p50 {percentile(fps, 0.5)}, "
            f"p5 {percentile(fps, 0.05)}, least {min(fps)}; longest task "
            f"{max(played.tasks_ms, default=0):.0f} ms, {long} over {LONG_MS}; "
            f"heap {played.heap_mb:.1f} MB, rss {played.rss_mb:.0f} MB; "
            f"merged {played.merged}, dropped {played.dropped}",
        )


async def measure(options: Namespace) -> Table:
    """All figures."""
    table = Table("what", "figure", title="console")
    if not options.only_year:
        async with chromium() as browser:
            cold = [await cold_click(browser, run) for run in ("demo-month", "demo-quarter", YEAR)]
            table.add_row(
                "click to first picture, cold run (month, quarter, year)",
                ", ".join(f"{ms:.0f} ms" for ms in cold),
            )
    async with demo() as url, chromium() as browser:
        if not options.only_year:
            warm = [await click(browser, url, "demo-month") for _ in range(LOADS + 1)][1:]
            median = statistics.median(warm)
            table.add_row("the same, warm", f"median {median:.0f} ms, worst {max(warm):.0f} ms")
            paints, size = await loads(browser, url)
            median = statistics.median(paints)
            table.add_row(
                "first contentful paint", f"median {median:.0f} ms, worst {max(paints):.0f} ms"
            )
            table.add_row("the page as sent, charts included", f"{size / 1_000:.0f} kB")
        await measure_year(table, browser, url, options)
    return table


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--timeframe", default="1H", help="1m, 5m, 15m, 1H or 1D")
    parser.add_argument("--only-year", action="store_true", help="nothing but the passes")
    options = parser.parse_args()
    Console(width=140).print(asyncio.run(measure(options)))


if __name__ == "__main__":
    main()
