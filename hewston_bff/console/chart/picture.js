import { Candles } from "./candles.js";
import { Figures } from "./figures.js";
import { Precision, seconds } from "../ui/format.js";
import { History, pieceOf, piecesOf } from "./history.js";
import { Orders } from "./orders.js";

/**
 * What came up to the cursor, and what its chart, once there is one, is told of that.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { Timeframe } from "./candles.js"
 * @import { Piece } from "./history.js"
 * @import { RunChart } from "./run-chart.js"
 * @import { Keep } from "./visible-range.js"
 */

const MARKS_MS = 250;

export class Picture {
  history = new History();
  orders = new Orders();
  figures = new Figures();
  /** How prices, and how money is written. */
  precisions = { prices: new Precision(), money: new Precision() };
  /** The newest frame in it. @type {Api.Frame | null} */
  last = null;
  /** What is to be said about the arrows. */
  thinned = "";
  #candles;
  /** @type {RunChart | null} */
  #chart = null;
  #isMarked = true;
  #markedAt = 0;

  /** @param {Timeframe} timeframe */
  constructor(timeframe) {
    this.#candles = new Candles(timeframe);
  }

  get timeframe() {
    return this.#candles.timeframe;
  }

  /** Show it from now on. @param {RunChart} chart */
  open(chart) {
    this.#chart = chart;
    this.#redraw(null, "time");
  }

  close() {
    this.#chart?.close();
  }

  restyle() {
    this.#chart?.restyle();
    this.#isMarked = false;
  }

  // -- what came

  /** Frames that go on from the last one: into the picture. @param {Api.Frame[]} frames */
  grow(frames) {
    let changed = this.#candles.list.length;
    for (const frame of frames) {
      this.#add(frame);
      if (frame.seq === this.figures.awaited) {
        changed = Math.min(changed, this.#candles.take(this.history));
        this.figures.at(frame.seq, frame.ts, this.#candles.standing);
      }
    }
    changed = Math.min(changed, this.#candles.take(this.history));
    this.#stand(this.last?.seq ?? -1);
    if (this.thinned !== "") this.#isMarked = false;
    this.#chart?.grow(this.#candles, changed);
  }

  /** @param {Api.Frame} frame */
  #add(frame) {
    const piece = pieceOf(frame);
    this.history.add(piece);
    this.#learn(piece);
    this.last = frame;
    if (frame.orders?.length) {
      this.orders.take(frame);
      this.#isMarked = false;
    }
  }

  /** How its numbers are to be written. @param {Piece} piece */
  #learn({ open, close, equity }) {
    this.precisions.prices.take(open);
    this.precisions.prices.take(close);
    this.precisions.money.take(equity);
  }

  /** @param {number} seq of the newest frame in it */
  #stand(seq) {
    if (this.history.length > 0) this.figures.at(seq, this.history.lastTime, this.#candles.standing);
  }

  // -- where it goes

  /**
   * The cursor is elsewhere: forget what lies after it.
   * @param {number} seq
   * @param {string | null} ts
   */
  cut(seq, ts) {
    const view = this.#chart?.view(this.#candles) ?? null;
    const time = ts === null ? (seq < 0 ? -Infinity : NaN) : seconds(ts);
    this.history.cut(seq, time);
    this.orders.cut(seq, this.history.lastTime);
    this.#candles.cut(this.history);
    if (seq < 0) this.figures.clear();
    else this.figures.jumped();
    if (this.history.lastSeq === seq) this.#stand(seq);
    this.#replace(view, "time");
  }

  /**
   * What lies before the cursor and was not seen.
   * @param {Api.Snapshot} snapshot
   * @param {Keep} keep
   */
  fill(snapshot, keep) {
    const view = this.#chart?.view(this.#candles) ?? null;
    const pieces = piecesOf(snapshot, this.history);
    this.#candles.cut(this.history);
    for (const piece of pieces) {
      this.history.add(piece);
      this.#learn(piece);
    }
    this.orders.jumped(snapshot.orders_total, snapshot.seq);
    this.#candles.take(this.history);
    this.#stand(snapshot.seq);
    this.#replace(view, keep);
  }

  /** Minutes in the place of what is coarser. @param {Piece[]} minutes @param {Keep} keep */
  refine(minutes, keep) {
    const view = this.#chart?.view(this.#candles) ?? null;
    for (const piece of minutes) this.#learn(piece);
    this.history.refine(minutes);
    this.#redraw(view, keep);
  }

  /** @param {Timeframe} timeframe */
  change(timeframe) {
    const view = this.#chart?.view(this.#candles) ?? null;
    this.#candles = new Candles(timeframe);
    this.#redraw(view, "frame");
  }

  /** The run is another one. */
  clear() {
    this.history.clear();
    this.orders.clear();
    this.figures.clear();
    this.last = null;
    this.#redraw(null, "time");
  }

  /** @param {Parameters<RunChart["replace"]>[1]} view @param {Keep} keep */
  #redraw(view, keep) {
    this.#candles = new Candles(this.timeframe);
    this.#candles.take(this.history);
    this.#replace(view, keep);
  }

  /** @param {Parameters<RunChart["replace"]>[1]} view @param {Keep} keep */
  #replace(view, keep) {
    this.#chart?.replace(this.#candles, view, keep);
    this.#isMarked = false;
  }

  /**
   * Once a picture: what a move of the view needs, and the arrows.
   * @param {number} now
   * @returns {boolean} whether the arrows were drawn anew
   */
  settle(now) {
    if (this.#chart?.settle(this.#candles)) this.#isMarked = false;
    if (this.#isMarked || now - this.#markedAt < MARKS_MS) return false;
    this.#markedAt = now;
    this.#isMarked = true;
    const thinned = this.#chart?.mark(this.orders, this.#candles) ?? "";
    this.thinned = this.#candles.isPriceless ? "No prices so far: these frames have none" : thinned;
    return true;
  }

  /** All orders of the run are known. @param {Api.Order[]} orders */
  know(orders) {
    this.orders.know(orders);
    this.#isMarked = false;
  }
}
