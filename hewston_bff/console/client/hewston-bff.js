import { Emitter } from "./emitter.js";
import { HewstonError } from "./errors.js";
import { BackendStream, EventStream, Streams } from "./fallback.js";
import { RestClient } from "./rest.js";
import { MuxSocket } from "./socket.js";
import { RunSubscription } from "./subscription.js";

export { HewstonError };
export { compareTimes, parseTime } from "./time.js";

/** @import * as Api from "./hewston-bff.js" */

/** Handshakes in a row that may fail before another way is tried. */
const FAILURES = 3;
/** In the fallback, after how long the one socket is tried again. */
const RETURN_MS = 300_000;

/** @type {typeof import("./hewston-bff.js").connect} */
export const connect = (url, options = {}) => new LiveConnection(url, options);

/**
 * All subscriptions of one server, and what carries them: the one socket if it can be had, else a
 * stream for each.
 * @implements {Api.Connection}
 * @extends {Emitter<Api.ConnectionEvents>}
 */
class LiveConnection extends Emitter {
  /** @type {Api.ConnectionState} */
  state = { status: "connecting", transport: "websocket", attempt: 0, retryInMs: null, reason: "" };
  #options;
  #base;
  /** @type {Set<RunSubscription>} */
  #subscriptions = new Set();
  /** @type {MuxSocket | Streams} */
  #carrier;
  /** Handshakes in a row that failed. */
  #failures = 0;
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
    this.#options = options;
    this.#base = (url || globalThis.location.origin).replace(/\/+$/, "");
    const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    const backend = (options.backendUrl ?? this.#base).replace(/\/+$/, "");
    this.rest = new RestClient(this.#base, { backend, token: options.token, fetch });
    const { transport = "auto" } = options;
    this.#carrier = this.#open(transport === "auto" ? "websocket" : transport);
    globalThis.addEventListener?.("online", this.#retry);
  }

  /**
   * @param {string} runId
   * @param {Api.SubscribeOptions} [options]
   * @returns {Api.Subscription}
   */
  subscribe(runId, options) {
    const subscription = new RunSubscription(runId, options);
    if (this.state.status === "closed") {
      queueMicrotask(() => subscription.fail(new HewstonError("CLOSED", this.state.reason)));
      return subscription;
    }
    this.#subscriptions.add(subscription);
    subscription.on("status", ({ status }) => {
      if (status === "closed" || status === "failed") this.#subscriptions.delete(subscription);
    });
    this.#carrier.add(subscription);
    return subscription;
  }

  retry() {
    if (this.state.status !== "closed" && this.#carrier instanceof MuxSocket) this.#carrier.open();
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
    const { token, backoffBaseMs: baseMs = 250, backoffCapMs: capMs = 10_000 } = this.#options;
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (transport === "websocket" && WebSocket !== undefined) {
      const url = `${this.#base.replace(/^http/, "ws")}/api/v1/stream`;
      const socket = new MuxSocket({ url, token, WebSocket, baseMs, capMs }, this.#watcher());
      this.#set({ status: "connecting", transport });
      queueMicrotask(() => this.#carrier === socket && socket.open());
      return socket;
    }
    const fetch = this.#options.fetch ?? globalThis.fetch.bind(globalThis);
    const base = transport === "backend" ? (this.#options.backendUrl ?? this.#base) : this.#base;
    const options = { base, token, fetch, WebSocket, baseMs, capMs };
    const Stream = transport === "backend" ? BackendStream : EventStream;
    this.#set({ status: "online", transport, attempt: 0, retryInMs: null });
    return new Streams((subscription) => new Stream(subscription, options));
  }

  /** @returns {import("./socket.js").Watcher} */
  #watcher() {
    return {
      opened: () => this.#set({ status: "online", attempt: 0, retryInMs: null, reason: "" }),
      lost: (attempt, retryInMs) => {
        const wasOnline = this.state.status === "online";
        this.#set({ status: "offline", attempt, retryInMs, reason: "no connection to the server" });
        this.#failures = wasOnline ? 0 : this.#failures + 1;
        if (!wasOnline) void this.#probe();
      },
      idle: () => this.#set({ status: "idle" }),
      refused: (reason) => this.#set({ status: "closed", retryInMs: null, reason }),
      latency: (ms) => this.emit("latency", ms),
      news: (message) => this.emit(/** @type {"run"} */ (message.t), message),
    };
  }

  /**
   * A handshake failed; browsers do not say why. Ask whether the server is there, and streams: now,
   * for what it said before may be older than its fall.
   */
  async #probe() {
    if (this.#isProbing || (this.#options.transport ?? "auto") !== "auto") return;
    this.#isProbing = true;
    const told = this.rest.get("/api/v1/features").then((body) => body.features);
    const features = await told.catch(() => null);
    this.#isProbing = false;
    if (this.state.status !== "offline" || features === null) return;
    if (features.websocket_proxy === false) this.#change("backend");
    else if (this.#failures >= FAILURES) this.#change("events");
  }

  /** @param {Api.Transport} transport */
  #change(transport) {
    const subscriptions = [...this.#subscriptions];
    const old = this.#carrier;
    this.#carrier = this.#open(transport);
    for (const subscription of subscriptions) {
      old.remove(subscription);
      subscription.lost();
      this.#carrier.add(subscription);
    }
    old.close();
    clearTimeout(this.#returnTimer);
    if (transport !== "websocket") {
      this.#returnTimer = setTimeout(() => this.#change("websocket"), RETURN_MS);
    }
  }

  /** @param {Partial<Api.ConnectionState>} changes */
  #set(changes) {
    this.state = { ...this.state, ...changes };
    this.emit("status", this.state);
  }
}
