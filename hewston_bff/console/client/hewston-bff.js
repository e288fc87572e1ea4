import { BackendStreams } from "./backend.js";
import { Emitter } from "./emitter.js";
import { HewstonError } from "./errors.js";
import { Mux } from "./mux.js";
import { RestClient } from "./rest.js";
import { RunSubscription } from "./subscription.js";
import { TopicSubscription } from "./topic-subscription.js";
import { ServerClock } from "./server-clock.js";
import { canOpenSocket, probe } from "./probe.js";
import { openEvents, openSocket } from "./transport.js";

export { HewstonError };
export { compareEntryIds, entryTime } from "./entry-id.js";
export { compareTimes, parseTime } from "./time.js";

/** @import * as Api from "./hewston-bff.js" */

/** Handshakes in a row that may fail before another way is tried. */
const FAILURES = 3;
/** On another way, after how long the one socket is tried again; and where this server was gone. */
const RETURN_MS = 300_000;
const RETURN_FROM_GONE_MS = 5_000;
/** A restart takes less: only then the backend itself is asked. */
const GONE_MS = 5_000;
const CONNECT_MS = 10_000;
const HEARTBEAT_MS = 5_000;
const BACKEND_SILENCE_MS = 60_000;

/** @type {typeof import("./hewston-bff.js").connect} */
export const connect = (url, options = {}) => new LiveConnection(url, options);

/**
 * All subscriptions of one server, and what carries them: one WebSocket if it can be had, else one
 * event stream, else the backend's own path.
 * @implements {Api.Connection}
 * @extends {Emitter<Api.ConnectionEvents>}
 */
class LiveConnection extends Emitter {
  /** @type {Api.ConnectionState} */
  state = { status: "connecting", transport: "websocket", attempt: 0, retryInMs: null, reason: "" };
  #options;
  /** How the server is reached. */
  #server;
  #backend;
  /** @type {Set<RunSubscription | TopicSubscription>} */
  #subscriptions = new Set();
  #clock = new ServerClock();
  /** @type {Mux | BackendStreams} */
  #carrier;
  /** Handshakes in a row that failed. */
  #failures = 0;
  #offlineAt = 0;
  /** The backend was chosen as this server was gone. */
  #wasGone = false;
  #isProbing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #returnTimer;
  #retry = () => this.retry();

  /**
   * @param {string} url
   * @param {Api.ConnectOptions} options
   */
  constructor(url, options) {
    super();
    const base = (url || globalThis.location.origin).replace(/\/+$/, "");
    const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    const { token, apiKey, transport = "auto", connectMs = CONNECT_MS } = options;
    this.#options = options;
    this.#server = { base, token, apiKey, fetch, WebSocket, connectMs };
    this.#backend = (options.backendUrl ?? base).replace(/\/+$/, "");
    this.rest = new RestClient(base, { backend: this.#backend, token, apiKey, fetch });
    this.#carrier = this.#open(transport === "auto" ? "websocket" : transport);
    globalThis.addEventListener?.("online", this.#retry);
  }

  /**
   * @param {string} runId
   * @param {Api.SubscribeOptions} [options]
   * @returns {Api.Subscription}
   */
  subscribe(runId, options) {
    return this.#carried(new RunSubscription(runId, options));
  }

  /**
   * @param {string} topic
   * @param {Api.TopicOptions} [options]
   * @returns {Api.TopicSubscription}
   */
  topic(topic, options) {
    return this.#carried(new TopicSubscription(topic, options));
  }

  now() {
    return this.#clock.now();
  }

  /**
   * @template {RunSubscription | TopicSubscription} Subscription
   * @param {Subscription} subscription
   * @returns {Subscription}
   */
  #carried(subscription) {
    if (this.state.status === "closed") {
      queueMicrotask(() => subscription.fail(new HewstonError("CLOSED", this.state.reason)));
      return subscription;
    }
    this.#subscriptions.add(subscription);
    // The same of either kind; of both together their types are none.
    const { on } = /** @type {Api.Listenable<{status: {status: string}}>} */ (subscription);
    on.call(subscription, "status", ({ status }) => {
      if (status === "closed" || status === "failed") this.#subscriptions.delete(subscription);
    });
    this.#carrier.add(subscription);
    return subscription;
  }

  retry() {
    if (this.state.status !== "closed") this.#carrier.open();
  }

  close() {
    this.#set({ status: "closed", retryInMs: null, reason: "closed by this page" });
    clearTimeout(this.#returnTimer);
    globalThis.removeEventListener?.("online", this.#retry);
    for (const subscription of [...this.#subscriptions]) subscription.close();
    this.#carrier.close();
  }

  // -- ways to connect

  /** @param {Api.Transport} transport */
  #open(transport) {
    const { base, token, apiKey, fetch, WebSocket, connectMs } = this.#server;
    const { backoffBaseMs: baseMs = 250, backoffCapMs: capMs = 10_000 } = this.#options;
    const times = { baseMs, capMs, connectMs };
    if (transport === "backend") {
      const { heartbeatMs = HEARTBEAT_MS, backendSilenceMs: silenceMs = BACKEND_SILENCE_MS } = this.#options;
      this.#set({ status: "online", transport, attempt: 0, retryInMs: null, reason: "" });
      const options = { base: this.#backend, token, fetch, WebSocket, baseMs, capMs, heartbeatMs, silenceMs };
      return new BackendStreams(options, {
        opened: () => this.#opened(),
        lost: (attempt, retryInMs) => this.#offline(attempt, retryInMs),
      });
    }
    const isSocket = transport === "websocket" && WebSocket !== undefined;
    const mux = new Mux(
      (events) =>
        isSocket
          ? openSocket({ base, token, apiKey, WebSocket }, events)
          : openEvents({ base, token, apiKey, fetch, postMs: connectMs }, events),
      times,
      this.#watcher(),
    );
    this.#set({ status: "connecting", transport: isSocket ? "websocket" : "events" });
    queueMicrotask(() => this.#carrier === mux && this.state.status !== "closed" && mux.open());
    return mux;
  }

  /** @returns {import("./mux.js").Watcher} */
  #watcher() {
    return {
      opened: () => {
        this.rest.told(true);
        this.#opened();
      },
      lost: (attempt, retryInMs) => {
        const wasOnline = this.state.status === "online";
        this.#failures = wasOnline ? 0 : this.#failures + 1;
        this.#offline(attempt, retryInMs);
        if (!wasOnline) void this.#probe();
      },
      idle: () => this.#set({ status: "idle" }),
      refused: (reason) => this.#set({ status: "closed", retryInMs: null, reason }),
      latency: (ms) => this.emit("latency", ms),
      clock: (serverMs, tripMs) => this.#clock.heard(serverMs, tripMs),
      news: (news) => {
        if (news.t === "run") this.emit("run", news);
        else if (news.t === "upstream") this.emit("upstream", news);
        else this.emit("source", news);
      },
    };
  }

  #opened() {
    this.#failures = 0;
    this.#offlineAt = 0;
    if (this.state.status === "online") return;
    this.#set({ status: "online", attempt: 0, retryInMs: null, reason: "" });
  }

  /**
   * @param {number} attempt
   * @param {number} retryInMs
   */
  #offline(attempt, retryInMs) {
    this.#offlineAt ||= performance.now();
    this.#set({ status: "offline", attempt, retryInMs, reason: "no connection to the server" });
  }

  /** A handshake failed: is the server there, and does it stream? Asked now, what it said before may be older than its fall. */
  async #probe() {
    if (this.#isProbing) return;
    this.#isProbing = true;
    const found = await probe(this.#server, () => this.rest.get("/api/v1/features").then(({ features }) => features));
    this.#isProbing = false;
    if (this.state.status !== "offline" || !(this.#carrier instanceof Mux)) return;
    if (found.is === "later") {
      this.#carrier.wait(found.afterMs);
      this.#set({ retryInMs: found.afterMs });
    }
    if ((this.#options.transport ?? "auto") !== "auto") return;
    const isLongGone = this.#failures >= FAILURES && performance.now() - this.#offlineAt >= (this.#options.goneMs ?? GONE_MS);
    if (found.is === "off") this.#change("backend", { wasGone: false });
    else if (found.is === "gone" && this.#backend !== this.#server.base && isLongGone) this.#change("backend", { wasGone: true });
    else if (found.is === "there" && this.#failures >= FAILURES) this.#change("events", { wasGone: false });
  }

  /**
   * @param {Api.Transport} transport
   * @param {{wasGone: boolean}} how
   */
  #change(transport, { wasGone }) {
    const subscriptions = [...this.#subscriptions];
    const old = this.#carrier;
    this.#failures = 0;
    this.#wasGone = wasGone;
    if (wasGone) this.rest.told(false);
    this.#carrier = this.#open(transport);
    for (const subscription of subscriptions) {
      old.remove(subscription);
      subscription.lost();
      this.#carrier.add(subscription);
    }
    old.close();
    clearTimeout(this.#returnTimer);
    if (transport !== "websocket") this.#returnLater();
  }

  #returnLater() {
    const { returnMs = RETURN_MS, goneMs = RETURN_FROM_GONE_MS } = this.#options;
    this.#returnTimer = setTimeout(() => void this.#return(), this.#wasGone ? Math.min(goneMs, returnMs) : returnMs);
  }

  /** Tried beside what is open, which goes on meanwhile. */
  async #return() {
    const canSocket = await canOpenSocket(this.#server);
    const { status, transport } = this.state;
    if (status === "closed" || transport === "websocket") return;
    if (canSocket) return this.#change("websocket", { wasGone: false });
    if (transport === "backend") {
      const found = await probe(this.#server, () => this.rest.get("/api/v1/features").then(({ features }) => features));
      if (/** @type {string} */ (this.state.status) === "closed") return;
      if (found.is === "there") return this.#change("events", { wasGone: false });
      if (found.is === "off") this.#wasGone = false;
    }
    this.#returnLater();
  }

  /** @param {Partial<Api.ConnectionState>} changes */
  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.emit("status", this.state);
  }
}
