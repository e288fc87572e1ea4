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
const FPS = 10;
const SPEED = 30;
const AGAIN_MS = 3_000;
/** Points of a small chart; beyond that they are merged by twos. */
const POINTS = 480;
/** A change that is shown as 0.00 %. */
const FLAT = 0.00005;

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
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
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
    clearTimeout(this.#again);
    cancelAnimationFrame(this.#request);
    this.#stopListening();
    for (const tile of this.#tiles.values()) tile.close();
  }

  async #fill() {
    const kept = remembered();
    for (const runId of kept ?? []) this.#add(runId);
    if (kept !== null) this.#show();
    const list = await this.#app.connection.rest.runs({ limit: 100 }).catch((error) => {
      if (!this.#isClosed) this.#failed(error);
      return null;
    });
    if (this.#isClosed) return;
    if (list === null) {
      this.#again = setTimeout(() => void this.#fill(), AGAIN_MS);
      return;
    }
    const ids = list.items.map(({ run_id }) => run_id);
    this.#known.replaceChildren(...ids.map((value) => h("option", { value })));
    if (kept === null) for (const runId of ids.slice(0, FIRST)) this.#add(runId);
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
    const subscription = this.#app.connection.subscribe(runId, { fps: FPS, speed: SPEED, updates: ["equity", "run"] });
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

/**
 * Where the equity ended, and how low and high it was since the point before.
 * @typedef {{seq: number, value: number, low: number, high: number}} Point
 */

/** One small chart of a run's equity. */
class Tile {
  isStale = true;
  element;
  subscription;
  /** @type {Point[]} */
  #points = [];
  /** @type {number | null} */
  #first = null;
  #last = NaN;
  #ts = "";
  #runStatus = "";
  #upstream = "";
  /** What went wrong, until a frame comes. */
  #trouble = "";
  #seq = -1;
  #canvas = h("canvas", { "aria-hidden": "true" });
  #words = h("p", { class: "quiet words" });
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
      h("div", { class: "picture" }, this.#canvas, this.#words),
      h("footer", {}, this.#value, this.#change, this.#time),
    );
    subscription.on("frame", (frame) => this.#take(frame));
    subscription.on("reset", () => this.#clear());
    subscription.on("status", (state) => this.#moved(state));
    subscription.on("error", (error) => this.#failed(error));
    subscription.on("upstream", ({ status }) => {
      this.#upstream = status;
      this.#showStatus();
    });
    subscription.on("run", ({ status }) => {
      this.#runStatus = status;
      this.isStale = true;
    });
  }

  close() {
    this.subscription.close();
  }

  /** @param {Api.Frame} frame */
  #take({ seq, ts, equity }) {
    this.#seq = seq;
    this.#ts = ts;
    this.#trouble = "";
    this.isStale = true;
    if (!equity) return;
    const { value, min: low = value, max: high = value } = equity;
    this.#first ??= value;
    this.#last = value;
    this.#points.push({ seq, value, low, high });
    if (this.#points.length > POINTS) this.#points = halved(this.#points);
  }

  /** @param {Api.State} state */
  #moved({ seq }) {
    if (seq !== this.#seq && seq < this.#seq) this.#clear();
    this.#seq = seq;
    this.#showStatus();
    this.isStale = true;
  }

  #showStatus() {
    const { status } = this.subscription.state;
    const told = status === "buffering" && this.#upstream === "failed" ? "failed" : status;
    say(this.#status, told);
    this.#status.dataset["status"] = told;
  }

  #clear() {
    this.#points = [];
    this.#first = null;
    this.isStale = true;
  }

  /** @param {Api.HewstonError} error */
  #failed({ message }) {
    this.#trouble = message;
    this.isStale = true;
  }

  /** Why nothing is drawn, or drawn no further. */
  #why() {
    if (this.#trouble) return this.#trouble;
    if (this.#points.length > 0) return "";
    if (this.#runStatus === "QUEUED") return "Queued. It starts by itself.";
    if (this.#runStatus === "RUNNING") return "Running, without frames so far.";
    return this.subscription.state.status === "buffering" ? "Waiting for the backend" : "";
  }

  draw() {
    this.isStale = false;
    const change = this.#first === null ? null : this.#last / this.#first - 1;
    const isFlat = change === null || Math.abs(change) < FLAT;
    const tone = isFlat ? "text-quiet" : change < 0 ? "down" : "up";
    say(this.#words, this.#why());
    say(this.#value, this.#first === null ? "" : money(this.#last));
    say(this.#change, change === null ? "" : percent(change, { signed: true }));
    this.#change.className = isFlat ? "change" : `change ${tone}`;
    if (this.#ts) say(this.#time, minute(this.#ts));
    line(this.#canvas, this.#points, colour(tone));
  }
}

/** Every two points as one. @param {Point[]} points */
function halved(points) {
  return points.flatMap((point, index) => {
    const next = points[index + 1];
    if (index % 2 === 1) return [];
    if (next === undefined) return [point];
    return [{ ...next, low: Math.min(point.low, next.low), high: Math.max(point.high, next.high) }];
  });
}

/**
 * A line through the values, in a band from the lowest to the highest of merged frames.
 * @param {HTMLCanvasElement} canvas
 * @param {Point[]} points
 * @param {string} stroke
 */
function line(canvas, points, stroke) {
  const { context, width, height } = surface(canvas);
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return;
  const least = Math.min(...points.map(({ low }) => low));
  const range = Math.max(...points.map(({ high }) => high)) - least || 1;
  const frames = last.seq - first.seq || 1;
  /** @param {number} seq */
  const x = (seq) => 2 + ((seq - first.seq) / frames) * (width - 4);
  /** @param {number} value */
  const y = (value) => height - 3 - ((value - least) / range) * (height - 6);
  context.strokeStyle = stroke;
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.beginPath();
  if (points.length === 1) context.arc(width / 2, height / 2, 2, 0, 2 * Math.PI);
  else for (const { seq, value } of points) context.lineTo(x(seq), y(value));
  context.stroke();
  context.globalAlpha = 0.18;
  context.fillStyle = stroke;
  context.beginPath();
  for (const { seq, low } of points) context.lineTo(x(seq), y(low));
  for (const { seq, high } of points.toReversed()) context.lineTo(x(seq), y(high));
  context.fill();
}

/** @returns {string[] | null} */
function remembered() {
  const kept = localStorage.getItem(KEY);
  return kept === null ? null : kept.split(",").filter(Boolean);
}

/** @param {string[]} runIds */
const remember = (runIds) => localStorage.setItem(KEY, runIds.join(","));
