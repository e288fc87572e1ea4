import { colour, h, say, surface } from "../ui/dom.js";
import { known, minute, percent, Precision } from "../ui/format.js";
import { PlaybackSpeed } from "../player/playback-speed.js";
import { hasFailed, isYoung, skippedWords } from "../ui/run-status.js";

/**
 * One run of the wall.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

/** Points of a small chart; beyond that they are merged by twos. */
const POINTS = 480;
/** A change that is shown as 0.00 %. */
const FLAT = 0.00005;
/** A run of a month of minutes, where nobody tells. */
const UNKNOWN = 8_190;
/** How often a log that is being filled is asked for its length: there may be many tiles. */
const LENGTH_MS = 5_000;

/**
 * Where the equity ended, and how low and high it was since the point before.
 * @typedef {{seq: number, ts: string, value: number, low: number, high: number}} Point
 */

/** A small chart of a run's equity, and what it comes to at one frame. */
export class Tile {
  isStale = true;
  element;
  subscription;
  /** @type {Point[]} */
  #points = [];
  /** Figures of one frame, told by the server: its base is the beginning of the run. @type {Api.Metrics | null} */
  #metrics = null;
  #precision = new Precision();
  #runStatus = "";
  /** The last news of it. @type {Api.UpstreamNews | null} */
  #upstream = null;
  /** What went wrong, until a frame comes. */
  #trouble = "";
  #skipped = "";
  #seq = -1;
  #pace;
  #canvas = h("canvas", { "aria-hidden": "true" });
  #words = h("p", { class: "quiet words" });
  #value = h("span", { class: "value" });
  #change = h("span", { class: "change" });
  #time = h("span", { class: "quiet", title: "UTC" });
  #missing = h("p", { class: "missing small" });
  #status = h("span", { class: "pill" }, "connecting");

  /**
   * @param {string} runId
   * @param {Api.Subscription} subscription
   * @param {{onRemove: () => void, isToldLength: () => boolean}} how `isToldLength`: whether the
   *   stream tells how long the run is
   */
  constructor(runId, subscription, { onRemove, isToldLength }) {
    this.subscription = subscription;
    this.#pace = new PlaybackSpeed(subscription, { everyMs: LENGTH_MS, isToldLength });
    if (!isToldLength()) this.#pace.guess(UNKNOWN);
    // The link is stretched over the tile by its style; the button lies above it.
    const name = h("a", { href: `#/run/${encodeURIComponent(runId)}` }, runId);
    const remove = h("button", { type: "button", class: "remove", "aria-label": `Remove ${runId}`, onclick: onRemove }, "×");
    this.element = h(
      "article",
      { class: "tile", "data-run": runId },
      h("header", {}, name, this.#status, remove),
      h("div", { class: "picture" }, this.#canvas, this.#words),
      h("footer", {}, this.#value, this.#change, this.#time),
      this.#missing,
    );
    subscription.on("frame", (frame) => this.#take(frame));
    subscription.on("metrics", (message) => {
      this.#metrics = message;
      this.isStale = true;
    });
    subscription.on("reset", () => this.#clear());
    subscription.on("status", (state) => this.#moved(state));
    subscription.on("error", (error) => this.#failed(error));
    subscription.on("upstream", (news) => {
      this.#upstream = news;
      this.#showStatus();
    });
    subscription.on("run", (news) => {
      this.#runStatus = news.status;
      this.#showStatus();
      this.#skipped = skippedWords(news.skipped) || this.#skipped;
      this.isStale = true;
    });
  }

  close() {
    this.#pace.close();
    this.subscription.close();
  }

  /** @param {Api.Frame} frame */
  #take({ seq, ts, equity }) {
    this.#seq = seq;
    this.#trouble = "";
    this.isStale = true;
    if (!equity) return;
    const { value, min: low = value, max: high = value } = equity;
    this.#precision.take(value);
    this.#points.push({ seq, ts, value, low, high });
    if (this.#points.length > POINTS) this.#points = halved(this.#points);
  }

  /** @param {Api.State} state */
  #moved({ seq }) {
    if (seq < this.#seq) this.#clear();
    this.#seq = seq;
    this.#showStatus();
    this.isStale = true;
  }

  #showStatus() {
    const { status, complete } = this.subscription.state;
    const upstream = this.#upstream;
    const isWaiting = isYoung({ runStatus: this.#runStatus, hasPicture: this.#seq >= 0, upstream });
    // One that failed without a frame is refused, and asked for again: nothing is lost by that.
    const isNothing = this.#seq < 0 && hasFailed(this.#runStatus);
    const isLost = upstream?.status === "retrying" && !complete && status !== "ended" && !isWaiting && !isNothing;
    const told = isLost ? "backend lost" : status === "buffering" && upstream?.status === "failed" ? "failed" : status;
    say(this.#status, told);
    this.#status.dataset["status"] = told;
    this.isStale = true;
  }

  #clear() {
    this.#points = [];
    this.#metrics = null;
    this.isStale = true;
  }

  /** @param {Api.HewstonError} error */
  #failed({ code, message, details }) {
    if (code === "FRAMES_SKIPPED") this.#skipped = skippedWords(details);
    else this.#trouble = message;
    this.isStale = true;
  }

  /** Why nothing is drawn, or drawn no further. */
  #why() {
    if (this.#trouble) return this.#trouble;
    if (this.#points.length > 0) return "";
    if (hasFailed(this.#runStatus)) return `It ended in ${this.#runStatus}, without frames.`;
    if (this.#runStatus === "QUEUED") return "Queued. It starts by itself.";
    if (this.#runStatus === "RUNNING") return "Running, without frames so far.";
    const { status } = this.subscription.state;
    if (status === "ended") return this.#seq < 0 ? "No data: it has no frames." : "No equity in its frames.";
    return status === "buffering" ? "Waiting for the backend" : "";
  }

  /** The newest equity of which the server has told what it comes to; else the newest. */
  #told() {
    const metrics = this.#metrics;
    const point = metrics === null ? undefined : this.#points.findLast(({ seq }) => seq <= metrics.seq);
    return point === undefined ? { point: this.#points.at(-1), metrics: null } : { point, metrics: metrics?.metrics ?? null };
  }

  draw() {
    this.isStale = false;
    const { point, metrics } = this.#told();
    const { total_return: share = null, profit = null } = metrics ?? {};
    const change = known(share) ? share : known(profit) ? profit : null;
    const isFlat = change === null || (known(share) ? Math.abs(share) < FLAT : change === 0);
    const tone = isFlat ? "text-quiet" : change < 0 ? "down" : "up";
    say(this.#words, this.#why());
    say(this.#value, point === undefined ? "" : this.#precision.write(point.value));
    say(this.#change, change === null ? "" : known(share) ? percent(share, { signed: true }) : this.#precision.write(profit, { signed: true }));
    this.#change.className = isFlat ? "change" : `change ${tone}`;
    say(this.#time, point === undefined ? "" : minute(point.ts));
    say(this.#missing, this.#skipped);
    this.element.dataset["seq"] = String(point?.seq ?? "");
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
