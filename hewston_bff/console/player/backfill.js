import { seconds } from "../ui/format.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { Piece } from "../chart/history.js"
 */

/** Days that hold about as many candles as are in sight; minutes for all days would be too many. */
const DAYS = /** @type {Record<string, number>} */ ({ "1m": 4, "5m": 6, "15m": 14, "1H": 35 });
const POINTS = 50_000;
/** A dragged scrubber jumps many times a second: the last one counts. */
const CALM_MS = 300;
const DAY_MS = 86_400_000;

/** Asks for the minutes before the cursor, where a jump left only a picture of few points. */
export class Backfill {
  /** Of the run, once it is known. */
  symbol = "";
  #rest;
  #onMinutes;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #abort = new AbortController();

  /**
   * @param {Api.Rest} rest
   * @param {(minutes: Piece[]) => void} onMinutes
   */
  constructor(rest, onMinutes) {
    this.#rest = rest;
    this.#onMinutes = onMinutes;
  }

  /**
   * @param {string} timeframe
   * @param {number} cursor in seconds
   */
  ask(timeframe, cursor) {
    this.close();
    const days = DAYS[timeframe];
    if (days === undefined || !this.symbol || !Number.isFinite(cursor)) return;
    this.#abort = new AbortController();
    this.#timer = setTimeout(() => void this.#load(days, cursor, this.#abort.signal), CALM_MS);
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  /**
   * @param {number} days
   * @param {number} cursor
   * @param {AbortSignal} signal
   */
  async #load(days, cursor, signal) {
    const to = new Date(cursor * 1_000);
    const from = new Date(to.getTime() - days * DAY_MS);
    const query = { symbol: this.symbol, timeframe: /** @type {const} */ ("1M"), from: day(from), to: day(to), target_points: POINTS };
    // Without them the picture is coarser, and true.
    const chart = await this.#rest.chartData(query, { signal }).catch(() => null);
    if (chart === null || signal.aborted) return;
    this.#onMinutes(chart.bars.map(minute).filter(({ time }) => time <= cursor));
  }
}

/** @param {Date} date */
const day = (date) => date.toISOString().slice(0, 10);

/** @param {Api.ChartBar} bar @returns {Piece} */
function minute({ timestamp, open, high, low, close, volume }) {
  const unknown = { seq: NaN, equity: NaN, least: NaN, most: NaN };
  const time = seconds(timestamp);
  return { ...unknown, time, since: time, open, high, low, close, volume: volume ?? NaN };
}
