import { h, say } from "../ui/dom.js";
import { day, minute, NOTHING, whole } from "../ui/format.js";
import { button, errorNotice, notice } from "../ui/notice.js";
import { poll } from "../ui/poll.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 */

const REFRESH_MS = 4_000;
const PAGE = 50;
/** @type {[name: string, label: string][]} */
const FILTERS = [
  ["symbol", "Symbol"],
  ["strategy_id", "Strategy"],
];
const STATUSES = ["QUEUED", "RUNNING", "DONE", "ERROR", "CANCELLED"];

/**
 * The list of runs, asked for anew every few seconds.
 * @implements {View}
 */
export class RunsView {
  element;
  #app;
  #offset = 0;
  #total = 0;
  /** @type {Record<string, string>} */
  #filters = {};
  #status = "";
  /** @type {Api.RunItem[]} */
  #items = [];
  #body = h("tbody");
  #notice = h("div");
  #count = h("p", { class: "quiet", role: "status" }, "Loading");
  #older = button("Older", () => this.#turn(PAGE));
  #newer = button("Newer", () => this.#turn(-PAGE));
  #pager = h("div", { class: "actions" }, this.#newer, this.#older);
  #table = h(
    "table",
    { class: "runs cards" },
    h("thead", {}, h("tr", {}, ...["Run", "Status", "Symbol", "Strategy", "Period", "Created (UTC)"].map((name) => h("th", { scope: "col" }, name)))),
    this.#body,
  );
  #poll;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.element = h(
      "div",
      { class: "page" },
      h("header", { class: "head" }, h("h1", {}, "Runs"), this.#count, this.#form()),
      this.#notice,
      h("div", { class: "scroll" }, this.#table),
      this.#pager,
    );
    this.#poll = poll(REFRESH_MS, (signal) => this.#ask(signal), {
      answered: (list) => this.#show(list),
      failed: (error) => this.#failed(error),
    });
  }

  close() {
    this.#poll.close();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return false;
    const links = [...this.#body.querySelectorAll("a")];
    const at = links.indexOf(/** @type {any} */ (document.activeElement));
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
    return true;
  }

  #form() {
    const form = h("form", { class: "filters", onsubmit: (/** @type {Event} */ event) => event.preventDefault() });
    for (const [name, label] of FILTERS) {
      const input = h("input", {
        name,
        "aria-label": label,
        placeholder: label,
        autocomplete: "off",
        onchange: () => this.#filter(name, name === "symbol" ? input.value.trim().toUpperCase() : input.value.trim()),
      });
      form.append(input);
    }
    const status = h(
      "select",
      {
        "aria-label": "Status",
        onchange: () => {
          this.#status = status.value;
          this.#draw();
        },
      },
      h("option", { value: "" }, "Any status"),
      ...STATUSES.map((value) => h("option", { value }, value)),
    );
    form.append(status);
    return form;
  }

  /** @param {string} name @param {string} value */
  #filter(name, value) {
    this.#filters = { ...this.#filters, [name]: value };
    this.#offset = 0;
    this.#poll.now();
  }

  /** @param {number} by */
  #turn(by) {
    this.#offset = Math.max(0, this.#offset + by);
    this.#poll.now();
  }

  /** @param {AbortSignal} signal */
  #ask(signal) {
    const query = { limit: PAGE, offset: this.#offset, ...this.#filters };
    return this.#app.connection.rest.runs(query, { signal });
  }

  /** @param {Api.RunList} list */
  #show({ items, total }) {
    this.#items = items;
    this.#total = total;
    this.#draw();
  }

  #draw() {
    const shown = this.#items.filter(({ status }) => !this.#status || status === this.#status);
    const text = this.#total === 1 ? "1 run" : `${whole(this.#total)} runs`;
    say(this.#count, this.#status ? `${text}, ${shown.length} of this page shown` : text);
    this.#older.disabled = this.#offset + PAGE >= this.#total;
    this.#newer.disabled = this.#offset === 0;
    this.#pager.hidden = this.#older.disabled && this.#newer.disabled;
    this.#table.hidden = shown.length === 0;
    this.#notice.replaceChildren(...(shown.length === 0 ? [this.#nothing()] : []));
    this.#rows(shown);
  }

  #nothing() {
    const isFiltered = this.#status || Object.values(this.#filters).some(Boolean);
    return isFiltered
      ? notice("Nothing fits", "No run fits these filters.", button("Show all", () => this.#app.reload()))
      : notice("No runs yet", "Create one with POST /api/v1/backtests; it appears here by itself.");
  }

  /** Rows keep their place, so that a focused link stays focused. @param {Api.RunItem[]} items */
  #rows(items) {
    const rows = new Map([...this.#body.rows].map((row) => [row.dataset["run"], row]));
    const wanted = items.map((item) => {
      const row = rows.get(item.run_id) ?? newRow(item);
      const status = /** @type {HTMLElement} */ (row.querySelector(".pill"));
      say(status, item.status);
      status.dataset["status"] = item.status;
      return row;
    });
    const isSame = wanted.length === this.#body.rows.length && wanted.every((row, index) => row === this.#body.rows[index]);
    if (!isSame) this.#body.replaceChildren(...wanted);
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    say(this.#count, "");
    this.#table.hidden = true;
    this.#notice.replaceChildren(
      errorNotice(error, { retry: () => this.#poll.now(), askForToken: () => this.#app.askForToken(), hasToken: this.#app.hasToken }),
    );
  }
}

/** @param {Api.RunItem} item */
function newRow({ run_id, symbol, strategy_id, run_from, run_to, created_at }) {
  return h(
    "tr",
    { "data-run": run_id },
    h("th", { scope: "row" }, h("a", { href: `#/run/${encodeURIComponent(run_id)}` }, run_id)),
    h("td", {}, h("span", { class: "pill" })),
    h("td", {}, symbol ?? NOTHING),
    h("td", { class: "quiet" }, strategy_id ?? NOTHING),
    h("td", { class: "when" }, `${day(run_from)} to ${day(run_to)}`),
    h("td", { class: "when quiet created" }, minute(created_at)),
  );
}
