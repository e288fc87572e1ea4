/**
 * The candles of one timeframe, made of what was delivered up to the cursor. No drawing, no network.
 *
 * @import { History, Piece } from "./history.js"
 */

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
/** Regular hours begin at half past: hours are counted from there, as the backend's bars are. */
const HALF_PAST = 1_800;

/** Of each timeframe: the length of its buckets, and where the first begins, both in seconds. */
const BUCKETS = { "1m": [MINUTE, 0], "5m": [5 * MINUTE, 0], "15m": [15 * MINUTE, 0], "1H": [HOUR, HALF_PAST], "1D": [DAY, 0] };

/** @typedef {keyof typeof BUCKETS} Timeframe */

export const TIMEFRAMES = /** @type {Timeframe[]} */ (Object.keys(BUCKETS));

/** Length of a bucket, in seconds. @param {Timeframe} timeframe */
export const lengthOf = (timeframe) => /** @type {number} */ (BUCKETS[timeframe][0]);

/**
 * When the bucket of a time begins, in seconds.
 * @param {Timeframe} timeframe
 * @param {number} time
 */
export function bucketOf(timeframe, time) {
  const [length = MINUTE, first = 0] = BUCKETS[timeframe];
  return Math.floor((time - first) / length) * length + first;
}

/**
 * What holds after a frame, whether it changed it or not. Each NaN: none yet, or not defined.
 * @typedef {object} Standing
 * @property {number} close the last price
 * @property {number} equity
 * @property {number} peak the highest equity so far
 * @property {number} drawdown how far equity is below the peak, as a share of it: 0 or negative; NaN
 *   where the peak is not positive
 * @property {number} loss the same in money: 0 or negative
 */

/**
 * @typedef {object} Candle
 * @property {number} time of its bucket, in seconds
 * @property {number} open NaN: no price
 * @property {number} high
 * @property {number} low
 * @property {number} close
 * @property {number} volume
 * @property {number} equity NaN: none yet
 * @property {number} drawdown the deepest in this bucket, a share; NaN where it is not defined
 * @property {number} loss the same in money
 * @property {number} first index of its first piece
 * @property {boolean} isWide whether it holds what belongs to earlier buckets too: of a piece that
 *   spans some, as before a jump
 * @property {Standing} end what holds after its last piece
 */

/** @type {Standing} */
const NOTHING_YET = { close: NaN, equity: NaN, peak: NaN, drawdown: NaN, loss: NaN };

/** Candles of a history, folded as it grows; a bucket in which nothing happened has none. */
export class Candles {
  timeframe;
  /** In order of time. @type {Candle[]} */
  list = [];
  /** Pieces folded so far. */
  #taken = 0;

  /** @param {Timeframe} timeframe */
  constructor(timeframe) {
    this.timeframe = timeframe;
  }

  /** Whether something happened, and nothing had a price. */
  get isPriceless() {
    return this.list.length > 0 && Number.isNaN(this.standing.close) && this.list.every(({ close, open }) => Number.isNaN(close) && Number.isNaN(open));
  }

  /** What holds after the last piece. */
  get standing() {
    return this.list.at(-1)?.end ?? NOTHING_YET;
  }

  /**
   * Fold what the history has beyond the pieces taken. A merged piece counts for the bucket of its
   * last frame.
   * @param {History} history
   * @returns {number} index of the first candle that is new or another than before
   */
  take(history) {
    let changed = this.list.length;
    for (; this.#taken < history.length; this.#taken += 1) {
      if (this.#add(history.piece(this.#taken), this.#taken)) changed = Math.min(changed, this.list.length - 1);
    }
    return changed;
  }

  /** The history has become shorter: as if the rest had never been. @param {History} history */
  cut(history) {
    if (history.length >= this.#taken) return;
    while ((this.list.at(-1)?.first ?? -1) >= history.length) this.list.pop();
    // Its later pieces may be gone: it is folded anew.
    this.#taken = this.list.pop()?.first ?? 0;
    this.take(history);
  }

  /**
   * @param {Piece} piece
   * @param {number} index
   * @returns {boolean} whether a candle has changed
   */
  #add(piece, index) {
    const last = this.list.at(-1);
    const before = last?.end ?? NOTHING_YET;
    const isPriced = !(Number.isNaN(piece.close) && Number.isNaN(piece.open) && Number.isNaN(piece.high) && Number.isNaN(piece.low));
    const isMoved = !Number.isNaN(piece.equity) && (piece.equity !== before.equity || piece.least !== piece.most);
    const time = bucketOf(this.timeframe, piece.time);
    const isWide = bucketOf(this.timeframe, piece.since) < time;
    if (last === undefined || time > last.time) {
      // Nights, weekends, minutes without a trade: no bucket, so that the picture has no holes.
      if (!isPriced && !isMoved) return false;
      const { open, high, low, close, volume } = piece;
      const { end, drawdown, loss } = stand(before, piece);
      this.list.push({ time, open, high, low, close, volume, equity: end.equity, drawdown, loss, first: index, isWide, end });
      return true;
    }
    if (isPriced) {
      // What a frame lacks is skipped, as where the server merges.
      if (Number.isNaN(last.open)) last.open = piece.open;
      if (!(piece.high <= last.high) && !Number.isNaN(piece.high)) last.high = piece.high;
      last.low = deeper(last.low, piece.low);
      if (!Number.isNaN(piece.close)) last.close = piece.close;
    }
    const hasVolume = !Number.isNaN(piece.volume);
    if (hasVolume) last.volume = (Number.isNaN(last.volume) ? 0 : last.volume) + piece.volume;
    last.isWide ||= isWide;
    const { end, drawdown, loss } = stand(before, piece);
    last.end = end;
    last.equity = end.equity;
    last.drawdown = deeper(last.drawdown, drawdown);
    last.loss = deeper(last.loss, loss);
    return isPriced || isMoved || hasVolume;
  }
}

/** @param {number} one @param {number} other */
const deeper = (one, other) => (Number.isNaN(one) ? other : Number.isNaN(other) ? one : Math.min(one, other));

/**
 * What holds after a piece, and the deepest within it.
 * @param {Standing} before
 * @param {Piece} piece
 */
function stand(before, { close: price, equity, least, most }) {
  const close = Number.isNaN(price) ? before.close : price;
  // Between two equity points the older one holds.
  if (Number.isNaN(equity)) return { end: { ...before, close }, drawdown: before.drawdown, loss: before.loss };
  // Of merged frames the order of low and high is not known: the low is held against the old peak.
  const old = Number.isNaN(before.peak) ? equity : before.peak;
  const peak = Math.max(old, most);
  const end = { close, equity, peak, drawdown: share(equity, peak), loss: equity - peak };
  const drawdown = deeper(Math.min(0, share(least, old)), end.drawdown);
  return { end, drawdown, loss: Math.min(0, least - old, end.loss) };
}

/**
 * How far a value is below the peak, as a share of it. Source: the platform's definition of
 * drawdown, which has none over a peak that is not positive.
 * @param {number} value
 * @param {number} peak
 */
const share = (value, peak) => (peak > 0 ? (value - peak) / peak : NaN);

/**
 * What is to be said where candles in sight are wider than they are called.
 * @param {Candle[]} candles
 * @param {Timeframe} timeframe
 * @param {{from: number, to: number}} range of positions
 */
export function wideWords(candles, timeframe, { from, to }) {
  const isSome = candles.slice(Math.max(0, Math.floor(from)), Math.max(0, Math.ceil(to) + 1)).some(({ isWide }) => isWide);
  return isSome ? `Some candles here hold more than ${timeframe} each` : "";
}
