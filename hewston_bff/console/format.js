const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const MONEY = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const NOTHING = "–";

/** @typedef {number | null | undefined} Maybe */

/** @param {Maybe} value */
export const known = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {Maybe} value */
export const whole = (value) => (known(value) ? WHOLE.format(/** @type {number} */ (value)) : NOTHING);

/** @param {Maybe} value */
export const money = (value) => (known(value) ? MONEY.format(/** @type {number} */ (value)) : NOTHING);

/** @param {Maybe} value */
export const compact = (value) => (known(value) ? COMPACT.format(/** @type {number} */ (value)) : NOTHING);

/**
 * @param {Maybe} value a share of 1
 * @param {{signed?: boolean}} [how]
 */
export function percent(value, { signed = false } = {}) {
  if (!known(value)) return NOTHING;
  const number = /** @type {number} */ (value) * 100;
  const text = Math.abs(number).toFixed(Math.abs(number) < 10 ? 2 : 1);
  const isZero = Number(text) === 0;
  return `${isZero || (number > 0 && !signed) ? "" : number > 0 ? "+" : "−"}${text} %`;
}

/** @param {Maybe} value */
export const ratio = (value) =>
  known(value) ? /** @type {number} */ (value).toFixed(2).replace("-", "−") : NOTHING;

/** @param {Maybe} value */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  let number = /** @type {number} */ (value);
  for (const unit of ["B", "KiB", "MiB"]) {
    if (number < 1_024) return `${number.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    number /= 1_024;
  }
  return `${number.toFixed(2)} GiB`;
}

/** @param {Maybe} ms */
export function age(ms) {
  if (!known(ms)) return NOTHING;
  const seconds = /** @type {number} */ (ms) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  return seconds < 7_200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3_600).toFixed(0)} h`;
}

/** `2024-03-01 14:30` of a time as text. @param {string | null | undefined} ts */
export const minute = (ts) => (ts ? ts.slice(0, 16).replace("T", " ") : NOTHING);

/** `2024-03-01` @param {string | null | undefined} ts */
export const day = (ts) => (ts ? ts.slice(0, 10) : NOTHING);

/** Seconds since 1970 of a time as text. @param {string} ts */
export const seconds = (ts) => Date.parse(ts) / 1_000;
