/**
 * The figures at the cursor: all of one frame. What the page folds itself is there with the frame,
 * what the server computes comes beside it, about once a second.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { Standing } from "./candles.js"
 */

/**
 * @typedef {object} FrameFigures
 * @property {number} seq of the frame that all of them are of
 * @property {string | number | null} ts its time
 * @property {Standing} standing
 * @property {Api.Figures | null} metrics null: the server has not told them of this frame
 */

export class Figures {
  /** Of the newest frame in the picture. @type {FrameFigures | null} */
  #newest = null;
  /** Of the newest frame for which the server told them. @type {FrameFigures | null} */
  #whole = null;
  /** Told of a frame that is not in the picture yet. @type {Api.Metrics | null} */
  #told = null;

  /** The frame after which the picture should be looked at; -1: any. */
  get awaited() {
    return this.#told?.seq ?? -1;
  }

  /**
   * A frame is in the picture, as its newest.
   * @param {number} seq
   * @param {string | number | null} ts
   * @param {Standing} standing what holds after it
   */
  at(seq, ts, standing) {
    this.#newest = { seq, ts, standing: { ...standing }, metrics: null };
    this.#pair();
  }

  /** @param {Api.Metrics} message */
  told(message) {
    this.#told = message;
    this.#pair();
  }

  #pair() {
    if (this.#newest === null || this.#told?.seq !== this.#newest.seq) return;
    this.#newest = { ...this.#newest, metrics: this.#told.metrics };
    this.#whole = this.#newest;
  }

  /** The cursor is elsewhere. */
  jumped() {
    this.#newest = null;
    this.#whole = null;
  }

  /** The run is another one. */
  clear() {
    this.jumped();
    this.#told = null;
  }

  /**
   * What may be shown together. While frames come, those of the newest frame with all of them.
   * @param {boolean} isMoving
   */
  shown(isMoving) {
    return isMoving && this.#whole !== null ? this.#whole : this.#newest;
  }
}
