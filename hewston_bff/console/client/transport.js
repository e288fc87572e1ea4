/**
 * One connection, once: a WebSocket, or an event stream with commands by POST. Both carry the same
 * messages; a link makes the next one.
 */
import { refusalOf } from "./errors.js";

/**
 * @import * as Messages from "./messages.js"
 * @import { Request } from "./carrier.js"
 */

/** @typedef {Messages.ServerMessages["stream" | "many_events"]} ServerMessage */
/** @typedef {Messages.ClientMessages["stream" | "event_commands"]} ClientMessage */

/**
 * @typedef {object} Transport
 * @property {boolean} asksForLife whether it has to be pinged to be heard of
 * @property {(text: string) => void} send
 * @property {() => void} close nothing more is heard of it
 */

/**
 * What a transport tells.
 * @typedef {object} TransportEvents
 * @property {(take: (message: Request & {id: number}) => boolean) => void} first
 *   Offers what may go along with the request that opens it, as long as it is taken.
 * @property {() => void} opened
 * @property {() => void} alive something came, whatever it was
 * @property {(message: ServerMessage) => void} heard
 * @property {(code: number, reason: string, retryAfterMs?: number) => void} closed
 */

/**
 * What this client proves itself with: `token` is the viewer's, for the backend; `apiKey` is for this
 * server alone.
 * @typedef {{token: string | undefined, apiKey?: string | undefined}} Secrets
 */
/** @typedef {{base: string, WebSocket: typeof WebSocket} & Secrets} SocketOptions */
/** @typedef {{base: string, fetch: typeof fetch, postMs: number} & Secrets} EventOptions */

export const PROTOCOL = "hewston.bff.v1";
const LOST = 1006;
const BAD_TOKEN = "a token or key with such characters cannot be sent: letters, digits and -._~+ can";
/** Characters of runs in the address: proxies take lines of 8 kB, headers not counted. */
const MOST_QUERY = 4_000;
/** @type {Record<string, number>} */
const FINAL = { UNAUTHORIZED: 4401, FORBIDDEN: 4403, VALIDATION: 4400 };

/** What a handshake offers: browsers can send nothing else with it. @param {Secrets} secrets */
export function protocols({ token, apiKey }) {
  const offers = [PROTOCOL];
  if (token !== undefined) offers.push(`bearer.${token}`);
  if (apiKey !== undefined) offers.push(`apikey.${apiKey}`);
  return offers;
}

/** The same in headers, for whatever is fetched. @param {Secrets} secrets */
export function secretHeaders({ token, apiKey }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (apiKey !== undefined) headers["X-API-Key"] = apiKey;
  return headers;
}

/** @param {string} base */
export const socketUrl = (base) => `${base.replace(/^http/, "ws")}/api/v1/stream`;

/** The id of the request that a message answers, if any. @param {ServerMessage | Messages.ServerMessages["backend"]} message */
export const requestOf = (message) => ("re" in message ? message.re : undefined);

/** Close a socket, and hear nothing more of it. @param {WebSocket} socket */
export function discardSocket(socket) {
  socket.onopen = socket.onmessage = socket.onclose = null;
  // Node's socket complains to the process of errors that nobody listens to.
  socket.onerror = () => undefined;
  socket.close();
}

/**
 * @param {SocketOptions} options
 * @param {TransportEvents} events
 * @returns {Transport}
 */
export function openSocket({ base, WebSocket, ...secrets }, events) {
  let isOpen = false;
  let isOver = false;
  /** @param {number} code @param {string} reason */
  const ended = (code, reason) => {
    if (!isOver) events.closed(code, reason);
    isOver = true;
  };
  /** @type {WebSocket} */
  let socket;
  try {
    socket = new WebSocket(socketUrl(base), protocols(secrets));
  } catch {
    queueMicrotask(() => ended(FINAL["UNAUTHORIZED"] ?? LOST, BAD_TOKEN));
    return { asksForLife: true, send: () => undefined, close: () => void (isOver = true) };
  }
  socket.onopen = () => {
    isOpen = true;
    events.opened();
  };
  socket.onmessage = ({ data }) => {
    events.alive();
    if (typeof data === "string") events.heard(JSON.parse(data));
  };
  socket.onclose = ({ code, reason }) => ended(code, reason);
  // Not every runtime says `close` after a handshake that failed.
  socket.onerror = () => void setTimeout(() => isOpen || ended(LOST, ""));
  return {
    asksForLife: true,
    send: (text) => socket.send(text),
    close() {
      isOver = true;
      discardSocket(socket);
    },
  };
}

/**
 * @param {EventOptions} options
 * @param {TransportEvents} events
 * @returns {Transport}
 */
export function openEvents(options, events) {
  const transport = new EventTransport(options, events);
  void transport.run();
  return transport;
}

/** @implements {Transport} */
class EventTransport {
  asksForLife = false; // the server's `hb` is an event
  #options;
  #events;
  #abort = new AbortController();
  #stream = "";
  /** @type {string[]} */
  #queue = [];
  #isPosting = false;
  #headers;

  /**
   * @param {EventOptions} options
   * @param {TransportEvents} events
   */
  constructor(options, events) {
    this.#options = options;
    this.#events = events;
    this.#headers = secretHeaders(options);
  }

  /** @param {string} text */
  send(text) {
    this.#queue.push(text);
    if (!this.#isPosting) void this.#post();
  }

  close() {
    this.#abort.abort();
  }

  async run() {
    const { signal } = this.#abort;
    const headers = { ...this.#headers, Accept: "text/event-stream" };
    const { base, fetch } = this.#options;
    try {
      const response = await fetch(`${base}/api/v1/events${this.#query()}`, { headers, signal, cache: "no-store" });
      if (response.ok && response.body !== null) await this.#read(response.body);
      else await this.#refused(response);
    } catch {
      // Told below, unless it was us.
    }
    this.#ended(LOST, "");
  }

  #query() {
    const query = new URLSearchParams();
    let size = 0;
    this.#events.first((message) => {
      const text = JSON.stringify(message);
      size += encodeURIComponent(text).length;
      if (size <= MOST_QUERY) query.append("subscribe", text);
      return size <= MOST_QUERY;
    });
    return query.size === 0 ? "" : `?${query}`;
  }

  /** @param {Response} response */
  async #refused(response) {
    const { code, message, retryAfterS } = await refusalOf(response);
    this.#ended(FINAL[code] ?? LOST, message, retryAfterS === undefined ? undefined : retryAfterS * 1e3);
  }

  /** @param {ReadableStream<Uint8Array>} body */
  async #read(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#abort.signal.aborted) return;
      this.#events.alive();
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) if (!this.#abort.signal.aborted) this.#event(block);
    }
  }

  /** @param {string} block */
  #event(block) {
    const data = block.split("\n").find((line) => line.startsWith("data: "));
    if (data === undefined) return;
    /** @type {ServerMessage} */
    const message = JSON.parse(data.slice("data: ".length));
    if (message.t === "closed") {
      this.#ended(message.code, message.reason);
      return;
    }
    this.#events.heard(message);
    if (message.t === "hello") {
      this.#stream = message.stream ?? "";
      this.#events.opened();
    }
  }

  /**
   * One at a time: on several connections they would overtake each other. What fails ends the
   * transport, as nobody can tell whether it arrived: the next one says anew what is wanted.
   */
  async #post() {
    this.#isPosting = true;
    const { base, fetch, postMs } = this.#options;
    const headers = { ...this.#headers, "Content-Type": "application/json" };
    while (this.#queue.length > 0 && !this.#abort.signal.aborted) {
      const timer = setTimeout(() => this.#ended(LOST, ""), postMs);
      const url = `${base}/api/v1/events/${encodeURIComponent(this.#stream)}`;
      const body = /** @type {string} */ (this.#queue.shift());
      const response = await fetch(url, { method: "POST", body, headers, signal: this.#abort.signal }).catch(() => null);
      clearTimeout(timer);
      if (response?.ok) continue;
      const retryAfterS = response === null ? undefined : (await refusalOf(response)).retryAfterS;
      this.#ended(LOST, "", retryAfterS === undefined ? undefined : retryAfterS * 1e3);
    }
    this.#isPosting = false;
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {number} [retryAfterMs]
   */
  #ended(code, reason, retryAfterMs) {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#events.closed(code, reason, retryAfterMs);
  }
}
