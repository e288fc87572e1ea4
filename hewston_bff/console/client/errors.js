/** An error with a code for programs and a message for people. */
export class HewstonError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{status?: number | undefined, details?: Record<string, unknown> | undefined, retryAfterS?: number | undefined}} [more]
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = "HewstonError";
    this.code = code;
    this.status = more.status;
    this.details = more.details;
    this.retryAfterS = more.retryAfterS;
  }
}

/** Codes after which asking again gives the same answer. */
const FINAL = new Set([
  "VALIDATION",
  "RUN_NOT_FOUND",
  "UNAUTHORIZED",
  "FORBIDDEN",
  "FEATURE_DISABLED",
  "STREAM_ERROR",
]);

/** @param {string} code */
export const isFinal = (code) => FINAL.has(code);

/** From here on, and 1000, the server does not want us back. */
const FINAL_CLOSE = 4400;
/** @type {Record<number, string>} */
const CLOSE_ERRORS = { 4401: "UNAUTHORIZED", 4403: "FORBIDDEN" };

/**
 * Why a connection ended for good; null if it is to be made again.
 * @param {number} code
 * @param {string} reason
 */
export function finalClose(code, reason) {
  if (code !== 1000 && code < FINAL_CLOSE) return null;
  return new HewstonError(CLOSE_ERRORS[code] ?? "CLOSED", reason || `the server ended the connection (${code})`);
}

/** Beyond this a text is a page, not a message. */
const MOST_TEXT = 300;

/**
 * What an answer that is no success says, in any of the shapes that it comes in: ours and the
 * backend's `{error: {code, message}}`, its `{detail: "text"}` and `{detail: [{loc, msg}]}`, plain text.
 * @param {Response} response
 */
export async function refusalOf(response) {
  const { status } = response;
  const text = await response.text().catch(() => "");
  const body = parsed(text);
  const more = { status, retryAfterS: retryAfterS(response) };
  const { code, message, details } = body?.error ?? {};
  if (code !== undefined) return new HewstonError(code, message ?? code, { ...more, details });
  const told = detail(body?.detail) ?? (body === null && !text.startsWith("<") ? text.slice(0, MOST_TEXT) : "");
  const errors = Array.isArray(body?.detail) ? { errors: body.detail } : undefined;
  return new HewstonError(`HTTP_${status}`, told || response.statusText || `status ${status}`, { ...more, details: errors });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {unknown} value */
function detail(value) {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  return value.map(({ loc = [], msg = "" }) => `${loc.at(-1) ?? ""}: ${msg}`).join("; ");
}

/** `Retry-After` is seconds, or a date. @param {Response} response */
function retryAfterS(response) {
  const told = response.headers.get("Retry-After");
  if (told === null) return undefined;
  const seconds = /^\d+$/.test(told) ? Number(told) : (Date.parse(told) - Date.now()) / 1e3;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
