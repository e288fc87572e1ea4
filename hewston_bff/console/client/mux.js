import { HewstonError, isFinal } from "./errors.js";
import { Link } from "./link.js";
import { requestOf } from "./transport.js";

/**
 * @import * as Messages from "./messages.js"
 * @import { Carried, Carrier, Command, News } from "./carrier.js"
 * @import { Times } from "./link.js"
 * @import { ServerMessage, Transport, TransportEvents } from "./transport.js"
 */

/**
 * What a carrier tells its connection.
 * @typedef {object} Watcher
 * @property {() => void} opened
 * @property {(attempt: number, retryInMs: number) => void} lost
 * @property {() => void} idle closed, for nothing is subscribed
 * @property {(reason: string) => void} refused the server said not to come back
 * @property {(ms: number) => void} latency
 * @property {(message: News) => void} news
 * @property {(serverMs: number, tripMs: number) => void} clock the server's time in ms since 1970, and how long it took to ask
 */

const AGAIN_MS = 1_000;
const GIVEN_UP = "given up";

/**
 * All subscriptions on one link: which number each has, and what each is owed an answer to.
 * @implements {Carrier}
 */
export class Mux {
  #watcher;
  #link;
  #lastId = 0;
  /** Null: it was told to go, frames may still come. @type {Map<Messages.Frame["sid"], Carried | null>} */
  #bySid = new Map();
  /** @type {Map<Carried, number | null>} */
  #sids = new Map();
  /** By request id. @type {Map<Messages.Err["re"], {subscription: Carried, what: string}>} */
  #asked = new Map();
  /** What is known of the source of each kind: each client is told once. @type {Map<string, Messages.SourceNews>} */
  #sources = new Map();

  /**
   * @param {(events: TransportEvents) => Transport} make
   * @param {Times} times
   * @param {Watcher} watcher
   */
  constructor(make, times, watcher) {
    this.#watcher = watcher;
    this.#link = new Link(make, times, {
      first: (take) => this.#first(take),
      opened: () => this.#opened(),
      heard: (message) => this.#heard(message),
      released: () => this.#released(),
      lost: (attempt, retryInMs) => {
        for (const subscription of this.#sids.keys()) subscription.lost();
        watcher.lost(attempt, retryInMs);
      },
      rests: () => {
        watcher.idle();
        return this.#sids.size === 0; // it may have been subscribed to just now
      },
      refused: (error) => {
        watcher.refused(error.message);
        for (const subscription of [...this.#sids.keys()]) subscription.fail(error);
        this.#sids.clear();
      },
      latency: watcher.latency,
      clock: watcher.clock,
    });
  }

  open() {
    this.#link.open();
  }

  /** @param {number} ms */
  wait(ms) {
    this.#link.wait(ms);
  }

  close() {
    this.#link.close();
    this.#sids.clear();
  }

  /** @param {Carried} subscription */
  add(subscription) {
    subscription.carrier = this;
    this.#sids.set(subscription, null);
    if (this.#link.isOpen) this.#subscribe(subscription);
    else this.#link.wake();
  }

  /** @param {Carried} subscription */
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
   * @param {Carried} subscription
   * @param {Command} command
   */
  send(subscription, command) {
    const sid = this.#sids.get(subscription) ?? null;
    if (sid === null || !this.#link.isOpen) return false;
    this.#link.say({ t: "ctrl", id: this.#ask(subscription, command.cmd), sid, ...command });
    return true;
  }

  /** Those whose request fits go along with what opens the transport. @param {Parameters<TransportEvents["first"]>[0]} take */
  #first(take) {
    for (const subscription of this.#sids.keys()) {
      if (!take({ id: this.#lastId + 1, ...subscription.request() })) return;
      this.#ask(subscription, "subscribe");
    }
  }

  /** @param {Carried} subscription */
  #subscribe(subscription) {
    const id = this.#ask(subscription, "subscribe");
    this.#link.say({ t: "subscribe", id, ...subscription.request() });
  }

  /** @param {number} sid */
  #unsubscribe(sid) {
    this.#bySid.set(sid, null);
    this.#link.say({ t: "unsubscribe", sid });
  }

  /**
   * @param {Carried} subscription
   * @param {string} what
   */
  #ask(subscription, what) {
    this.#lastId += 1;
    this.#asked.set(this.#lastId, { subscription, what });
    return this.#lastId;
  }

  // -- what happens

  #opened() {
    this.#watcher.opened();
    for (const subscription of this.#sids.keys()) {
      if (!this.#isAsked(subscription)) this.#subscribe(subscription);
    }
  }

  #released() {
    this.#bySid.clear();
    this.#asked.clear();
    this.#sources.clear();
    for (const subscription of this.#sids.keys()) this.#sids.set(subscription, null);
  }

  /** @param {ServerMessage} message */
  #heard(message) {
    switch (message.t) {
      case "frame":
      case "event":
        this.#bySid.get(message.sid)?.accept(message);
        break;
      case "run":
      case "upstream":
      case "source":
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

  /** @param {News} news */
  #spread(news) {
    if (news.t === "source") this.#sources.set(news.kind, news);
    this.#watcher.news(news);
    for (const subscription of this.#sids.keys()) if (subscription.hears(news)) subscription.accept(news);
  }

  /** @param {Messages.Subscribed | Messages.EventsSubscribed} message */
  #subscribed(message) {
    const { re, sid } = message;
    const asked = this.#asked.get(re);
    this.#asked.delete(re);
    // Where one connection carries many runs, each has its number.
    if (asked === undefined || sid === undefined) return;
    const { subscription, what } = asked;
    if (what === GIVEN_UP) {
      this.#unsubscribe(sid);
      return;
    }
    this.#sids.set(subscription, sid);
    this.#bySid.set(sid, subscription);
    subscription.subscribed(message);
    for (const news of this.#sources.values()) if (subscription.hears(news)) subscription.accept(news);
  }

  /** @param {ServerMessage} message an answer, or news of one subscription */
  #answered(message) {
    const re = requestOf(message);
    const asked = this.#asked.get(re);
    this.#asked.delete(re);
    const subscription = asked?.subscription ?? this.#bySid.get("sid" in message ? message.sid : undefined);
    if (subscription === undefined || subscription === null || asked?.what === GIVEN_UP) return;
    const mayRefuse = asked === undefined || asked.what === "subscribe";
    if (message.t === "err" && mayRefuse && !subscription.isNews(message)) this.#refused(subscription, message);
    else subscription.accept(message, asked?.what ?? null);
  }

  /**
   * @param {Carried} subscription
   * @param {Messages.Err} message
   */
  #refused(subscription, message) {
    if (!this.#sids.has(subscription)) return;
    const error = new HewstonError(message.code, message.msg, { details: message.details });
    if (isFinal(message.code)) {
      this.#forget(subscription);
      subscription.fail(error);
      return;
    }
    subscription.emit("error", error);
    if (this.#sids.get(subscription) !== null) return;
    setTimeout(() => {
      const isWaiting = this.#sids.get(subscription) === null;
      if (this.#link.isOpen && isWaiting && !this.#isAsked(subscription)) this.#subscribe(subscription);
    }, AGAIN_MS);
  }

  /** It has failed: neither its number nor a question of its is of use any more. @param {Carried} subscription */
  #forget(subscription) {
    const sid = this.#sids.get(subscription) ?? null;
    this.#sids.delete(subscription);
    if (sid !== null) this.#bySid.delete(sid);
    for (const [id, asked] of this.#asked) {
      if (asked.subscription === subscription) this.#asked.delete(id);
    }
  }

  /** @param {Carried} subscription */
  #isAsked(subscription) {
    return [...this.#asked.values()].some(
      (asked) => asked.subscription === subscription && asked.what === "subscribe",
    );
  }
}
