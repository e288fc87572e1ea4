// long: one subscription through its whole life, whichever carrier brings it
import { Answers, refusedNow } from "./answers.js";
import { Continuity } from "./continuity.js";
import { Emitter } from "./emitter.js";
import { HewstonError } from "./errors.js";
import { Seeks } from "./seeks.js";

/** @import * as Api from "./hewston-bff.js" */

/**
 * What carries subscriptions: one connection for all, or one each.
 * @typedef {object} Carrier
 * @property {(subscription: RunSubscription) => void} add
 * @property {(subscription: RunSubscription) => void} remove
 * @property {(subscription: RunSubscription, command: Command) => boolean} send
 *   False: not now. What was asked then is part of how the subscription is made again.
 */

/** @typedef {{cmd: "play"|"pause"|"seek"|"speed"|"step"|"live", pos?: Api.Position, val?: number}} Command */

/**
 * One run being watched: what is wanted of it, where it stands, and what is owed to the caller.
 *
 * It outlives connections. `request()` says how to go on: at the frame after the last one delivered,
 * or where a seek that was not answered wanted to be.
 * @implements {Api.Subscription}
 * @extends {Emitter<Api.SubscriptionEvents>}
 */
export class RunSubscription extends Emitter {
  /** @type {Api.State} */
  state;
  /** @type {Carrier | null} */
  carrier = null;
  /** @type {{speed: number, paused: boolean, live: boolean, fps: number, updates: Api.Update[]}} */
  wanted;
  #seeks = new Seeks();
  /** What the last `subscribe` asked for; what was wanted since then has to follow it. */
  #requested = { speed: 0, paused: false, target: /** @type {Api.Position | null} */ (null) };
  #answers = new Answers();
  #continuity = new Continuity();
  #from;

  /**
   * @param {string} runId
   * @param {Api.SubscribeOptions} [options]
   */
  constructor(runId, options = {}) {
    super();
    this.runId = runId;
    this.#from = options.from ?? "start";
    this.wanted = {
      speed: options.speed ?? 60,
      paused: options.paused ?? false,
      live: options.from === "live",
      fps: options.fps ?? 30,
      updates: options.updates ?? ["frames", "run"],
    };
    this.state = {
      status: "connecting",
      seq: -1,
      ts: null,
      epoch: null,
      speed: this.wanted.speed,
      mode: options.mode ?? "merge",
      liveEdge: null,
      complete: false,
      recovered: null,
    };
  }

  // -- commands

  play() {
    if (this.state.status === "ended" && this.#seeks.target === null) this.#startOver();
    this.wanted.paused = false;
    return this.#command({ cmd: "play" });
  }

  pause() {
    this.wanted.paused = true;
    this.wanted.live = false;
    return this.#command({ cmd: "pause" });
  }

  /** @param {number} speed */
  speed(speed) {
    this.wanted.speed = speed;
    return this.#command({ cmd: "speed", val: speed });
  }

  /** @param {number} [frames] */
  step(frames = 1) {
    this.wanted.paused = true;
    this.wanted.live = false;
    return this.#command({ cmd: "step", val: frames });
  }

  live() {
    this.wanted.live = true;
    this.wanted.paused = false;
    return this.#move("live");
  }

  /** @param {Api.Position} position */
  seek(position) {
    this.wanted.live = false;
    return this.#move(position);
  }

  /** @param {Api.Mode} mode */
  mode(mode) {
    if (this.#hasEnded()) return refusedNow(true);
    this.state = { ...this.state, mode };
    const answer = this.#answers.owe("subscribe");
    this.#restart();
    return answer;
  }

  close() {
    this.carrier?.remove(this);
    this.carrier = null;
    this.#set({ status: "closed" });
    this.#answers.refuseAll(new HewstonError("CLOSED", "the subscription was closed"));
  }

  #restart() {
    const carrier = this.carrier;
    carrier?.remove(this);
    this.#carryOver();
    carrier?.add(this);
  }

  /** @param {Command} command */
  #command(command) {
    if (this.#hasEnded()) return refusedNow(true);
    const isSent = this.carrier?.send(this, command) ?? false;
    // A step that is not sent is lost: nobody can say where it would have led.
    if (!isSent && command.cmd === "step") return refusedNow(false);
    return this.#answers.owe(isSent ? command.cmd : "subscribe");
  }

  /** @param {Api.Position} position */
  #move(position) {
    if (this.#hasEnded()) return refusedNow(true);
    if (this.#seeks.isSent) {
      this.#seeks.next = position;
      return this.#answers.owe("next");
    }
    this.#sendMove(position);
    return this.#answers.owe(this.#seeks.isSent ? "seek" : "subscribe");
  }

  /** @param {Api.Position} position */
  #sendMove(position) {
    this.#seeks.target = position;
    /** @type {Command} */
    const command = position === "live" ? { cmd: "live" } : { cmd: "seek", pos: position };
    this.#seeks.isSent = this.carrier?.send(this, command) ?? false;
  }

  #hasEnded() {
    return this.state.status === "failed" || this.state.status === "closed";
  }

  // -- for the carrier

  /** The members of `subscribe` that say what is wanted, and where to go on. */
  request() {
    const { speed, paused, fps, updates } = this.wanted;
    this.#requested = { speed, paused, target: this.#seeks.wanted };
    return { run_id: this.runId, speed, paused, mode: this.state.mode, max_fps: fps, updates, ...this.place() };
  }

  /** @returns {{from: Api.Position} | {resume: {epoch: string, seq: number, ts?: string}}} */
  place() {
    const { epoch, seq, ts } = this.state;
    const { wanted } = this.#seeks;
    if (wanted !== null) return { from: wanted };
    if (seq < 0) return { from: this.#from };
    // The backend's own path names no epoch: there the frames were counted.
    if (epoch === null) return { from: seq + 1 };
    return { resume: ts === null ? { epoch, seq } : { epoch, seq, ts } };
  }

  /** Whether a seek is to be answered by what comes next. */
  get isSought() {
    return this.#seeks.wanted !== null;
  }

  /** Another run by the same name: from its start. */
  renewed() {
    this.#continuity.renew();
    this.#startOver();
    this.#set({ epoch: null });
    this.emit("reset", { epoch: null });
  }

  /** The connection is gone. */
  lost() {
    this.#carryOver();
    if (!this.#hasEnded()) this.#set({ status: "connecting" });
  }

  /** Commands on their way are answered by the next `subscribe`. */
  #carryOver() {
    this.#answers.refuse("step", new HewstonError("OFFLINE", "the step was lost on its way"));
    this.#answers.move(["play", "pause", "speed", "seek", "next"], "subscribe");
    this.#seeks.carryOver();
  }

  /** It will not come back. @param {HewstonError} error */
  fail(error) {
    this.carrier = null;
    this.#set({ status: "failed" });
    this.#answers.refuseAll(error);
    this.emit("error", error);
  }

  /**
   * The answer to `subscribe`.
   * @param {any} message
   */
  subscribed(message) {
    this.#seeks.forgetSent();
    const target = this.#seeks.target === this.#requested.target ? null : this.#seeks.target;
    // Without a log yet, what was delivered still stands: a `state` tells more.
    const isPlaced = message.epoch !== null;
    if (isPlaced) {
      this.#checkEpoch(message.epoch);
      this.#seeks.target = null;
      this.#continuity.expected = message.seq + 1;
    }
    this.#set({
      status: message.status,
      speed: message.speed,
      complete: message.complete,
      recovered: message.recovered,
      epoch: message.epoch ?? this.state.epoch,
      liveEdge: message.last ?? this.state.liveEdge,
      ...(isPlaced ? this.#placed(message.seq) : {}),
    });
    this.#catchUp(target);
    if (target === null && isPlaced) this.#follow();
  }

  /**
   * Send what was wanted while `subscribe` was on its way; who waits for it waits on.
   * @param {Api.Position | null} target
   */
  #catchUp(target) {
    const { speed, paused } = this.wanted;
    /** @type {Command[]} */
    const late = [];
    if (speed !== this.#requested.speed) late.push({ cmd: "speed", val: speed });
    if (paused !== this.#requested.paused) late.push({ cmd: paused ? "pause" : "play" });
    for (const command of late) this.carrier?.send(this, command);
    if (target !== null) this.#sendMove(target);
    const last = target === null ? late.at(-1)?.cmd : "seek";
    if (last === undefined) this.#answers.settle("subscribe", this.state);
    else this.#answers.move(["subscribe"], last);
  }

  /** @param {string} epoch */
  #checkEpoch(epoch) {
    if (this.state.epoch === null || this.state.epoch === epoch) return;
    this.#continuity.renew();
    this.emit("reset", { epoch });
  }

  /** @param {number} seq */
  #placed(seq) {
    return seq === this.state.seq ? { seq } : { seq, ts: null };
  }

  /** Who followed a growing run before the connection broke, follows it again. */
  #follow() {
    if (this.wanted.live && this.state.status !== "live") void this.#move("live");
  }

  /**
   * A stream of its own began, with all that is wanted; `isElsewhere`: not at the frame after the
   * last one.
   * @param {{status: Api.State["status"], isElsewhere: boolean}} how
   */
  began({ status, isElsewhere }) {
    this.#seeks.target = null;
    if (isElsewhere) this.#continuity.restart();
    this.#set({ status, speed: this.wanted.speed });
    this.#answers.settleAll(this.state);
  }

  /**
   * Whether an `err` is news and no refusal: of frames that could not be read, or of a place just
   * behind the last frame, where who comes back to a run that is over has nothing left to see.
   * @param {any} message
   */
  isNews(message) {
    return message.code === "FRAMES_SKIPPED" || this.#isEnd(message);
  }

  /** @param {any} message an `err` */
  #isEnd(message) {
    return message.code === "RANGE" && this.state.seq >= 0 && message.details?.max === this.state.seq;
  }

  /**
   * Any other message of this subscription.
   * @param {any} message
   * @param {string | null} answers the command that it answers
   */
  accept(message, answers = null) {
    switch (message.t) {
      case "frame":
        if (this.#seeks.isSent) this.#seeks.held.push(message);
        else this.#deliver(message);
        break;
      case "state":
        this.#moved(message, answers);
        break;
      case "end":
        this.#set({ status: "ended" });
        this.emit("end", { seq: message.seq });
        break;
      case "lag":
        this.#continuity.expected = message.to + 1;
        this.emit("lag", { from: message.from, to: message.to, reason: message.reason });
        break;
      case "reset":
        this.#continuity.renew();
        this.#set({ epoch: message.epoch });
        this.emit("reset", { epoch: message.epoch });
        break;
      case "err":
        this.#failed(message, answers);
        break;
      case "run":
        this.emit("run", message);
        this.#toldSkipped(message.skipped);
        break;
      case "snapshot":
      case "metrics":
      case "upstream":
        this.emit(/** @type {"snapshot"} */ (message.t), message);
    }
  }

  /** @param {Partial<Api.Skipped> | undefined} told */
  #toldSkipped(told) {
    const skipped = this.#continuity.skipped(told);
    if (skipped !== null) this.emit("skipped", skipped);
  }

  /** @param {Api.Frame} frame */
  #deliver(frame) {
    const { isNew, gap } = this.#continuity.take(frame);
    if (!isNew) return;
    if (gap !== null) this.emit("lag", gap);
    // Not through #set: a frame is not news of its own.
    this.state.seq = frame.seq;
    this.state.ts = frame.ts;
    if (this.state.liveEdge === null || frame.seq > this.state.liveEdge) {
      this.state.liveEdge = frame.seq;
    }
    this.emit("frame", frame);
  }

  /**
   * @param {any} message a `state`
   * @param {string | null} answers
   */
  #moved(message, answers) {
    // A cold log has come to be: frames are due from here on, by index.
    const isPlaced = message.seeked || message.epoch !== undefined;
    if (message.epoch !== undefined) {
      this.#seeks.target = null;
      this.#checkEpoch(message.epoch);
    }
    if (isPlaced) {
      this.#continuity.expected = message.seq + 1;
      this.state.ts = message.ts;
    }
    if (answers === "seek") {
      this.#seeks.held = [];
      this.#seeks.answered();
    }
    this.#set({
      status: message.status,
      speed: message.speed,
      liveEdge: message.live_edge,
      ...(isPlaced ? { seq: message.seq } : {}),
      ...(message.epoch === undefined ? {} : { epoch: message.epoch }),
      ...(message.complete === undefined ? {} : { complete: message.complete }),
      ...(message.recovered === undefined ? {} : { recovered: message.recovered }),
    });
    if (answers !== null) this.#answers.settle(answers, this.state);
    this.#sendNext();
    if (message.epoch !== undefined) this.#follow();
  }

  /**
   * @param {any} message an `err`
   * @param {string | null} answers
   */
  #failed(message, answers) {
    if (message.code === "FRAMES_SKIPPED") return this.#toldSkipped(message.details);
    if (answers === null && this.#isEnd(message)) return;
    const error = new HewstonError(message.code, message.msg, { details: message.details });
    if (answers === "seek") {
      this.#seeks.answered();
      for (const frame of this.#seeks.held.splice(0)) this.#deliver(frame);
    }
    this.#answers.refuse(answers ?? "", error);
    this.emit("error", error);
    this.#sendNext();
  }

  #sendNext() {
    const target = this.#seeks.takeNext();
    if (target === null) return;
    this.#answers.move(["next"], "seek");
    this.#sendMove(target);
  }

  #startOver() {
    this.wanted.live = false;
    this.state = { ...this.state, seq: -1, ts: null };
    this.#continuity.restart();
    this.#from = "start";
  }

  /** @param {Partial<Api.State>} changes */
  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.emit("status", this.state);
  }
}
