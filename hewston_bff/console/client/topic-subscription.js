import { Emitter } from "./emitter.js";
import { compareEntryIds } from "./entry-id.js";
import { HewstonError } from "./errors.js";
import { notPossibleNow, PendingCommands } from "./pending-commands.js";

/**
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 * @import { Carried, Carrier, Command, News } from "./carrier.js"
 * @import { ServerMessage } from "./transport.js"
 */

/** Messages a second of one topic, where nothing else is wanted. */
const FPS = 10;

/**
 * One topic, or all that match a pattern. It goes on after the last event that came, across
 * connections and restarts of the server; where none came yet, after the entry it was placed behind.
 * @implements {Api.TopicSubscription}
 * @implements {Carried}
 * @extends {Emitter<Api.TopicSubscriptionEvents>}
 */
export class TopicSubscription extends Emitter {
  /** @type {Api.TopicState} */
  state;
  /** @type {Carrier | null} */
  carrier = null;
  #kind;
  #mode;
  #fps;
  #from;
  #isPaused;
  /** `live` was called, and nothing has answered it yet. */
  #isLiveWanted = false;
  /** What the last `subscribe` asked for. */
  #requested = { isPaused: false, isLive: false };
  /** @type {Messages.EventResumePoint | null} */
  #resume = null;
  /** Up to which entry it was told that events are missing. @type {string | null} */
  #lostUntil = null;
  /** @type {PendingCommands<Api.TopicState>} */
  #pending = new PendingCommands();

  /**
   * @param {string} topic
   * @param {Api.TopicOptions} [options]
   */
  constructor(topic, { mode, fps = FPS, from, paused = false } = {}) {
    super();
    this.topic = topic;
    this.#kind = topic.split(":", 1)[0];
    this.#mode = mode;
    this.#fps = fps;
    this.#from = from;
    this.#isPaused = paused;
    this.state = {
      status: "connecting",
      mode: mode ?? null,
      fps,
      position: null,
      recovered: null,
      matches: null,
      isBroad: false,
      source: null,
    };
  }

  // -- commands

  play() {
    this.#isPaused = false;
    return this.#command("play");
  }

  pause() {
    this.#isPaused = true;
    return this.#command("pause");
  }

  /** Passes over what was not sent yet. */
  live() {
    this.#isPaused = false;
    this.#isLiveWanted = true;
    return this.#command("live");
  }

  close() {
    this.carrier?.remove(this);
    this.carrier = null;
    this.#set({ status: "closed" });
    this.#pending.rejectAll(new HewstonError("CLOSED", "the subscription was closed"));
  }

  /** @param {"play" | "pause" | "live"} cmd */
  #command(cmd) {
    if (this.#hasEnded()) return notPossibleNow(true);
    const isSent = this.carrier?.send(this, { cmd }) ?? false;
    return this.#pending.add(isSent ? cmd : "subscribe");
  }

  #hasEnded() {
    return this.state.status === "failed" || this.state.status === "closed";
  }

  // -- for the carrier (see `Carried`)

  /** @returns {Omit<Messages.SubscribeEvents, "t" | "id">} */
  request() {
    this.#requested = { isPaused: this.#isPaused, isLive: this.#isLiveWanted };
    return {
      topic: this.topic,
      max_fps: this.#fps,
      paused: this.#isPaused,
      ...(this.#mode === undefined ? {} : { mode: this.#mode }),
      ...this.#place(),
    };
  }

  /** @returns {{from?: string, resume?: Messages.EventResumePoint}} */
  #place() {
    if (this.#isLiveWanted) return { from: "live" };
    if (this.#resume !== null) return { resume: this.#resume };
    return this.#from === undefined ? {} : { from: this.#from };
  }

  /** @param {News} news */
  hears(news) {
    return news.t === "source" && news.kind === this.#kind;
  }

  /** Every `err` refuses. */
  isNews() {
    return false;
  }

  lost() {
    this.#pending.move(["play", "pause", "live"], "subscribe");
    if (!this.#hasEnded()) this.#set({ status: "connecting", source: null });
  }

  /** @param {HewstonError} error */
  fail(error) {
    this.carrier = null;
    this.#set({ status: "failed" });
    this.#pending.rejectAll(error);
    this.emit("error", error);
  }

  /** @param {Messages.Subscribed | Messages.EventsSubscribed} message */
  subscribed(message) {
    const { status, mode, max_fps: fps, position, recovered, matches, broad = false } = /** @type {Messages.EventsSubscribed} */ (message);
    const { isLive } = this.#requested;
    this.#mode = mode;
    this.#from ??= mode === "latest" ? "last" : "live";
    if (isLive) this.#wentLive(position);
    else this.#placed(position);
    this.#set({ status, mode, fps, recovered, matches, isBroad: broad, position: this.#resume?.id ?? position });
    this.#catchUp();
  }

  /** Send what was wanted while `subscribe` was on its way; who waits for it waits on. */
  #catchUp() {
    /** @type {Command["cmd"][]} */
    const commands = [];
    if (this.#isLiveWanted) commands.push("live");
    if (this.#isPaused !== this.#requested.isPaused) commands.push(this.#isPaused ? "pause" : "play");
    for (const cmd of commands) this.carrier?.send(this, { cmd });
    const last = commands.at(-1);
    if (last === undefined) this.#pending.resolve("subscribe", this.state);
    else this.#pending.move(["subscribe"], last);
  }

  /** @param {string | null} position the entry after which it goes on */
  #wentLive(position) {
    this.#isLiveWanted = false;
    this.#from = "live";
    this.#resume = position === null ? null : { id: position };
  }

  /** Who begins with what comes from now on, and got nothing yet, goes on after this entry. @param {string | null} position */
  #placed(position) {
    if (this.#from === "live" && this.#resume === null && position !== null) this.#resume = { id: position };
  }

  /**
   * @param {ServerMessage} message
   * @param {string | null} [answers]
   */
  accept(message, answers = null) {
    switch (message.t) {
      case "event":
        this.#event(message);
        break;
      case "state":
        this.#moved(/** @type {Messages.EventsState} */ (message), answers);
        break;
      case "lag":
        this.#lag(/** @type {Messages.EventsLag} */ (message));
        break;
      case "source":
        this.#set({ source: message });
        this.emit("source", message);
        break;
      case "err":
        this.#refused(new HewstonError(message.code, message.msg, { details: message.details }), answers);
    }
  }

  /** @param {Messages.EventMessage} message */
  #event({ topic, id, ts, type, data, n }) {
    this.#resume = { id, topic };
    // Not through #set: an event is not news of its own.
    this.state.position = id;
    this.emit("event", { topic, id, ts, type, data, n });
  }

  /**
   * @param {Messages.EventsState} message
   * @param {string | null} answers
   */
  #moved({ status, position, recovered }, answers) {
    if (answers === "live") this.#wentLive(position);
    else this.#placed(position);
    this.#set({ status, position, ...(recovered === undefined ? {} : { recovered }) });
    if (answers !== null) this.#pending.resolve(answers, this.state);
  }

  /** @param {Messages.EventsLag} message */
  #lag({ topic, after, until, reason }) {
    // Told again, as the connection broke before the next event came.
    const isKnown = this.#lostUntil !== null && compareEntryIds(until, this.#lostUntil) <= 0;
    if (isKnown) return;
    this.#lostUntil = until;
    this.emit("lag", { topic, after, until, reason });
  }

  /**
   * @param {HewstonError} error
   * @param {string | null} answers
   */
  #refused(error, answers) {
    this.#pending.reject(answers ?? "", error);
    this.emit("error", error);
  }

  /** @param {Partial<Api.TopicState>} changes */
  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.emit("status", this.state);
  }
}
