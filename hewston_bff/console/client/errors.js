/** An error with a code for programs and a message for people. */
export class HewstonError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{status?: number, details?: Record<string, unknown>, retryAfterS?: number}} [more]
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
