"""Commands to the browser client before the server has answered what was asked earlier."""

import pytest
from playwright.async_api import Browser

from hewston_bff.tools.simulator import generated_run
from tests.console.browser import console, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

_IN_FLIGHT = """async ([moment, commands]) => {
  const { connect } = await import("/client/hewston-bff.js");
  const connection = connect("");
  const run = connection.subscribe("month", { mode: "all", speed: 1 });
  const moments = {
    "before it is connected": null,
    "before it is subscribed": [connection, "status", ({ status }) => status === "online"],
    "while it plays": [run, "frame", () => true],
  };
  const [source, event, isIt] = moments[moment] ?? [];
  await new Promise((go) => source ? source.on(event, (what) => isIt(what) && go()) : go());
  await Promise.all(commands.map(([name, ...values]) => run[name](...values)));
  while (run.state.status !== "paused") await new Promise((resolve) => run.on("status", resolve));
  const { status, speed, seq, mode } = run.state;
  connection.close();
  const refused = commands.map(([name, ...values]) => run[name](...values).catch((e) => e.code));
  const late = await Promise.all(refused);
  return { status, speed, seq, mode, late };
}"""
_PAUSED_AT_99 = {"status": "paused", "speed": 5, "seq": 99}


@pytest.mark.parametrize(
    "moment", ["before it is connected", "before it is subscribed", "while it plays"]
)
@pytest.mark.parametrize("mode", [None, "merge"])
async def test_what_is_asked_in_a_hurry_holds_and_is_answered(
    browser: Browser, moment: str, mode: str | None
) -> None:
    async with console(generated_run("month", frame_count=21 * 390)) as (bff, _, _):
        async with tab(browser, f"{bff.url}/#/hub") as user:
            ask: list[list[object]] = [["speed", 5], ["pause"], ["seek", 100]]
            ask += [["mode", mode]] if mode else []
            state = await user.page.evaluate(_IN_FLIGHT, [moment, ask])
            assert {name: state[name] for name in _PAUSED_AT_99} == _PAUSED_AT_99
            assert state["mode"] == (mode or "all")
            assert state["late"] == ["OFFLINE"] * len(ask)
