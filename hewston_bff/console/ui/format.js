import { parseTime } from "../client/time.js";

/**
 * Numbers and times as text: digits by the size and step of what they are of, times in UTC.
 *
 * @typedef {number | null | undefined} Maybe
 */

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const AS_IT_CAME = new Intl.NumberFormat("en-US", { maximumFractionDigits: 20 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
/** Significant digits that a number keeps; those beyond are the rounding of binary fractions. */
const DIGITS = 12;
/** Significant digits shown of the largest value of a series, where it has them. */
const SHOWN_DIGITS = 6;
/** From here on, and below its inverse, a number is written with an exponent. */
const HUGE = 1e15;
const TINY = 1e-12;

export const NOTHING = "–";

/** @param {Maybe} value @returns {value is number} */
export const known = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {string} text of a number, as `Intl` and `toFixed` write it */
const minus = (text) => text.replaceAll("-", "−");

/** @param {Maybe} value */
export const whole = (value) => (known(value) ? minus(WHOLE.format(value)) : NOTHING);

/** @param {Maybe} value */
export const compact = (value) => (known(value) ? minus(COMPACT.format(value)) : NOTHING);

/** A quantity as it came: every digit, thousands apart. @param {Maybe | string} value */
export function quantity(value) {
  if (typeof value === "string") return value;
  if (!known(value)) return NOTHING;
  return isExtreme(value) ? exponential(value) : minus(AS_IT_CAME.format(value));
}

/** @param {number} value */
const isExtreme = (value) => Math.abs(value) >= HUGE || (value !== 0 && Math.abs(value) < TINY);

/** @param {number} value */
const exponential = (value) => minus(value.toExponential(SHOWN_DIGITS - 1).replace(/\.?0+e/, "e"));

/** The power of ten of a number's first digit; 0 for zero. @param {number} value */
export const exponentOf = (value) => (value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))));

/** How many decimals write a number out. @param {number} value */
function decimalsOf(value) {
  const [digits = "", exponent] = Number(value.toPrecision(DIGITS)).toExponential().split("e");
  return Math.max(0, digits.replace(/^-?\d\.?/, "").length - Number(exponent));
}

/** @type {Map<number, Intl.NumberFormat>} */
const FORMATS = new Map();

/**
 * @param {number} value
 * @param {number} decimals always so many, at most 20
 */
function fixed(value, decimals) {
  const digits = Math.max(0, Math.min(20, decimals));
  const format = FORMATS.get(digits) ?? new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  FORMATS.set(digits, format);
  return minus(format.format(value));
}

/**
 * How a series of prices or of money is written: with the decimals its values have, as far as its
 * size (six significant digits, cents at least) or its usual step (two digits of it) needs them.
 */
export class Precision {
  #largest = 0;
  #exact = 0;
  #last = NaN;
  /** Sum and number of the steps' exponents: the geometric mean is the usual step. */
  #exponents = 0;
  #steps = 0;
  /** @param {number} value of the series, in order; NaN: none */
  take(value) {
    if (!Number.isFinite(value)) return;
    this.#largest = Math.max(this.#largest, Math.abs(value));
    if (this.#exact < DIGITS) this.#exact = Math.max(this.#exact, decimalsOf(value));
    const step = Math.abs(value - this.#last);
    // A step that the precision of numbers makes is none.
    if (step > this.#largest * 10 ** -DIGITS) {
      this.#exponents += Math.log10(step);
      this.#steps += 1;
    }
    this.#last = value;
  }

  /** Of the largest value so far. */
  get decimals() {
    const exponent = exponentOf(this.#largest);
    const isSmall = exponent < 0;
    const bySize = Math.max(isSmall ? 0 : 2, SHOWN_DIGITS - 1 - exponent);
    const byStep = this.#steps === 0 ? 0 : 1 - Math.floor(this.#exponents / this.#steps);
    const decimals = Math.min(this.#exact, Math.max(bySize, byStep));
    return decimals === 1 && !isSmall ? 2 : decimals;
  }

  /** @param {Maybe} value @param {{signed?: boolean}} [how] */
  write(value, { signed = false } = {}) {
    if (!known(value)) return NOTHING;
    const sign = signed && value > 0 ? "+" : "";
    if (isExtreme(value)) return sign + exponential(value);
    // What is small beside its series keeps three digits of its own.
    const own = Math.min(decimalsOf(value), 2 - exponentOf(value));
    return sign + fixed(value, Math.max(this.decimals, own));
  }
}

/** One price, written out by its own size. @param {Maybe} value */
export function price(value) {
  if (!known(value)) return NOTHING;
  const precision = new Precision();
  precision.take(value);
  return precision.write(value);
}

/**
 * @param {Maybe} value a share of 1
 * @param {{signed?: boolean}} [how]
 */
export function percent(value, { signed = false } = {}) {
  if (!known(value)) return NOTHING;
  const number = value * 100;
  const size = Math.abs(number);
  const text = size >= 1e6 ? exponential(size) : fixed(size, size < 10 ? 2 : 1);
  const isZero = Number(text.replaceAll(",", "")) === 0;
  return `${isZero || (number > 0 && !signed) ? "" : number > 0 ? "+" : "−"}${text} %`;
}

/** @param {Maybe} value */
export const ratio = (value) => (known(value) ? (isExtreme(value) || Math.abs(value) >= 1e6 ? exponential(value) : minus(value.toFixed(2))) : NOTHING);

/** @param {Maybe} value */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  let number = value;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (number < 1_024) return `${number.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    number /= 1_024;
  }
  return `${number.toFixed(2)} GiB`;
}

/** @param {Maybe} ms */
export function age(ms) {
  if (!known(ms)) return NOTHING;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  return seconds < 7_200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3_600).toFixed(0)} h`;
}

/** Words of a code: `time_unreadable` → `time unreadable`. @param {string} code */
export const words = (code) => code.replaceAll("_", " ");

// -- times, all of them UTC

/**
 * Seconds since 1970 of a time in any form that the platform writes. NaN: it cannot be read.
 * @param {unknown} ts
 */
export function seconds(ts) {
  const ms = parseTime(ts);
  return ms === null ? NaN : ms / 1_000;
}

/** @param {number} time in seconds */
function iso(time) {
  const date = new Date(time * 1_000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** @param {string | number | null | undefined} ts as text, or in seconds */
const isoOf = (ts) => (ts === null || ts === undefined || ts === "" ? null : iso(typeof ts === "number" ? ts : seconds(ts)));

/** `2024-03-01 14:30`, with seconds where there are any. @param {string | number | null | undefined} ts */
export function minute(ts) {
  const text = isoOf(ts);
  if (text === null) return NOTHING;
  const precise = text.slice(0, text.endsWith(".000Z") ? 19 : 23).replace("T", " ");
  return precise.endsWith(":00") ? precise.slice(0, -3) : precise;
}

/** The same, with its zone. @param {string | number | null | undefined} ts */
export function clock(ts) {
  const text = minute(ts);
  return text === NOTHING ? text : `${text} UTC`;
}

/** `2024-03-01` @param {string | null | undefined} ts */
export const day = (ts) => (ts ? ts.slice(0, 10) : NOTHING);
