import { finalClose } from "./errors.js";
import { RetryTimer } from "./retry-timer.js";
import { SendThrottle } from "./send-throttle.js";

/**
 * @import { HewstonError } from "./errors.js"
 * @import { ClientMessage, ServerMessage, Transport, TransportEvents } from "./transport.js"
 */

/**
 * @typedef {object} Times
 * @property {number} baseMs
 * @property {number} capMs
 * @property {number} connectMs
 */

/**
 * What a link tells.
 * @typedef {object} LinkWatcher
 * @property {TransportEvents["first"]} first
 * @property {() => void} opened
 * @property {(message: ServerMessage) => void} heard
 * @property {() => void} released what was said and not answered will not be
 * @property {(attempt: number, retryInMs: number) => void} lost
 * @property {() => boolean} rests closed, for nothing was subscribed: whether it may stay so
 * @property {(error: HewstonError) => void} refused the server said not to come back
 * @property {(ms: number) => void} latency
 * @property {(serverMs: number, tripMs: number) => void} clock see `Watcher`
 */

const HEARTBEAT_MS = 5_000;
/** Heartbeats that may be missed. */
const PATIENCE = 3;
/** A connection that held so long was a good one: the next attempts start anew. */
const HEALTHY_MS = 2_000;
const WATCH_MS = 1_000;
const NOTHING_SUBSCRIBED = 4408;

/** A connection that is always on its way back, unless it is told otherwise or has nothing to do. */
export class Link {
  #make;
  #times;
  #watcher;
  /** @type {Transport | null} */
  #transport = null;
  #isOpen = false;
  #isIdle = false;
  #openedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #heartbeatMs = HEARTBEAT_MS;
  /** The server asked for it. @type {number | null} */
  #waitMs = null;
  #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchdog;
  #throttle = new SendThrottle((text) => this.#transport?.send(text));

  /**
   * @param {(events: TransportEvents) => Transport} make
   * @param {Times} times
   * @param {LinkWatcher} watcher
   */
  constructor(make, times, watcher) {
    this.#make = make;
    this.#times = times;
    this.#watcher = watcher;
    this.#retryTimer = new RetryTimer(times, () => this.open());
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Connect now, unless connected. */
  open() {
    this.#retryTimer.stop();
    if (this.#transport !== null) return;
    this.#isIdle = false;
    this.#heartbeatMs = HEARTBEAT_MS;
    this.#heardAt = performance.now();
    this.#waitMs = null;
    this.#watchdog = setInterval(() => this.#watch(), WATCH_MS);
    /** @type {Transport} */
    const transport = (this.#transport = this.#make({
      first: this.#watcher.first,
      opened: () => this.#opened(),
      alive: () => void (this.#heardAt = performance.now()),
      heard: (message) => this.#heard(message),
      closed: (code, reason, retryAfterMs) => this.#transport === transport && this.#closed(code, reason, retryAfterMs),
    }));
  }

  /** There is something to do. */
  wake() {
    if (this.#isIdle) this.open();
  }

  close() {
    this.#release();
  }

  /** @param {ClientMessage} message */
  say(message) {
    if (this.#isOpen) this.#throttle.say(JSON.stringify(message));
  }

  /** Not before so many milliseconds from now: the server says so. @param {number} ms */
  wait(ms) {
    if (this.#transport !== null || this.#isIdle) return;
    this.#retryTimer.restart(ms);
  }

  #opened() {
    this.#isOpen = true;
    this.#openedAt = this.#heardAt = performance.now();
    this.#watcher.opened();
    this.#ping();
  }

  #ping() {
    this.#pingedAt = performance.now();
    if (this.#transport?.asksForLife) this.say({ t: "ping", ts: this.#pingedAt });
  }

  /** @param {ServerMessage} message */
  #heard(message) {
    switch (message.t) {
      case "frame":
      case "event":
        this.#watcher.heard(message);
        break;
      case "hello":
        this.#heartbeatMs = message.hb_ms;
        this.#throttle.perSecond = Math.max(1, Math.floor(message.limits.messages_per_s * 0.8));
        break;
      case "pong":
        if (message.ts !== null) this.#ponged(message.srv, performance.now() - message.ts);
        break;
      case "hb":
        // What asks for nothing tells no trip: any pong knows better.
        this.#watcher.clock(message.ts, Infinity);
        break;
      case "bye":
        this.#waitMs = message.after_ms;
        break;
      default:
        this.#watcher.heard(message);
    }
  }

  /** @param {number} serverMs @param {number} tripMs */
  #ponged(serverMs, tripMs) {
    this.#watcher.latency(tripMs);
    this.#watcher.clock(serverMs, tripMs);
  }

  #watch() {
    const silentMs = performance.now() - this.#heardAt;
    const patienceMs = this.#isOpen ? this.#heartbeatMs * PATIENCE : this.#times.connectMs;
    if (silentMs > patienceMs) {
      // A dead network takes minutes to say so: it is not waited for.
      this.#release();
      this.#comeBack();
    } else if (this.#isOpen && performance.now() - this.#pingedAt > this.#heartbeatMs) {
      this.#ping();
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {number} [retryAfterMs]
   */
  #closed(code, reason, retryAfterMs) {
    this.#release();
    const error = finalClose(code, reason);
    if (code === NOTHING_SUBSCRIBED) {
      this.#isIdle = true;
      this.#retryTimer.attempt = 0;
      if (!this.#watcher.rests()) this.open();
    } else if (error !== null) {
      this.#watcher.refused(error);
    } else {
      if (retryAfterMs !== undefined) this.#waitMs = retryAfterMs;
      this.#comeBack();
    }
  }

  #comeBack() {
    if (this.#openedAt && performance.now() - this.#openedAt > HEALTHY_MS) this.#retryTimer.attempt = 0;
    this.#openedAt = 0;
    const delayMs = this.#retryTimer.start(this.#waitMs);
    this.#watcher.lost(this.#retryTimer.attempt, delayMs);
  }

  /** Let go of the transport, whatever state it is in. */
  #release() {
    this.#retryTimer.stop();
    clearInterval(this.#watchdog);
    const transport = this.#transport;
    this.#transport = null;
    this.#isOpen = false;
    this.#throttle.clear();
    transport?.close();
    this.#watcher.released();
  }
}
