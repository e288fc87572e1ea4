import { seconds } from "../ui/format.js";

/**
 * What was delivered up to the cursor. No drawing, no network.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

const COLUMNS = /** @type {const} */ ([
  "seq",
  "time",
  "since",
  "open",
  "high",
  "low",
  "close",
  "volume",
  "equity",
  "least",
  "most",
]);

/** @typedef {{[column in typeof COLUMNS[number]]: number}} Piece one frame, or some merged: from `since` to `time` */

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

  /** Whether some of it is wider than frames. */
  get isCoarse() {
    return this.#column("seq").subarray(0, this.length).some(Number.isNaN);
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
      since: this.#at("since", index),
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

/** @param {Api.Frame} frame @returns {Piece} */
export function pieceOf({ seq, ts, ts0 = ts, ohlc, equity }) {
  return { seq, time: seconds(ts), since: seconds(ts0), ...prices(ohlc), ...worth(equity) };
}

/** Members that are absent are NaN, as everywhere here. @param {Api.Bar | null | undefined} bar */
function prices(bar) {
  return { open: bar?.o ?? NaN, high: bar?.h ?? NaN, low: bar?.l ?? NaN, close: bar?.c ?? NaN, volume: bar?.v ?? NaN };
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
    /** @type {Api.EquityPoint | null} */
    let point = null;
    while (next < equity.length && seconds(/** @type {Api.EquityPoint} */ (equity[next]).ts) <= time) {
      point = equity[next] ?? null;
      next += 1;
    }
    const since = seconds(bar.ts0);
    if (since <= after) return [];
    return [{ seq: NaN, time, since, ...prices(bar), ...worth(point) }];
  });
}
