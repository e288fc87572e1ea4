import { seconds } from "./format.js";

/**
 * What was delivered up to the cursor, and the candles made of it. No drawing, no network.
 *
 * @import * as Api from "./client/hewston-bff.js"
 */

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
/** Regular hours begin at half past: hours are counted from there, as the backend's bars are. */
const HALF_PAST = 1_800;

/** @type {Record<string, (t: number) => number>} */
export const TIMEFRAMES = {
  "1m": (t) => t - (t % MINUTE),
  "5m": (t) => t - (t % (5 * MINUTE)),
  "15m": (t) => t - (t % (15 * MINUTE)),
  "1H": (t) => t - ((t - HALF_PAST) % HOUR),
  "1D": (t) => t - (t % DAY),
};

/**
 * @typedef {object} Candle
 * @property {number} time of its bucket, in seconds
 * @property {number} open NaN: no price yet
 * @property {number} high
 * @property {number} low
 * @property {number} close
 * @property {number} volume
 * @property {number} equity NaN: none yet
 * @property {number} drawdown a share, 0 or negative: the deepest in this bucket
 */

const COLUMNS = /** @type {const} */ ([
  "seq",
  "time",
  "open",
  "high",
  "low",
  "close",
  "volume",
  "equity",
  "least",
  "most",
]);

/** @typedef {{[column in typeof COLUMNS[number]]: number}} Piece one frame, or some merged */

/** Pieces in order of time, in columns: a year of minutes takes 8 MB. */
export class History {
  length = 0;
  /** @type {Record<string, Float64Array>} */
  #columns = Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(1_024)]));

  /** @param {Piece} piece */
  add(piece) {
    if (this.length === this.#column("seq").length) this.#grow();
    for (const name of COLUMNS) this.#column(name)[this.length] = piece[name];
    this.length += 1;
  }

  /** Index of the last frame in it, -1 for none; NaN where only the time is known. */
  get lastSeq() {
    return this.length === 0 ? -1 : this.#at("seq", this.length - 1);
  }

  /** Time of the last frame in it, in seconds. */
  get lastTime() {
    return this.length === 0 ? -Infinity : this.#at("time", this.length - 1);
  }

  /**
   * Forget what lies after a position; nothing shown may be from after the cursor.
   * @param {number} seq
   * @param {number} time in seconds; NaN: not known, and pieces without an index go too
   */
  cut(seq, time) {
    while (this.length > 0 && !this.#isBefore(seq, time)) this.length -= 1;
  }

  /** @param {number} seq @param {number} time */
  #isBefore(seq, time) {
    if (Number.isNaN(this.lastSeq)) return this.lastTime <= time;
    return this.lastSeq <= seq && !(this.lastTime > time);
  }

  clear() {
    this.length = 0;
  }

  /**
   * Put minutes in the place of wider pieces of the same prices; frames stay.
   * @param {Piece[]} minutes in order of time
   */
  refine(minutes) {
    const pieces = Array.from({ length: this.length }, (_, index) => this.piece(index));
    let next = 0;
    let before = -Infinity;
    this.clear();
    for (const piece of pieces) {
      while ((minutes[next]?.time ?? Infinity) <= before) next += 1;
      const first = next;
      while ((minutes[next]?.time ?? Infinity) <= piece.time) next += 1;
      for (const finer of within(piece, minutes.slice(first, next))) this.add(finer);
      before = piece.time;
    }
  }

  /** @param {number} index @returns {Piece} */
  piece(index) {
    return {
      seq: this.#at("seq", index),
      time: this.#at("time", index),
      open: this.#at("open", index),
      high: this.#at("high", index),
      low: this.#at("low", index),
      close: this.#at("close", index),
      volume: this.#at("volume", index),
      equity: this.#at("equity", index),
      least: this.#at("least", index),
      most: this.#at("most", index),
    };
  }

  /** @param {string} name */
  #column(name) {
    return /** @type {Float64Array} */ (this.#columns[name]);
  }

  /** @param {string} name @param {number} index */
  #at(name, index) {
    return /** @type {number} */ (this.#column(name)[index]);
  }

  #grow() {
    for (const name of COLUMNS) {
      const larger = new Float64Array(this.length * 2);
      larger.set(this.#column(name));
      this.#columns[name] = larger;
    }
  }
}

/**
 * The minutes that a piece was made of, its equity with the last of them; itself, if it is a frame
 * or they are others.
 * @param {Piece} piece
 * @param {Piece[]} minutes
 */
function within(piece, minutes) {
  const last = minutes.at(-1);
  const isSame =
    Number.isNaN(piece.seq) &&
    last?.time === piece.time &&
    last.close === piece.close &&
    minutes[0]?.open === piece.open &&
    Math.max(...minutes.map(({ high }) => high)) === piece.high &&
    Math.min(...minutes.map(({ low }) => low)) === piece.low;
  if (!isSame) return [piece];
  const { equity, least, most } = piece;
  return [...minutes.slice(0, -1), { ...last, equity, least, most }];
}

/** Pieces folded into candles of one timeframe, one after the other. */
export class Folding {
  /** @type {Candle | null} */
  candle = null;
  #bucket;
  #peak = NaN;
  /** Of the last equity known. */
  #drop = 0;

  /** @param {keyof typeof TIMEFRAMES} timeframe */
  constructor(timeframe) {
    this.#bucket = /** @type {(t: number) => number} */ (TIMEFRAMES[timeframe]);
  }

  /**
   * Take in the next piece; the candle that it changed or began. A merged piece counts for the
   * bucket of its last frame.
   * @param {Piece} piece
   */
  add(piece) {
    const time = this.#bucket(piece.time);
    const drawdown = this.#drawdown(piece);
    const last = this.candle;
    if (last === null || time !== last.time) {
      const { open, high, low, close, volume } = piece;
      // Between two equity points the older one holds.
      const equity = Number.isNaN(piece.equity) ? (last?.equity ?? NaN) : piece.equity;
      this.candle = { time, open, high, low, close, volume, equity, drawdown };
      return this.candle;
    }
    if (!Number.isNaN(piece.close)) {
      if (Number.isNaN(last.open)) last.open = piece.open;
      last.high = Number.isNaN(last.high) ? piece.high : Math.max(last.high, piece.high);
      last.low = Number.isNaN(last.low) ? piece.low : Math.min(last.low, piece.low);
      last.close = piece.close;
    }
    if (!Number.isNaN(piece.volume)) last.volume += piece.volume;
    if (!Number.isNaN(piece.equity)) last.equity = piece.equity;
    last.drawdown = Math.min(last.drawdown, drawdown);
    return last;
  }

  /** @param {Piece} piece */
  #drawdown({ equity, least, most }) {
    if (Number.isNaN(equity)) return this.#drop;
    // Of merged frames the order of low and high is not known: the low is held against the old peak.
    const before = Number.isNaN(this.#peak) ? equity : this.#peak;
    const deepest = Math.min(0, (least - before) / before);
    this.#peak = Math.max(before, most);
    this.#drop = (equity - this.#peak) / this.#peak;
    return Math.min(deepest, this.#drop);
  }
}

/**
 * All candles of a history.
 * @param {History} history
 * @param {Folding} folding new; it goes on from the last candle
 */
export function fold(history, folding) {
  /** @type {Candle[]} */
  const candles = [];
  for (let index = 0; index < history.length; index += 1) {
    const candle = folding.add(history.piece(index));
    if (candles.at(-1) !== candle) candles.push(candle);
  }
  return candles;
}

/** @param {Api.Frame} frame @returns {Piece} */
export function pieceOf({ seq, ts, ohlc, equity }) {
  return { seq, time: seconds(ts), ...prices(ohlc), ...worth(equity) };
}

/** @param {Api.Bar | null | undefined} bar */
function prices(bar) {
  const { o = NaN, h = NaN, l = NaN, c = NaN, v = NaN } = bar ?? {};
  const some = [c, o, h, l].find((price) => !Number.isNaN(price)) ?? NaN;
  /** @param {number} price */
  const or = (price) => (Number.isNaN(price) ? some : price);
  return { open: or(o), high: or(h), low: or(l), close: or(c), volume: v };
}

/** @param {Api.EquityPoint | null | undefined} point */
function worth(point) {
  const equity = point?.value ?? NaN;
  return { equity, least: point?.min ?? equity, most: point?.max ?? equity };
}

/**
 * The pieces of a snapshot that a history lacks. They are wider than frames, and have no index: of
 * one that the history has a part of, that part goes.
 * @param {Api.Snapshot} snapshot
 * @param {History} history
 */
export function piecesOf({ bars, equity }, history) {
  const cut = bars.find(({ ts }) => seconds(ts) > history.lastTime);
  if (cut !== undefined && seconds(cut.ts0) <= history.lastTime) history.cut(Infinity, seconds(cut.ts0) - 1);
  const after = history.lastTime;
  let next = 0;
  return bars.flatMap((bar) => {
    const time = seconds(bar.ts);
    let point = null;
    while (next < equity.length && seconds(/** @type {Api.EquityPoint} */ (equity[next]).ts) <= time) {
      point = equity[next];
      next += 1;
    }
    if (seconds(bar.ts0) <= after) return [];
    return [{ seq: NaN, time, ...prices(bar), ...worth(point) }];
  });
}
