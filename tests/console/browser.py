"""The console in Debian's Chromium, in front of the real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from hewston_bff.tools.simulator import (
    RunningBackend,
    SimulatedBackend,
    SimulatedRun,
    SimulatorOptions,
)
from hewston_bff.web.console import CHARTS, CONSOLE
from tests.console.support import free_port
from tests.support import QUICK, Bff, program, stack
from tests.waiting import PATIENCE_S

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"
PATIENCE_MS = int(PATIENCE_S * 1_000)
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
_OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
# The first two are pages of the address bar, two more processes for each of ours, which nobody
# sees. Chromium takes the last such list alone; so here is also what Playwright's switches off.
_BARE = "--disable-features=" + ",".join(
    (
        *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
        *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose"),
        *("HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter"),
        *("PaintHolding", "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect"),
        *("OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch"),
    )
)
expect.set_options(timeout=PATIENCE_MS)
# A screen of 15 pictures a second: at sixty, the pages of a few workers want more than all cores.
_SCREEN = """
(() => {
  const due = new Map();
  let last = 0;
  const real = window.requestAnimationFrame.bind(window);
  const draw = (now) => {
    const all = [...due.values()];
    due.clear();
    for (const one of all) one(now);
  };
  window.requestAnimationFrame = (one) => {
    if (due.size === 0) setTimeout(() => real(draw), 1_000 / 15);
    due.set(++last, one);
    return last;
  };
  window.cancelAnimationFrame = (number) => due.delete(number);
})();
"""
# Every index that the page painted, in order; past `pausePast` the page itself presses Pause.
_RECORD = """
window.painted = [];
window.pausePast ??= Infinity;
(function look() {
  const player = document.querySelector(".player");
  const seq = Number(player?.dataset.seq ?? NaN);
  if (!Number.isNaN(seq) && seq !== window.painted.at(-1)) window.painted.push(seq);
  if (seq > window.pausePast) {
    const pause = [...player.querySelectorAll("button")].find((b) => b.textContent === "Pause");
    if (pause) {
      window.pausePast = Infinity;
      pause.click();
    }
  }
  requestAnimationFrame(look);
})();
"""
_STILL = """() => {
  const last = window.painted.at(-1);
  window.stillFor = last === window.stillAt ? window.stillFor + 1 : 0;
  window.stillAt = last;
  return window.stillFor >= 20;
}"""


@dataclass
class Tab:
    """One page, and what it complained of."""

    page: Page
    complaints: list[str]

    async def status(self, status: str) -> None:
        """Wait until the player says so."""
        await expect(self.page.locator(".strip .pill")).to_have_text(status)

    async def seq(self) -> int:
        """The index painted last."""
        return int(await self.page.locator(".player").get_attribute("data-seq") or -1)

    async def past(self, seq: int) -> None:
        """Wait until a later frame than this was painted."""
        await self.page.wait_for_function(
            "seq => Number(document.querySelector('.player')?.dataset.seq ?? -1) > seq", arg=seq
        )

    async def slowly(self) -> None:
        """Play so slowly that it does not end before the test does, and leaves the machine alone."""
        await self.page.get_by_label("Speed").select_option("1")

    async def pause(self) -> int:
        """Stop it; the index it stands at."""
        await self.page.get_by_role("button", name="Pause", exact=True).click()
        return await self.stands()

    async def pause_past(self, seq: int) -> int:
        """Stop it as soon as a later frame than this was painted; the index it stands at.

        The page itself presses the button: on a busy machine a run may be over before we do.
        """
        await self.page.evaluate("seq => { window.pausePast = seq; }", seq)
        return await self.stands()

    async def play_past(self, seq: int) -> int:
        """Play from where it is paused until a later frame than this; the index it stands at."""
        await self.page.evaluate("seq => { window.pausePast = seq; }", seq)
        await self.page.get_by_role("button", name="Play", exact=True).click()
        await self.past(seq)
        return await self.stands()

    async def stands(self) -> int:
        """Wait until it is paused; the index it stands at."""
        await self.status("paused")
        # What was on its way may still be painted.
        await self.page.evaluate("window.stillFor = 0")
        await self.page.wait_for_function(_STILL)
        return await self.seq()

    async def painted(self) -> list[int]:
        """All indices painted, in order."""
        seqs: list[int] = await self.page.evaluate("window.painted")
        return seqs

    async def keep(self, name: str) -> None:
        """A picture of it, for people."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    path = program("chromium")
    async with async_playwright() as playwright:
        flags = [*_QUIET, *_OFFLINE, _BARE]
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(
    browser: Browser,
    url: str,
    *,
    may_complain: bool = False,
    pause_past: int | None = None,
    **options: Any,
) -> AsyncIterator[Tab]:
    """A page of its own profile; at its end it must not have complained of anything.

    `pause_past`: it presses Pause by itself after this frame, however late we are.
    """
    context = await browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    if not may_complain:
        page.on("console", lambda message: _note(message, complaints))
    await page.add_init_script(_SCREEN)
    if pause_past is not None:
        await page.add_init_script(f"window.pausePast = {pause_past};")
    await page.add_init_script(_RECORD)
    await page.goto(url)
    yield Tab(page, complaints)
    await context.close()
    assert not complaints, complaints


def _note(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type in {"error", "warning"}:
        complaints.append(f"{message.text} {message.location['url']}")


@asynccontextmanager
async def console(
    *runs: SimulatedRun, options: SimulatorOptions = QUICK, **settings: Any
) -> AsyncIterator[tuple[Bff, SimulatedBackend, RunningBackend]]:
    """The server on a port that its page may connect from."""
    port = settings.pop("port", None) or free_port()
    async with stack(*runs, options=options, port=port, bff_port=port, **settings) as served:
        has_charts = CHARTS in served[0].app[CONSOLE]
        assert has_charts, "the charts are missing: run python scripts/build_console.py"
        yield served
