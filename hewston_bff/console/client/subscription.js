import { Continuity } from "./continuity.js";
import { DesiredState } from "./desired-state.js";
import { Emitter } from "./emitter.js";
import { HewstonError } from "./errors.js";
import { changesOfState, changesOfSubscribed, initialState, isPlaced } from "./observed-state.js";
import { notPossibleNow, PendingCommands } from "./pending-commands.js";

/**
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 * @import { Carried, Carrier, Command, News } from "./carrier.js"
 * @import { ServerMessage } from "./transport.js"
 */

/**
 * One run being watched: what is wanted of it, where it stands, and which commands wait for an answer.
 *
 * It outlives connections: `request()` says how to go on.
 * @implements {Api.Subscription}
 * @implements {Carried}
 * @extends {Emitter<Api.SubscriptionEvents>}
 */
export class RunSubscription extends Emitter {
  /** @type {Api.State} */
  state;
  /** @type {Carrier | null} */
  carrier = null;
  desired;
  /** @type {PendingCommands<Api.State>} */
  #pending = new PendingCommands();
  #continuity = new Continuity();
  #seeks;

  /**
   * @param {string} runId
   * @param {Api.SubscribeOptions} [options]
   */
  constructor(runId, options = {}) {
    super();
    this.runId = runId;
    this.desired = new DesiredState(options);
    this.#seeks = this.desired.seeks;
    this.state = initialState(options);
  }

  // -- commands

  play() {
    if (this.state.status === "ended" && this.#seeks.target === null) this.#startOver();
    this.desired.paused = false;
    return this.#command({ cmd: "play" });
  }

  pause() {
    this.desired.pause();
    return this.#command({ cmd: "pause" });
  }

  /** @param {number} speed */
  speed(speed) {
    this.desired.speed = speed;
    return this.#command({ cmd: "speed", val: speed });
  }

  /** @param {number} [frames] */
  step(frames = 1) {
    this.desired.pause();
    return this.#command({ cmd: "step", val: frames });
  }

  live() {
    this.desired.follow();
    return this.#move("live");
  }

  /** @param {Api.Position} position */
  seek(position) {
    this.desired.live = false;
    return this.#move(position);
  }

  /** @param {Api.Mode} mode */
  mode(mode) {
    if (this.#hasEnded()) return notPossibleNow(true);
    this.state = { ...this.state, mode };
    const answer = this.#pending.add("subscribe");
    this.#restart();
    return answer;
  }

  close() {
    this.carrier?.remove(this);
    this.carrier = null;
    this.#set({ status: "closed" });
    this.#pending.rejectAll(new HewstonError("CLOSED", "the subscription was closed"));
  }

  #restart() {
    const carrier = this.carrier;
    carrier?.remove(this);
    this.#carryOver();
    carrier?.add(this);
  }

  /** @param {Command} command */
  #command(command) {
    if (this.#hasEnded()) return notPossibleNow(true);
    const isSent = this.carrier?.send(this, command) ?? false;
    // A step that is not sent is lost: nobody can say where it would have led.
    if (!isSent && command.cmd === "step") return notPossibleNow(false);
    return this.#pending.add(isSent ? command.cmd : "subscribe");
  }

  /** @param {Api.Position} position */
  #move(position) {
    if (this.#hasEnded()) return notPossibleNow(true);
    if (this.#seeks.isSent) {
      this.#seeks.next = position;
      return this.#pending.add("next");
    }
    this.#sendMove(position);
    return this.#pending.add(this.#seeks.isSent ? "seek" : "subscribe");
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
    return this.desired.request(this.runId, this.state);
  }

  /** @param {News} news */
  hears(news) {
    return news.t !== "source" && news.run_id === this.runId;
  }

  /** Where to go on. */
  place() {
    return this.desired.place(this.state);
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
    this.#pending.reject("step", new HewstonError("OFFLINE", "the step was lost on its way"));
    this.#pending.move(["play", "pause", "speed", "seek", "next"], "subscribe");
    this.#seeks.carryOver();
  }

  /** It will not come back. @param {HewstonError} error */
  fail(error) {
    this.carrier = null;
    this.#set({ status: "failed" });
    this.#pending.rejectAll(error);
    this.emit("error", error);
  }

  /** The answer to `subscribe`. @param {Messages.Subscribed | Messages.EventsSubscribed} answer */
  subscribed(answer) {
    const message = /** @type {Messages.Subscribed} */ (answer);
    this.#seeks.forgetSent();
    const target = this.desired.targetSinceRequest();
    const { epoch } = message;
    if (epoch !== null) {
      this.#checkEpoch(epoch);
      this.#seeks.target = null;
      this.#continuity.expected = message.seq + 1;
    }
    this.#set(changesOfSubscribed(this.state, message));
    this.#catchUp(target);
    if (target === null && epoch !== null) this.#follow();
  }

  /**
   * Send what was wanted while `subscribe` was on its way; who waits for it waits on.
   * @param {Api.Position | null} target of a seek since then
   */
  #catchUp(target) {
    const commands = this.desired.commandsSinceRequest();
    for (const command of commands) this.carrier?.send(this, command);
    if (target !== null) this.#sendMove(target);
    const last = target === null ? commands.at(-1)?.cmd : "seek";
    if (last === undefined) this.#pending.resolve("subscribe", this.state);
    else this.#pending.move(["subscribe"], last);
  }

  /** @param {string} epoch */
  #checkEpoch(epoch) {
    if (this.state.epoch === null || this.state.epoch === epoch) return;
    this.#continuity.renew();
    this.emit("reset", { epoch });
  }

  /** Who followed a growing run before the connection broke, follows it again. */
  #follow() {
    if (this.desired.live && this.state.status !== "live") void this.#move("live");
  }

  /**
   * A stream of its own began, with all that is wanted; `isElsewhere`: not at the frame after the
   * last one.
   * @param {{status: Api.State["status"], isElsewhere: boolean}} how
   */
  began({ status, isElsewhere }) {
    this.#seeks.target = null;
    if (isElsewhere) this.#continuity.restart();
    this.#set({ status, speed: this.desired.speed });
    this.#pending.resolveAll(this.state);
  }

  /**
   * Whether an `err` is news and no refusal: of frames that could not be read, or of a place just
   * behind the last frame, where who comes back to a run that is over has nothing left to see.
   * @param {Messages.Err} message
   */
  isNews(message) {
    return message.code === "FRAMES_SKIPPED" || this.#isEnd(message);
  }

  /** @param {Messages.Err} message */
  #isEnd(message) {
    return message.code === "RANGE" && this.state.seq >= 0 && message.details?.max === this.state.seq;
  }

  /**
   * Any other message of this subscription.
   * @param {ServerMessage | Messages.ServerMessages["backend"] | Api.Frame} message
   * @param {string | null} [command] that it answers
   */
  accept(message, command = null) {
    const answers = command === "live" ? "seek" : command;
    switch (message.t) {
      case "frame":
        if (this.#seeks.isSent) this.#seeks.held.push(message);
        else this.#deliver(message);
        break;
      case "state":
        this.#moved(/** @type {Messages.State} */ (message), answers);
        break;
      case "end":
        this.#set({ status: "ended" });
        this.emit("end", { seq: message.seq });
        break;
      case "lag":
        this.#lag(/** @type {Messages.Lag} */ (message));
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
        this.emit("snapshot", message);
        break;
      case "metrics":
        this.emit("metrics", message);
        break;
      case "upstream":
        this.emit("upstream", message);
    }
  }

  /** @param {Messages.Lag} message */
  #lag({ from, to, reason = "evicted" }) {
    this.#continuity.expected = to + 1;
    this.emit("lag", { from, to, reason });
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
   * @param {Messages.State} message
   * @param {string | null} answers
   */
  #moved(message, answers) {
    const { epoch } = message;
    if (epoch !== undefined) {
      this.#seeks.target = null;
      this.#checkEpoch(epoch);
    }
    if (isPlaced(message)) this.#continuity.expected = message.seq + 1;
    if (answers === "seek") {
      this.#seeks.held = [];
      this.#seeks.answered();
    }
    this.#set(changesOfState(message));
    if (answers !== null) this.#pending.resolve(answers, this.state);
    this.#sendNext();
    if (epoch !== undefined) this.#follow();
  }

  /**
   * @param {Messages.Err} message
   * @param {string | null} answers
   */
  #failed(message, answers) {
    if (message.code === "FRAMES_SKIPPED") return this.#toldSkipped(/** @type {Partial<Api.Skipped> | undefined} */ (message.details));
    if (answers === null && this.#isEnd(message)) return;
    const error = new HewstonError(message.code, message.msg, { details: message.details });
    if (answers === "seek") {
      this.#seeks.answered();
      for (const frame of this.#seeks.held.splice(0)) this.#deliver(frame);
    }
    this.#pending.reject(answers ?? "", error);
    this.emit("error", error);
    this.#sendNext();
  }

  #sendNext() {
    const target = this.#seeks.takeNext();
    if (target === null) return;
    this.#pending.move(["next"], "seek");
    this.#sendMove(target);
  }

  #startOver() {
    this.desired.startOver();
    this.state = { ...this.state, seq: -1, ts: null };
    this.#continuity.restart();
  }

  /** @param {Partial<Api.State>} changes */
  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.emit("status", this.state);
  }
}
