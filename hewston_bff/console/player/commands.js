import { clock } from "../ui/format.js";
import { SPEEDS } from "./playback-speed.js";

/**
 * What the viewer can do with the cursor, by button or key. What the buttons cannot do now, the keys
 * cannot either; what is refused is said.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { PlayerModel } from "./model.js"
 * @import { PlaybackSpeed } from "./playback-speed.js"
 */

export class Commands {
  /** Somebody asked for a time: the next snapshot answers that. */
  isSought = false;
  /** A time was asked for, and the cursor is not there yet. */
  #isTime = false;
  /** What the run has, said because something beyond was asked for. */
  range = "";
  #subscription;
  #model;
  #speed;
  #say;
  #focusDate;

  /**
   * @param {Api.Subscription} subscription
   * @param {PlayerModel} model
   * @param {{speed: PlaybackSpeed, say: (text: string) => void, focusDate: () => void}} told
   */
  constructor(subscription, model, { speed, say, focusDate }) {
    this.#subscription = subscription;
    this.#model = model;
    this.#speed = speed;
    this.#say = say;
    this.#focusDate = focusDate;
  }

  toggle() {
    if (!this.#model.controls.canPlay) return;
    this.range = "";
    this.#give(this.#model.isMoving ? this.#subscription.pause() : this.#subscription.play());
  }

  /** @param {number} frames */
  step(frames) {
    if (!this.#model.controls.canStep) return;
    this.range = "";
    this.#say("");
    this.#give(this.#subscription.step(frames));
  }

  /** @param {Api.Position} position */
  seek(position) {
    if (!this.#model.controls.canPlay) return;
    this.isSought = true;
    this.#isTime = typeof position === "string" && position !== "start" && position !== "live";
    this.range = "";
    this.#say("");
    this.#give(this.#subscription.seek(position));
  }

  /** The cursor is where it was sent; of a time before the first frame that is told. @param {number} seq */
  arrived(seq) {
    if (this.#isTime && seq < 0) this.#say("The run begins later than that: this is its beginning.");
    this.#isTime = false;
  }

  live() {
    if (!this.#model.controls.canFollow) return;
    this.isSought = true;
    this.#give(this.#subscription.live());
  }

  /** @param {number} by steps of the list of speeds */
  #changeSpeed(by) {
    const at = SPEEDS.indexOf(this.#speed.speed) + by;
    const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))];
    if (speed !== undefined) this.#speed.choose(speed);
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it meant something here */
  key({ key, shiftKey }) {
    const frames = shiftKey ? 60 : 1;
    const letter = key.toLowerCase();
    if (key === " ") this.toggle();
    else if (key === "ArrowRight") this.step(frames);
    else if (key === "ArrowLeft") this.step(-frames);
    else if (key === "+" || key === "=") this.#changeSpeed(1);
    else if (key === "-") this.#changeSpeed(-1);
    else if (key === "Home") this.seek(0);
    else if (key === "End" || letter === "l") this.live();
    else if (letter === "j") this.#focusDate();
    else return false;
    return true;
  }

  /** @param {Promise<unknown>} answer */
  #give(answer) {
    answer.catch((error) => {
      // Of a place that the run does not have the server tells by itself, now or once it knows.
      if (error.code !== "CLOSED" && error.code !== "RANGE") this.#say(error.message);
    });
  }

  /** The run has no such place. @param {Api.HewstonError} error */
  outOfRange(error) {
    const { min_ts: from, max_ts: to, max } = error.details ?? {};
    if (typeof from !== "string" || typeof to !== "string") {
      this.#say(error.message);
      return;
    }
    // Who asks for the last day, or for a minute after it, wants to see the end.
    this.isSought = true;
    void this.#subscription.seek(Number(max)).catch(() => undefined);
    this.range = `The run goes from ${clock(from)} to ${clock(to)}: this is its last frame.`;
    this.#say(this.range);
  }
}
