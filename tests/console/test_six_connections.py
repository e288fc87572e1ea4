"""A real browser, which has six connections for one server, behind a proxy without WebSockets."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from hewston_bff.tools.simulator import generated_run
from tests.console.browser import tab
from tests.console.relays import Wires
from tests.console.support import free_port
from tests.support import stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUNS = tuple(generated_run(f"run-{n}", frame_count=30 * 390) for n in range(12))
_WATCH = """async (runs) => {
  const { connect } = await import("/client/hewston-bff.js");
  const connection = connect("", { backoffBaseMs: 5, backoffCapMs: 50 });
  window.seen = {};
  await Promise.all(runs.map((run) => new Promise((resolve) => {
    connection.subscribe(run, { speed: 0.5, fps: 5 }).on("frame", ({ seq }) => {
      window.seen[run] = seq;
      resolve();
    });
  })));
  window.connection = connection;
  return connection.state.transport;
}"""
_LIST = "async () => (await window.connection.rest.runs({ limit: 50 })).total"
_GOES_ON = "(before) => Object.entries(before).every(([run, seq]) => window.seen[run] > seq)"


async def _watch(page: Page, url: str) -> None:
    await page.goto(f"{url}/#/hub")
    assert await page.evaluate(_WATCH, [run.run_id for run in RUNS]) == "events"


async def test_twelve_runs_in_two_tabs_leave_room_for_rest(browser: Browser) -> None:
    port = free_port()
    async with Wires(port, passes_sockets=False).running() as wires:
        origins: dict[str, Any] = {
            "port": port,
            "bff_port": port,
            "bff_public_origins": (wires.url,),
        }
        async with stack(*RUNS, **origins) as (bff, _, _):
            async with tab(browser, "about:blank", may_complain=True) as user:
                second = await user.page.context.new_page()
                for page in (user.page, second):
                    await _watch(page, wires.url)
                assert await bff.totals() is not None
                for page in (user.page, second):
                    before = await page.evaluate("({ ...window.seen })")
                    assert len(before) == len(RUNS)
                    assert await page.evaluate(_LIST) == len(RUNS)
                    await page.wait_for_function(_GOES_ON, arg=before)
                assert wires.count("GET /api/v1/events?") == 2
