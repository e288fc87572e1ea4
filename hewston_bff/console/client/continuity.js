/** @import * as Api from "./hewston-bff.js" */

/** What has come of a run, so that nothing is shown twice and nothing is missing without a word. */
export class Continuity {
  /** The index that the next frame must begin with; null: any. @type {number | null} */
  expected = null;
  #skipped = 0;

  /** Any frame may be the next: the viewer went elsewhere. */
  restart() {
    this.expected = null;
  }

  /** Another run by the same name. */
  renew() {
    this.expected = null;
    this.#skipped = 0;
  }

  /**
   * Whether the frame is new; if so it counts as seen. `gap`: what should have come before it.
   * @param {Api.Frame} frame
   * @returns {{isNew: boolean, gap: Api.Lag | null}}
   */
  take(frame) {
    const first = frame.from ?? frame.seq;
    const { expected } = this;
    // Delivered before the connection broke.
    if (expected !== null && frame.seq < expected) return { isNew: false, gap: null };
    this.expected = frame.seq + 1;
    const isGap = expected !== null && first > expected;
    return { isNew: true, gap: isGap ? { from: expected, to: first - 1, reason: "gap" } : null };
  }

  /**
   * Frames that the server could not read. It tells at doublings, and to all who watch the run: what
   * was said before is no news.
   * @param {Partial<Api.Skipped> | undefined} told
   * @returns {Api.Skipped | null}
   */
  skipped(told) {
    const { frames = 0, reasons = {} } = told ?? {};
    if (frames === this.#skipped || frames === 0) return null;
    this.#skipped = frames;
    return { frames, reasons };
  }
}
