/** Ids of entries, as Redis Streams have them: `<ms since 1970>-<number>`. */

/** @param {string} id */
function parts(id) {
  const [ms = "0", number = "0"] = id.split("-");
  return [BigInt(ms), BigInt(number)];
}

/**
 * Negative, 0 or positive: both parts may be beyond what a number holds.
 * @param {string} a
 * @param {string} b
 */
export function compareEntryIds(a, b) {
  const [ms = 0n, number = 0n] = parts(a);
  const [otherMs = 0n, otherNumber = 0n] = parts(b);
  const difference = ms === otherMs ? number - otherNumber : ms - otherMs;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** When an entry was written, in ms since 1970 by the clock of its Redis. @param {string} id */
export const entryTime = (id) => Number(id.split("-", 1)[0]);
