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
