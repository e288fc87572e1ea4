/** Decimal numbers as text: prices keep the digits they were published with. Pure. */

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** @param {string} text @returns {{units: bigint, decimals: number} | null} */
function parsed(text) {
  const [, sign = "", whole = "", part = ""] = DECIMAL.exec(text) ?? [];
  if (whole === "") return null;
  const units = BigInt(whole + part);
  return { units: sign === "-" ? -units : units, decimals: part.length };
}

/** `a` − `b` in the same units, exactly; null if one is no decimal number. @param {string} a @param {string} b */
function subtracted(a, b) {
  const left = parsed(a);
  const right = parsed(b);
  if (left === null || right === null) return null;
  const decimals = Math.max(left.decimals, right.decimals);
  const scaled = (/** @type {{units: bigint, decimals: number}} */ one) => one.units * 10n ** BigInt(decimals - one.decimals);
  return { units: scaled(left) - scaled(right), decimals };
}

/**
 * `a` − `b`, with the decimals of the longer one; null if one is no decimal number.
 * @param {string} a
 * @param {string} b
 */
export function difference(a, b) {
  const result = subtracted(a, b);
  if (result === null) return null;
  const { units, decimals } = result;
  const digits = String(units < 0n ? -units : units).padStart(decimals + 1, "0");
  const text = decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
  return units < 0n ? `−${text}` : text;
}

/** Which way it went from `before` to `now`; null if that cannot be told. @param {string} before @param {string} now */
export function direction(before, now) {
  const result = subtracted(now, before);
  if (result === null) return null;
  return result.units > 0n ? "up" : result.units < 0n ? "down" : "same";
}
