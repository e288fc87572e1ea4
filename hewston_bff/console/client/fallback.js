import { backoffMs } from "./backoff.js";
import { finalClose, HewstonError, isFinal } from "./errors.js";

/**
 * Carriers for where the one socket cannot be had: a stream for each subscription.
 *
 * @import { RunSubscription, Carrier, Command } from "./subscription.js"
 */

/**
 * @typedef {object} FallbackOptions
 * @property {string} base
 * @property {string | undefined} token
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {number} baseMs
 * @property {number} capMs
 */

/** @typedef {{open(): void, close(): void, send(command: Command): void}} Stream */

/**
 * A stream for each subscription.
 * @implements {Carrier}
 */
export class Streams {
  /** @type {Map<RunSubscription, Stream>} */
  #streams = new Map();
  #make;

  /** @param {(subscription: RunSubscription) => Stream} make */
  constructor(make) {
    this.#make = make;
  }

  /** @param {RunSubscription} subscription */
  add(subscription) {
    const stream = this.#make(subscription);
    subscription.carrier = this;
    this.#streams.set(subscription, stream);
    stream.open();
  }

  /** @param {RunSubscription} subscription */
  remove(subscription) {
    this.#streams.get(subscription)?.close();
    this.#streams.delete(subscription);
  }

  /**
   * @param {RunSubscription} subscription
   * @param {Command} command
   */
  send(subscription, command) {
    this.#streams.get(subscription)?.send(command);
    return false; // the stream is made anew, and with it the command is answered
  }

  close() {
    for (const subscription of [...this.#streams.keys()]) this.remove(subscription);
  }
}

/** What statuses say before a socket is open, in the codes of our own answers. @type {Record<number, string>} */
const REFUSALS = { 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "RUN_NOT_FOUND", 422: "VALIDATION" };

/** What both kinds of stream share: coming back. */
class Returning {
  attempt = 0;
  isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;

  /**
   * @param {RunSubscription} subscription
   * @param {FallbackOptions} options
   */
  constructor(subscription, options) {
    this.subscription = subscription;
    this.options = options;
  }

  /** @param {() => void} open */
  comeBack(open) {
    if (this.isClosed) return;
    this.subscription.lost();
    clearTimeout(this.timer);
    this.timer = setTimeout(open, backoffMs(this.attempt, this.options));
    this.attempt += 1;
  }

  /** @param {{isElsewhere: boolean}} how */
  began({ isElsewhere }) {
    const status = this.subscription.wanted.paused ? "paused" : "playing";
    this.subscription.began({ status, isElsewhere });
  }
}

/**
 * Server-Sent Events. They cannot be spoken to, so each command makes the stream anew, at the frame
 * after the last one; while paused there is none.
 * @implements {Stream}
 */
export class EventStream extends Returning {
  /** @type {AbortController | null} */
  #abort = null;

  open() {
    void this.#run();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.#abort?.abort();
  }

  /** @param {Command} command */
  send(command) {
    if (command.cmd === "step") return;
    this.#abort?.abort();
    clearTimeout(this.timer);
    // What is wanted is known once the caller has returned.
    queueMicrotask(() => this.isClosed || this.open());
  }

  async #run() {
    const { subscription } = this;
    this.#abort?.abort(); // several commands at once make it anew once each: the last one counts
    const abort = (this.#abort = new AbortController());
    const place = subscription.place();
    if (subscription.wanted.paused && "resume" in place) {
      this.began({ isElsewhere: false });
      return;
    }
    try {
      const response = await this.#request(place, abort.signal);
      if (response.status === 204) {
        this.began({ isElsewhere: false });
        return subscription.accept({ t: "end", seq: subscription.state.seq });
      }
      if (!response.ok || response.body === null) return await this.#refused(response);
      if (abort.signal.aborted) return;
      this.began({ isElsewhere: "from" in place });
      await this.#read(response.body, abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
    }
    if (!abort.signal.aborted && subscription.state.status !== "ended") {
      this.comeBack(() => this.open());
    }
  }

  /**
   * @param {ReturnType<RunSubscription["place"]>} place
   * @param {AbortSignal} signal
   */
  #request(place, signal) {
    const { run_id, speed, paused, mode, max_fps, updates } = this.subscription.request();
    const { base, token, fetch } = this.options;
    const query = new URLSearchParams({
      speed: String(speed),
      paused: String(paused),
      mode,
      max_fps: String(max_fps),
      updates: updates.join(","),
    });
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    if ("from" in place) query.set("from", String(place.from));
    else headers["Last-Event-ID"] = `${place.resume.epoch}:${place.resume.seq}`;
    const url = `${base}/api/v1/runs/${encodeURIComponent(run_id)}/events?${query}`;
    return fetch(url, { headers, signal, cache: "no-store" });
  }

  /** @param {Response} response */
  async #refused(response) {
    const body = await response.json().catch(() => null);
    const code = body?.error?.code ?? `HTTP_${response.status}`;
    const message = body?.error?.message ?? response.statusText;
    if (isFinal(code)) this.subscription.fail(new HewstonError(code, message));
    else this.comeBack(() => this.open());
  }

  /**
   * @param {ReadableStream<Uint8Array>} body
   * @param {AbortSignal} signal
   */
  async #read(body, signal) {
    const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) if (!signal.aborted) this.#event(block);
    }
  }

  /** @param {string} block */
  #event(block) {
    /** @type {Record<string, string>} */
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    const { event, data } = fields;
    if (event === undefined || data === undefined) return;
    this.attempt = 0;
    const epoch = fields["id"]?.split(":")[0];
    if (epoch !== undefined) this.subscription.identify(epoch);
    const message = JSON.parse(data);
    if (event === "err" && isFinal(message.code)) {
      this.close();
      this.subscription.fail(new HewstonError(message.code, message.msg));
    } else {
      this.subscription.accept({ ...message, t: event });
    }
  }
}

/**
 * The backend's own socket, for when ours is switched off: it knows no index and no resuming, so
 * what was seen before is told by its time.
 * @implements {Stream}
 */
export class BackendStream extends Returning {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {string | null} */
  #last = null;
  #isOpen = false;

  open() {
    const { base, token, WebSocket } = this.options;
    const url = `${base.replace(/^http/, "ws")}/backtests/${encodeURIComponent(this.subscription.runId)}/ws`;
    const socket = new WebSocket(url, token === undefined ? [] : ["hewston.bff.v1", `bearer.${token}`]);
    this.#socket = socket;
    this.#isOpen = false;
    this.#last = this.subscription.state.ts;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason);
    // Not every runtime says `close` after a handshake that failed.
    socket.onerror = () => this.#isOpen || this.#lost(socket, 1006, "");
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = null;
    socket.close();
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    const error = finalClose(code, reason);
    if (error !== null) this.subscription.fail(error);
    else if (this.#isOpen) this.comeBack(() => this.open());
    else void this.#askWhy();
  }

  /** A socket does not tell why it was refused: the run's own address does. */
  async #askWhy() {
    const { base, token, fetch } = this.options;
    /** @type {Record<string, string>} */
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const url = `${base}/backtests/${encodeURIComponent(this.subscription.runId)}`;
    const status = await fetch(url, { headers }).then((response) => response.status, () => 0);
    if (this.isClosed) return;
    const code = REFUSALS[status];
    if (code === undefined) this.comeBack(() => this.open());
    else this.subscription.fail(new HewstonError(code, `the backend refuses this run (${status})`, { status }));
  }

  /** @param {Command} command */
  send(command) {
    if (command.cmd === "step" || this.#socket?.readyState !== 1) return;
    if (command.cmd === "seek" || command.cmd === "live") this.#last = null;
    this.#say(command);
    queueMicrotask(() => this.began({ isElsewhere: this.#last === null }));
  }

  #opened() {
    this.#isOpen = true;
    const { wanted } = this.subscription;
    const place = this.subscription.place();
    const at = "from" in place ? place.from : place.resume.ts;
    this.#say({ cmd: "speed", val: wanted.speed });
    if (at !== undefined && at !== "start") this.#say({ cmd: "seek", pos: at });
    if (!wanted.paused) this.#say({ cmd: "play" });
    this.began({ isElsewhere: true });
  }

  /** @param {Command} command */
  #say({ cmd, pos, val }) {
    const ts = typeof pos === "string" ? { ts: pos } : {};
    const speed = cmd === "speed" ? { speed: val } : {};
    this.#socket?.send(JSON.stringify({ t: "ctrl", cmd, pos, val, ...ts, ...speed }));
  }

  /** @param {unknown} data */
  #heard(data) {
    this.attempt = 0;
    const message = typeof data === "string" ? JSON.parse(data) : {};
    if (message.t === "frame") {
      if (this.#last !== null && message.ts <= this.#last) return;
      this.#last = message.ts;
      const { seq = this.subscription.state.seq + 1, equity, dropped = 0 } = message;
      const point = typeof equity === "number" ? { ts: message.ts, value: equity } : equity;
      this.subscription.accept({ ...message, seq, equity: point, dropped });
    } else if (message.t === "end" || message.t === "err") {
      this.subscription.accept(message);
    }
  }
}
