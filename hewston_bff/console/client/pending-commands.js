import { HewstonError } from "./errors.js";

/**
 * @template State
 * @typedef {object} Waiting
 * @property {(state: State) => void} resolve
 * @property {(error: HewstonError) => void} reject
 */

/**
 * Commands whose callers wait for the state they lead to, by what will answer them.
 * @template {object} State
 */
export class PendingCommands {
  /** @type {Map<string, Waiting<State>[]>} */
  #waiting = new Map();

  /**
   * The answer, once `what` is answered. Nobody has to await it: its error is an event too.
   * @param {string} what
   * @returns {Promise<State>}
   */
  add(what) {
    const waiting = this.#waiting.get(what) ?? [];
    this.#waiting.set(what, waiting);
    return quiet(new Promise((resolve, reject) => void waiting.push({ resolve, reject })));
  }

  /**
   * Who waits for one of `from` waits for `to` instead.
   * @param {string[]} from
   * @param {string} to
   */
  move(from, to) {
    const moved = from.flatMap((what) => this.#take(what));
    if (moved.length > 0) this.#waiting.set(to, [...(this.#waiting.get(to) ?? []), ...moved]);
  }

  /**
   * @param {string} what
   * @param {State} state
   */
  resolve(what, state) {
    // As it is now: frames move the state on, maybe before the caller looks.
    for (const waiting of this.#take(what)) waiting.resolve({ ...state });
  }

  /** @param {State} state */
  resolveAll(state) {
    for (const what of [...this.#waiting.keys()]) this.resolve(what, state);
  }

  /**
   * @param {string} what
   * @param {HewstonError} error
   */
  reject(what, error) {
    for (const waiting of this.#take(what)) waiting.reject(error);
  }

  /** @param {HewstonError} error */
  rejectAll(error) {
    for (const what of [...this.#waiting.keys()]) this.reject(what, error);
  }

  /** @param {string} what */
  #take(what) {
    const waiting = this.#waiting.get(what) ?? [];
    this.#waiting.delete(what);
    return waiting;
  }
}

/**
 * @param {boolean} hasEnded
 * @returns {Promise<never>}
 */
export function notPossibleNow(hasEnded) {
  const reason = hasEnded ? "it has ended: subscribe again" : "there is no connection";
  return quiet(Promise.reject(new HewstonError("OFFLINE", `not possible now: ${reason}`)));
}

/**
 * @template T
 * @param {Promise<T>} answer
 */
function quiet(answer) {
  answer.catch(() => undefined);
  return answer;
}
