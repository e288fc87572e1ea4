import { indexAt } from "./visible-range.js";
import { bucketOf } from "./candles.js";
import { seconds, whole } from "../ui/format.js";

/**
 * The orders up to the cursor, and their arrows.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { Candle, Timeframe } from "./candles.js"
 * @import { Range } from "./visible-range.js"
 */

/** Arrows drawn at once, as many as can be told apart; where there are more it is said. */
export const ARROWS = 400;

/**
 * @typedef {object} Placed
 * @property {Api.Order} order
 * @property {number} time when it was filled, in seconds
 * @property {number} seq of the frame it came with; NaN: not known, as of one that a jump passed over
 */

/** @typedef {{time: number, isBuy: boolean, count: number}} Arrow on a candle, for `count` orders */

/** Whether it buys; writers differ in case. @param {Api.Order} order */
export const isBuy = (order) => String(order.side).toUpperCase() === "BUY";

export class Orders {
  /** In order of time, of one time as they came. @type {Placed[]} */
  #list = [];
  /** All of the run, where they are known: those before a jump are taken from here. @type {Api.Order[]} */
  #all = [];
  /** Those before a snapshot that are to be taken from all. @type {{count: number, seq: number} | null} */
  #passed = null;

  get length() {
    return this.#list.length;
  }

  /** Those held that came up to a frame; those of before a jump are earlier. @param {number} seq */
  upTo(seq) {
    return this.#list.filter((placed) => !(placed.seq > seq)).length;
  }

  /** @param {Api.Frame} frame that its orders came with */
  take({ seq, ts, orders = [] }) {
    for (const order of orders) this.#place(order, seq, seconds(ts));
  }

  /**
   * @param {Api.Order} order
   * @param {number} seq
   * @param {number} frameTime
   */
  #place(order, seq, frameTime) {
    const told = seconds(order.ts_utc);
    const time = Number.isNaN(told) ? frameTime : told;
    let at = this.#list.length;
    while (at > 0 && /** @type {Placed} */ (this.#list[at - 1]).time > time) at -= 1;
    this.#list.splice(at, 0, { order, time, seq });
  }

  /** @param {Api.Order[]} orders all of the run, as they came */
  know(orders) {
    this.#all = orders;
    this.#recall();
  }

  /**
   * The cursor went to a snapshot: those before it are taken from all, now or once they are known.
   * @param {number} count of them
   * @param {number} seq of the snapshot
   */
  jumped(count, seq) {
    this.#passed = { count, seq };
    this.#recall();
  }

  #recall() {
    const passed = this.#passed;
    if (passed === null || this.#all.length < passed.count) return;
    const since = this.#list.filter(({ seq }) => seq > passed.seq);
    this.#passed = null;
    this.#list = [];
    for (const order of this.#all.slice(0, passed.count)) this.#place(order, NaN, NaN);
    for (const { order, seq, time } of since) this.#place(order, seq, time);
  }

  /**
   * Forget what lies after a position.
   * @param {number} seq
   * @param {number} time in seconds, of the cursor
   */
  cut(seq, time) {
    if (this.#passed !== null && seq < this.#passed.seq) this.#passed = null;
    this.#list = this.#list.filter((placed) => (Number.isNaN(placed.seq) ? placed.time <= time : placed.seq <= seq));
  }

  clear() {
    this.#list = [];
    this.#all = [];
    this.#passed = null;
  }

  /** The newest, newest first. @param {number} count */
  newest(count) {
    return this.#list.slice(-count).reverse();
  }

  /**
   * Arrows for the orders of a range: one for all orders of a side on a candle. Of more than can be
   * drawn every second, third, … of each side is left out: they mostly take turns, and without that
   * only one side would be left.
   * @param {Candle[]} candles
   * @param {Timeframe} timeframe
   * @param {Range} range of positions
   */
  arrows(candles, timeframe, range) {
    const first = candles[Math.max(0, Math.floor(range.from))]?.time ?? Infinity;
    const last = candles[Math.max(0, Math.min(candles.length - 1, Math.ceil(range.to)))]?.time ?? -Infinity;
    /** @type {Map<string, Arrow>} */
    const arrows = new Map();
    let orders = 0;
    for (let at = this.#firstAt(first); at < this.#list.length; at += 1) {
      const { order, time: filled } = /** @type {Placed} */ (this.#list[at]);
      if (bucketOf(timeframe, filled) > last) break;
      const time = pricedTime(candles, bucketOf(timeframe, filled));
      if (time === null) continue;
      const key = `${time}${isBuy(order)}`;
      const arrow = arrows.get(key) ?? { time, isBuy: isBuy(order), count: 0 };
      arrow.count += 1;
      orders += 1;
      arrows.set(key, arrow);
    }
    const stride = Math.max(1, Math.ceil(arrows.size / ARROWS));
    const list = [...arrows.values()].sort((one, other) => one.time - other.time);
    const passed = { true: 0, false: 0 };
    const drawn = list.filter(({ isBuy }) => passed[`${isBuy}`]++ % stride === 0);
    return { arrows: drawn, orders, arrowsInAll: arrows.size };
  }

  /** @param {number} time */
  #firstAt(time) {
    let [low, high] = [0, this.#list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {Placed} */ (this.#list[middle]).time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What is to be said where not every arrow is drawn. @param {{arrows: Arrow[], orders: number, arrowsInAll: number}} made */
export const thinnedWords = ({ arrows, orders, arrowsInAll }) =>
  arrows.length === arrowsInAll ? "" : `${whole(orders)} orders here, ${whole(arrows.length)} arrows drawn: zoom in for all`;

/**
 * The time of the candle that an order is drawn on: that of its bucket; where that has no price,
 * the last one before that has, else the first one after.
 * @param {Candle[]} candles
 * @param {number} bucket
 */
function pricedTime(candles, bucket) {
  const at = indexAt(candles, bucket);
  for (let before = at; before >= 0; before -= 1) if (hasPrice(candles[before])) return candles[before]?.time ?? null;
  for (let after = at + 1; after < candles.length; after += 1) if (hasPrice(candles[after])) return candles[after]?.time ?? null;
  return null;
}

/** @param {Candle | undefined} candle */
const hasPrice = (candle) => candle !== undefined && !(Number.isNaN(candle.close) && Number.isNaN(candle.open));
