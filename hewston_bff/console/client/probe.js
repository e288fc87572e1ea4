import { discardSocket, protocols, secretHeaders, socketUrl } from "./transport.js";

/**
 * Finding out how a server can be reached. Browsers do not say why a WebSocket failed: another
 * address of the same server is asked.
 *
 * @import { Secrets } from "./transport.js"
 *
 * @typedef {{base: string, fetch: typeof fetch, WebSocket: typeof WebSocket, connectMs: number} & Secrets} ProbeOptions
 */

/**
 * `gone`: nobody answers, or a proxy for nobody. `off`: streams are switched off. `there`: event
 * streams can be had. `later`: not before `afterMs`.
 * @typedef {{is: "gone" | "off" | "there"} | {is: "later", afterMs: number}} Found
 */

/**
 * @param {ProbeOptions} options
 * @param {() => Promise<import("./hewston-bff.js").Features>} features
 * @returns {Promise<Found>}
 */
export async function probe({ base, fetch, connectMs, ...secrets }, features) {
  const headers = secretHeaders(secrets);
  const signal = AbortSignal.timeout(connectMs);
  const response = await fetch(`${base}/api/v1/events`, { method: "HEAD", headers, signal, cache: "no-store" }).catch(() => null);
  if (response === null) return { is: "gone" };
  if (response.ok) return { is: "there" };
  const afterS = Number(response.headers.get("Retry-After"));
  if (afterS > 0) return { is: "later", afterMs: afterS * 1e3 };
  const told = await features().catch(() => null);
  if (told === null) return { is: "gone" };
  return { is: told.websocket_proxy === false ? "off" : "there" };
}

/**
 * Whether a WebSocket can be had now; it is given up at once.
 * @param {ProbeOptions} options
 * @returns {Promise<boolean>}
 */
export function canOpenSocket({ base, WebSocket, connectMs, ...secrets }) {
  if (WebSocket === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = new WebSocket(socketUrl(base), protocols(secrets));
    const timer = setTimeout(() => told(false), connectMs);
    /** @param {boolean} isOpen */
    const told = (isOpen) => {
      clearTimeout(timer);
      resolve(isOpen);
      discardSocket(socket);
    };
    socket.onopen = () => told(true);
    socket.onclose = socket.onerror = () => told(false);
  });
}
