/**
 * Which part of the candles is in sight, and where it goes when they change. Positions are indices
 * of candles with fractions; beyond the ends a bucket's length counts for one. No drawing.
 *
 * @import { Candle } from "./candles.js"
 */

/** @typedef {{from: number, to: number}} Range of positions, or of times in seconds */

/**
 * What is in sight, in a way that outlives a change of the candles.
 * @typedef {object} View
 * @property {Range} times
 * @property {number} width in candles
 * @property {number} gap candles' worth of room behind the newest; negative: the newest is further on
 * @property {boolean} isAtNewest whether the newest candle is in sight
 */

/**
 * The position of a time.
 * @param {Candle[]} candles not empty
 * @param {number} time in seconds
 * @param {number} step length of a bucket, in seconds
 */
export function positionOf(candles, time, step) {
  const at = indexAt(candles, time);
  const here = candles[at]?.time;
  if (here === undefined) return (time - /** @type {Candle} */ (candles[0]).time) / step;
  const next = candles[at + 1]?.time ?? here + step;
  return at + (time - here) / (at + 1 < candles.length ? next - here : step);
}

/**
 * The time at a position, in seconds.
 * @param {Candle[]} candles not empty
 * @param {number} position
 * @param {number} step
 */
export function timeAt(candles, position, step) {
  const at = Math.max(0, Math.min(candles.length - 1, Math.floor(position)));
  const here = /** @type {Candle} */ (candles[at]).time;
  const isWithin = position >= 0 && at + 1 < candles.length;
  const length = isWithin ? /** @type {Candle} */ (candles[at + 1]).time - here : step;
  return here + (position - at) * length;
}

/** Index of the last candle that begins at or before a time; -1: none. @param {Candle[]} candles @param {number} time */
export function indexAt(candles, time) {
  let [low, high] = [0, candles.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {Candle} */ (candles[middle]).time <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * @param {Candle[]} candles not empty
 * @param {Range} range
 * @param {number} step
 * @returns {View}
 */
export function viewOf(candles, range, step) {
  const newest = candles.length - 1;
  return {
    times: { from: timeAt(candles, range.from, step), to: timeAt(candles, range.to, step) },
    width: range.to - range.from,
    gap: range.to - newest,
    isAtNewest: newest <= range.to && newest >= range.from,
  };
}

/**
 * How the view goes on: `time`: what is in sight stays, and only a cursor that left it moves it;
 * `width`: as many candles as before, up to the newest, as after a jump; `go`: like `time`, and a
 * view that was elsewhere goes to the newest, as who asks for a time wants to see it; `frame`: like
 * `time`, for another timeframe: room before the first candle is not stretched to thousands.
 * @typedef {"time" | "width" | "go" | "frame"} Keep
 */

/**
 * The range in sight once the candles have changed.
 * @param {View} view
 * @param {Candle[]} candles as they are now, not empty
 * @param {{step: number, keep: Keep, least: number, most: number, usual?: number}} how `least`, `most`
 *   and, where nothing speaks against it, `usual` candles in sight
 * @returns {Range}
 */
export function nextRange(view, candles, { step, keep, least, most, usual = least }) {
  const newest = candles.length - 1;
  if (keep === "width" && view.isAtNewest) return { from: newest + view.gap - view.width, to: newest + view.gap };
  let from = positionOf(candles, view.times.from, step);
  let to = positionOf(candles, view.times.to, step);
  if (keep === "frame" && from < 0) {
    const gap = Math.max(0, Math.min(to - newest, view.gap));
    to = Math.min(to, newest + gap);
    from = Math.min(0, to - usual);
    if (to > usual && from < 0) from = 0;
  }
  const hasLeft = newest < from || newest > to;
  if (hasLeft && (view.isAtNewest || keep === "go" || newest < from)) {
    const gap = Math.max(0, Math.min(view.gap, view.width / 2));
    [from, to] = [newest + gap - view.width, newest + gap];
  }
  // Too many to be drawn, or too few to be looked at: the end that holds the cursor stays.
  const width = Math.max(least, Math.min(most, to - from));
  const pivot = newest >= from && newest <= to ? Math.min(to, newest + Math.max(0, Math.min(to - newest, width / 4))) : to;
  return width === to - from ? { from, to } : { from: pivot - width, to: pivot };
}

/**
 * The candles that the chart is given, so that a little to the left and right can be looked at
 * before it needs others: first index, and the one after the last.
 * @param {Range} range in sight
 * @param {number} count of all candles
 */
export function windowOf(range, count) {
  const margin = Math.max(200, range.to - range.from);
  const first = Math.max(0, Math.min(count - 1, Math.floor(range.from - margin)));
  return { first, end: Math.max(first, Math.min(count, Math.ceil(range.to + margin))) };
}

/**
 * Whether the range is so near an end of the window that more should be given.
 * @param {Range} range
 * @param {{first: number, end: number}} window
 * @param {number} count of all candles
 */
export function isNearEdge(range, window, count) {
  const margin = Math.max(200, range.to - range.from) / 4;
  return (window.first > 0 && range.from - window.first < margin) || (window.end < count && window.end - range.to < margin);
}
