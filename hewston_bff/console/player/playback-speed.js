/**
 * How fast a run is played.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

export const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 120, 300, 1_000, 5_000];
/** Source frames a second at speed 1. */
const FRAMES_PER_S = 30;
const WANTED_S = 60;
const LEAST_S = 10;
/** Until the length of a run is known: the next picture comes before anybody wonders. */
export const FIRST_SPEED = 0.1;

/**
 * The speed at which a run takes about a minute, and at least ten seconds where one is slow enough.
 * @param {number} frames of the run
 */
export function speedFor(frames) {
  /** @param {number} speed */
  const lasts = (speed) => frames / (FRAMES_PER_S * speed);
  const calm = SPEEDS.filter((speed) => lasts(speed) >= LEAST_S);
  /** @param {number} speed */
  const off = (speed) => Math.abs(Math.log(lasts(speed) / WANTED_S));
  return calm.reduce((best, speed) => (off(speed) < off(best) ? speed : best), calm[0] ?? /** @type {number} */ (SPEEDS[0]));
}

/** Sessions of a year and minutes of a session, as the platform counts them. */
const SESSIONS_A_DAY = 252 / 365;
const MINUTES_A_SESSION = 390;
const DAY_S = 86_400;

/**
 * About how many frames a run of minutes has.
 * @param {{from: number, to: number}} span in seconds
 */
export const minutesIn = ({ from, to }) => Math.ceil(((to - from) / DAY_S) * SESSIONS_A_DAY * MINUTES_A_SESSION);

/**
 * The speed of one subscription: by the length of the run until somebody chooses one. Of a log that
 * is still being filled, the answer to any command tells how long it is by now.
 */
export class PlaybackSpeed {
  speed = FIRST_SPEED;
  #subscription;
  #onSpeed;
  #isToldLength;
  /** What is known of the length from elsewhere. */
  #guess = 0;
  #isFree = true;
  #isComplete = false;
  /** @type {ReturnType<typeof setInterval>} */
  #timer;

  /**
   * @param {Api.Subscription} subscription
   * @param {{everyMs: number, isToldLength: () => boolean, onSpeed?: (speed: number) => void}} how
   *   `everyMs`: between two questions; `isToldLength`: whether the stream tells how long the run is
   */
  constructor(subscription, { everyMs, isToldLength, onSpeed = () => undefined }) {
    this.#subscription = subscription;
    this.#isToldLength = isToldLength;
    this.#onSpeed = onSpeed;
    this.#timer = setInterval(() => this.#isComplete || this.#ask(), everyMs);
    subscription.on("status", () => this.#follow());
    subscription.on("upstream", ({ status }) => {
      this.#isComplete = status === "complete";
      if (this.#isComplete) this.#ask();
    });
  }

  /** @param {number} speed that somebody wants */
  choose(speed) {
    this.#isFree = false;
    this.#set(speed);
  }

  /** About so long is the run: counts where the stream does not tell. @param {number} frames */
  guess(frames) {
    this.#guess = frames;
    this.#follow();
  }

  close() {
    clearInterval(this.#timer);
  }

  #ask() {
    const { status, complete } = this.#subscription.state;
    if (!this.#isFree || !this.#isToldLength() || complete || (status !== "playing" && status !== "live")) return;
    void this.#subscription.speed(this.speed).catch(() => undefined);
  }

  #follow() {
    const { liveEdge, status } = this.#subscription.state;
    const frames = this.#isToldLength() ? (liveEdge ?? -1) + 1 : this.#guess;
    if (!this.#isFree || frames <= 0 || status === "ended" || status === "connecting") return;
    const speed = speedFor(frames);
    if (speed !== this.speed) this.#set(speed);
  }

  /** @param {number} speed */
  #set(speed) {
    this.speed = speed;
    this.#onSpeed(speed);
    void this.#subscription.speed(speed).catch(() => undefined);
  }
}
