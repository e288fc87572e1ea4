/** After so long a worse measurement is better than an old one: clocks drift. */
const GOOD_MS = 300_000;

/** The server's clock, as well as it is known here: this machine's may be wrong. */
export class ServerClock {
  /** How far the server's clock is ahead. */
  #aheadMs = 0;
  /** How long the question took that told: the time may be off by half of it. */
  #tripMs = Infinity;
  #measuredAt = -Infinity;

  /** In ms since 1970; before anything was heard of the server, by this machine. */
  now() {
    return Date.now() + this.#aheadMs;
  }

  /**
   * @param {number} serverMs what its clock said
   * @param {number} tripMs between question and answer; Infinity: nothing was asked
   */
  heard(serverMs, tripMs) {
    const isOld = performance.now() - this.#measuredAt > GOOD_MS;
    if (tripMs > this.#tripMs && !isOld) return;
    this.#tripMs = tripMs;
    this.#measuredAt = performance.now();
    this.#aheadMs = serverMs + (Number.isFinite(tripMs) ? tripMs / 2 : 0) - Date.now();
  }
}
