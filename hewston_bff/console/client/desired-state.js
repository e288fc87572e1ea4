import { Seeks } from "./seeks.js";

/**
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 * @import { Command } from "./carrier.js"
 */

/**
 * What the viewer wants of a run, whether the server knows it yet or not, and how `subscribe` asks
 * for it: after a break the run goes on as is wanted by then.
 */
export class DesiredState {
  speed;
  paused;
  /** To follow a growing run. */
  live;
  fps;
  updates;
  seeks = new Seeks();
  #from;
  /** What the last `subscribe` asked for; what was wanted since then has to follow it. */
  #requested = { speed: 0, paused: false, target: /** @type {Api.Position | null} */ (null) };

  /** @param {Api.SubscribeOptions} options */
  constructor(options) {
    this.#from = options.from ?? "start";
    this.speed = options.speed ?? 60;
    this.paused = options.paused ?? false;
    this.live = options.from === "live";
    this.fps = options.fps ?? 30;
    /** @type {Api.Update[]} */
    this.updates = options.updates ?? ["frames", "run"];
  }

  pause() {
    this.paused = true;
    this.live = false;
  }

  follow() {
    this.live = true;
    this.paused = false;
  }

  /** From the start of the run, as if nothing had come of it. */
  startOver() {
    this.live = false;
    this.#from = "start";
  }

  /**
   * The members of `subscribe` that say what is wanted, and where to go on.
   * @param {string} runId
   * @param {Api.State} state what came so far
   * @returns {Omit<Messages.Subscribe, "t" | "id">}
   */
  request(runId, state) {
    const { speed, paused, fps, updates } = this;
    this.#requested = { speed, paused, target: this.seeks.wanted };
    return { run_id: runId, speed, paused, mode: state.mode, max_fps: fps, updates, ...this.place(state) };
  }

  /**
   * Where to go on: at the frame after the last one delivered, or where a seek that was not answered
   * wanted to be.
   * @param {Api.State} state
   * @returns {{from: Api.Position} | {resume: Messages.ResumePoint}}
   */
  place({ epoch, seq, ts }) {
    const { wanted } = this.seeks;
    if (wanted !== null) return { from: wanted };
    if (seq < 0) return { from: this.#from };
    // The backend's own path names no epoch: there the frames were counted.
    if (epoch === null) return { from: seq + 1 };
    return { resume: ts === null ? { epoch, seq } : { epoch, seq, ts } };
  }

  /** Where a seek since the last `subscribe` wants to be; null: there was none. */
  targetSinceRequest() {
    return this.seeks.target === this.#requested.target ? null : this.seeks.target;
  }

  /** What has come to be wanted since the last `subscribe`, besides a seek. @returns {Command[]} */
  commandsSinceRequest() {
    const { speed, paused } = this.#requested;
    /** @type {Command[]} */
    const commands = [];
    if (this.speed !== speed) commands.push({ cmd: "speed", val: this.speed });
    if (this.paused !== paused) commands.push({ cmd: this.paused ? "pause" : "play" });
    return commands;
  }
}
