/**
 * Full jitter: a random share of base × 2^attempt, at most the cap.
 * @param {number} attempt from 0
 * @param {{baseMs: number, capMs: number}} limits
 */
const backoffMs = (attempt, { baseMs, capMs }) => Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));

/** The wait before the next attempt to connect: with backoff, or as long as the server asked for. */
export class RetryTimer {
  /** Attempts that were waited for since the last success. */
  attempt = 0;
  #limits;
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {{baseMs: number, capMs: number}} limits of the backoff
   * @param {() => void} retry makes the attempt
   */
  constructor(limits, retry) {
    this.#limits = limits;
    this.#retry = retry;
  }

  /**
   * Wait for the next attempt.
   * @param {number | null} [afterMs] what the server asked for
   * @returns {number} how long it waits, in ms
   */
  start(afterMs) {
    const delayMs = afterMs ?? backoffMs(this.attempt, this.#limits);
    this.attempt += 1;
    this.restart(delayMs);
    return delayMs;
  }

  /** Wait this long instead, for the same attempt. @param {number} delayMs */
  restart(delayMs) {
    this.stop();
    this.#timer = setTimeout(this.#retry, delayMs);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
