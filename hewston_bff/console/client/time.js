/**
 * Times as instants: whatever form they come in, what is compared is the instant, to the nanosecond.
 * A time without a zone is UTC, as everywhere on the platform; a browser would take it for its own.
 */

const ISO =
  /^(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?\s*(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?)?$/;
const NUMBER = /^([+-]?)(\d+)(?:\.(\d*))?$/;
const EXPONENT = /^[+-]?\d+(?:\.\d*)?[eE][+-]?\d{1,3}$/;
/** Text of a smaller number is no time: `2024` is a year, and `20240301` a date. */
const LEAST_NUMBER = 10n ** 8n;
const NS_PER_MS = 1_000_000n;
/** From which magnitude on a number counts ms, µs, ns; below the first, seconds. */
const UNITS = /** @type {const} */ ([
  [10n ** 17n, 1n],
  [10n ** 14n, 1_000n],
  [10n ** 11n, NS_PER_MS],
  [0n, 1_000_000_000n],
]);
const LAST_HOUR = 23;
const LAST_MINUTE = 59;

/**
 * Milliseconds since 1970 (with a fraction, as exact as a number can be), or null if it is no time.
 * ISO 8601 with or without a zone and any fraction of seconds, or a number since 1970, or text of
 * one: its size tells seconds, ms, µs and ns apart. The server reads the same forms the same way.
 * @param {unknown} value
 * @returns {number | null}
 */
export function parseTime(value) {
  const ns = parseNs(value);
  if (ns === null) return null;
  return Number(ns / NS_PER_MS) + Number(ns % NS_PER_MS) / 1e6;
}

/**
 * Nanoseconds since 1970, or null if it is no time.
 * @param {unknown} value
 * @returns {bigint | null}
 */
export function parseNs(value) {
  if (typeof value === "bigint") return scaled(value < 0n ? -1n : 1n, value < 0n ? -value : value, "");
  if (typeof value === "number") return Number.isFinite(value) ? fromNumber(plain(value)) : null;
  if (typeof value !== "string") return null;
  const text = value.trim();
  const number = EXPONENT.test(text) ? plain(Number(text)) : text;
  const [, , whole = "0"] = NUMBER.exec(number) ?? [];
  return BigInt(whole) < LEAST_NUMBER ? fromIso(text) : fromNumber(number);
}

/**
 * Negative, 0 or positive as `a` is before, at or after `b`; NaN if one of them is no time.
 * @param {unknown} a
 * @param {unknown} b
 */
export function compareTimes(a, b) {
  const [first, second] = [parseNs(a), parseNs(b)];
  if (first === null || second === null) return NaN;
  return first < second ? -1 : first > second ? 1 : 0;
}

/** Never in the form `1e21`. @param {number} value */
function plain(value) {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}

/** @param {string} text */
function fromNumber(text) {
  const parts = NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign, whole = "", fraction = ""] = parts;
  return scaled(sign === "-" ? -1n : 1n, BigInt(whole), fraction);
}

/**
 * @param {bigint} sign
 * @param {bigint} whole
 * @param {string} fraction
 */
function scaled(sign, whole, fraction) {
  const [, unit] = UNITS.find(([least]) => whole >= least) ?? UNITS[3];
  const parts = BigInt(`0${fraction}`.padEnd(10, "0").slice(0, 10));
  return sign * (whole * unit + (parts * unit) / 1_000_000_000n);
}

/** @param {string} text */
function fromIso(text) {
  const parts = ISO.exec(text);
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day);
  const isDay = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
  const [fraction = "", , sign, zoneHour = "0", zoneMinute = "0"] = parts.slice(7);
  if (!isDay || !isClock(hour, minute, second) || !isClock(Number(zoneHour), Number(zoneMinute), 0)) {
    return null;
  }
  const zone = (sign === "-" ? -1 : 1) * (Number(zoneHour) * 60 + Number(zoneMinute));
  const seconds = midnight.getTime() / 1000 + (hour * 60 + minute - zone) * 60 + second;
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}

/**
 * @param {number} hour
 * @param {number} minute
 * @param {number} second
 */
function isClock(hour, minute, second) {
  return hour <= LAST_HOUR && minute <= LAST_MINUTE && second <= LAST_MINUTE;
}
