"""Commands to the browser client before the server has answered its `subscribe`."""

import pytest
from playwright.async_api import Browser

from hewston_bff.simulator import generated_run
from tests.console.browser import console, tab

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

_IN_FLIGHT = """async (commands) => {
  const { connect } = await import("/client/hewston-bff.js");
  const connection = connect("");
  const run = connection.subscribe("month", { mode: "all", speed: 1 });
  await new Promise((resolve) => connection.on("status", (s) => s.status === "online" && resolve()));
  await Promise.all(commands.map(([name, ...values]) => run[name](...values)));
  while (run.state.status !== "paused") await new Promise((resolve) => run.on("status", resolve));
  const { status, speed, seq } = run.state;
  connection.close();
  return { status, speed, seq };
}"""


async def test_what_is_asked_while_the_subscription_is_being_made_holds(browser: Browser) -> None:
    async with console(generated_run("month", frame_count=21 * 390)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/hub") as user:
            ask = [["speed", 5], ["seek", 100], ["pause"]]
            state = await user.page.evaluate(_IN_FLIGHT, ask)
            assert state == {"status": "paused", "speed": 5, "seq": 99}
