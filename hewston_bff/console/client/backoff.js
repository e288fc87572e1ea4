/**
 * Full jitter: a random share of base × 2^attempt, at most the cap.
 * @param {number} attempt from 0
 * @param {{baseMs: number, capMs: number}} limits
 */
export function backoffMs(attempt, { baseMs, capMs }) {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}
