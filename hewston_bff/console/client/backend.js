import { finalClose, HewstonError } from "./errors.js";
import { RetryTimer } from "./retry-timer.js";
import { RunSubscription } from "./subscription.js";
import { compareTimes, parseNs } from "./time.js";
import { discardSocket, protocols, requestOf } from "./transport.js";

/**
 * The backend's own path, for when our streams are switched off or our server is gone: a socket for
 * each run. Whoever serves it tells by what it says whether it is ours, which numbers its frames and
 * obeys commands, or the backend itself, which sends every frame from the first on and obeys none.
 *
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 * @import { Carried, Carrier, Command } from "./carrier.js"
 */

/**
 * A frame of the backend itself: it has no index, and its equity may be a number alone.
 * @typedef {Omit<Messages.Frame, "seq" | "dropped" | "equity"> & {equity?: number | Messages.Equity | null}} BackendFrame
 */

/**
 * @typedef {object} BackendOptions
 * @property {string} base
 * @property {string | undefined} token
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {number} baseMs
 * @property {number} capMs
 * @property {number} heartbeatMs of our server
 * @property {number} silenceMs that the backend is forgiven: it is deaf while it streams
 */

/** @typedef {{opened: () => void, lost: (attempt: number, retryInMs: number) => void}} BackendWatcher */

/** What statuses say before a socket is open, in the codes of our own answers. @type {Record<number, string>} */
const REFUSALS = { 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "RUN_NOT_FOUND", 422: "VALIDATION" };
const TERMINAL = new Set(["DONE", "COMPLETED", "ERROR", "FAILED", "CANCELLED"]);
const PATIENCE = 3;
const NOT_YET_MS = 1_000;
const WATCH_MS = 1_000;
/** Heartbeats without a frame between them, after which the run may be over. */
const QUIET_BEATS = 2;
const ONLY_RUNS = "topics cannot be had on the backend's own path: they go on once this server streams again";

/** @implements {Carrier} */
export class BackendStreams {
  /** @type {Map<Carried, BackendStream>} */
  #streams = new Map();
  #options;
  #watcher;

  /**
   * @param {BackendOptions} options
   * @param {BackendWatcher} watcher
   */
  constructor(options, watcher) {
    this.#options = options;
    this.#watcher = watcher;
  }

  /** Do not wait for the next attempt. */
  open() {
    for (const stream of this.#streams.values()) if (!stream.isOpen) stream.open();
  }

  /** The backend knows runs alone: a topic waits until this server streams again. @param {Carried} subscription */
  add(subscription) {
    subscription.carrier = this;
    if (!(subscription instanceof RunSubscription)) {
      queueMicrotask(() => subscription.emit("error", new HewstonError("OFFLINE", ONLY_RUNS)));
      return;
    }
    const stream = new BackendStream(subscription, this.#options, {
      opened: this.#watcher.opened,
      lost: (attempt, retryInMs) => {
        const isAnyOpen = [...this.#streams.values()].some(({ isOpen }) => isOpen);
        if (!isAnyOpen) this.#watcher.lost(attempt, retryInMs);
      },
      failed: (error) => {
        this.remove(subscription);
        subscription.fail(error);
      },
    });
    this.#streams.set(subscription, stream);
    stream.open();
  }

  /** @param {Carried} subscription */
  remove(subscription) {
    this.#streams.get(subscription)?.close();
    this.#streams.delete(subscription);
  }

  /**
   * @param {Carried} subscription
   * @param {Command} command
   */
  send(subscription, command) {
    return this.#streams.get(subscription)?.send(command) ?? false;
  }

  close() {
    for (const subscription of [...this.#streams.keys()]) this.remove(subscription);
  }
}

class BackendStream {
  isOpen = false;
  #subscription;
  #options;
  #watcher;
  /** @type {WebSocket | null} */
  #socket = null;
  #isClosed = false;
  #isOurs = false;
  #isReopening = false;
  #heardAt = 0;
  #quietBeats = 0;
  #lastId = 0;
  /** Up to this one the answers only lead to where the socket begins. */
  #openingId = 0;
  /** By request id. @type {Map<Messages.Err["re"], string>} */
  #asked = new Map();
  /** The index of the next frame, where frames have none. */
  #count = 0;
  /** Where to begin: frames before are passed over. @type {{index: number, ts?: string | null, ns?: bigint | null}} */
  #aim = { index: 0 };
  /** The last frame at or before the time to begin at. @type {Api.Frame | null} */
  #held = null;
  #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchdog;

  /**
   * @param {RunSubscription} subscription
   * @param {BackendOptions} options
   * @param {BackendWatcher & {failed: (error: HewstonError) => void}} watcher
   */
  constructor(subscription, options, watcher) {
    this.#subscription = subscription;
    this.#options = options;
    this.#watcher = watcher;
    this.#retryTimer = new RetryTimer(options, () => this.open());
  }

  open() {
    this.#release();
    if (this.#isClosed) return;
    const { desired, state, isSought } = this.#subscription;
    if (desired.paused && state.seq >= 0 && !isSought) {
      // Where it rests nothing is to come, and the backend knows no rest.
      this.#subscription.began({ status: "paused", isElsewhere: false });
      return;
    }
    const { token, WebSocket } = this.#options;
    const socket = new WebSocket(`${this.#url().replace(/^http/, "ws")}/ws`, token === undefined ? [] : protocols({ token }));
    this.#socket = socket;
    this.#heardAt = performance.now();
    this.#watchdog = setInterval(() => this.#watch(), WATCH_MS);
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason);
    // Not every runtime says `close` after a handshake that failed.
    socket.onerror = () => this.isOpen || this.#lost(socket, 1006, "");
  }

  close() {
    this.#isClosed = true;
    this.#release();
  }

  /**
   * Ours obeys; with the backend all begins anew, as is wanted by then.
   * @param {Command} command
   */
  send(command) {
    if (this.isOpen && this.#isOurs) {
      this.#say(command, command.cmd === "live" ? "seek" : command.cmd);
      return true;
    }
    if (command.cmd === "step" || this.#isReopening) return false;
    this.#isReopening = true;
    // What is wanted is known once the caller has returned.
    queueMicrotask(() => {
      this.#isReopening = false;
      this.open();
    });
    return false;
  }

  #url() {
    return `${this.#options.base}/backtests/${encodeURIComponent(this.#subscription.runId)}`;
  }

  /**
   * @param {Command} command
   * @param {string} [what] that it answers; none is waited for without
   */
  #say({ cmd, pos, val }, what) {
    const ts = typeof pos === "string" ? { ts: pos } : {};
    const speed = cmd === "speed" ? { speed: val } : {};
    const id = (this.#lastId += 1);
    if (what !== undefined) this.#asked.set(id, what);
    this.#socket?.send(JSON.stringify({ t: "ctrl", id, cmd, pos, val, ...ts, ...speed }));
  }

  #opened() {
    this.isOpen = true;
    const subscription = this.#subscription;
    const { desired, state } = subscription;
    const place = subscription.place();
    const at = "from" in place ? place.from : place.resume.seq + 1;
    this.#aim = aimOf(at);
    const isNext = !subscription.isSought && state.seq >= 0;
    if (isNext) this.#aim.ts = state.ts;
    this.#say({ cmd: "speed", val: desired.speed });
    if (at === "live") this.#say({ cmd: "live" });
    else if (at !== "start") this.#say({ cmd: "seek", pos: at });
    if (!desired.paused) this.#say({ cmd: "play" });
    this.#openingId = this.#lastId;
    this.#watcher.opened();
    subscription.began({ status: desired.paused ? "paused" : "playing", isElsewhere: !isNext });
  }

  // -- what comes

  /** @param {unknown} data */
  #heard(data) {
    this.#retryTimer.attempt = 0;
    this.#heardAt = performance.now();
    if (typeof data !== "string") return;
    /** @type {Messages.ServerMessages["backend"]} */
    const message = JSON.parse(data);
    const re = requestOf(message);
    const answers = this.#asked.get(re) ?? null;
    this.#asked.delete(re);
    switch (message.t) {
      case "frame":
        this.#quietBeats = 0;
        this.#frame(message);
        break;
      case "state":
        this.#isOurs = true;
        if (typeof re !== "number" || re >= this.#openingId) this.#subscription.accept(message, answers);
        break;
      case "hb":
        void this.#beat();
        break;
      case "err":
        if (message.code === "STREAM_ERROR" && !this.#isOurs) void this.#notYet(message);
        else this.#subscription.accept(message, answers);
        break;
      case "end":
        this.#subscription.accept(message, answers);
    }
  }

  /** The backend has nothing to play before a run is over: that is no failure. @param {Messages.Err} message */
  async #notYet(message) {
    const { status } = await this.#ask();
    if (!this.isOpen) return;
    this.#release();
    if (TERMINAL.has(status)) this.#watcher.failed(new HewstonError(message.code, "the backend cannot play this run"));
    else this.#comeBack(NOT_YET_MS);
  }

  /** Ours has an index. @param {Messages.Frame | Messages.MergedFrame | BackendFrame} message */
  #frame(message) {
    const { equity } = message;
    const point = typeof equity === "number" ? { ts: message.ts, value: equity } : equity;
    if ("seq" in message) {
      this.#isOurs = true;
      this.#subscription.accept({ ...message, equity: point, dropped: message.dropped ?? 0 });
    } else {
      this.#counted({ dropped: 0, ...message, equity: point, seq: this.#count++ });
    }
  }

  /** The backend always begins with the first frame: a frame's index is how many came before. @param {Api.Frame} frame */
  #counted(frame) {
    const { index, ns, ts } = this.#aim;
    if (frame.seq < index) {
      const isLastSeen = frame.seq === index - 1 && typeof ts === "string";
      if (isLastSeen && compareTimes(frame.ts, ts) !== 0) this.#renewed();
      return;
    }
    const at = ns === undefined || ns === null ? null : parseNs(frame.ts);
    if (at !== null && ns && at <= ns) {
      this.#held = frame;
      return;
    }
    this.#deliverHeld();
    this.#subscription.accept(frame);
  }

  #deliverHeld() {
    const held = this.#held;
    this.#aim = { index: 0 };
    this.#held = null;
    if (held !== null) this.#subscription.accept(held);
  }

  /** The frame that was seen last is another one now: so is the run. */
  #renewed() {
    this.#subscription.renewed();
    this.open();
  }

  /** The backend never says that a run is over: it falls silent, and REST knows. */
  async #beat() {
    this.#quietBeats += 1;
    const { state } = this.#subscription;
    if (this.#isOurs || this.#quietBeats !== QUIET_BEATS || state.status === "ended") return;
    const { status } = await this.#ask();
    const isStillQuiet = this.#quietBeats >= QUIET_BEATS && this.isOpen;
    if (!isStillQuiet) return;
    if (!TERMINAL.has(status)) {
      this.#quietBeats = 0;
      return;
    }
    this.#deliverHeld();
    this.#subscription.accept({ t: "end", seq: this.#count - 1 });
  }

  // -- going and coming back

  #watch() {
    const { heartbeatMs, silenceMs } = this.#options;
    const patienceMs = this.isOpen && this.#isOurs ? heartbeatMs * PATIENCE : silenceMs;
    if (performance.now() - this.#heardAt <= patienceMs) return;
    this.#release();
    this.#comeBack();
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    const wasOpen = this.isOpen;
    this.#release();
    const error = finalClose(code, reason);
    if (error !== null) this.#watcher.failed(error);
    else if (wasOpen) this.#comeBack();
    else void this.#askWhy();
  }

  /** A socket does not tell why it was refused: the run's own address does. */
  async #askWhy() {
    const { code, retryAfterMs } = await this.#ask();
    if (this.#isClosed || this.#socket !== null) return;
    const refusal = REFUSALS[code];
    if (refusal === undefined) this.#comeBack(retryAfterMs);
    else this.#watcher.failed(new HewstonError(refusal, `the backend refuses this run (${code})`, { status: code }));
  }

  /** What REST says of the run. @returns {Promise<{code: number, status: string, retryAfterMs?: number}>} */
  async #ask() {
    const { token, fetch } = this.#options;
    /** @type {Record<string, string>} */
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetch(this.#url(), { headers }).catch(() => null);
    if (response === null) return { code: 0, status: "" };
    const body = await response.json().catch(() => null);
    const retryAfterS = Number(response.headers.get("Retry-After"));
    const told = { code: response.status, status: String(body?.status ?? "") };
    return retryAfterS > 0 ? { ...told, retryAfterMs: retryAfterS * 1e3 } : told;
  }

  /** @param {number} [afterMs] */
  #comeBack(afterMs) {
    if (this.#isClosed || this.#subscription.state.status === "ended") return;
    this.#subscription.lost();
    const delayMs = this.#retryTimer.start(afterMs);
    this.#watcher.lost(this.#retryTimer.attempt, delayMs);
  }

  #release() {
    this.#retryTimer.stop();
    clearInterval(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    this.isOpen = this.#isOurs = false;
    this.#count = this.#quietBeats = 0;
    this.#held = null;
    this.#asked.clear();
    if (socket !== null) discardSocket(socket);
  }
}

/** @param {import("./hewston-bff.js").Position} at */
function aimOf(at) {
  if (typeof at === "number") return { index: at };
  return at === "start" || at === "live" ? { index: 0 } : { index: 0, ns: parseNs(at) };
}
