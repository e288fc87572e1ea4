/** @import * as Api from "./hewston-bff.js" */

/**
 * Where a viewer wants to be. One seek is on its way at a time, the newest of the others waits: a
 * dragged scrubber must not be faster than the server answers.
 */
export class Seeks {
  /** Not answered yet. @type {Api.Position | null} */
  target = null;
  /** To be sent when the one on its way is answered. @type {Api.Position | null} */
  next = null;
  isSent = false;
  /** Frames that came meanwhile: dropped if it succeeds. @type {Api.Frame[]} */
  held = [];

  get wanted() {
    return this.next ?? this.target;
  }

  /** The connection is gone: how the subscription is made again says where to. */
  carryOver() {
    this.target = this.wanted;
    this.next = null;
    this.forgetSent();
  }

  /** What was sent before needs no answer any more. */
  forgetSent() {
    this.isSent = false;
    this.held = [];
  }

  answered() {
    this.isSent = false;
    this.target = null;
  }

  /** The one to be sent now, if any. */
  takeNext() {
    const { next } = this;
    if (this.isSent) return null;
    this.next = null;
    return next;
  }
}
