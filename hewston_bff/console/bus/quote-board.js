import { h, say } from "../ui/dom.js";
import { age, NOTHING, whole } from "../ui/format.js";
import { difference, direction } from "./decimal.js";

/** @import { Quote } from "./payload.js" */

/** Rows that a page holds; a narrower pattern shows the others. */
const MOST = 200;
/** A quote that is older is shown in grey. */
const STALE_MS = 10_000;
const FLASH_MS = 700;
const AGES_MS = 1_000;

/** @type {[name: keyof Quote | "spread" | "age", label: string][]} */
const COLUMNS = [
  ["bid", "Bid"],
  ["ask", "Ask"],
  ["bidSize", "Bid size"],
  ["askSize", "Ask size"],
  ["spread", "Spread"],
  ["age", "Age"],
];

/** @typedef {{quote: Quote, at: number, isDirty: boolean, row: HTMLTableRowElement | null, cells: Map<string, HTMLElement>}} Line */

/** Quotes, a row each: what changes flashes, and says by an arrow which way it went. */
export class QuoteBoard {
  element;
  #body = h("tbody");
  #count = h("p", { class: "quiet small" });
  #nothing = h("p", { class: "quiet small" }, "No quotes among these topics.");
  #table;
  /** By topic. @type {Map<string, Line>} */
  #lines = new Map();
  #isGrown = false;
  #agedAt = -Infinity;

  constructor() {
    const head = COLUMNS.map(([name, label]) => h("th", { scope: "col", class: "number", "data-column": name }, label));
    this.#table = h("table", { class: "runs board", hidden: true }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Instrument"), ...head)), this.#body);
    this.element = h("section", { class: "panel", "aria-label": "Quotes" }, h("h2", {}, "Quotes"), this.#nothing, h("div", { class: "board-scroll", tabindex: "0", role: "group", "aria-label": "Quotes, one row an instrument" }, this.#table), this.#count);
  }

  /**
   * @param {string} topic
   * @param {Quote} quote
   * @param {number} at when it was written, in ms since 1970
   */
  take(topic, quote, at) {
    const line = this.#lines.get(topic);
    if (line === undefined) {
      this.#lines.set(topic, { quote, at, isDirty: true, row: null, cells: new Map() });
      this.#isGrown = true;
    } else {
      Object.assign(line, { quote, at, isDirty: true });
    }
  }

  /**
   * Show what came since the last time; of all others, once a second, how old they are.
   * @param {number} now by the server's clock, in ms since 1970
   */
  paint(now) {
    if (this.#isGrown) this.#grow();
    const areAgesDue = Math.abs(now - this.#agedAt) >= AGES_MS;
    if (areAgesDue) this.#agedAt = now;
    for (const line of this.#lines.values()) {
      if (line.row === null || !(line.isDirty || areAgesDue)) continue;
      if (line.isDirty) write(line);
      line.isDirty = false;
      const ms = Math.max(0, now - line.at);
      say(/** @type {Element} */ (line.cells.get("age")), age(ms));
      line.row.classList.toggle("stale", ms > STALE_MS);
    }
  }

  /** New instruments take their place; those beyond the limit are counted. */
  #grow() {
    this.#isGrown = false;
    const order = [...this.#lines].sort(([, a], [, b]) => (a.quote.instrument < b.quote.instrument ? -1 : 1));
    const shown = order.slice(0, MOST);
    for (const [topic, line] of shown) if (line.row === null) makeRow(topic, line);
    for (const [, line] of order.slice(MOST)) line.row = null;
    const rows = shown.map(([, { row }]) => /** @type {HTMLTableRowElement} */ (row));
    rows.forEach((row, index) => this.#body.rows[index] === row || this.#body.insertBefore(row, this.#body.rows[index] ?? null));
    while (this.#body.rows.length > rows.length) this.#body.deleteRow(-1);
    const isCut = order.length > MOST;
    this.#table.hidden = shown.length === 0;
    this.#nothing.hidden = shown.length > 0;
    say(this.#count, isCut ? `${whole(MOST)} of ${whole(order.length)} instruments are shown: narrow the filter to see the others.` : "");
  }
}

/** @param {string} topic @param {Line} line */
function makeRow(topic, line) {
  const cells = COLUMNS.map(([name]) => h("td", { class: "number", "data-column": name }));
  COLUMNS.forEach(([name], index) => line.cells.set(name, /** @type {HTMLElement} */ (cells[index])));
  line.row = h("tr", { "data-topic": topic, title: topic }, h("th", { scope: "row" }, line.quote.instrument), ...cells);
  line.isDirty = true;
}

/** @param {Line} line */
function write({ quote, cells }) {
  const spread = difference(quote.ask, quote.bid) ?? NOTHING;
  for (const [name, text] of Object.entries({ ...quote, spread })) {
    const cell = cells.get(name);
    if (cell === undefined) continue;
    const before = cell.textContent ?? "";
    if (before === text) continue;
    say(cell, text || NOTHING);
    if (before !== "" && (name === "bid" || name === "ask")) flash(cell, direction(before, text));
  }
}

/** @param {HTMLElement} cell @param {"up" | "down" | "same" | null} move */
function flash(cell, move) {
  if (move === null || move === "same") return;
  cell.dataset["move"] = move;
  if (globalThis.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  cell.animate([{ backgroundColor: `var(--${move}-flash)` }, { backgroundColor: "transparent" }], { duration: FLASH_MS, easing: "ease-out" });
}
