import { TIMEFRAMES } from "../chart/candles.js";
import { h } from "../ui/dom.js";
import { NOTHING } from "../ui/format.js";
import { SPEEDS } from "./playback-speed.js";

/**
 * What the player consists of; the parts that change are named.
 *
 * @import { Timeframe } from "../chart/candles.js"
 */

/** @type {[id: string, label: string, hint: string][]} */
const FIGURES = [
  ["close", "Close", "Last price at the cursor"],
  ["equity", "Equity", "Account value at the cursor"],
  ["total_return", "Return", "Since the start of the run; in money where equity began at or below 0"],
  ["drawdown", "Drawdown", "At this frame, below the highest equity so far"],
  ["max_drawdown", "Max drawdown", "The deepest so far"],
  ["sharpe", "Sharpe", "Annualised, of the returns so far"],
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
 * @property {(timeframe: Timeframe) => void} timeframe
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
  const go = h("button", { type: "submit" }, "Jump");
  const jump = h(
    "form",
    {
      class: "jump",
      // What the run has is said by the run, in words: not by the browser's.
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (date.value) actions.jump(`${date.value}${date.value.length === 16 ? ":00" : ""}Z`);
        // The keys are the player's again.
        date.blur();
      },
    },
    date,
    h("span", { class: "quiet small" }, "UTC"),
    go,
  );
  return { play, back, next, live, speed, date, go, jump };
}

/** @param {Actions} actions */
function timeframes(actions) {
  const group = h("div", { class: "segments", role: "group", "aria-label": "Timeframe" });
  for (const timeframe of TIMEFRAMES) {
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
  // Not read aloud: it changes many times a second. What is worth saying is said by `spoken`.
  const time = h("span", { class: "time", "data-figure": "time" }, NOTHING);
  const spoken = h("p", { class: "spoken", role: "status" });
  const notes = h("div", { class: "notes" });
  const chart = h("div", { class: "chart", "aria-label": "Candles, equity and drawdown" });
  const cover = h("div", { class: "cover", role: "status" });
  const thinned = h("p", { class: "thinned quiet small" });
  const said = h("p", { class: "said", role: "status" });
  const controls = transport(actions);
  const frames = timeframes(actions);
  const cursor = figures(FIGURES);
  const health = figures(HEALTH);
  const of = h("p", { class: "of quiet small", title: "All figures here are of this frame" });
  const note = h("p", { class: "quiet small" });
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
      notes,
      spoken,
    ),
    h("div", { class: "stage" }, chart, thinned, h("span", { class: "zone quiet small" }, "UTC"), cover),
    h(
      "aside",
      { class: "side" },
      h("section", {}, h("h2", {}, "At the cursor"), of, cursor.list, note),
      h(
        "section",
        { class: "orders" },
        h("h2", {}, "Orders"),
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, h("th", {}, "Time (UTC)"), h("th", {}, "Side"), h("th", { class: "number" }, "Qty"), h("th", { class: "number" }, "Price"))),
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
  const parts = { element, status, about, time, spoken, notes, chart, thinned, cover, said, frames, orders, unseen };
  return { ...parts, ...controls, cursor: { ...cursor.values, of, note }, health: health.values };
}
