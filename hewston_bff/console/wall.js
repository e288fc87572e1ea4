import { colour, h, say, surface } from "./dom.js";
import { minute, money, percent } from "./format.js";
import { button, errorNotice, notice } from "./notice.js";
import { onTheme } from "./theme.js";

/**
 * @import * as Api from "./client/hewston-bff.js"
 * @import { App, View } from "./app.js"
 */

const KEY = "hewston.wall";
const FIRST = 12;
const FPS = 4;
/** Points of a small chart; older ones are thinned out, every other one. */
const POINTS = 480;

/**
 * Many runs at once, on the one socket.
 * @implements {View}
 */
export class WallView {
  element;
  #app;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #grid = h("div", { class: "wall" });
  #notice = h("div");
  #count = h("p", { class: "quiet", role: "status" });
  #input = h("input", { "aria-label": "Run to add", placeholder: "Run to add", list: "known-runs", autocomplete: "off" });
  #known = h("datalist", { id: "known-runs" });
  #request = 0;
  #isClosed = false;
  #stopListening;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const add = h(
      "form",
      {
        class: "filters",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#add(this.#input.value.trim());
          this.#input.value = "";
        },
      },
      this.#input,
      this.#known,
      h("button", { type: "submit" }, "Add"),
      button("Play all", () => this.#all((subscription) => subscription.play())),
      button("Pause all", () => this.#all((subscription) => subscription.pause())),
    );
    this.element = h(
      "div",
      { class: "page" },
      h("header", { class: "head" }, h("h1", {}, "Wall"), this.#count, add),
      this.#notice,
      this.#grid,
    );
    this.#stopListening = onTheme(() => this.#all((_, tile) => void (tile.isStale = true)));
    void this.#fill();
    this.#request = requestAnimationFrame(() => this.#paint());
  }

  close() {
    this.#isClosed = true;
    cancelAnimationFrame(this.#request);
    this.#stopListening();
    for (const tile of this.#tiles.values()) tile.close();
  }

  async #fill() {
    this.#show();
    const list = await this.#app.connection.rest.runs({ limit: 100 }).catch((error) => {
      if (!this.#isClosed) this.#failed(error);
      return null;
    });
    if (list === null || this.#isClosed) return;
    const ids = list.items.map(({ run_id }) => run_id);
    this.#known.replaceChildren(...ids.map((value) => h("option", { value })));
    for (const runId of remembered() ?? ids.slice(0, FIRST)) this.#add(runId);
    this.#show();
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    this.#notice.replaceChildren(
      errorNotice(error, { retry: () => this.#app.reload(), askForToken: () => this.#app.askForToken() }),
    );
  }

  /** @param {string} runId */
  #add(runId) {
    if (runId === "" || this.#tiles.has(runId)) return;
    const subscription = this.#app.connection.subscribe(runId, { fps: FPS, updates: ["equity", "run"] });
    const tile = new Tile(runId, subscription, () => this.#remove(runId));
    this.#tiles.set(runId, tile);
    this.#grid.append(tile.element);
    this.#show();
    remember([...this.#tiles.keys()]);
  }

  /** @param {string} runId */
  #remove(runId) {
    this.#tiles.get(runId)?.close();
    this.#tiles.get(runId)?.element.remove();
    this.#tiles.delete(runId);
    this.#show();
    remember([...this.#tiles.keys()]);
  }

  #show() {
    say(this.#count, `${this.#tiles.size} on one socket`);
    const isEmpty = this.#tiles.size === 0;
    const words = notice("An empty wall", "Add runs above, by name.", button("Add the newest", () => this.#restart()));
    this.#notice.replaceChildren(...(isEmpty ? [words] : []));
  }

  #restart() {
    localStorage.removeItem(KEY);
    this.#app.reload();
  }

  /** @param {(subscription: Api.Subscription, tile: Tile) => unknown} act */
  #all(act) {
    for (const tile of this.#tiles.values()) void act(tile.subscription, tile);
  }

  #paint() {
    this.#request = requestAnimationFrame(() => this.#paint());
    for (const tile of this.#tiles.values()) if (tile.isStale) tile.draw();
  }
}

/** One small chart of a run's equity. */
class Tile {
  isStale = true;
  element;
  subscription;
  /** @type {number[]} */
  #points = [];
  /** Frames a point stands for, doubled whenever the points are thinned out. */
  #stride = 1;
  #skipped = 0;
  /** @type {number | null} */
  #first = null;
  #last = NaN;
  #ts = "";
  #seq = -1;
  #canvas = h("canvas", { "aria-hidden": "true" });
  #value = h("span", { class: "value" });
  #change = h("span", { class: "change" });
  #time = h("span", { class: "quiet" });
  #status = h("span", { class: "pill" }, "connecting");

  /**
   * @param {string} runId
   * @param {Api.Subscription} subscription
   * @param {() => void} onRemove
   */
  constructor(runId, subscription, onRemove) {
    this.subscription = subscription;
    const name = h("a", { href: `#/run/${encodeURIComponent(runId)}` }, runId);
    const remove = h("button", { type: "button", class: "remove", "aria-label": `Remove ${runId}`, onclick: onRemove }, "×");
    this.element = h(
      "article",
      { class: "tile", "data-run": runId },
      h("header", {}, name, this.#status, remove),
      this.#canvas,
      h("footer", {}, this.#value, this.#change, this.#time),
    );
    subscription.on("frame", (frame) => this.#take(frame));
    subscription.on("reset", () => this.#clear());
    subscription.on("status", (state) => this.#moved(state));
    subscription.on("error", (error) => this.#failed(error));
  }

  close() {
    this.subscription.close();
  }

  /** @param {Api.Frame} frame */
  #take({ seq, ts, equity }) {
    this.#seq = seq;
    this.#ts = ts;
    this.isStale = true;
    if (!equity) return;
    this.#first ??= equity.value;
    this.#last = equity.value;
    this.#skipped += 1;
    if (this.#skipped < this.#stride) return;
    this.#skipped = 0;
    this.#points.push(equity.value);
    if (this.#points.length > POINTS) {
      this.#points = this.#points.filter((_, index) => index % 2 === 0);
      this.#stride *= 2;
    }
  }

  /** @param {Api.State} state */
  #moved({ status, seq }) {
    if (seq !== this.#seq && seq < this.#seq) this.#clear();
    this.#seq = seq;
    say(this.#status, status);
    this.#status.dataset["status"] = status;
    this.isStale = true;
  }

  #clear() {
    this.#points = [];
    this.#stride = 1;
    this.#first = null;
    this.isStale = true;
  }

  /** @param {Api.HewstonError} error */
  #failed({ message }) {
    say(this.#time, message);
  }

  draw() {
    this.isStale = false;
    const change = this.#first === null ? null : this.#last / this.#first - 1;
    const tone = (change ?? 0) < 0 ? "down" : "up";
    say(this.#value, this.#first === null ? "" : money(this.#last));
    say(this.#change, change === null ? "" : percent(change, { signed: true }));
    this.#change.className = `change ${tone}`;
    if (this.#ts) say(this.#time, minute(this.#ts));
    line(this.#canvas, this.#points, colour(tone));
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} values
 * @param {string} stroke
 */
function line(canvas, values, stroke) {
  const { context, width, height } = surface(canvas);
  if (values.length < 2) return;
  const least = Math.min(...values);
  const range = Math.max(...values) - least || 1;
  context.beginPath();
  values.forEach((value, index) => {
    context.lineTo((index / (values.length - 1)) * width, height - 3 - ((value - least) / range) * (height - 6));
  });
  context.strokeStyle = stroke;
  context.lineWidth = 1.5;
  context.stroke();
}

/** @returns {string[] | null} */
function remembered() {
  const kept = localStorage.getItem(KEY);
  return kept === null ? null : kept.split(",").filter(Boolean);
}

/** @param {string[]} runIds */
const remember = (runIds) => localStorage.setItem(KEY, runIds.join(","));
