import { backoffMs } from "./backoff.js";
import { finalClose, HewstonError, isFinal } from "./errors.js";

/**
 * @import { RunSubscription, Carrier, Command } from "./subscription.js"
 */

/**
 * What the socket tells its connection.
 * @typedef {object} Watcher
 * @property {() => void} opened
 * @property {(attempt: number, retryInMs: number) => void} lost
 * @property {() => void} idle closed, for nothing is subscribed
 * @property {(reason: string) => void} refused the server said not to come back
 * @property {(ms: number) => void} latency
 * @property {(message: any) => void} news `run` and `upstream`
 */

/**
 * @typedef {object} SocketOptions
 * @property {string} url
 * @property {string | undefined} token
 * @property {typeof WebSocket} WebSocket
 * @property {number} baseMs
 * @property {number} capMs
 */

const PROTOCOL = "hewston.bff.v1";
const CONNECT_MS = 10_000;
const HEARTBEAT_MS = 5_000;
/** Heartbeats that may be missed. */
const PATIENCE = 3;
/** A connection that held so long was a good one: the next attempts start anew. */
const HEALTHY_MS = 2_000;
const AGAIN_MS = 1_000;
const GIVEN_UP = "given up";
const NOTHING_SUBSCRIBED = 4408;

/**
 * One WebSocket for all subscriptions. It is always on its way back unless told otherwise, or while
 * nothing is subscribed.
 * @implements {Carrier}
 */
export class MuxSocket {
  #options;
  #watcher;
  /** @type {WebSocket | null} */
  #socket = null;
  #isOpen = false;
  #isIdle = false;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #heartbeatMs = HEARTBEAT_MS;
  /** @type {number | null} */
  #byeMs = null;
  #lastId = 0;
  /** @type {Map<number, RunSubscription | null>} null: it was told to go, frames may still come */
  #bySid = new Map();
  /** @type {Map<RunSubscription, number | null>} */
  #sids = new Map();
  /** @type {Map<number, {subscription: RunSubscription, what: string}>} */
  #asked = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchdog;
  #pace = new Pace((text) => this.#socket?.send(text));

  /**
   * @param {SocketOptions} options
   * @param {Watcher} watcher
   */
  constructor(options, watcher) {
    this.#options = options;
    this.#watcher = watcher;
  }

  /** Connect now, unless connected. */
  open() {
    clearTimeout(this.#retryTimer);
    if (this.#socket !== null) return;
    const { url, token, WebSocket } = this.#options;
    const protocols = token === undefined ? [PROTOCOL] : [PROTOCOL, `bearer.${token}`];
    let socket;
    try {
      socket = new WebSocket(url, protocols);
    } catch {
      this.#closed(4401, "a token with such characters cannot be sent: letters, digits and -._~+ can");
      return;
    }
    this.#socket = socket;
    this.#isIdle = false;
    this.#heartbeatMs = HEARTBEAT_MS;
    this.#heardAt = performance.now();
    this.#byeMs = null;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    // Not every runtime says `close` after a handshake that failed.
    socket.onerror = () => {
      setTimeout(() => this.#socket === socket && !this.#isOpen && this.#closed(1006, ""));
    };
    this.#watchdog = setInterval(() => this.#watch(), 1_000);
  }

  close() {
    this.#release()?.close(1000);
    for (const subscription of [...this.#sids.keys()]) this.remove(subscription);
  }

  /** @param {RunSubscription} subscription */
  add(subscription) {
    subscription.carrier = this;
    this.#sids.set(subscription, null);
    if (this.#isOpen) this.#subscribe(subscription);
    else if (this.#isIdle) this.open();
  }

  /** @param {RunSubscription} subscription */
  remove(subscription) {
    const sid = this.#sids.get(subscription) ?? null;
    this.#sids.delete(subscription);
    for (const [id, asked] of this.#asked) {
      if (asked.subscription !== subscription) continue;
      // An answer to `subscribe` is still of use: it says which number to give back.
      if (asked.what === "subscribe") asked.what = GIVEN_UP;
      else if (asked.what !== GIVEN_UP) this.#asked.delete(id);
    }
    if (sid !== null) this.#unsubscribe(sid);
  }

  /**
   * @param {RunSubscription} subscription
   * @param {Command} command
   */
  send(subscription, command) {
    const sid = this.#sids.get(subscription) ?? null;
    if (sid === null || !this.#isOpen) return false;
    const what = command.cmd === "live" ? "seek" : command.cmd;
    this.#say({ t: "ctrl", id: this.#ask(subscription, what), sid, ...command });
    return true;
  }

  /** @param {RunSubscription} subscription */
  #subscribe(subscription) {
    const id = this.#ask(subscription, "subscribe");
    this.#say({ t: "subscribe", id, ...subscription.request() });
  }

  /** @param {number} sid */
  #unsubscribe(sid) {
    this.#bySid.set(sid, null);
    this.#say({ t: "unsubscribe", sid });
  }

  /**
   * @param {RunSubscription} subscription
   * @param {string} what
   */
  #ask(subscription, what) {
    this.#lastId += 1;
    this.#asked.set(this.#lastId, { subscription, what });
    return this.#lastId;
  }

  /** @param {object} message */
  #say(message) {
    if (this.#isOpen) this.#pace.say(JSON.stringify(message));
  }

  // -- what happens

  #opened() {
    this.#isOpen = true;
    this.#openedAt = this.#heardAt = performance.now();
    this.#watcher.opened();
    for (const subscription of this.#sids.keys()) this.#subscribe(subscription);
    this.#ping();
  }

  #ping() {
    this.#pingedAt = performance.now();
    this.#say({ t: "ping", ts: performance.now() });
  }

  /** @param {unknown} data */
  #heard(data) {
    this.#heardAt = performance.now();
    if (typeof data !== "string") return;
    const message = JSON.parse(data);
    if (message.t === "frame") this.#bySid.get(message.sid)?.accept(message);
    else this.#told(message);
  }

  /** @param {any} message */
  #told(message) {
    switch (message.t) {
      case "hello":
        this.#heartbeatMs = message.hb_ms;
        this.#pace.perSecond = Math.max(1, Math.floor(message.limits.messages_per_s * 0.8));
        break;
      case "pong":
        this.#watcher.latency(performance.now() - message.ts);
        break;
      case "bye":
        this.#byeMs = message.after_ms;
        break;
      case "run":
      case "upstream":
        this.#spread(message);
        break;
      case "subscribed":
        this.#subscribed(message);
        break;
      case "unsubscribed":
        if (this.#bySid.get(message.sid) === null) this.#bySid.delete(message.sid);
        break;
      default:
        this.#answered(message);
    }
  }

  /** @param {any} message */
  #spread(message) {
    this.#watcher.news(message);
    for (const subscription of this.#sids.keys()) {
      if (subscription.runId === message.run_id) subscription.accept(message);
    }
  }

  /** @param {any} message */
  #subscribed(message) {
    const asked = this.#asked.get(message.re);
    this.#asked.delete(message.re);
    if (asked === undefined) return;
    const { subscription, what } = asked;
    if (what === GIVEN_UP) {
      this.#unsubscribe(message.sid);
      return;
    }
    this.#sids.set(subscription, message.sid);
    this.#bySid.set(message.sid, subscription);
    subscription.subscribed(message);
  }

  /** @param {any} message an answer, or news of one subscription */
  #answered(message) {
    const asked = this.#asked.get(message.re);
    this.#asked.delete(message.re);
    const subscription = asked?.subscription ?? this.#bySid.get(message.sid);
    if (subscription === undefined || subscription === null || asked?.what === GIVEN_UP) return;
    const isRefusal = message.t === "err" && (asked?.what === "subscribe" || asked === undefined);
    if (isRefusal) this.#subscriptionRefused(subscription, message);
    else subscription.accept(message, asked?.what ?? null);
  }

  /**
   * @param {RunSubscription} subscription
   * @param {any} message
   */
  #subscriptionRefused(subscription, message) {
    if (!this.#sids.has(subscription)) return;
    const error = new HewstonError(message.code, message.msg, { details: message.details });
    if (isFinal(message.code)) {
      this.#sids.delete(subscription);
      this.#bySid.delete(message.sid);
      subscription.fail(error);
      return;
    }
    subscription.emit("error", error);
    if (this.#sids.get(subscription) !== null) return;
    setTimeout(() => {
      const isWaiting = this.#sids.get(subscription) === null;
      if (this.#isOpen && isWaiting && !this.#isAsked(subscription)) this.#subscribe(subscription);
    }, AGAIN_MS);
  }

  /** @param {RunSubscription} subscription */
  #isAsked(subscription) {
    return [...this.#asked.values()].some(
      (asked) => asked.subscription === subscription && asked.what === "subscribe",
    );
  }

  // -- going and coming back

  #watch() {
    const silentMs = performance.now() - this.#heardAt;
    const patienceMs = this.#isOpen ? this.#heartbeatMs * PATIENCE : CONNECT_MS;
    if (silentMs > patienceMs) {
      // A dead network takes minutes to say so: it is not waited for.
      this.#release()?.close();
      this.#comeBack();
    } else if (this.#isOpen && performance.now() - this.#pingedAt > this.#heartbeatMs) {
      this.#ping();
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    this.#release();
    const error = finalClose(code, reason);
    if (code === NOTHING_SUBSCRIBED) {
      this.#rest();
    } else if (error !== null) {
      this.#watcher.refused(error.message);
      for (const subscription of [...this.#sids.keys()]) subscription.fail(error);
      this.#sids.clear();
    } else {
      this.#comeBack();
    }
  }

  /** Until something is subscribed; it may have been just now. */
  #rest() {
    this.#isIdle = true;
    this.#attempt = 0;
    this.#watcher.idle();
    if (this.#sids.size > 0) this.open();
  }

  #comeBack() {
    if (this.#openedAt && performance.now() - this.#openedAt > HEALTHY_MS) this.#attempt = 0;
    this.#openedAt = 0;
    const delayMs = this.#byeMs ?? backoffMs(this.#attempt, this.#options);
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.open(), delayMs);
    for (const subscription of this.#sids.keys()) subscription.lost();
    this.#watcher.lost(this.#attempt, delayMs);
  }

  /** Let go of the socket, whatever state it is in; nothing more is heard of it. */
  #release() {
    const socket = this.#socket;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#watchdog);
    this.#socket = null;
    this.#isOpen = false;
    this.#bySid.clear();
    this.#asked.clear();
    this.#pace.clear();
    for (const subscription of this.#sids.keys()) this.#sids.set(subscription, null);
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // Node's socket complains to the process of errors that nobody listens to.
      socket.onerror = () => undefined;
    }
    return socket;
  }
}

/** Not more messages a second than the server takes; what is over waits its turn. */
class Pace {
  perSecond = 40;
  #send;
  /** @type {string[]} */
  #queue = [];
  /** @type {number[]} */
  #sentAt = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {string} text */
  say(text) {
    this.#queue.push(text);
    if (this.#timer === undefined) this.#flush();
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue = [];
    this.#sentAt = [];
  }

  #flush() {
    const now = performance.now();
    this.#timer = undefined;
    this.#sentAt = this.#sentAt.filter((at) => now - at < 1_000);
    while (this.#queue.length > 0 && this.#sentAt.length < this.perSecond) {
      this.#sentAt.push(now);
      this.#send(/** @type {string} */ (this.#queue.shift()));
    }
    const [oldest] = this.#sentAt;
    if (this.#queue.length > 0 && oldest !== undefined) {
      this.#timer = setTimeout(() => this.#flush(), 1_000 - (now - oldest));
    }
  }
}
