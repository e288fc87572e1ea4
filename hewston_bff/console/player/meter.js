/** Counts what happens, and says how much of it in the last second. */
export class Meter {
  /** @type {Record<string, number>} */
  #counts = {};
  /** @type {Record<string, number>} */
  #rates = {};
  #since = performance.now();

  /** @param {string} what @param {number} [times] */
  count(what, times = 1) {
    this.#counts[what] = (this.#counts[what] ?? 0) + times;
  }

  /** @param {number} now */
  tick(now) {
    const seconds = (now - this.#since) / 1_000;
    if (seconds < 1) return;
    const counts = Object.entries(this.#counts);
    this.#rates = Object.fromEntries(counts.map(([what, count]) => [what, count / seconds]));
    this.#counts = {};
    this.#since = now;
  }

  /** @param {string} what */
  rate(what) {
    return this.#rates[what] ?? 0;
  }
}
