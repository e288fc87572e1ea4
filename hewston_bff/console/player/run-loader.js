import { seconds } from "../ui/format.js";
import { isTerminal } from "../ui/run-status.js";

/**
 * What the backend says of a run besides its frames: asked for until it is told.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

const FIRST_AGAIN_MS = 1_000;
const LAST_AGAIN_MS = 15_000;
/** Points of the scrubber's picture, at most. */
export const POINTS = 600;
/** Answers that do not change by asking again. */
const FINAL = new Set(["RUN_NOT_FOUND", "UNAUTHORIZED", "FORBIDDEN", "VALIDATION"]);

/**
 * @typedef {object} RunDescription
 * @property {string} status
 * @property {string} reason why it failed; empty: not told
 * @property {string} symbol
 * @property {string} strategy
 * @property {{from: number, to: number} | null} span in seconds
 */

export class RunLoader {
  #rest;
  #runId;
  #told;
  #abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #againMs = FIRST_AGAIN_MS;
  #isDescribed = false;
  #isAsking = false;
  #isCompleted = false;
  /** The page is wanted as soon as the run is over. */
  #isOver = false;

  /**
   * @param {Api.Rest} rest
   * @param {string} runId
   * @param {{described: (run: RunDescription) => void, completed: (run: Api.CompleteRun) => void}} told
   */
  constructor(rest, runId, told) {
    this.#rest = rest;
    this.#runId = runId;
    this.#told = told;
    void this.#ask();
  }

  /** The backend is back: no need to wait. */
  hurry() {
    this.#againMs = FIRST_AGAIN_MS;
    void this.#ask();
  }

  /** The run is over: there is a whole of it, and its description has changed. */
  over() {
    this.#isDescribed &&= this.#isOver;
    this.#isOver = true;
    this.hurry();
  }

  /** The run is another one. */
  reset() {
    this.#isDescribed = this.#isCompleted = this.#isOver = false;
    this.hurry();
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  async #ask() {
    if (this.#isAsking) return;
    clearTimeout(this.#timer);
    this.#isAsking = true;
    const { signal } = this.#abort;
    const isDone = await this.#asked(signal).catch((error) => FINAL.has(error.code));
    this.#isAsking = false;
    if (isDone || signal.aborted) return;
    this.#timer = setTimeout(() => void this.#ask(), this.#againMs);
    this.#againMs = Math.min(LAST_AGAIN_MS, this.#againMs * 2);
  }

  /** @param {AbortSignal} signal @returns {Promise<boolean>} whether all is told that there is */
  async #asked(signal) {
    if (!this.#isDescribed) {
      const run = await this.#rest.run(this.#runId, { signal });
      if (signal.aborted) return true;
      this.#isDescribed = true;
      this.#isOver ||= isTerminal(run.status);
      this.#told.described(described(run));
    }
    if (this.#isOver && !this.#isCompleted) {
      const whole = await this.#rest.complete(this.#runId, { equity_points: POINTS }, { signal });
      if (signal.aborted) return true;
      this.#isCompleted = true;
      this.#told.completed(whole);
    }
    return true;
  }
}

/** @param {Api.RunDetail} run @returns {RunDescription} */
function described(run) {
  const { run_from: from, run_to: to, strategy_id: strategy, dataset_id: dataset, status } = run;
  const symbol = run.symbol ?? String(dataset ?? "").split("-")[0] ?? "";
  const hasSpan = typeof from === "string" && typeof to === "string";
  const span = hasSpan ? { from: seconds(`${from.slice(0, 10)}T00:00:00Z`), to: seconds(`${to.slice(0, 10)}T23:59:00Z`) } : null;
  return { status, reason: String(run["error_message"] ?? run["error"] ?? ""), symbol, strategy: strategy ?? "", span };
}
