/** @import { HewstonError } from "../client/hewston-bff.js" */

/**
 * Ask again and again, one request at a time, and not while the page is hidden.
 * @template T
 * @param {number} everyMs
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {{answered: (answer: T) => void, failed: (error: HewstonError) => number | void}} told
 *   `failed` may say in how many milliseconds to ask again
 */
export function poll(everyMs, ask, told) {
  const abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function turn() {
    clearTimeout(timer);
    let waitMs = everyMs;
    if (!document.hidden) {
      try {
        const answer = await ask(abort.signal);
        if (!abort.signal.aborted) told.answered(answer);
      } catch (error) {
        if (!abort.signal.aborted) waitMs = told.failed(/** @type {HewstonError} */ (error)) ?? everyMs;
      }
    }
    if (!abort.signal.aborted) timer = setTimeout(turn, waitMs);
  }

  void turn();
  return {
    now: () => void turn(),
    close() {
      clearTimeout(timer);
      abort.abort();
    },
  };
}
