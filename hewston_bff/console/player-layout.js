import { TIMEFRAMES } from "./candles.js";
import { h } from "./dom.js";
import { NOTHING } from "./format.js";

/** What the player consists of; the parts that change are named. */

export const SPEEDS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 1_000, 5_000];

/** @type {[id: string, label: string, hint: string][]} */
const FIGURES = [
  ["close", "Close", "Last price at the cursor"],
  ["equity", "Equity", "Account value at the cursor"],
  ["total_return", "Return", "Since the start of the run"],
  ["drawdown", "Drawdown", "Now, below the highest equity so far"],
  ["max_drawdown", "Max drawdown", "The deepest so far"],
  ["sharpe", "Sharpe", "Annualised, of minute returns so far"],
  ["sortino", "Sortino", "Annualised, counting losses only"],
  ["orders", "Orders", "Filled so far"],
];

/** @type {[id: string, label: string, hint: string][]} */
const HEALTH = [
  ["fps", "Painted", "Pictures drawn a second"],
  ["rate", "Frames", "Source frames received a second"],
  ["merged", "Merged", "Source frames that came merged with others; none is lost by that"],
  ["dropped", "Dropped", "Source frames lost for this viewer"],
  ["behind", "Behind", "Frames between the cursor and the newest"],
  ["latency", "Latency", "Round trip to the server"],
];

/** @param {string} id @param {string} label @param {string} hint */
function figure(id, label, hint) {
  const value = h("dd", { "data-figure": id }, NOTHING);
  return { value, row: h("div", { title: hint }, h("dt", {}, label), value) };
}

/** @param {[id: string, label: string, hint: string][]} definitions */
function figures(definitions) {
  /** @type {Record<string, HTMLElement>} */
  const values = {};
  const list = h("dl", { class: "figures" });
  for (const definition of definitions) {
    const { value, row } = figure(...definition);
    values[definition[0]] = value;
    list.append(row);
  }
  return { values, list };
}

/**
 * @typedef {object} Actions
 * @property {() => void} toggle
 * @property {(frames: number) => void} step
 * @property {(speed: number) => void} speed
 * @property {() => void} live
 * @property {(time: string) => void} jump
 * @property {(timeframe: string) => void} timeframe
 */

/** @param {Actions} actions */
function transport(actions) {
  const play = h("button", { type: "button", class: "play", onclick: actions.toggle }, "Play");
  const back = h("button", { type: "button", title: "One frame back (←)", onclick: () => actions.step(-1) }, "− 1");
  const next = h("button", { type: "button", title: "One frame on (→)", onclick: () => actions.step(1) }, "+ 1");
  const live = h("button", { type: "button", title: "To the newest frame (L)", onclick: actions.live }, "Go live");
  const speed = h("select", {
    "aria-label": "Speed",
    title: "30 source frames a second, times this (+ and −)",
    onchange: () => actions.speed(Number(speed.value)),
  });
  speed.append(...SPEEDS.map((value) => h("option", { value }, `${value} ×`)));
  const date = h("input", { type: "datetime-local", "aria-label": "Jump to (UTC)", title: "Jump to (J), UTC" });
  const jump = h(
    "form",
    {
      class: "jump",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (date.value) actions.jump(`${date.value.slice(0, 16)}:00Z`);
      },
    },
    date,
    h("button", { type: "submit" }, "Jump"),
  );
  return { play, back, next, live, speed, date, jump };
}

/** @param {Actions} actions */
function timeframes(actions) {
  const group = h("div", { class: "segments", role: "group", "aria-label": "Timeframe" });
  for (const timeframe of Object.keys(TIMEFRAMES)) {
    const choose = () => actions.timeframe(timeframe);
    group.append(h("button", { type: "button", "data-timeframe": timeframe, onclick: choose }, timeframe));
  }
  return group;
}

/**
 * @param {string} runId
 * @param {Element} scrubber
 * @param {Actions} actions
 */
export function playerLayout(runId, scrubber, actions) {
  const status = h("span", { class: "pill", "data-status": "" }, "connecting");
  const about = h("p", { class: "about" });
  const time = h("output", { class: "time", "data-figure": "time" }, NOTHING);
  const chart = h("div", { class: "chart", "aria-label": "Candles, equity and drawdown" });
  const cover = h("div", { class: "cover", role: "status" });
  const said = h("p", { class: "said", role: "status" });
  const controls = transport(actions);
  const frames = timeframes(actions);
  const cursor = figures(FIGURES);
  const health = figures(HEALTH);
  const orders = h("tbody");
  const unseen = h("p", { class: "quiet small" });
  const element = h(
    "article",
    { class: "player" },
    h(
      "header",
      { class: "strip" },
      h("div", { class: "title" }, h("h1", {}, runId), status, about),
      time,
      frames,
    ),
    h("div", { class: "stage" }, chart, cover),
    h(
      "aside",
      { class: "side" },
      h("section", {}, h("h2", {}, "At the cursor"), cursor.list),
      h(
        "section",
        { class: "orders" },
        h("h2", {}, "Orders"),
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, h("th", {}, "Time"), h("th", {}, "Side"), h("th", { class: "number" }, "Qty"), h("th", { class: "number" }, "Price"))),
          orders,
        ),
        unseen,
      ),
      h("section", {}, h("h2", {}, "Stream"), health.list),
    ),
    h(
      "footer",
      { class: "transport" },
      h("div", { class: "row" }, controls.back, controls.play, controls.next, controls.speed, said, controls.jump, controls.live),
      scrubber,
    ),
  );
  return { element, status, about, time, chart, cover, said, frames, orders, unseen, ...controls, cursor: cursor.values, health: health.values };
}
